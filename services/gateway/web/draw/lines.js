/** A line plot over simulated time, by uPlot: fixed scales that do not breathe, colours as functions of the theme. */

import uPlot from "uplot";
import { populationColour, variable } from "./colours.js";

const FONT = '11px "Plex Sans", system-ui, sans-serif';
const CALM_MS = 3000;

export class Lines {
  #plot = null;
  #lines = [];
  #host;
  #scratch = [];
  #range = null;
  #tight = 0;
  #left;
  #fromZero;

  /** `left` is the width of the value axis in px, so that several plots stand in line; rates begin at 0 (`fromZero`). */
  constructor(host, { left = 44, fromZero = false } = {}) {
    this.#host = host;
    this.#fromZero = fromZero;
    this.#left = left;
  }

  /** `lines` are {label, hue, dash, series() → {t, v, n}, factor}; at most 8 belong into one plot. */
  setLines(lines) {
    this.#lines = lines;
    this.#range = null;
    this.#scratch = lines.map(() => null);
    this.#plot?.destroy();
    this.#plot = null;
  }

  resize(width, height) {
    this.width = Math.floor(width);
    this.height = Math.floor(height);
    this.#plot?.setSize({ width: this.width, height: this.height });
  }

  /** Show what lies between `end_s - window_s` and `end_s`. */
  draw(end_s, window_s) {
    if (!this.#lines.length || !(this.width > 80) || !(this.height > 30)) return;
    this.#plot ??= this.#make();
    const data = this.#gather(end_s - window_s, end_s);
    const range = this.#scale(data);
    this.#plot.batch(() => {
      this.#plot.setData(data, false);
      this.#plot.setScale("x", { min: end_s - window_s, max: end_s });
      this.#plot.setScale("y", { min: range[0], max: range[1] });
    });
  }

  /** The values of all lines at `t_s`, NaN where there are none. */
  at(t_s) {
    return this.#lines.map(({ series, factor = 1 }) => factor * valueAt(series(), t_s));
  }

  /** Where the plot itself lies in its host: {left, width} in px. */
  get inner() {
    return { left: this.#left, width: Math.max(1, this.width - this.#left - 10) };
  }

  close() {
    this.#plot?.destroy();
  }

  /** All lines on one time axis: their own if it is the same and not too dense, else two points for each pixel. */
  #gather(from_s, to_s) {
    const all = this.#lines.map(({ series }) => clip(series(), from_s, to_s));
    const t = all[0].t;
    const shared = all.every((one) => one.n === all[0].n && (one.n === 0 || (one.t[0] === t[0] && one.t[one.n - 1] === t[one.n - 1])));
    const columns = this.inner.width;
    if (shared && all[0].n <= 2 * columns) return [t, ...all.map(({ v, n }, i) => scaled(v, n, this.#lines[i].factor ?? 1))];
    const grid = this.#room("t", 2 * columns);
    for (let i = 0; i < 2 * columns; i++) grid[i] = from_s + ((i + 0.5) / (2 * columns)) * (to_s - from_s);
    return [grid, ...all.map((one, i) => this.#thin(one, i, from_s, to_s, columns))];
  }

  /** The least and the largest value in each pixel column, in the order in which they came. */
  #thin({ t, v, n }, line, from_s, to_s, columns) {
    const factor = this.#lines[line].factor ?? 1;
    const out = this.#room(line, 2 * columns);
    let k = 0;
    let held = null;
    for (let c = 0; c < columns; c++) {
      const end = from_s + ((c + 1) / columns) * (to_s - from_s);
      let low = Infinity;
      let high = -Infinity;
      let lowFirst = true;
      for (; k < n && t[k] <= end; k++) {
        const value = v[k] * factor;
        if (value < low) [low, lowFirst] = [value, high !== -Infinity && high > value ? false : lowFirst];
        if (value > high) high = value;
        held = value;
      }
      const none = low === Infinity;
      out[2 * c] = none ? held : lowFirst ? low : high;
      out[2 * c + 1] = none ? held : lowFirst ? high : low;
    }
    return out;
  }

  #room(name, length) {
    if (this.#scratch[name]?.length !== length) this.#scratch[name] = new Array(length);
    return this.#scratch[name];
  }

  /** Grows at once, shrinks when it has been too large for some seconds. */
  #scale(data) {
    let low = Infinity;
    let high = -Infinity;
    for (const values of data.slice(1)) {
      for (let i = 0; i < values.length; i++) {
        if (values[i] == null || Number.isNaN(values[i])) continue;
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
      }
    }
    if (low > high) return (this.#range ?? [0, 1]);
    const fit = nice(this.#fromZero ? Math.min(0, low) : low, high);
    const now = performance.now();
    const inside = this.#range && low >= this.#range[0] && high <= this.#range[1];
    const wasteful = inside && fit[1] - fit[0] < 0.55 * (this.#range[1] - this.#range[0]);
    if (!wasteful) this.#tight = now;
    if (!inside || now - this.#tight > CALM_MS) this.#range = inside || !this.#range ? fit : [Math.min(fit[0], this.#range[0]), Math.max(fit[1], this.#range[1])];
    return this.#range;
  }

  #make() {
    const axis = { stroke: () => variable("--ink3"), font: FONT, ticks: { show: false } };
    return new uPlot(
      {
        width: this.width,
        height: this.height,
        padding: [6, 10, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, auto: false }, y: { auto: false } },
        axes: [
          { ...axis, size: 22, gap: 4, space: 70, grid: { show: false }, values: (_, ticks) => ticks.map((t) => (t < 0 ? "" : `${+t.toFixed(3)} s`)) },
          { ...axis, size: this.#left, gap: 6, space: 30, grid: { stroke: () => variable("--line"), width: 1 }, values: (_, ticks) => ticks.map(plain) },
        ],
        series: [{}, ...this.#lines.map(({ hue, dash }) => ({ stroke: () => populationColour(hue), width: 1.5, dash, points: { show: false } }))],
      },
      [[], ...this.#lines.map(() => [])],
      this.#host,
    );
  }
}

/** Ticks as short as they can be: 2500 → 2.5 k, 1e-7 as such. */
function plain(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${+(value / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${+(value / 1e3).toFixed(2)} k`;
  return size && size < 1e-3 ? value.toExponential(0) : String(+value.toFixed(6));
}

/** A range a little larger than the values, with round ends; never without height. */
export function nice(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const step = 10 ** Math.floor(Math.log10(span)) / 2;
  const pad = high === low ? span * 0.5 : span * 0.06;
  const bottom = low >= 0 && low < span ? 0 : Math.floor((low - pad) / step) * step;
  return [bottom, Math.ceil((high + pad) / step) * step];
}

/** The part of a series between two times, with one more value on either side. */
export function clip({ t, v, n }, from_s, to_s) {
  let first = lower(t, n, from_s);
  const last = Math.min(n, lower(t, n, to_s + 1e-9) + 1);
  if (first > 0) first -= 1;
  return { t: t.subarray(first, last), v: v.subarray(first, last), n: Math.max(0, last - first) };
}

/** The last value at or before `t_s`. */
export function valueAt({ t, v, n }, t_s) {
  const at = lower(t, n, t_s + 1e-9) - 1;
  return at >= 0 ? v[at] : NaN;
}

function lower(t, n, t_s) {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (t[middle] < t_s) low = middle + 1;
    else high = middle;
  }
  return low;
}

function scaled(v, n, factor) {
  const out = new Array(n);
  for (let i = 0; i < n; i++) out[i] = Number.isNaN(v[i]) ? null : v[i] * factor;
  return out;
}
