/** The workbench: one simulation, its panels, one socket, one loop. What else can be watched extends it. */

import { h } from "../element.js";
import { icon } from "../icons.js";
import { Data } from "../link/data.js";
import { Store } from "../link/status.js";
import { TimeView } from "../frame/cursor.js";
import { Layout } from "../frame/layout.js";
import { Loop } from "../frame/loop.js";
import { Panel } from "../frame/panel.js";
import { showTable } from "../frame/table.js";
import { panelStates } from "../frame/states.js";
import { make as makeRibbon } from "../panels/ribbon.js";
import { make as makeStatusline } from "../panels/statusline.js";
import { make as makeTransport } from "../panels/transport.js";

const PANELS = [
  ["body", "Body"],
  ["spikes", "Spikes"],
  ["plots", "Plots"],
  ["scripts", "Scripts"],
  ["console", "Console"],
];
const PLACES = { spikes: "brain" }; // the place in the layout where it has another name
const KEY_OF = { E: "scripts", L: "console" };

/** Open the workbench of `params.sim`. */
export function open(root, params, app) {
  return new Workbench(root, params, app);
}

export class Workbench {
  constructor(root, { sim, recording, panel: first }, app) {
    this.app = app;
    this.sim = sim;
    this.recording = recording;
    this.root = root;
    this.off = [];
    this.parts = [];
    this.closed = false;
    this.store = new Store();
    root.classList.add("workbench");
    root.append(h("p", { class: "workbench-wait" }, "Opening the run…"));
    this.begin(first).catch((error) => this.refused(error));
  }

  async begin(first) {
    const simulation = await this.look();
    if (this.closed) return;
    this.store.setSimulation(simulation);
    document.title = `${simulation.title || simulation.experiment} – Reafference`;
    this.loop = new Loop();
    this.view = new TimeView();
    this.data = new Data({ url: this.address(), token: this.app.api.token, store: this.store, loop: this.loop });
    this.panels = new Map(PANELS.map(([id, label]) => [PLACES[id] ?? id, new Panel(PLACES[id] ?? id, label)]));
    for (const panel of this.panels.values()) panel.tools.append(this.enlarger(panel));
    this.layout = new Layout(simulation.experiment, this.panels);
    this.build();
    this.listen();
    this.react();
    await this.fill();
    if (this.closed) return;
    if (first && this.panels.has(first === "raster" ? "brain" : first)) this.layout.enlarge(first === "raster" ? "brain" : first);
    this.react();
  }

  /** What is watched, as a Simulation. */
  look() {
    return this.app.api.get(this.path());
  }

  /** The bar above it all. */
  bar(ctx) {
    return makeTransport(ctx);
  }

  play() {
    return this.app.api.put(`${this.path()}/state`, { state: "started" });
  }

  build() {
    const spikes = () => this.made?.spikes?.spikes_per_s ?? NaN;
    const latest = () => this.data.latest("engine/profile") ?? this.data.latest("body/joints");
    const common = { app: this.app, sim: this.sim, api: this.app.api, store: this.store, data: this.data, loop: this.loop, editable: () => this.editable() };
    const transport = this.bar({ ...common, layout: this.layoutFace(), view: { now_s: () => this.data.now_s, status: () => this.data.status() } });
    const ribbon = makeRibbon(common);
    const status = makeStatusline({ ...common, view: { step: () => (latest()?.step >= 0 ? latest().step : undefined), spikes_per_s: spikes } });
    this.notice = h("div", { class: "notice-host" });
    this.parts.push(transport, ribbon, status);
    this.transport = transport;
    this.root.replaceChildren(transport.element, ribbon.element, this.notice, this.layout.root, status.element);
  }

  /** Fill the panels; one that cannot be loaded says so and leaves the others alone. */
  async fill() {
    this.made = {};
    const base = { app: this.app, sim: this.sim, recording: this.recording, api: this.app.api, store: this.store, data: this.data, loop: this.loop, view: this.view, front: (id) => this.layout.front(id) };
    Object.defineProperty(base, "editable", { get: () => this.editable(), enumerable: true });
    const ctxOf = (panel) => Object.defineProperties({ panel }, Object.getOwnPropertyDescriptors(base));
    await Promise.all(PANELS.map(async ([id]) => {
      const panel = this.panels.get(PLACES[id] ?? id);
      try {
        const module = await import(`../panels/${id}.js`);
        if (this.closed) return;
        this.made[id] = module.make(ctxOf(panel)) ?? {};
        const { element } = this.made[id];
        if (element && element !== panel.body && !panel.root.contains(element)) panel.body.append(element);
        this.parts.push(this.made[id]);
      } catch (error) {
        console.error(error);
        panel.body.replaceChildren(h("div", { class: "panel-words" }, h("p", { class: "panel-words-head" }, "This panel could not be opened"), h("p", { class: "panel-words-text" }, error.message)));
      }
    }));
    if (this.closed) return;
    this.layout.arrange();
    try {
      const notice = (await import("../panels/notice.js")).make(ctxOf(new Panel("notice", "Notice")));
      this.parts.push(notice);
      if (notice.element) this.notice.append(notice.element);
    } catch (error) {
      console.error(error);
    }
  }

  listen() {
    const { store, app } = this;
    this.off.push(store.on("simulation", () => this.react()), store.on("connection", () => this.react()), store.on("run", () => this.react()));
    this.off.push(store.on("ports", () => this.react()), store.on("final", (end) => this.final(end)));
    [...this.panels.keys()].forEach((id, i) => this.off.push(app.keys.bind("Panels", String(i + 1), () => this.focus(id), `focus ${this.panels.get(id).label}`)));
    const bind = (key, act, words, scope = "Panels") => this.off.push(app.keys.bind(scope, key, act, words));
    bind("F", () => this.enlarge(this.here()), "enlarge the focused panel");
    bind("Escape", () => this.layout.enlarge(null), "back");
    bind("T", () => this.table(), "the focused panel as a table");
    bind("[", () => this.view.step(-1), "shorter window", "Spikes");
    bind("]", () => this.view.step(1), "longer window", "Spikes");
    for (const [key, id] of Object.entries(KEY_OF)) bind(key, () => this.focus(id), this.panels.get(id).label.toLowerCase());
    const remember = (event) => {
      const at = event.target.closest?.(".panel")?.dataset.panel;
      if (at) this.focused = at;
    };
    this.root.addEventListener("focusin", remember);
    this.root.addEventListener("pointerdown", remember);
    // A button that was clicked shall not keep the focus: Space would press it again instead of play and pause.
    this.root.addEventListener("mousedown", (event) => event.target.closest("button") && event.preventDefault());
  }

  /** Say to every panel how it stands, and let the loop rest when nothing moves. */
  react() {
    if (this.closed || !this.layout) return;
    const { simulation, connection } = this.store;
    const runs = simulation.state === "started" && connection.state === "live";
    this.loop.keep(runs);
    if (runs) this.view.look(null);
    this.states ??= panelStates({ panels: this.panels, store: this.store, data: this.data, play: () => this.play() });
    this.states();
    if (this.before && this.before !== simulation.state) this.app.announce(this.spoken(simulation.state));
    this.before = simulation.state;
  }

  spoken(state) {
    return `The run is ${state}`;
  }

  editable() {
    const { me } = this.app;
    return me?.role === "admin" || (me?.role === "owner" && me.name === this.store.simulation?.owner);
  }

  address() {
    const url = new URL(`${this.app.api.base}/${this.path()}/stream`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  }

  path() {
    return `simulations/${encodeURIComponent(this.sim)}`;
  }

  layoutFace() {
    const { layout, panels } = this;
    return {
      names: () => [...panels].map(([id, panel]) => [id, panel.label]),
      isHidden: (id) => layout.isHidden(id),
      hide: (id, hidden) => layout.hide(id, hidden),
      reset: () => layout.reset(),
    };
  }

  enlarger(panel) {
    return h("button", { class: "icon-btn enlarge", type: "button", "aria-pressed": "false", "aria-label": `Enlarge ${panel.label}`, title: "Enlarge (F)", onclick: () => this.enlarge(panel.id) }, icon("expand"));
  }

  enlarge(id) {
    if (!id) return;
    this.layout.enlarge(this.layout.enlarged === id ? null : id);
  }

  here() {
    return document.activeElement?.closest?.(".panel")?.dataset.panel ?? this.focused ?? "brain";
  }

  focus(id) {
    this.layout.front(id);
    const made = this.made?.[Object.keys(PLACES).find((name) => PLACES[name] === id) ?? id];
    this.focused = id;
    this.panels.get(id)?.root.focus({ preventScroll: true });
    made?.focus?.();
  }

  table() {
    const id = this.here();
    const made = this.made?.[Object.keys(PLACES).find((name) => PLACES[name] === id) ?? id];
    if (made?.table) showTable(this.panels.get(id).label, () => made.table());
  }

  final({ code }) {
    if (code === 4401) return this.app.go("#/login");
    const words = code === 4000 ? "This run was deleted" : "There is no such run";
    this.refused({ status: 404, detail: words });
  }

  refused(error) {
    if (this.closed || error.status === 401) return;
    const words = error.status === 404 ? "There is no such run any more. Its recording, if there is one, is with its experiment." : (error.detail ?? String(error));
    if (!error.status) console.error(error);
    this.tidy();
    this.root.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "The run cannot be shown"), h("p", {}, words), h("a", { class: "btn primary", href: "#/" }, "Experiments")));
  }

  tidy() {
    for (const off of this.off.splice(0)) off();
    for (const part of this.parts.splice(0)) part.close?.();
    this.layout?.close();
    this.data?.close();
    this.loop?.close();
  }

  close() {
    this.closed = true;
    this.tidy();
  }
}
