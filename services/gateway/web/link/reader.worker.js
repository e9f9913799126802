/**
 * Holds the WebSocket, away from the page: decodes, piles up, and hands one batch over when the page asks for it. The
 * server is told what was drawn, so that it never sends more than can be shown.
 */

import { Reader, decode } from "./msgpack.js";
import { Stack } from "./stacks.js";

const RETRY_S = [0.5, 1, 2, 5];
const FINAL = new Set([4401, 4404, 4000, 4409, 4429]);
const texts = new TextDecoder();

let where = null; // {url, token}
let streams = [];
let socket = null;
let tries = 0;
let timer = 0;
let run = "";
let since = {}; // topic → last seq, of kept topics
let batch = 0; // newest batch that has come in
let told = 0; // newest batch that the server knows to be drawn
let stacks = new Map();
let notes = [];
let wanted = false; // the page has asked and waits
let hidden = false;
let cut = -1; // of a recording: how often its time has jumped

const KEPT = new Set(["run/start", "run/ports", "run/stop", "engine/state", "engine/log", "engine/edits", "engine/functions"]);

self.onmessage = ({ data }) => {
  switch (data.do) {
    case "open":
      where = { url: data.url, token: data.token };
      streams = data.streams;
      return connect();
    case "subscribe":
      streams = data.streams;
      return subscribe();
    case "take":
      if (data.drawn) drawn(data.drawn);
      wanted = true;
      return hand();
    case "hidden":
      hidden = data.hidden;
      if (hidden) hand();
      return subscribe();
    case "say":
      return send(data.message);
    case "status":
      return send({ do: "status" });
    case "now":
      return connect();
    case "close":
      where = null;
      clearTimeout(timer);
      socket?.close();
      return self.close();
  }
};

function connect() {
  clearTimeout(timer);
  if (!where || (socket && socket.readyState < WebSocket.CLOSING)) return;
  report("connecting");
  const protocols = ["reafference.1", ...(where.token ? ["bearer." + where.token] : [])];
  const mine = (socket = new WebSocket(where.url, protocols));
  mine.binaryType = "arraybuffer";
  batch = told = 0;
  cut = -1;
  mine.onopen = () => {
    tries = 0;
    report("live");
    subscribe();
    send({ do: "status" });
  };
  mine.onmessage = ({ data }) => {
    if (mine !== socket) return;
    if (typeof data === "string") heard(data);
    else received(new Uint8Array(data));
  };
  mine.onclose = ({ code, reason }) => mine === socket && lost(code, reason);
}

function lost(code, reason) {
  socket = null;
  if (!where) return;
  if (FINAL.has(code)) return self.postMessage({ type: "final", code, reason });
  const pause_s = RETRY_S[Math.min(tries++, RETRY_S.length - 1)] * (0.8 + 0.4 * Math.random());
  report("lost", pause_s);
  timer = setTimeout(connect, pause_s * 1000);
}

function report(state, pause_s = 0) {
  self.postMessage({ type: "connection", state, at: Date.now(), next_try_at: pause_s ? Date.now() + pause_s * 1000 : null });
}

function subscribe() {
  send({ do: "subscribe", streams: hidden ? streams.filter(({ topic }) => KEPT.has(topic)) : streams, since });
}

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function drawn(number) {
  if (number <= told) return;
  told = number;
  send({ do: "drawn", batch: number });
}

function heard(text) {
  const message = JSON.parse(text);
  if (message.type === "simulation" && message.simulation.run && run && message.simulation.run !== run && Object.keys(since).length) {
    since = {}; // another run counts from 0 again: what we know of the old one would hide its beginning
    subscribe();
  }
  if (message.type === "playback" && message.cut !== cut) {
    cut = message.cut;
    stacks = new Map(); // numbers from before the jump
    notes = notes.filter(({ kind }) => kind !== "values");
    for (const topic of ["engine/functions", "engine/state"]) delete since[topic]; // they come again as they were then
  }
  self.postMessage({ type: "text", message });
}

function received(bytes) {
  const reader = new Reader(bytes);
  const [number, ...frames] = reader.next();
  for (const parts of frames) {
    try {
      sort(parts);
    } catch (error) {
      self.postMessage({ type: "bad", text: String(error) });
    }
  }
  batch = number;
  hand();
}

function sort(parts) {
  const header = decode(parts[1]);
  if (header.run !== run) another(header.run);
  const topic = texts.decode(parts[0]).replace(/\/$/, "").replace(run + "/", "");
  if (KEPT.has(topic)) {
    if (header.seq <= (since[topic] ?? -1)) return; // known already
    since[topic] = header.seq;
  }
  if (header.kind !== "stream") {
    notes.push({ topic, kind: header.kind, step: header.step, t_s: header.t_ns / 1e9, body: header.body ?? {}, run });
    return;
  }
  let stack = stacks.get(topic);
  if (!stack) stacks.set(topic, (stack = new Stack(topic)));
  stack.push(header.step, header.t_ns / 1e9, header.arrays ?? [], parts);
}

function another(name) {
  if (run) since = {};
  run = name;
  stacks = new Map(); // numbers of the run before are of no use
  notes.push({ topic: "", kind: "run", step: 0, t_s: 0, body: {}, run });
}

/** Give the page all that has come, if it waits for it; a hidden page is only told notes, and acknowledges nothing. */
function hand() {
  if (hidden) {
    stacks.clear();
    if (notes.length) self.postMessage({ type: "batch", batch, notes, stacks: [] });
    notes = [];
    return drawn(batch);
  }
  if (!wanted || (!stacks.size && !notes.length && batch <= told)) return;
  const packed = [];
  const buffers = [];
  for (const stack of stacks.values()) {
    const one = stack.pack();
    packed.push(one.packed);
    buffers.push(...one.buffers);
  }
  self.postMessage({ type: "batch", batch, notes, stacks: packed }, buffers);
  stacks = new Map();
  notes = [];
  wanted = false;
}
