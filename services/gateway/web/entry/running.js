// Running now: one card for each simulation that somebody can open.

import { h, write } from "../element.js";
import { askDelete, sentence } from "../dialog.js";
import { portrait } from "../picture.js";
import { makeTinyRaster } from "./tinyraster.js";
import { NONE, clock, number, plural, state, time } from "../words.js";

const MOST_LIVE = 3; // pictures that move: each is a stream of its own
const MOVING = new Set(["paused", "started"]);
const OPEN = new Set(["created", "initialised", "paused", "started", "stopping", "halted", "failed"]);

export function makeRunning(entry) {
  const fact = h("span", { class: "fact" });
  const cards = h("div", { class: "running" });
  const element = h("section", { "aria-label": "Running now", hidden: true }, h("div", { class: "section-head" }, h("h1", {}, "Running now"), fact), cards);
  const kept = new Map();

  function draw() {
    const open = entry.simulations.filter((each) => OPEN.has(each.state));
    element.hidden = open.length === 0;
    const servers = entry.servers ?? [];
    const [busy, places] = ["busy", "places"].map((key) => servers.reduce((sum, server) => sum + (server[key] ?? 0), 0));
    write(fact, places ? `${busy} of ${plural(places, "place")} in use` : "");
    for (const [id, card] of kept) if (!open.some((each) => each.id === id)) { card.close(); card.element.remove(); kept.delete(id); }
    for (const simulation of open) {
      if (!kept.has(simulation.id)) {
        kept.set(simulation.id, makeCard(entry, simulation, kept.size < MOST_LIVE));
        cards.append(kept.get(simulation.id).element);
      }
      kept.get(simulation.id).draw(simulation);
    }
  }

  return { element, draw, close() { for (const card of kept.values()) card.close(); } };
}

function makeCard(entry, { id, experiment }, moves) {
  const { app } = entry;
  const title = h("h3");
  const chip = h("span", { class: "chip" });
  const about = h("span", { class: "muted" });
  const values = Object.fromEntries(["Simulated", "Real-time factor", "Left", "Where", "Watching"].map((name) => [name, makeValue(name)]));
  const reason = h("p", { class: "second run-reason", hidden: true });
  const stop = h("button", { class: "btn", onclick: end }, "Stop");
  const enter = h("a", { class: "btn primary", href: `#/run/${encodeURIComponent(id)}` }, "Open workbench");
  const image = portrait(app.api, `experiments/${encodeURIComponent(experiment)}`, { mark: id });
  const frame = h("div", { class: "run-picture" }, image);
  const facts = h("dl", { class: "run-values" }, Object.values(values).map((value) => value.element));
  const element = h("article", { class: "card run-card", "aria-label": experiment },
    frame,
    h("div", { class: "run-text" }, h("div", { class: "run-head" }, title, chip, about),
      facts, reason),
    h("div", { class: "run-actions" }, stop, enter));
  let last = null;
  let raster = null;
  let moving = false;

  /** The last picture of the experiment gives way to the spikes of this moment. */
  function animate(on) {
    if (on && !raster && moves) {
      raster = makeTinyRaster({ app, sim: id, onlive: () => image.remove() });
      frame.append(raster.element);
    }
    if (on === moving) return;
    moving = on;
    if (!on) raster?.close();
  }

  async function end() {
    if (last.state === "failed") return act(() => app.api.del(`simulations/${id}`));
    if (last.state === "halted") return act(() => app.api.put(`simulations/${id}/state`, { state: "stopped" }));
    return askDelete({ title: `Stop ${last.title || experiment}?`, action: "Stop",
      text: `${last.people?.length > 1 ? `${plural(last.people.length, "person", "people")} are watching. ` : ""}The run ends here; what has been recorded stays.`,
      act: () => act(() => app.api.put(`simulations/${id}/state`, { state: "stopped" })) });
  }

  async function act(order) {
    stop.disabled = true;
    try {
      await order();
      await entry.refresh();
    } finally {
      stop.disabled = false;
    }
  }

  function draw(simulation) {
    last = simulation;
    animate(MOVING.has(simulation.state));
    const { text, kind } = state(simulation);
    write(title, simulation.title || experiment);
    write(chip, text);
    chip.className = `chip ${kind || "dot"}`;
    const owner = simulation.owner === app.me?.name ? "you" : simulation.owner;
    write(about, `${experiment}, started ${time(simulation.started_at ?? simulation.created_at)} by ${owner}`);
    values.Simulated.set(number(simulation.t_s), "s");
    values["Real-time factor"].set(simulation.step ? number(simulation.real_time_factor, simulation.real_time_factor < 0.1 ? 3 : 2) : NONE, "×");
    const limit = simulation.limit;
    values.Left.name(limit ? `Left of ${number(limit.s, limit.s < 10 ? 1 : 0)} s` : "Left");
    values.Left.set(limit ? (limit.kind === "real" ? clock(limit.left_s) : number(limit.left_s, 1)) : NONE, limit && limit.kind !== "real" ? "s" : "");
    const { processes, threads } = simulation.facts ?? {};
    const place = simulation.server === "local" ? "this machine" : placeOf(entry.servers, simulation.server);
    values.Where.set(`${place}${processes ? `, ${plural(processes, "rank")} × ${plural(threads ?? 1, "thread")}` : ""}`);
    values.Watching.set(String(simulation.watchers ?? 0));
    facts.hidden = simulation.state === "failed";
    reason.hidden = !simulation.problem;
    write(reason, simulation.problem ? sentence(simulation.problem.detail ?? simulation.text) : "");
    write(stop, simulation.state === "failed" ? "Dismiss" : "Stop");
    stop.hidden = !(app.me?.role === "admin" || simulation.owner === app.me?.name);
  }

  return { element, draw, close: () => raster?.close() };
}

/** "j4, Large brain": a job by its id and title; a server that is gone by its id. */
function placeOf(servers = [], id) {
  const server = servers.find((each) => each.id === id);
  return server?.kind === "job" ? `${id}, ${server.title}` : (server?.title ?? id).toLowerCase();
}

function makeValue(text) {
  const head = h("dt", {}, text);
  const value = h("span", { class: text === "Where" ? "words" : "value" });
  const unit = h("small");
  return {
    element: h("div", {}, head, h("dd", {}, value, unit)),
    name: (words) => write(head, words),
    set(words, sign = "") {
      write(value, words);
      write(unit, words === NONE ? "" : sign);
    },
  };
}
