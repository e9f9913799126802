/** Spikes as dots: a row for each cell, a column for each moment; only what is new is painted. */

import { Columns } from "./columns.js";
import { pixel } from "./colours.js";

const KEPT = 1 << 19; // spikes that can be painted again: 6 MB
const LEVELS = [0.66, 0.86, 1]; // 1, 2, 3 or more spikes on one pixel
const NOWHERE = 65535;

export class Raster {
  #context;
  #columns = new Columns();
  #t = new Float64Array(KEPT);
  #cell = new Uint32Array(KEPT);
  #first = 0; // numbers of the oldest and the next spike, counted without end
  #next = 0;
  #gaps = [];
  #todo = 0; // the first spike that is not painted
  #head = -1; // the newest column, perhaps not complete
  #headHits = new Uint8Array(1);
  #background = new Uint32Array(1);
  #hatch = [0, 0];
  #levels = new Uint32Array(3);
  #scale = 1;

  window_s = 4;
  end_s = 0;
  /** Newest time that is known, in simulated seconds. */
  t_s = 0;

  constructor(canvas) {
    this.canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.y = new Uint16Array(0);
    this.row = new Uint16Array(0);
    this.mark = 1;
  }

  /**
   * Where and how: size in device pixels; `y` and `row` of each cell (y 65535 hides it); `rows` as {y, h, colour};
   * `mark` is the height of a spike, `column` its width, in pixels.
   */
  layout({ width, height, y, row, rows, mark, column, panel, band, line }) {
    this.canvas.width = Math.max(1, width);
    this.canvas.height = Math.max(1, height);
    this.#scale = column;
    this.#columns.resize(Math.ceil(width / column), height);
    Object.assign(this, { y, row, mark });
    this.#background = new Uint32Array(height).fill(pixel(panel));
    this.#levels = new Uint32Array(3 * rows.length);
    rows.forEach((each, i) => {
      this.#background.fill(pixel(band), each.y, each.y + each.h);
      LEVELS.forEach((part, level) => (this.#levels[3 * i + level] = pixel(each.colour, band, part)));
    });
    this.#hatch = [pixel(line), pixel(panel)];
    this.replay();
  }

  /** Take the spikes of the time from `t0_s` to `t1_s`; what lies between the time before and `t0_s` is a gap. */
  push(t0_s, t1_s, cell, dt_us) {
    if (t1_s < this.t_s - 1e-9) this.clear();
    if (this.t_s > 0 && t0_s > this.t_s + 1e-6) this.#gaps.push([this.t_s, t0_s]);
    if (this.#gaps.length > 64) this.#gaps.shift();
    for (let i = 0; i < cell.length; i++) {
      const at = this.#next++ & (KEPT - 1);
      this.#t[at] = t0_s + dt_us[i] * 1e-6;
      this.#cell[at] = cell[i];
    }
    this.#first = Math.max(this.#first, this.#next - KEPT);
    this.t_s = t1_s;
  }

  clear() {
    this.#first = this.#next = this.#todo = 0;
    this.#gaps = [];
    this.t_s = this.end_s = 0;
    this.#head = -1;
  }

  /** The oldest simulated time that can still be shown. */
  get oldest_s() {
    return this.#next > this.#first ? this.#t[this.#first & (KEPT - 1)] : this.t_s;
  }

  /** Paint what is new and show the window that ends now; `still` lets the newest column sweep in place. */
  draw(still = false) {
    if (!this.y.length) return;
    const last = this.#columnOf(this.t_s);
    if (this.#head < 0 || last < this.#head || last - this.#head > this.#columns.width) return this.replay(this.t_s, still);
    if (last > this.#head || this.#todo < this.#next) this.#paint(this.#head, last, Math.max(this.#todo, this.#first));
    this.end_s = this.t_s;
    this.#show(last, still);
  }

  /** Paint the window that ends at `end_s` anew: after a change of size, theme, window or place in time. */
  replay(end_s = this.end_s || this.t_s, still = false) {
    if (!this.#columns.width || !this.y.length) return;
    this.end_s = end_s;
    const last = this.#columnOf(end_s);
    const first = last - this.#columns.width + 1;
    this.#headHits = new Uint8Array(this.#columns.height);
    this.#paint(first, last, this.#before(first * this.#columnWidth() - 0.5), end_s);
    this.#show(last, still);
  }

  #columnWidth() {
    return this.window_s / this.#columns.width;
  }

  #columnOf(t_s) {
    return Math.floor(t_s / this.#columnWidth() + 1e-9);
  }

  #paint(first, last, from, until_s = Infinity) {
    const n = last - first + 1;
    const { height } = this.#columns;
    const strip = this.#columns.strip(n);
    const { pixels, hits } = strip;
    const { y, row, mark } = this;
    hits.fill(0);
    for (let i = 0; i < height; i++) pixels.fill(this.#background[i], i * n, i * n + n);
    this.#paintGaps(pixels, first, n);
    this.#keepHead(strip, n);
    const perColumn = 1 / this.#columnWidth();
    const levels = this.#levels;
    for (let i = from; i < this.#next; i++) {
      const at = i & (KEPT - 1);
      const column = Math.floor(this.#t[at] * perColumn + 1e-9) - first;
      const cell = this.#cell[at];
      if (column < 0 || column >= n || this.#t[at] > until_s || cell >= y.length) continue;
      const top = y[cell];
      if (top === NOWHERE) continue;
      for (let k = top; k < top + mark && k < height; k++) {
        const place = k * n + column;
        const level = hits[place] < 3 ? ++hits[place] : 3;
        pixels[place] = levels[3 * row[cell] + level - 1];
      }
    }
    if (this.#headHits.length !== height) this.#headHits = new Uint8Array(height);
    for (let i = 0; i < height; i++) this.#headHits[i] = hits[i * n + n - 1];
    this.#columns.put(strip, Math.max(0, first + this.#columns.width * 4), n);
    this.#head = last;
    this.#todo = this.#next;
  }

  /** The first column of a strip was begun in the frame before: bring back what it had. */
  #keepHead({ pixels, hits }, n) {
    const { height } = this.#columns;
    if (this.#headHits.length !== height) return;
    const rowAt = this.#rowAt();
    for (let i = 0; i < height; i++) {
      const level = this.#headHits[i];
      if (!level) continue;
      hits[i * n] = level;
      pixels[i * n] = this.#levels[3 * rowAt[i] + level - 1];
    }
  }

  /** Which row each line of pixels belongs to. */
  #rowAt() {
    if (this.rowOfLine?.length === this.#columns.height && this.rowOfLineOf === this.y) return this.rowOfLine;
    const rows = new Uint16Array(this.#columns.height);
    for (let cell = 0; cell < this.y.length; cell++) {
      if (this.y[cell] !== NOWHERE) rows.fill(this.row[cell], this.y[cell], this.y[cell] + this.mark);
    }
    this.rowOfLineOf = this.y;
    return (this.rowOfLine = rows);
  }

  #paintGaps(pixels, first, n) {
    const width = this.#columnWidth();
    for (const [from_s, to_s] of this.#gaps) {
      const from = Math.max(0, Math.ceil(from_s / width) - first);
      const to = Math.min(n, Math.floor(to_s / width) - first);
      for (let x = from; x < to; x++) {
        for (let i = 0; i < this.#columns.height; i++) pixels[i * n + x] = this.#hatch[((x + first + i) >> 2) & 1];
      }
    }
  }

  #show(last, still) {
    const place = last + this.#columns.width * 4;
    if (!still) return this.#columns.unroll(this.#context, place, this.#scale);
    this.#columns.lay(this.#context, this.#scale);
    this.#context.fillStyle = "#888888";
    this.#context.fillRect(((place + 1) % this.#columns.width) * this.#scale, 0, 2, this.canvas.height);
  }

  /** Number of the first kept spike at or after about `t_s`. */
  #before(t_s) {
    let [low, high] = [this.#first, this.#next];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#t[middle & (KEPT - 1)] < t_s) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
