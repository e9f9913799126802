/** The one requestAnimationFrame of the page: views say that they are dirty, the loop draws them when they are due. */

import { Governor } from "./governor.js";

const EDGE_MS = 4; // a view that is due within this time is drawn now: half a frame of grace

export class Loop {
  #views = new Set();
  #before = new Set();
  #request = 0;
  #kept = false;
  #frames = [];
  #last = 0;
  #longest = 0;
  #governor = new Governor();

  /** Add a view; `heavy` ones are slowed down first when frames come late. `dirty()` asks for a drawing. */
  add({ name, hz = 60, draw, heavy = false }) {
    const view = { name, hz, draw, heavy, dirty: true, at: 0, cost: 0, longest: 0, count: 0 };
    this.#views.add(view);
    this.wake();
    return {
      dirty: () => {
        view.dirty = true;
        this.wake();
      },
      remove: () => this.#views.delete(view),
    };
  }

  /** Call `fn(now_ms)` at the beginning of every frame; returns what takes it away again. */
  before(fn) {
    this.#before.add(fn);
    this.wake();
    return () => this.#before.delete(fn);
  }

  /** While `on` the loop runs without a pause, so that its frames per second mean something. */
  keep(on) {
    this.#kept = on;
    this.wake();
  }

  /** See that there is a next frame. */
  wake() {
    this.#request ||= requestAnimationFrame((now) => this.#tick(now));
  }

  /** Frames per second of the last two seconds, mean and longest drawing per frame in ms, mean cost of each view. */
  stats() {
    const now = performance.now();
    const recent = this.#frames.filter((frame) => now - frame.at < 2000);
    const span = recent.length > 1 ? recent.at(-1).at - recent[0].at : 0;
    const cost = {};
    for (const view of this.#views) cost[view.name] = view.count ? view.cost / view.count : 0;
    return {
      fps: span > 0 && this.#kept ? ((recent.length - 1) * 1000) / span : 0,
      ms: recent.length ? recent.reduce((sum, frame) => sum + frame.took, 0) / recent.length : 0,
      longest: this.#longest,
      share: this.#governor.share,
      cost,
    };
  }

  close() {
    cancelAnimationFrame(this.#request);
    this.#request = -1; // no further frame
    this.#views.clear();
    this.#before.clear();
  }

  #tick(now) {
    this.#request = 0;
    if (this.#last) this.#governor.frame(now - this.#last, now);
    this.#last = now;
    const begun = performance.now();
    for (const fn of this.#before) fn(now);
    let waiting = false;
    for (const view of this.#views) {
      if (!view.dirty) continue;
      const hz = view.heavy ? view.hz * this.#governor.share : view.hz;
      if (now - view.at < 1000 / hz - EDGE_MS) waiting = true;
      else this.#draw(view, now);
    }
    this.#measure(now, performance.now() - begun);
    if (waiting || this.#kept) this.wake();
    else this.#last = 0; // a rest is not a late frame
  }

  #draw(view, now) {
    view.dirty = false;
    view.at = now;
    const begun = performance.now();
    try {
      view.draw(now);
    } catch (error) {
      this.#views.delete(view); // one broken view shall not stop the others
      reportError(error);
    }
    view.cost += performance.now() - begun;
    if (++view.count === 240) {
      view.cost /= 2;
      view.count /= 2;
    }
  }

  #measure(now, took) {
    this.#frames.push({ at: now, took });
    this.#longest = Math.max(took, this.#longest * 0.998);
    if (this.#frames.length > 200) this.#frames.splice(0, 80);
  }
}
