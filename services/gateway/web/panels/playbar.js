/** The bar above a recording: play and pause, speed, the time that can be dragged, and where something was said. */

import { h, write } from "../element.js";
import { icon, mark } from "../icons.js";
import { choice } from "../frame/panel.js";
import { day, ended, number, seconds } from "../words.js";
import { face, layoutMenu } from "./transport.js";

const SPEEDS = [[0.25, "0.25 ×"], [1, "1 ×"], [4, "4 ×"]];
const SEEK_MS = 120;
const MOST_MARKS = 200;
const WORST = { error: 2, warning: 1 };

export function make({ app, store, loop, layout, view, recording, say }) {
  const button = (name, words, key, act, extra = "") =>
    h("button", { class: `icon-btn ${extra}`, type: "button", "aria-label": words, title: `${words} (${key})`, onclick: act }, icon(name));
  const play = button("play", "Play", "Space", () => toggle(), "primary");
  const back = button("left", "One step back", ",", () => by(-1));
  const on = button("right", "One step on", ".", () => by(1));
  const speeds = choice("Speed", SPEEDS, 1, (speed) => now().playing ? say({ do: "play", speed }) : (chosen = speed));
  const name = h("a", { class: "run-name" });
  const origin = h("span", { class: "run-origin" });
  const time = face("Simulated", "s", "big");
  const whole = face("Of", "s");
  const experiment = store.simulation.experiment;
  const place = `${encodeURIComponent(experiment)}/${encodeURIComponent(recording.id)}`;
  const files = h("a", { class: "btn", href: `#/rec/${place}`, title: "Facts, picture and files of this recording" }, icon("file"), h("span", { class: "wide-only" }, "Files"));
  const arrange = h("button", { class: "btn", type: "button", "aria-label": "Layout", "aria-haspopup": "menu", onclick: () => layoutMenu(arrange, layout) }, icon("sliders"), h("span", { class: "wide-only" }, "Layout"));
  const themeButton = h("button", { class: "icon-btn", type: "button", "aria-label": "Light or dark", title: "Light or dark (Shift+D)", onclick: () => app.theme.toggle() });
  const how = ended(recording);
  const scrub = h("input", { class: "scrub", type: "range", min: 0, max: 1, step: "any", value: 0, "aria-label": "Time", oninput: () => drag(), onchange: () => drop() });
  const marks = h("div", { class: "scrub-marks", "aria-hidden": "true" });
  const end = h("span", { class: "scrub-end" });
  const line = h("div", { class: "scrub-line" }, h("span", { class: "scrub-end" }, "0 s"), h("div", { class: "scrub-track" }, marks, scrub), end);
  const top = h("header", { class: "transport" },
    h("a", { class: "home", href: "#/", "aria-label": "Experiments", title: "Experiments" }, mark(26)),
    h("div", { class: "run" }, name, origin), h("span", { class: `chip ${how.kind}`, title: recording.text || null }, how.kind ? `Recording, ${how.text}` : "Recording"),
    h("div", { class: "orders", role: "group", "aria-label": "Playback" }, play, back, on, speeds.root),
    h("div", { class: "clocks" }, time.root, whole.root),
    h("div", { class: "transport-end" }, files, arrange, themeButton));
  const element = h("div", { class: "playbar" }, top, line);

  let chosen = 1; // the speed with which to go on
  let held = false; // the scrub bar is in a hand
  let asked = null; // where the hand wants to be
  let timer = 0;
  let marked = 0; // the length for which the marks were drawn
  const drawing = loop.add({ name: "playbar", hz: 12, draw });
  const now = () => store.playback ?? { t_s: 0, to_s: 0, step_s: 0.02, playing: false, speed: 1 };

  write(name, store.simulation.title || experiment);
  name.href = `#/x/${encodeURIComponent(experiment)}`;
  write(origin, `${experiment} · ${day(recording.started_at)}${recording.seed == null ? "" : ` · seed ${recording.seed}`}`);

  function draw() {
    const { to_s, playing, step_s } = now();
    const t_s = here();
    time.set(number(t_s, 2));
    whole.set(number(to_s, 2));
    write(end, seconds(to_s));
    if (scrub.max !== String(to_s)) {
      scrub.max = to_s;
      scrub.step = step_s;
    }
    if (to_s && marked !== to_s) drawMarks((marked = to_s));
    if (!held) scrub.value = t_s;
    scrub.style.setProperty("--done", `${to_s ? (Number(scrub.value) / to_s) * 100 : 0}%`);
    scrub.setAttribute("aria-valuetext", `${seconds(t_s)} of ${seconds(to_s)}`);
    const live = store.connection.state === "live";
    for (const one of [play, back, on, scrub]) if (one.disabled === live) one.disabled = !live;
    if (play.dataset.shows === String(playing)) return;
    play.dataset.shows = String(playing);
    play.replaceChildren(icon(playing ? "pause" : "play"));
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    play.title = `${playing ? "Pause" : "Play"} (Space)`;
  }

  /** The time on the bar: while it plays as far as the panels are, else where it was put. */
  function here() {
    const { t_s, playing, to_s } = now();
    if (asked != null) return asked;
    return playing ? Math.min(to_s, Math.max(t_s, view.now_s())) : t_s;
  }

  /** Where something was said: the worst of it in each place. */
  function drawMarks(to_s) {
    const worst = new Map();
    for (const { t_s, severity } of store.messages) {
      const at = Math.round((t_s / to_s) * MOST_MARKS);
      const weight = WORST[severity];
      if (weight && weight > (worst.get(at) ?? 0)) worst.set(at, weight);
    }
    marks.replaceChildren(...[...worst].map(([at, weight]) => {
      const one = h("i", { class: weight === 2 ? "err" : "warn" });
      one.style.left = `${(at / MOST_MARKS) * 100}%`;
      return one;
    }));
  }

  function toggle() {
    if (play.disabled) return;
    if (now().playing) say({ do: "pause" });
    else say({ do: "play", speed: chosen });
  }

  function by(steps) {
    if (now().playing) say({ do: "pause" });
    const { step_s, to_s } = now();
    seek(Math.max(0, Math.min(to_s, here() + steps * step_s)));
  }

  function drag() {
    held = true;
    seek(Number(scrub.value));
  }

  function drop() {
    seek(Number(scrub.value));
    held = false;
  }

  /** Go there; while a hand drags, a few times a second are enough. */
  function seek(t_s) {
    asked = t_s;
    drawing.dirty();
    timer ||= setTimeout(() => {
      timer = 0;
      say({ do: "seek", t_s: asked });
    }, SEEK_MS);
  }

  scrub.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    toggle();
  });

  const dress = () => themeButton.replaceChildren(icon(app.theme.now === "dark" ? "sun" : "moon"));
  const off = [
    store.on("playback", (playback) => {
      if (playback.playing) speeds.pick((chosen = playback.speed));
      drawing.dirty();
    }),
    store.on("cut", ({ t_s }) => {
      // The server has gone where it was asked to: from here on its own time counts.
      if (asked != null && !timer && Math.abs(t_s - asked) <= now().step_s) asked = null;
    }),
    store.on("connection", ({ state }) => {
      if (state !== "live") asked = null; // nobody will go there
      drawing.dirty();
    }),
    store.on("message", () => {
      marked = 0;
      drawing.dirty();
    }),
    app.theme.on(dress),
    app.keys.bind("Recording", "Space", toggle, "play / pause"),
    app.keys.bind("Recording", ",", () => by(-1), "one step back"),
    app.keys.bind("Recording", ".", () => by(1), "one step on"),
    app.keys.bind(scrub, "ArrowLeft", () => by(-1), "one step back"),
    app.keys.bind(scrub, "ArrowRight", () => by(1), "one step on"),
  ];
  const ticking = loop.before(() => now().playing && drawing.dirty());
  dress();

  return { element, close: () => [...off, drawing.remove, ticking, () => clearTimeout(timer)].forEach((fn) => fn()) };
}
