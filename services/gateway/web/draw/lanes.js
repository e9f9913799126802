/** One lane for each value from 0 to 1: height and colour say the same. */

import { Columns } from "./columns.js";
import { musclePixels, pixel, variable } from "./colours.js";

export class Lanes {
  #columns = new Columns();
  #context;
  #head = -1;
  #rows = [];
  window_s = 4;

  constructor(canvas) {
    this.canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  /** Size in device pixels; `rows` are {y, h} of each lane. */
  layout(width, height, rows) {
    this.canvas.width = Math.max(1, width);
    this.canvas.height = Math.max(1, height);
    this.#columns.resize(width, height);
    this.#rows = rows;
    this.again();
  }

  /** Paint all columns anew at the next drawing. */
  again() {
    this.#head = -1;
  }

  /** Show the window that ends at `end_s`; `series[i]` is {t, v, n}, `ranges[i]` the values for 0 and 1. */
  draw(series, ranges, end_s) {
    const { width } = this.#columns;
    if (!width || !this.#rows.length) return;
    const each_s = this.window_s / width;
    const last = Math.floor(end_s / each_s + 1e-9);
    const whole = this.#head < 0 || last < this.#head || last - this.#head >= width;
    const first = whole ? last - width + 1 : this.#head;
    this.#paint(first, last, each_s, series, ranges);
    this.#head = last;
    this.#columns.unroll(this.#context, last + 4 * width);
  }

  #paint(first, last, each_s, series, ranges) {
    const n = last - first + 1;
    const strip = this.#columns.strip(n);
    const { pixels } = strip;
    const table = musclePixels();
    pixels.fill(pixel(variable("--panel")));
    this.#rows.forEach(({ y, h }, lane) => {
      const { t, v, n: count } = series[lane] ?? { n: 0 };
      if (!count) return;
      const [low, high] = ranges[lane];
      let k = Math.max(0, place(t, count, first * each_s) - 1);
      for (let c = 0; c < n; c++) {
        const at = (first + c) * each_s;
        if (at < t[0] - each_s) continue;
        while (k + 1 < count && t[k + 1] <= at) k += 1;
        const value = Math.max(0, Math.min(1, (between(t, v, k, count, at) - low) / (high - low || 1))) || 0;
        const colour = table[Math.round(value * 255)];
        const bar = Math.max(2, Math.round(value * h));
        for (let i = y + h - bar; i < y + h; i++) pixels[i * n + c] = colour;
      }
    });
    this.#columns.put(strip, first + 4 * this.#columns.width, n);
  }
}

function between(t, v, k, count, at) {
  if (k + 1 >= count || at <= t[k]) return v[k];
  const part = (at - t[k]) / (t[k + 1] - t[k]);
  return v[k] + part * (v[k + 1] - v[k]);
}

function place(t, n, t_s) {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (t[middle] <= t_s) low = middle + 1;
    else high = middle;
  }
  return low;
}
