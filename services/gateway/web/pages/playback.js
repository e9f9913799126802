/** A recording in the workbench: the same panels, no orders, and a hand on its time. */

import { h } from "../element.js";
import { make as makePlaybar } from "../panels/playbar.js";
import { Workbench } from "./workbench.js";

const UNREADABLE = 4409;
const TOO_MANY = 4429;
const UNKNOWN = 4404;

/** Open the recording `params.recording`; `params.t` is where to begin, in simulated seconds. */
export function open(root, params, app) {
  return new Playback(root, params, app);
}

class Playback extends Workbench {
  constructor(root, params, app) {
    super(root, params, app);
    this.first_s = Number(params.t) || 0;
  }

  async look() {
    const held = (this.held = await this.app.api.get(this.path()));
    return {
      id: null, name: held.title, title: held.title, experiment: this.recording.experiment, owner: "", state: "paused", recording: held.id, outcome: held.outcome,
      step: 0, t_s: 0, progress: {}, warnings: [], people: [], facts: {}, problem: null, limit: null, recorded_bytes: held.bytes, watchers: null,
    };
  }

  bar(ctx) {
    return makePlaybar({ ...ctx, recording: this.held, say: (message) => this.say(message) });
  }

  listen() {
    super.listen();
    const { store } = this;
    this.off.push(store.on("playback", (now) => this.follow(now)), store.on("state", (then) => this.measured(then)), store.on("connection", ({ state }) => state === "live" && this.begun()));
    if (store.connection.state === "live") this.begun();
  }

  /** A connection has been made: go where we were, or begin. */
  begun() {
    const { t_s = this.first_s, playing = !this.first_s, speed = 1 } = this.store.playback ?? {};
    if (t_s) this.data.say({ do: "seek", t_s });
    if (playing) this.data.say({ do: "play", speed });
  }

  say(message) {
    this.data.say(message);
  }

  /** Show where it is: what panels know of a simulation is made from it. */
  follow({ t_s, step_s, playing }) {
    const state = playing ? "started" : "paused";
    const now = this.store.simulation;
    this.store.setSimulation({ ...now, state, t_s, step: Math.round(t_s / step_s), dt_s: step_s, function_s: {} });
  }

  /** What had been measured then. */
  measured({ step, facts }) {
    const function_s = Object.fromEntries(Object.entries(facts?.function_ns ?? {}).map(([name, ns]) => [name, ns / 1e9]));
    this.store.setSimulation({ ...this.store.simulation, step, function_s });
  }

  play() {
    this.say({ do: "play", speed: this.store.playback?.speed ?? 1 });
    return Promise.resolve();
  }

  spoken(state) {
    return state === "started" ? "Playing" : "Paused";
  }

  editable() {
    return false;
  }

  path() {
    const { experiment, rec } = this.recording;
    return `experiments/${encodeURIComponent(experiment)}/recordings/${encodeURIComponent(rec)}`;
  }

  final({ code, reason }) {
    if (code === UNREADABLE || code === TOO_MANY) return this.refused({ status: code, detail: reason });
    return code === UNKNOWN ? this.refused({ status: 404 }) : super.final({ code });
  }

  refused(error) {
    if (this.closed || error.status === 401) return;
    if (!error.status) console.error(error);
    const { experiment, rec } = this.recording;
    const files = `#/rec/${encodeURIComponent(experiment)}/${encodeURIComponent(rec)}`;
    const words = error.status === 404 ? "There is no such recording any more." : (error.detail ?? String(error));
    this.tidy();
    this.root.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "The recording cannot be played"), h("p", {}, words),
      h("a", { class: "btn primary", href: `#/x/${encodeURIComponent(experiment)}` }, experiment), error.status !== 404 && h("a", { class: "btn", href: files }, "Its files")));
  }
}
