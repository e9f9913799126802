/** The one store of a simulation's state, errors and people; panels read its fields and are told of changes. */

const MOST_MESSAGES = 2000;
const MOST_EDITS = 500;

export class Store {
  simulation = null;
  start = null;
  ports = {};
  functions = [];
  messages = [];
  edits = [];
  stop = null;
  connection = { state: "connecting", since: Date.now(), next_try_at: null, next_try_s: 0 };
  people = [];
  missed = 0;
  /** Where the playback of a recording is, as the server says; null for a simulation. */
  playback = null;
  #listeners = new Map();

  /** Call `fn(value)` at each change of `kind`: simulation, start, ports, functions, message, edit, connection, progress, run, playback, cut, state. */
  on(kind, fn) {
    if (!this.#listeners.has(kind)) this.#listeners.set(kind, new Set());
    this.#listeners.get(kind).add(fn);
    return () => this.#listeners.get(kind).delete(fn);
  }

  tell(kind, value) {
    for (const fn of this.#listeners.get(kind) ?? []) {
      try {
        fn(value);
      } catch (error) {
        reportError(error); // one panel's fault is not the others'
      }
    }
  }

  /** The simulation as the server sees it now. */
  setSimulation(simulation) {
    const before = this.simulation;
    this.simulation = simulation;
    this.people = simulation.people ?? [];
    this.tell("simulation", simulation);
    if (JSON.stringify(before?.progress) !== JSON.stringify(simulation.progress)) this.tell("progress", simulation.progress);
  }

  setConnection(state, at, next_try_at) {
    const since = state === this.connection.state || (state === "connecting" && this.connection.state === "lost") ? this.connection.since : at;
    const next_try_s = next_try_at ? Math.max(0, (next_try_at - Date.now()) / 1000) : 0;
    this.connection = { state, since, next_try_at, next_try_s };
    this.tell("connection", this.connection);
  }

  addMissed(topics) {
    for (const topic in topics) this.missed += topics[topic];
  }

  setPlayback(playback) {
    const cut = this.playback?.cut !== playback.cut;
    this.playback = playback;
    if (cut) this.tell("cut", playback);
    this.tell("playback", playback);
  }

  /** A frame that is no stream: a document, a message, a change. */
  note({ kind, step, t_s, body }) {
    switch (kind) {
      case "run":
        this.#forget();
        return this.tell("run", body);
      case "start":
        this.start = body;
        this.ports = body.ports ?? {};
        this.tell("start", body);
        return this.tell("ports", this.ports);
      case "ports":
        this.ports = { ...this.ports, ...body.ports };
        return this.tell("ports", this.ports);
      case "stop":
        this.stop = { step, t_s, ...body };
        return this.tell("stop", this.stop);
      case "state":
        return this.tell("state", { step, t_s, ...body });
      case "functions":
        this.functions = body.functions ?? [];
        return this.tell("functions", this.functions);
      case "message":
        return this.#keep("message", this.messages, MOST_MESSAGES, { severity: "error", step, t_s, ...body });
      case "change":
        return this.#keep("edit", this.edits, MOST_EDITS, { step, t_s, ...body });
    }
  }

  #keep(kind, list, most, entry) {
    list.push(entry);
    if (list.length > most) list.splice(0, list.length - most);
    this.tell(kind, entry);
  }

  #forget() {
    this.start = this.stop = null;
    this.ports = {};
    this.functions = [];
    this.messages.length = this.edits.length = 0;
  }
}
