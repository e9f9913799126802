/** A lane for each muscle: activation from 0 to 1, or length or force between what has been seen. */

import { h } from "../element.js";
import { Lanes } from "../draw/lanes.js";
import { pointIn } from "./rates.js";

const UNITS = { activation: "1", length: "mm", force: "N" };
const FACTORS = { activation: 1, length: 1000, force: 1 };

export class LanePlot {
  #data;
  #view;
  #ranges = [];
  #mode = "activation";
  #end = 0;
  #width = 0;
  #names = [];
  #facts = [];
  count = 0;

  constructor({ data, view }) {
    this.#data = data;
    this.#view = view;
    this.canvas = h("canvas", { role: "img", "aria-label": "Muscles" });
    this.cursor = h("i", { class: "cursor-line", hidden: true });
    this.labels = h("div", { class: "lane-labels" });
    this.stage = h("div", { class: "lane-stage" }, this.canvas, this.cursor);
    this.element = h("section", { class: "lanes", "aria-label": "Muscles" }, this.labels, this.stage);
    this.lanes = new Lanes(this.canvas);
    this.stage.addEventListener("pointermove", (event) => {
      const box = this.stage.getBoundingClientRect();
      view.point(this.#end - view.window_s * (1 - (event.clientX - box.left) / box.width));
    });
    this.stage.addEventListener("pointerleave", () => view.point(null));
  }

  setMuscles(names, facts) {
    this.count = names.length;
    this.#facts = facts;
    if (names.join() === this.#names.join()) return;
    this.#names = [...names];
    this.labels.replaceChildren(...names.map((name) => h("span", { class: "lane-label" }, h("b", {}), name)));
    this.#ranges = [];
  }

  setMode(mode) {
    this.#mode = mode;
    this.#ranges = [];
    this.again();
  }

  /** Paint everything anew at the next drawing. */
  again() {
    this.lanes.window_s = this.#view.window_s;
    this.lanes.again();
  }

  measure() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = this.stage;
    this.#width = width;
    if (width < 10 || height < 10 || !this.count) return;
    const each = height / this.count;
    const gap = Math.max(1, Math.min(4, each * 0.16));
    const rows = Array.from({ length: this.count }, (_, i) => ({ y: Math.round((i * each + gap) * ratio), h: Math.max(2, Math.floor((each - gap) * ratio)) }));
    this.lanes.window_s = this.#view.window_s;
    this.lanes.layout(Math.round(width * ratio), Math.round(height * ratio), rows);
  }

  draw(end_s) {
    this.#end = end_s;
    const series = this.#names.map((_, i) => this.#data.series("body/muscles", this.#mode, i));
    if (this.#widen(series)) this.lanes.again();
    this.lanes.draw(series, this.#ranges, end_s);
  }

  /** The ranges of the lanes; true if one has become wider. Activation is 0 to 1, always. */
  #widen(series) {
    let wider = false;
    series.forEach(({ v, n }, i) => {
      if (this.#mode === "activation") return void (this.#ranges[i] = [0, 1]);
      const top = this.#mode === "force" ? this.#facts[i]?.max_isometric_force_N : undefined;
      if (top) return void (this.#ranges[i] = [0, top]);
      const now = n ? v[n - 1] : NaN;
      if (!Number.isFinite(now)) return void (this.#ranges[i] ??= [0, 1e-9]);
      const old = this.#ranges[i];
      const [low, high] = old ?? spanOf(v, n, this.#mode);
      if (old && now >= low && now <= high) return;
      const pad = (Math.max(high, now) - Math.min(low, now)) * 0.1;
      this.#ranges[i] = [this.#mode === "force" ? 0 : Math.min(low, now - pad), Math.max(high, now + pad)];
      wider = true;
    });
    return wider;
  }

  point(at_s, end_s) {
    const lines = { inner: { left: 0, width: this.#width }, at: () => [] };
    pointIn({ lines, cursor: this.cursor }, at_s, end_s, this.#view.window_s);
  }

  columns() {
    const factor = FACTORS[this.#mode];
    return this.#names.map((name, i) => {
      const { t, v, n } = this.#data.series("body/muscles", this.#mode, i);
      const unit = UNITS[this.#mode];
      return { name: `${name} ${this.#mode}${unit === "1" ? "" : ` (${unit})`}`, t, v: factor === 1 ? v : v.map((value) => value * factor), n };
    });
  }

  now() {
    return this.columns().map(({ v, n }, i) => [`${this.#names[i]} ${this.#mode}`, n ? v[n - 1] : NaN, UNITS[this.#mode]]);
  }

  close() {}
}

/** What a value has been so far, a little wider; lengths get at least 4 % so that noise is no movement. */
function spanOf(v, n, mode) {
  let [low, high] = [v[0], v[0]];
  for (let i = 1; i < n; i++) {
    if (v[i] < low) low = v[i];
    if (v[i] > high) high = v[i];
  }
  const least = Math.abs(high) * (mode === "length" ? 0.04 : 0.1) || 1e-9;
  const pad = Math.max(0, (least - (high - low)) / 2);
  return [low - pad, high + pad];
}
