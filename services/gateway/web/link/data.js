/** Live numbers: what panels want, the newest of each topic, and the last minute of it. */

import { Ring } from "./rings.js";
import { numbers, unpack } from "./stacks.js";

const KEPT = ["run/start", "run/ports", "run/stop", "engine/state", "engine/log", "engine/edits", "engine/functions"];

export class Data {
  now_s = 0;
  #worker;
  #store;
  #loop;
  #wants = new Map(); // topic → Map(owner → wish)
  #listeners = new Map();
  #latest = new Map();
  #rings = new Map();
  #drawn = 0;
  #inbox = [];
  #asked = false;
  #sent = "";
  #off = [];
  #running = false;

  constructor({ url, token, store, loop }) {
    this.#store = store;
    this.#loop = loop;
    this.#worker = new Worker(new URL("./reader.worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#arrived(data);
    this.#worker.onerror = (event) => store.setConnection("lost", Date.now(), null) || console.error(event.message);
    this.#worker.postMessage({ do: "open", url, token, streams: this.#streams() });
    this.#off.push(loop.before(() => this.#frame()));
    const visibility = () => this.#worker.postMessage({ do: "hidden", hidden: document.hidden });
    document.addEventListener("visibilitychange", visibility);
    this.#off.push(() => document.removeEventListener("visibilitychange", visibility));
  }

  /** From now on `owner` (any name) wants `topic`: at most `hz` frames a second of wall time, pictures of `points`. */
  want(owner, topic, wish = {}) {
    if (!this.#wants.has(topic)) this.#wants.set(topic, new Map());
    this.#wants.get(topic).set(owner, wish);
    this.#subscribe();
  }

  /** `owner` wants `topic` no more; without a topic, nothing at all. */
  release(owner, topic) {
    for (const [name, wishes] of this.#wants) {
      if (topic && name !== topic) continue;
      wishes.delete(owner);
      if (!wishes.size) this.#wants.delete(name);
    }
    this.#subscribe();
  }

  /** The newest frame, `{step, t_s, arrays: {name: {data, shape}}}`; of engine/values `{step, t_s, values}`. */
  latest(topic) {
    return this.#latest.get(topic);
  }

  /** Call `fn(frames)` at most once per animation frame with all that are new; returns an off function. */
  on(topic, fn) {
    if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
    this.#listeners.get(topic).add(fn);
    return () => this.#listeners.get(topic)?.delete(fn);
  }

  /** `{t, v, n}` of one element over the last 60 simulated seconds; of engine/values by the name of the value. */
  series(topic, array, index = 0) {
    return this.#rings.get(topic)?.series(array, index) ?? { t: new Float64Array(0), v: new Float64Array(0), n: 0 };
  }

  /** Try to connect at once. */
  retry() {
    this.#worker.postMessage({ do: "now" });
  }

  /** Send an order to the server over the stream. */
  say(message) {
    this.#worker.postMessage({ do: "say", message });
  }

  /** Ask the server for the simulation as it is now. */
  status() {
    this.#worker.postMessage({ do: "status" });
  }

  close() {
    for (const off of this.#off) off();
    this.#worker.postMessage({ do: "close" });
    setTimeout(() => this.#worker.terminate(), 500);
  }

  #arrived(message) {
    switch (message.type) {
      case "text":
        return this.#heard(message.message);
      case "connection":
        return this.#store.setConnection(message.state, message.at, message.next_try_at);
      case "final":
        return this.#store.tell("final", message);
      case "bad":
        return console.warn(message.text);
      case "batch":
        this.#asked = false;
        for (const note of message.notes) this.#note(note); // errors are not kept waiting for a frame
        this.#inbox.push(message);
        this.#loop.wake();
    }
  }

  #heard(message) {
    if (message.type === "simulation") this.#store.setSimulation(message.simulation);
    else if (message.type === "playback") this.#played(message);
    else if (message.type === "missed") this.#store.addMissed(message.topics);
    else if (message.type === "gone") this.#store.tell("final", { code: 4000 });
  }

  /** Where a recording is. After a cut, time goes on from another place: what was kept is of another one. */
  #played(playback) {
    if (playback.cut !== this.#store.playback?.cut) {
      for (const waiting of this.#inbox) waiting.stacks = [];
      for (const ring of this.#rings.values()) ring.clear();
      this.now_s = 0; // it runs up to the new place with what comes
      if (!playback.t_s) this.#latest.clear();
    }
    this.#store.setPlayback(playback);
    if (!playback.t_s) this.#rest(this.#store.ports);
    this.#loop.wake();
  }

  #note(note) {
    if (note.kind === "values") return this.#values(note);
    if (note.kind === "run") {
      this.#latest.clear();
      for (const ring of this.#rings.values()) ring.clear();
      this.now_s = 0;
    }
    this.#store.note(note);
    if (note.kind === "start" || note.kind === "ports") this.#rest(note.body.ports ?? {});
  }

  /** Before the first step the values at rest are the newest: so the body is seen before it moves. */
  #rest(ports) {
    const streams = new Map();
    for (const [who, { outputs = [] }] of Object.entries(ports)) {
      for (const { name, rest } of outputs) {
        const at = name.lastIndexOf(".");
        const topic = `${who}/${name.slice(0, at)}`;
        if (!Array.isArray(rest) || this.#latest.has(topic) || topic.endsWith("/timing")) continue;
        if (!streams.has(topic)) streams.set(topic, { step: -1, t_s: 0, arrays: {} });
        streams.get(topic).arrays[name.slice(at + 1)] = { data: numbers(rest[0], rest[2]), shape: rest[1] };
      }
    }
    for (const [topic, frame] of streams) {
      this.#latest.set(topic, frame);
      for (const fn of this.#listeners.get(topic) ?? []) fn([frame]);
    }
  }

  #values({ step, t_s, body }) {
    const frame = { step, t_s, values: body.values ?? {} };
    this.#latest.set("engine/values", frame);
    this.#ring("engine/values").pushValues(t_s, frame.values);
    for (const fn of this.#listeners.get("engine/values") ?? []) fn([frame]);
  }

  /** At the beginning of each frame: take what has come, and ask for more. */
  #frame() {
    for (const { batch, stacks } of this.#inbox) {
      for (const stack of stacks) this.#take(stack);
      this.#drawn = batch;
    }
    this.#inbox.length = 0;
    if (this.#asked) return;
    this.#asked = true;
    this.#worker.postMessage({ do: "take", drawn: this.#drawn });
  }

  #take(stack) {
    const frames = unpack(stack);
    const last = frames.at(-1);
    const ring = this.#ring(stack.topic);
    if (ring) for (const frame of frames) ring.push(frame.t_s, frame.arrays);
    this.#latest.set(stack.topic, last);
    this.now_s = Math.max(this.now_s, last.t_s);
    for (const fn of this.#listeners.get(stack.topic) ?? []) {
      try {
        fn(frames);
      } catch (error) {
        reportError(error);
      }
    }
  }

  #ring(topic) {
    if (topic === "brain/raster" || topic === "brain/spikes" || topic.includes("camera/")) return null;
    if (!this.#rings.has(topic)) this.#rings.set(topic, new Ring());
    return this.#rings.get(topic);
  }

  #subscribe() {
    if (this.#running) return; // several wishes of one moment are one message
    this.#running = true;
    queueMicrotask(() => {
      this.#running = false;
      const streams = this.#streams();
      const text = JSON.stringify(streams);
      if (text === this.#sent) return;
      this.#sent = text;
      this.#worker.postMessage({ do: "subscribe", streams });
    });
  }

  #streams() {
    const streams = KEPT.map((topic) => ({ topic }));
    for (const [topic, wishes] of this.#wants) streams.push({ topic, ...together([...wishes.values()]) });
    return streams;
  }
}

/** One wish that satisfies all: the highest rate, no rate if somebody wants every frame. */
function together(wishes) {
  const all = {};
  for (const key of ["hz", "points", "most_per_s"]) {
    const given = wishes.map((wish) => wish[key]).filter((value) => value != null);
    if (given.length && (key === "most_per_s" || given.length === wishes.length)) all[key] = Math.max(...given);
  }
  return all;
}
