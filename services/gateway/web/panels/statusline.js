/** The line below: connection, step, spikes a second, what was missed, the simulator, the recording, the page's own pace. */

import { h, write } from "../element.js";
import { NONE, bytes, count, number, plural } from "../words.js";

export function make({ app, store, loop, view }) {
  const cell = (extra = "") => h("span", { class: `status-cell ${extra}` });
  const [link, step, spikes, missed, nest, recording, pace] = ["link", "mono", "mono", "mono", "", "", "mono end"].map(cell);
  link.append(h("i", { class: "state-dot" }), h("span", {}));
  const help = h("button", { class: "status-keys", type: "button", onclick: () => app.keys.showTable() }, h("kbd", {}, "?"), "keys");
  const element = h("footer", { class: "statusline" }, link, step, spikes, missed, nest, recording, pace, help);
  const drawing = loop.add({ name: "status", hz: 2, draw });
  const timer = setInterval(drawing.dirty, 1000);

  function draw() {
    const now = store.simulation;
    const { state } = store.connection;
    link.dataset.state = state;
    write(link.lastChild, { live: store.playback ? "connected" : "live", connecting: "connecting", lost: "not connected" }[state]);
    write(step, `step ${count(view.step() ?? now?.step ?? NONE)}`);
    write(spikes, `${now?.state === "started" ? count(Math.round(view.spikes_per_s())) : NONE} spikes/s`);
    write(missed, `missed ${count(store.missed)}`);
    missed.classList.toggle("warned", store.missed > 0);
    const facts = store.ports.brain?.facts;
    const ranks = now?.facts?.processes ?? facts?.processes;
    write(nest, facts?.nest ? `NEST ${String(facts.nest).split(".").slice(0, 2).join(".")}, ${plural(ranks ?? 1, "rank")} × ${plural(facts.threads ?? 1, "thread")}` : "");
    write(recording, now?.recording ? `recording ${bytes(now.recorded_bytes)}` : now ? "not recorded" : "");
    const { fps, ms } = loop.stats();
    write(pace, `page ${fps ? Math.round(fps) : NONE} frames/s, ${fps ? number(ms, 1) : NONE} ms`);
    pace.title = Object.entries(loop.stats().cost).map(([name, cost]) => `${name} ${number(cost, 2)} ms`).join("\n");
  }

  return { element, close: () => { clearInterval(timer); drawing.remove(); } };
}
