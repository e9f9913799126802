/** One moment that all time axes point at, and the window that they all show. */

export class TimeView {
  window_s = 4;
  /** Where the pointer is in simulated seconds, or null. */
  at_s = null;
  /** The end of the window when a person has scrolled back, or null for now. */
  end_s = null;
  #listeners = new Set();

  static WINDOWS = [1, 4, 10];

  on(fn) {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  point(at_s) {
    if (at_s === this.at_s) return;
    this.at_s = at_s;
    this.#tell("cursor");
  }

  setWindow(window_s) {
    this.window_s = window_s;
    this.#tell("window");
  }

  /** Go to the next longer (+1) or shorter (-1) window. */
  step(direction) {
    const { WINDOWS } = TimeView;
    const at = WINDOWS.indexOf(this.window_s);
    this.setWindow(WINDOWS[Math.max(0, Math.min(WINDOWS.length - 1, at + direction))]);
  }

  /** Look at the window that ends at `end_s`; null follows the run. */
  look(end_s) {
    if (end_s === this.end_s) return;
    this.end_s = end_s;
    this.#tell("window");
  }

  #tell(what) {
    for (const fn of this.#listeners) fn(what);
  }
}
