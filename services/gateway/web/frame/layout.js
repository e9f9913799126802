/** Where the panels stand: columns and rows with seams that can be moved, kept per experiment in the browser. */

import { h } from "../element.js";

const WIDE = matchMedia("(min-width: 1181px)");
const NARROW = matchMedia("(max-width: 899px)");
const FRESH = {
  wide: { columns: [1.06, 1.12, 0.82], rows: { 0: 0.554, 2: 0.554 } },
  medium: { columns: [1, 1.06], rows: { 0: 0.545, 1: 0.545 } },
  slots: ["body", "plots", "brain", "scripts", "console"],
  hidden: [],
};
const LEAST = 0.12; // of a column's width or height

export class Layout {
  #panels = new Map();
  #key;
  #kept;
  #enlarged = null;
  #off = [];
  #onchange;
  #overConsole = true; // in a dock the scripts lie over the console

  /** `panels` are Panel objects by id; `name` is that of the experiment, `onchange()` is called when sizes change. */
  constructor(name, panels, onchange = () => {}) {
    this.#key = `reaf.layout.${name}`;
    this.#kept = load(this.#key);
    this.#panels = panels;
    this.#onchange = onchange;
    this.root = h("div", { class: "bench" });
    for (const query of [WIDE, NARROW]) {
      const change = () => this.arrange();
      query.addEventListener("change", change);
      this.#off.push(() => query.removeEventListener("change", change));
    }
    for (const panel of panels.values()) this.#draggable(panel);
    this.arrange();
  }

  get kind() {
    return NARROW.matches ? "narrow" : WIDE.matches ? "wide" : "medium";
  }

  get enlarged() {
    return this.#enlarged;
  }

  /** Put every panel in its place. */
  arrange() {
    const { kind } = this;
    this.root.dataset.kind = kind;
    const slots = this.#kept.slots.map((id) => (this.#kept.hidden.includes(id) ? null : id));
    const dock = kind !== "wide" && slots[3] && slots[4];
    const columns = kind === "wide" ? [[0, 1], [2], [3, 4]] : [[0, 1], [2, 3, 4]];
    const shown = [];
    for (const column of columns) {
      let ids = column.map((place) => slots[place]).filter(Boolean);
      if (dock) ids = ids.filter((id) => id !== (this.#overConsole ? slots[4] : slots[3]));
      if (ids.length) shown.push(ids);
    }
    this.#build(shown, kind);
    this.#docked(dock ? [slots[3], slots[4]] : null);
    this.enlarge(this.#enlarged && !this.#kept.hidden.includes(this.#enlarged) ? this.#enlarged : null);
  }

  /** Bring the console (or the scripts) to the front, where both share one place. */
  front(id) {
    const behind = id === this.#kept.slots[4];
    if (this.kind === "wide" || this.#overConsole === !behind) return;
    if (!this.#kept.slots.slice(3).includes(id)) return;
    this.#overConsole = !behind;
    this.arrange();
  }

  /** Show one panel alone; null brings all back. */
  enlarge(id) {
    this.#enlarged = id;
    this.root.classList.toggle("one", Boolean(id));
    for (const [name, panel] of this.#panels) {
      panel.root.classList.toggle("enlarged", name === id);
      for (const button of panel.root.querySelectorAll(".enlarge")) button.setAttribute("aria-pressed", String(name === id));
    }
    for (const column of this.root.querySelectorAll(".column-of-panels")) {
      column.classList.toggle("holds-one", Boolean(id) && Boolean(column.querySelector(".enlarged")));
    }
    this.#onchange();
  }

  hide(id, hidden) {
    const others = this.#kept.hidden.filter((name) => name !== id);
    if (hidden && others.length === this.#panels.size - 1) return; // the last one stays
    this.#kept.hidden = hidden ? [...others, id] : others;
    this.#save();
    this.arrange();
  }

  isHidden(id) {
    return this.#kept.hidden.includes(id);
  }

  reset() {
    this.#kept = structuredClone(FRESH);
    this.#save();
    this.arrange();
  }

  close() {
    for (const off of this.#off) off();
  }

  #build(columns, kind) {
    const sizes = this.#kept[kind]?.columns ?? [];
    const weights = columns.map((_, i) => sizes[columns.length === sizes.length ? i : Math.min(i, sizes.length - 1)] ?? 1);
    const children = [];
    columns.forEach((ids, i) => {
      const element = h("div", { class: "column-of-panels" });
      element.style.flexGrow = weights[i];
      const share = this.#kept[kind]?.rows?.[i] ?? 0.5;
      ids.forEach((id, row) => {
        const { root } = this.#panels.get(id);
        root.style.flexGrow = ids.length === 2 ? (row ? 1 - share : share) : 1;
        if (row) element.append(this.#seam("row", kind, i, element));
        element.append(root);
      });
      if (i) children.push(this.#seam("column", kind, i));
      children.push(element);
    });
    this.root.replaceChildren(...children);
  }

  /** A seam that can be dragged, or moved with the arrow keys. */
  #seam(what, kind, index, column) {
    const upright = what === "column";
    const seam = h("div", {
      class: `seam seam-${what}`, role: "separator", tabindex: 0, "aria-orientation": upright ? "vertical" : "horizontal",
      "aria-label": upright ? "Width of the columns" : "Height of the panels",
    });
    const place = () => (upright ? this.#columnsAt(index) : this.#rowsAt(column));
    const put = (share) => {
      const bound = Math.max(LEAST, Math.min(1 - LEAST, share));
      if (upright) this.#setColumns(kind, index, bound);
      else this.#setRows(kind, index, column, bound);
      seam.setAttribute("aria-valuenow", Math.round(bound * 100));
      this.#onchange();
    };
    seam.setAttribute("aria-valuenow", "50");
    seam.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const { share } = place();
      put(share + step * (event.shiftKey ? 0.1 : 0.02));
      this.#save();
    });
    seam.addEventListener("pointerdown", (event) => {
      seam.setPointerCapture(event.pointerId);
      const { from, to } = place();
      seam.onpointermove = (move) => put(((upright ? move.clientX : move.clientY) - from) / (to - from));
      seam.onpointerup = seam.onpointercancel = () => {
        seam.onpointermove = null;
        this.#save();
      };
    });
    seam.addEventListener("dblclick", () => {
      const fresh = FRESH[kind];
      if (upright) put(fresh.columns[index - 1] / (fresh.columns[index - 1] + fresh.columns[index]));
      else put(fresh.rows[index] ?? 0.5);
      this.#save();
    });
    return seam;
  }

  #columnsAt(index) {
    const all = [...this.root.querySelectorAll(".column-of-panels")];
    const [a, b] = [all[index - 1].getBoundingClientRect(), all[index].getBoundingClientRect()];
    return { from: a.left, to: b.right, share: a.width / (b.right - a.left) };
  }

  #rowsAt(column) {
    const [a, b] = [...column.querySelectorAll(".panel")].map((root) => root.getBoundingClientRect());
    return { from: a.top, to: b.bottom, share: a.height / (b.bottom - a.top) };
  }

  #setColumns(kind, index, share) {
    const all = [...this.root.querySelectorAll(".column-of-panels")];
    const weights = all.map((element) => Number(element.style.flexGrow));
    const both = weights[index - 1] + weights[index];
    weights[index - 1] = both * share;
    weights[index] = both * (1 - share);
    all.forEach((element, i) => (element.style.flexGrow = weights[i]));
    if (this.#kept[kind]?.columns.length === weights.length) this.#kept[kind].columns = weights;
  }

  #setRows(kind, index, column, share) {
    const [a, b] = column.querySelectorAll(".panel");
    a.style.flexGrow = share;
    b.style.flexGrow = 1 - share;
    if (this.#kept[kind]) this.#kept[kind].rows[index] = share;
  }

  /** Where scripts and console share a place, each has a tab that leads to the other. */
  #docked(pair) {
    const [scripts, log] = [this.#panels.get("scripts"), this.#panels.get("console")];
    scripts?.tabStrip?.remove("console");
    log?.tabStrip?.remove("scripts");
    if (!pair) return;
    scripts?.tabStrip?.add({ id: "console", label: "Console", onpick: () => this.front("console") });
    log?.tabStrip?.add({ id: "scripts", label: "Scripts", onpick: () => this.front("scripts") });
  }

  /** Dragging a header onto another panel swaps the two. */
  #draggable(panel) {
    panel.header.addEventListener("pointerdown", (event) => {
      if (event.button || event.target.closest("button, input, select, a, [role=tab]") || this.kind === "narrow") return;
      const from = { x: event.clientX, y: event.clientY };
      let target = null;
      const move = (at) => {
        if (Math.hypot(at.clientX - from.x, at.clientY - from.y) < 10) return;
        panel.root.classList.add("dragged");
        const over = document.elementFromPoint(at.clientX, at.clientY)?.closest(".panel");
        if (over !== target) target?.classList.remove("target");
        target = over && over !== panel.root ? over : null;
        target?.classList.add("target");
      };
      const end = () => {
        removeEventListener("pointermove", move);
        removeEventListener("pointerup", end);
        removeEventListener("pointercancel", end);
        panel.root.classList.remove("dragged");
        target?.classList.remove("target");
        if (target) this.#swap(panel.id, target.dataset.panel);
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", end);
      addEventListener("pointercancel", end);
    });
  }

  #swap(a, b) {
    const { slots } = this.#kept;
    const [i, j] = [slots.indexOf(a), slots.indexOf(b)];
    if (i < 0 || j < 0) return;
    [slots[i], slots[j]] = [b, a];
    this.#save();
    this.arrange();
  }

  #save() {
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.#kept));
    } catch {
      // the browser keeps nothing: the layout lasts as long as the page
    }
  }
}

function load(key) {
  const fresh = structuredClone(FRESH);
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null");
    const whole = kept && [...(kept.slots ?? [])].sort().join() === [...FRESH.slots].sort().join();
    return whole && kept.wide?.columns && kept.medium?.columns && Array.isArray(kept.hidden) ? kept : fresh;
  } catch {
    return fresh;
  }
}
