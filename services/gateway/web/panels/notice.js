// The line below the ribbon: a halt, a failure, a lost connection. Says what goes on and gives the ways on.

import { fill, h } from "../element.js";
import { icon } from "../icons.js";
import { askDelete, sentence } from "../dialog.js";
import { number, seconds, time } from "../words.js";
import { who } from "../people.js";

export function make(ctx) {
  const { app, store, data } = ctx;
  const element = h("div", { class: "notice", role: "status", hidden: true });
  let drawn = "";
  let timer = null;

  function draw() {
    const { state, since, next_try_at } = store.connection;
    const simulation = store.simulation;
    if (state === "lost" && since) disconnected(since, next_try_at);
    else if (simulation?.state === "halted" || simulation?.state === "failed") halted(simulation);
    else show("", () => []);
  }

  /** Draws anew only when `key` is another one, so that buttons keep the focus. */
  function show(key, content, kind = "err") {
    if (key === drawn) return;
    drawn = key;
    element.hidden = !key;
    element.className = `notice ${kind}`;
    fill(element, content());
    if (key) app.announce(element.querySelector(".notice-text")?.textContent ?? "");
  }

  function disconnected(since, next_try_at) {
    const next = h("span", { class: "mono" });
    show(`lost ${since}`, () => [
      icon("alert"),
      h("p", { class: "notice-text" }, h("strong", {}, `No connection since ${time(since)}. `), ctx.recording ? "Playing goes on from here once it is back. " : "The run goes on; this page shows the last picture it got. ", next),
      h("button", { class: "btn", onclick: () => data.retry?.() }, "Try now"),
    ], "warn");
    const place = element.querySelector("p .mono");
    const left = next_try_at ? Math.max(0, Math.ceil((next_try_at - Date.now()) / 1000)) : 0;
    if (place) place.textContent = left ? `Next try in ${left} s` : "Trying…";
  }

  function halted(simulation) {
    const { problem, step, t_s, state, id } = simulation;
    const failed = state === "failed";
    const mine = app.me?.role === "admin" || simulation.owner === app.me?.name;
    show(JSON.stringify([id, state, step, problem]), () => [
      icon("warning"),
      h("p", { class: "notice-text" },
        h("strong", {}, failed ? "Failed while it was built. " : `Halted at ${seconds(t_s)}, step ${number(step, 0)}. `), cause(problem, simulation.text)),
      h("button", { class: "btn", onclick: () => openLog(problem) }, "Open log"),
      !failed && simulation.recording && h("button", { class: "btn", onclick: () => download(simulation) }, `Download ${number(t_s, 1)} s`),
      mine && h("button", { class: "btn primary", onclick: () => stop(simulation, failed) }, failed ? "Stop and close…" : "Stop and reset…"),
    ]);
  }

  function openLog(problem) {
    const source = problem?.source ?? "engine";
    document.dispatchEvent(new CustomEvent("reaf:log", { detail: { service: ["brain", "body", "engine", "recorder"].includes(source) ? source : "engine" } }));
  }

  function download({ experiment, recording }) {
    const folder = `experiments/${encodeURIComponent(experiment)}/recordings/${encodeURIComponent(recording)}`;
    return app.api.download(`${folder}/files/recording.mcap`, `${experiment}-${recording}.mcap`)
      .catch((error) => fail(error));
  }

  function stop(simulation, failed) {
    return askDelete({
      title: failed ? "Stop and close?" : "Stop and reset?", action: failed ? "Stop and close" : "Stop and reset",
      text: failed ? "This simulation ends; the experiment stays as it is." : "This run ends; its recording stays. A new run of the same experiment begins at 0 s.",
      act: async () => {
        await app.api.put(`simulations/${simulation.id}/state`, { state: "stopped" });
        if (failed) return app.go(`#/x/${encodeURIComponent(simulation.experiment)}`);
        const next = await again(simulation);
        return app.go(`#/run/${encodeURIComponent(next.id)}`);
      },
    });
  }

  // The place becomes free when the last process has ended: a moment after the answer.
  async function again({ experiment, limit, launched }) {
    const order = { ...launched, experiment, ...(limit ? { limit: { kind: limit.kind, s: limit.s } } : {}) };
    if (limit) delete order.steps;
    for (let turn = 0; ; turn++) {
      try {
        return await app.api.post("simulations", order, { patience_ms: 120000 });
      } catch (error) {
        if (error.code !== "busy" || turn >= 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  function fail(error) {
    const text = element.querySelector(".notice-text");
    text?.append(" ", h("span", {}, sentence(error.message)));
  }

  const offs = [store.on("simulation", draw), store.on("connection", draw)];
  timer = setInterval(draw, 1000);
  draw();
  return { element, close() { clearInterval(timer); for (const off of offs) off(); } };
}

/** The cause in words: who, where, what. */
export function cause(problem, text = "") {
  if (!problem) return sentence(text);
  const where = problem.file ? [h("code", {}, problem.file), problem.line ? ` line ${problem.line}` : "", ": "] : "";
  const named = (problem.detail || problem.text || text).toLowerCase().includes(problem.source ?? "");
  return [problem.source && !named ? `${who(problem.source)}: ` : "", where, sentence(problem.detail || problem.text || text)];
}
