/** Firing rates from full counts: of each band over the last second, and mean rates of groups as curves. */

import { h, write } from "../element.js";
import { Lines } from "../draw/lines.js";
import { Ring } from "../link/rings.js";
import { NONE, telling } from "../words.js";

const OVER_S = 1;
const SMOOTH_S = 0.1;
const MOST_LINES = 8;

/** Counts of spikes over the last simulated second. */
export class Rates {
  #frames = [];
  #sums = new Float64Array(0);
  span_s = 0;

  /** Take the counts of each label between two times. */
  push(t0_s, t1_s, counts) {
    if (counts.length !== this.#sums.length || t1_s < (this.#frames.at(-1)?.t1_s ?? 0)) this.clear(counts.length);
    const last = this.#frames.at(-1);
    if (last && t0_s > last.t1_s + 1e-6) this.clear(counts.length); // a gap: what was missed is not zero
    this.#frames.push({ t0_s, t1_s, counts });
    for (let i = 0; i < counts.length; i++) this.#sums[i] += counts[i];
    while (this.#frames.length > 1 && t1_s - this.#frames[0].t1_s >= OVER_S - 1e-9) {
      const old = this.#frames.shift();
      for (let i = 0; i < counts.length; i++) this.#sums[i] -= old.counts[i];
    }
    this.span_s = t1_s - this.#frames[0].t0_s;
  }

  clear(labels = 0) {
    this.#frames = [];
    this.#sums = new Float64Array(labels);
    this.span_s = 0;
  }

  /** Spikes of the labels `places` per cell and second, NaN before there are any. */
  of(places, cells) {
    if (!(this.span_s > 0) || !cells) return NaN;
    let sum = 0;
    for (const place of places) sum += this.#sums[place] ?? 0;
    return sum / cells / this.span_s;
  }

  /** All spikes per simulated second. */
  total() {
    return this.span_s > 0 ? this.#sums.reduce((sum, value) => sum + value, 0) / this.span_s : NaN;
  }
}

/** Curves of the mean rate of each group. */
export class RateCurves {
  #ring = new Ring();
  #groups = [];
  #smooth = new Float64Array(0);

  constructor() {
    this.legend = h("div", { class: "plot-legend" });
    this.host = h("div", { class: "lines" });
    this.cursor = h("i", { class: "cursor-line", hidden: true });
    this.host.append(this.cursor);
    this.element = h("section", { class: "subplot", "aria-label": "Mean rate" },
      h("header", { class: "subplot-head" }, h("h3", {}, "Mean rate"), h("span", { class: "unit" }, "Hz"), this.legend), this.host);
    this.lines = new Lines(this.host, { fromZero: true });
  }

  /** `groups` are {name, hue, places, cells}: places of its labels in `counts`. */
  setGroups(groups) {
    this.#groups = groups.slice(0, MOST_LINES);
    this.#smooth = new Float64Array(this.#groups.length).fill(NaN);
    this.#ring.clear();
    this.lines.setLines(this.#groups.map(({ name, hue }, i) => ({ label: name, hue, dash: i >= 7 ? [4, 3] : undefined, series: () => this.#ring.series("hz", i) })));
    this.values = this.#groups.map(() => h("b", {}));
    this.legend.replaceChildren(...this.#groups.map(({ name, hue }, i) => {
      const swatch = h("i", { class: "legend-line" });
      swatch.dataset.hue = hue % 7;
      return h("span", { class: "legend-key" }, swatch, name || "all", this.values[i]);
    }));
  }

  push(t0_s, t1_s, counts) {
    const dt = t1_s - t0_s;
    if (!(dt > 0)) return;
    const part = 1 - Math.exp(-dt / SMOOTH_S);
    this.#groups.forEach(({ places, cells }, i) => {
      let sum = 0;
      for (const place of places) sum += counts[place] ?? 0;
      const hz = sum / cells / dt;
      this.#smooth[i] = Number.isNaN(this.#smooth[i]) ? hz : this.#smooth[i] + part * (hz - this.#smooth[i]);
    });
    this.#ring.push(t1_s, { hz: { data: this.#smooth } });
  }

  draw(end_s, window_s) {
    this.lines.draw(end_s, window_s);
  }

  point(at_s, end_s, window_s) {
    pointIn(this, at_s, end_s, window_s);
  }

  close() {
    this.lines.close();
  }
}

/** Show the shared moment in a plot {lines, cursor, values}: a line, and each curve's value there. */
export function pointIn({ lines, cursor, values = [] }, at_s, end_s, window_s) {
  const part = at_s == null ? -1 : (at_s - end_s + window_s) / window_s;
  cursor.hidden = !(part >= 0 && part <= 1);
  const { left, width } = lines.inner;
  if (!cursor.hidden) cursor.style.transform = `translateX(${left + part * width}px)`;
  const at = cursor.hidden ? [] : lines.at(at_s);
  values.forEach((element, i) => write(element, cursor.hidden ? "" : Number.isFinite(at[i]) ? telling(at[i]) : NONE));
}
