/** The step ribbon: what one step of the last second cost, as one bar. Brain and body run side by side, so they are two lanes. */

import { h, write } from "../element.js";
import { show } from "../dialog.js";
import { NONE, number } from "../words.js";

const NAMES = ["brain", "body", "transfer", "exchange", "wait"];
const LABELS = ["cle_step", "brain_step", "brain_refresh", "robot_step", "robot_refresh", "transfer", "send", "wait", "commit", "credit_wait", "pace_wait"];

export function make({ store, data, loop }) {
  const bars = Object.fromEntries(NAMES.map((name) => [name, h("i", { class: `rib ${name}` })]));
  const tick = h("i", { class: "rib-tick", title: "Real time" });
  const track = h("div", { class: "rib-track", role: "img", "aria-label": "Share of each step" }, Object.values(bars), tick);
  const total = h("span", { class: "rib-total" }, "no step yet");
  const values = {};
  const keys = NAMES.map((name) => h("span", { class: "rib-key" }, h("i", { class: `rib-swatch ${name}` }), name, (values[name] = h("b", {}, NONE))));
  const element = h("button", { class: "ribbon", type: "button", title: "Where the time of a step goes", onclick: () => openProfile() },
    h("span", { class: "rib-name" }, "One step"), track, total, h("span", { class: "rib-keys" }, keys));

  data.want("ribbon", "engine/profile");
  const view = loop.add({ name: "ribbon", hz: 2, draw });
  const off = [data.on("engine/profile", view.dirty), store.on("start", view.dirty), store.on("run", view.dirty)];

  function draw() {
    const dt_ms = (store.start?.dt_ns ?? 2e7) / 1e6;
    const mean = meanOf(data);
    if (!mean) {
      write(total, "no step yet");
      for (const name of NAMES) {
        bars[name].style.transform = "scaleX(0)";
        write(values[name], NONE);
      }
      tick.style.left = "80%";
      track.setAttribute("aria-label", "No step yet");
      return;
    }
    const parts = shares(mean);
    const scale = Math.max(parts.step, dt_ms) * 1.22;
    const at = { brain: 0, body: 0, transfer: parts.both, exchange: parts.both + parts.transfer, wait: parts.both + parts.transfer + parts.exchange };
    for (const name of NAMES) {
      bars[name].style.left = `${(at[name] / scale) * 100}%`;
      bars[name].style.transform = `scaleX(${parts[name] / scale})`;
      write(values[name], number(parts[name], parts[name] < 100 ? 1 : 0));
    }
    tick.style.left = `${(dt_ms / scale) * 100}%`;
    write(total, `${number(parts.step, 1)} of ${number(dt_ms, dt_ms % 1 ? 1 : 0)} ms`);
    const told = NAMES.map((name) => `${name} ${number(parts[name], 1)}`).join(", ");
    track.setAttribute("aria-label", `One step takes ${number(parts.step, 1)} ms: ${told}`);
  }

  function openProfile() {
    const mean = meanOf(data);
    const rows = LABELS.map((label, i) => h("tr", {}, h("th", { scope: "row" }, WORDS[label]), h("td", {}, mean ? number(mean[i] / 1e6, 2) : NONE)));
    show({
      title: "One step",
      text: "Mean wall time of the steps of the last second, in ms. Brain and body work at the same time.",
      body: h("table", { class: "plain" }, h("tbody", {}, rows)),
    });
  }

  return { element, close: () => [...off, view.remove, () => data.release("ribbon")].forEach((fn) => fn()) };
}

const WORDS = {
  cle_step: "Whole step, grant to grant",
  brain_step: "Brain, the simulator itself",
  brain_refresh: "Brain with its devices and read-outs",
  robot_step: "Body, the physics itself",
  robot_refresh: "Body with its sensors",
  transfer: "Transfer functions",
  send: "Sending inputs",
  wait: "Waiting for brain and body",
  commit: "Commit mark",
  credit_wait: "Waiting for the recorder",
  pace_wait: "Waiting for the wall clock",
};

/** Mean nanoseconds of each part over the steps of the last second, or null. */
function meanOf(data) {
  const columns = LABELS.map((_, i) => data.series("engine/profile", "parts", i));
  const { t, n } = columns[0];
  if (!n) return null;
  let first = n - 1;
  while (first > 0 && t[n - 1] - t[first - 1] < 1) first -= 1;
  return columns.map(({ v }) => v.subarray(first, n).reduce((sum, value) => sum + value, 0) / (n - first));
}

/** Milliseconds of the ribbon's segments: brain and body side by side, then transfer, exchange, wait. */
export function shares(mean) {
  const [step, , brain, , body, transfer, , , , credit, pace] = mean.map((ns) => ns / 1e6);
  const both = Math.max(brain, body);
  const wait = credit + pace;
  const exchange = Math.max(0, step - both - transfer - wait);
  return { step, brain, body, both, transfer, exchange, wait };
}
