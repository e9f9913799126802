/** Slows heavy views down when frames come late, and lets them go again. */

const LATE_MS = 34;
const WINDOW = 60;
const CALM_MS = 5000;
const LOWEST = 0.25;

export class Governor {
  /** Which part of its own rate a heavy view may have: 1, 0.5 or 0.25. */
  share = 1;
  #late = 0;
  #seen = 0;
  #calmSince = 0;

  /** Take note of a frame that came `gap_ms` after the one before. */
  frame(gap_ms, now_ms) {
    if (gap_ms > 1000) return; // the tab was away
    this.#seen += 1;
    if (gap_ms > LATE_MS) this.#late += 1;
    if (this.#seen < WINDOW) return;
    const bad = this.#late > WINDOW / 10;
    this.#seen = this.#late = 0;
    if (bad) {
      this.share = Math.max(LOWEST, this.share / 2);
      this.#calmSince = now_ms;
    } else if (this.share < 1 && now_ms - this.#calmSince > CALM_MS) {
      this.share *= 2;
      this.#calmSince = now_ms;
    }
  }
}
