/** The bar above the workbench: what runs, its orders, its clock, who watches. Orders wait for the server's word. */

import { h, write } from "../element.js";
import { icon, mark } from "../icons.js";
import { askDelete, menu, show } from "../dialog.js";
import { NONE, clock, count, number, state as stateWords } from "../words.js";

const OVER = new Set(["stopped", "failed"]);
const RESETS = [
  { what: "body", text: "Robot pose", note: "Joints and muscles as at the start; brain and clock go on" },
  { what: "world", text: "World", note: "Objects of the room back in their places; body and brain stay" },
  { what: "brain", text: "Brain", note: "The network built anew with its seed; body and clock go on" },
  { what: "full", text: "Everything", note: "A new run from 0 s with a new recording; functions that you changed stay" },
];

export function make({ app, sim, api, store, data, loop, layout, view, editable }) {
  const button = (name, words, key, act, extra = "") =>
    h("button", { class: `icon-btn ${extra}`, type: "button", "aria-label": words, title: key ? `${words} (${key})` : words, onclick: act }, icon(name));
  const play = button("play", "Play", "Space", () => toggle(), "primary");
  const step = button("step", "One step", ".", () => once());
  const stop = button("stop", "Stop", "Shift+S", () => askStop());
  const reset = h("button", { class: "btn quiet reset", type: "button", "aria-label": "Reset", "aria-haspopup": "menu", title: "Reset (R)", onclick: () => openReset() },
    icon("reset"), h("span", { class: "wide-only" }, "Reset"), icon("down"));
  const name = h("a", { class: "run-name", href: "#/" });
  const origin = h("span", { class: "run-origin" });
  const chip = h("span", { class: "chip state-chip" }, h("span", {}));
  const clocks = {
    simulated: face("Simulated", "s", "big"),
    real: face("Real", ""),
    factor: face("Real-time factor", "×"),
    left: face("Left", "s", "", () => extend()),
  };
  const watchers = h("span", { class: "chip watchers", title: "Who watches" }, icon("eye"), h("span", {}));
  const arrange = h("button", { class: "btn", type: "button", "aria-haspopup": "menu", onclick: () => layoutMenu(arrange, layout) }, icon("sliders"), h("span", { class: "wide-only" }, "Layout"));
  const cluster = h("a", { class: "icon-btn", href: "#/cluster", "aria-label": "Cluster", title: "Cluster" }, icon("server"));
  const themeButton = h("button", { class: "icon-btn", type: "button", "aria-label": "Light or dark", title: "Light or dark (Shift+D)", onclick: () => app.theme.toggle() });
  const problem = h("span", { class: "order-problem", role: "alert" });
  const element = h("header", { class: "transport" },
    h("a", { class: "home", href: "#/", "aria-label": "Experiments", title: "Experiments" }, mark(26)),
    h("div", { class: "run" }, name, origin), chip,
    h("div", { class: "orders", role: "group", "aria-label": "Orders" }, play, step, stop, reset), problem,
    h("div", { class: "clocks" }, Object.values(clocks).map((one) => one.root)),
    h("div", { class: "transport-end" }, watchers, arrange, cluster, themeButton));

  let waiting = false;
  let problemTimer = 0;
  const text = loop.add({ name: "transport", hz: 8, draw: () => draw() });

  function draw() {
    const now = store.simulation;
    if (!now) return;
    write(name, now.title || now.experiment);
    name.href = `#/x/${encodeURIComponent(now.experiment)}`;
    write(origin, `${now.experiment}${store.start ? ` · seed ${store.start.seed}` : ""}`);
    const connected = store.connection.state === "live";
    const lost = store.connection.state === "lost" || (!connected && chip.textContent === "Not connected");
    const words = stateWords(now);
    chip.className = `chip dot state-chip ${lost ? "warn" : words.kind}`;
    chip.dataset.state = now.state;
    write(chip.lastChild, lost ? "Not connected" : words.text);
    const runs = now.state === "started";
    orders(now, connected);
    const done = now.t_s ?? 0;
    clocks.simulated.set(OVER.has(now.state) || !runs ? number(done, 2) : number(Math.max(done, view.now_s()), 2));
    clocks.real.set(clock(now.real_s));
    clocks.factor.set(runs && now.real_time_factor != null ? number(now.real_time_factor, 2) : NONE);
    const { limit } = now;
    const real = limit?.kind === "real";
    clocks.left.label(limit ? `Left of ${number(limit.s, limit.s % 1 ? 1 : 0)} s${real ? " real" : ""}` : "No limit");
    const left = limit && runs && !real ? Math.min(limit.left_s, limit.s - view.now_s()) : limit?.left_s;
    clocks.left.set(limit ? number(Math.max(0, left), 1) : NONE);
    watchers.hidden = now.watchers == null;
    write(watchers.lastChild, count(now.watchers));
    watchers.title = now.people?.length ? `Watching ${now.people.join(", ")}` : "Nobody watches";
  }

  function orders(now, connected) {
    const { state } = now;
    const able = connected && editable() && !waiting;
    const runs = state === "started";
    set(play, able && (runs || state === "paused"));
    set(step, able && state === "paused");
    set(stop, able && !OVER.has(state));
    set(reset, able && (state === "paused" || runs || state === "halted"));
    if (play.dataset.shows === String(runs)) return;
    play.dataset.shows = String(runs);
    play.replaceChildren(icon(runs ? "pause" : "play"));
    play.setAttribute("aria-label", runs ? "Pause" : "Play");
    play.title = `${runs ? "Pause" : "Play"} (Space)`;
  }

  /** One order at a time; the buttons rest until the server has answered. */
  async function order(what) {
    if (waiting) return;
    waiting = true;
    draw(); // at once, so that nobody presses what would not be heard
    say("");
    try {
      const answer = await what();
      if (answer?.state) store.setSimulation(answer);
      else view.status();
    } catch (error) {
      say(error.detail ?? String(error));
    } finally {
      waiting = false;
      text.dirty();
    }
  }

  function say(words) {
    clearTimeout(problemTimer);
    write(problem, words);
    problem.title = words;
    if (words) problemTimer = setTimeout(() => say(""), 12000);
  }

  const base = `simulations/${encodeURIComponent(sim)}`;
  const toggle = () => !play.disabled && order(() => api.put(`${base}/state`, { state: store.simulation.state === "started" ? "paused" : "started" }));
  const once = () => !step.disabled && order(() => api.post(`${base}/step`));
  const doReset = (what) => order(() => api.post(`${base}/reset`, { what }, { patience_ms: 600000 }));

  function askStop() {
    if (stop.disabled) return;
    const doStop = () => order(() => api.put(`${base}/state`, { state: "stopped" }));
    if (!["started", "paused"].includes(store.simulation.state)) return doStop();
    const kept = store.simulation.recording ? "What was recorded stays." : "It was not recorded.";
    askDelete({ title: "Stop this run?", text: `It ends at ${number(store.simulation.t_s, 2)} s and cannot be played further. ${kept}`, action: "Stop", act: doStop });
  }

  function openReset() {
    if (reset.disabled) return;
    const entries = RESETS.map(({ what, text: title, note }) => ({ text: title, note, icon: "reset", act: () => doReset(what) }));
    menu(reset, [...entries, null, { text: "Camera view", note: "Only on this page", icon: "eye", act: () => document.dispatchEvent(new CustomEvent("reaf:camera")) }], { align: "left" });
  }

  function extend() {
    const limit = store.simulation?.limit;
    if (!editable()) return;
    const amount = h("input", { type: "number", min: "0.1", step: "any", value: limit ? "10" : "60", autofocus: true });
    const kind = h("select", {}, h("option", { value: "extend_s", disabled: !limit }, "more, from the limit now"),
      h("option", { value: "simulated_s" }, "simulated time in all"), h("option", { value: "real_s" }, "real time in all"));
    if (!limit) kind.value = "simulated_s";
    show({
      title: "Limit of this run",
      text: limit ? `It ends at ${number(limit.s, 1)} s of ${limit.kind} time.` : "It has no limit.",
      body: h("div", { class: "limit-form" }, h("label", { class: "field" }, h("span", {}, "Seconds"), amount), h("label", { class: "field" }, h("span", {}, "That is"), kind)),
      actions: [{ text: "Set", kind: "primary", act: async () => { await api.put(`${base}/limit`, { [kind.value]: Number(amount.value) }); view.status(); } }, { text: "Cancel" }],
    });
  }

  const off = [
    store.on("simulation", () => text.dirty()),
    store.on("connection", () => text.dirty()),
    store.on("start", () => text.dirty()),
    data.on("engine/profile", () => text.dirty()), // the clock keeps up with what is drawn
    app.theme.on(paintTheme),
    app.keys.bind("Run", "Space", toggle, "play / pause"),
    app.keys.bind("Run", ".", once, "one step (paused)"),
    app.keys.bind("Run", "Shift+S", askStop, "stop"),
    app.keys.bind("Run", "R", openReset, "reset menu"),
  ];
  paintTheme();

  function paintTheme() {
    themeButton.replaceChildren(icon(app.theme.now === "dark" ? "sun" : "moon"));
  }

  return { element, dirty: () => text.dirty(), close: () => [...off, text.remove].forEach((fn) => fn()) };
}

function set(button, able) {
  if (button.disabled === able) button.disabled = !able;
}

/** The menu of panels that can be shown and hidden. */
export function layoutMenu(anchor, layout) {
  const panels = layout.names().map(([id, label]) => ({ text: label, checked: !layout.isHidden(id), act: () => layout.hide(id, !layout.isHidden(id)) }));
  menu(anchor, [...panels, null, { text: "Reset layout", icon: "reset", act: () => layout.reset() }]);
}

/** A clock face: a label above a number with its unit. */
export function face(label, unit, size = "", onclick) {
  const head = h("span", { class: "face-label" }, label);
  const value = h("span", { class: "face-value" }, NONE);
  const root = h(onclick ? "button" : "div", { class: `face ${size}`, type: onclick ? "button" : null, title: onclick ? "Change the limit" : null, onclick },
    head, h("span", { class: "face-line" }, value, unit && h("span", { class: "face-unit" }, unit)));
  return { root, set: (words) => write(value, words), label: (words) => write(head, words) };
}
