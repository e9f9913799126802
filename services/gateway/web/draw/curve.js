/** A clamped Hermite curve through points, sampled at rings, with a frame that does not turn about it. */
export class Curve {
  /** Through so many `points`, sampled at so many `rings`. */
  constructor(points, rings) {
    this.rings = rings;
    this.place = new Float32Array(rings * 3);
    this.along = new Float32Array(rings * 3);
    this.side = new Float32Array(rings * 3);
    this.over = new Float32Array(rings * 3);
    this.length = new Float32Array(points);
    this.lean = new Float32Array(points * 3);
    this.total = 1;
  }

  /** `rows`: which rows of `points` (n, 3), flat, it goes through. Fills `place`, `along`, `side` and `over`, (rings, 3). */
  through(points, rows) {
    this._measure(points, rows);
    this._sample(points, rows);
    this._frame();
  }

  /** Lengths of the pieces, and at each point a direction that is a mean of those beside it, so nothing overshoots. */
  _measure(points, rows) {
    const last = rows.length - 1;
    this.total = 0;
    for (let i = 0; i < last; i++) {
      const [a, b] = [rows[i] * 3, rows[i + 1] * 3];
      const d = Math.hypot(points[b] - points[a], points[b + 1] - points[a + 1], points[b + 2] - points[a + 2]);
      this.length[i] = Math.max(d, 1e-9);
      this.total += this.length[i];
    }
    for (let i = 0; i <= last; i++) {
      for (let axis = 0; axis < 3; axis++) {
        const before = i > 0 ? this._direction(points, rows, i - 1, axis) : null;
        const after = i < last ? this._direction(points, rows, i, axis) : null;
        const share = i > 0 && i < last ? this.length[i] / (this.length[i] + this.length[i - 1]) : 0;
        this.lean[i * 3 + axis] = before === null ? after : after === null ? before : before * share + after * (1 - share);
      }
    }
  }

  _direction(points, rows, i, axis) {
    return (points[rows[i + 1] * 3 + axis] - points[rows[i] * 3 + axis]) / this.length[i];
  }

  _sample(points, rows) {
    let piece = 0;
    let start = 0;
    for (let k = 0; k < this.rings; k++) {
      const s = (k / (this.rings - 1)) * this.total;
      while (piece < rows.length - 2 && s > start + this.length[piece]) start += this.length[piece++];
      const h = this.length[piece];
      const t = Math.min((s - start) / h, 1);
      const [t2, t3] = [t * t, t * t * t];
      for (let axis = 0; axis < 3; axis++) {
        const p = points[rows[piece] * 3 + axis];
        const q = points[rows[piece + 1] * 3 + axis];
        const m = this.lean[piece * 3 + axis] * h;
        const n = this.lean[piece * 3 + 3 + axis] * h;
        this.place[k * 3 + axis] = (2 * t3 - 3 * t2 + 1) * p + (t3 - 2 * t2 + t) * m + (3 * t2 - 2 * t3) * q + (t3 - t2) * n;
        this.along[k * 3 + axis] = (6 * (t2 - t) * (p - q) + (3 * t2 - 4 * t + 1) * m + (3 * t2 - 2 * t) * n) / h;
      }
      unit(this.along, k * 3);
    }
  }

  _frame() {
    const { along, side, over } = this;
    const first = Math.abs(along[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
    for (let k = 0; k < this.rings; k++) {
      const at = k * 3;
      const [x, y, z] = k ? [side[at - 3], side[at - 2], side[at - 1]] : first;
      const d = x * along[at] + y * along[at + 1] + z * along[at + 2];
      side[at] = x - d * along[at];
      side[at + 1] = y - d * along[at + 1];
      side[at + 2] = z - d * along[at + 2];
      unit(side, at);
      over[at] = along[at + 1] * side[at + 2] - along[at + 2] * side[at + 1];
      over[at + 1] = along[at + 2] * side[at] - along[at] * side[at + 2];
      over[at + 2] = along[at] * side[at + 1] - along[at + 1] * side[at];
    }
  }
}

function unit(array, at) {
  const length = Math.hypot(array[at], array[at + 1], array[at + 2]) || 1;
  for (let axis = 0; axis < 3; axis++) array[at + axis] /= length;
}
