/** A line plot with its own small head: name, unit, legend with the values under the pointer. */

import { h } from "../element.js";
import { icon } from "../icons.js";
import { Lines } from "../draw/lines.js";
import { pointIn } from "./rates.js";

export class LinePlot {
  #head = h("h3");
  #unit = h("span", { class: "unit" });
  #data;
  #view;
  #specs = [];
  count = 0;

  constructor(name, unit, { data, view }) {
    this.#data = data;
    this.#view = view;
    this.legend = h("div", { class: "plot-legend" });
    this.cursor = h("i", { class: "cursor-line", hidden: true });
    this.host = h("div", { class: "lines" }, this.cursor);
    this.element = h("section", { class: "subplot", "aria-label": name }, h("header", { class: "subplot-head" }, this.#head, this.#unit, this.legend), this.host);
    this.lines = new Lines(this.host);
    this.values = [];
    this.title(name, unit);
    this.host.addEventListener("pointermove", (event) => {
      const { left, width } = this.lines.inner;
      const part = (event.clientX - this.host.getBoundingClientRect().left - left) / width;
      view.point(part >= 0 && part <= 1 ? this.#end - view.window_s * (1 - part) : null);
    });
    this.host.addEventListener("pointerleave", () => view.point(null));
  }

  #end = 0;

  title(name, unit) {
    this.name = name;
    this.unit = unit;
    this.#head.textContent = name;
    this.#unit.textContent = unit === "1" ? "" : unit;
    this.element.setAttribute("aria-label", name);
  }

  /** `specs` are {label, topic, array, index, factor}; `drop(spec)` makes each legend entry a button that takes it away. */
  setLines(specs, drop = null) {
    this.#specs = specs;
    this.count = specs.length;
    this.lines.setLines(specs.map(({ label, topic, array, index, factor }, i) => ({
      label, hue: i, factor, dash: i >= 4 ? [5, 3] : undefined, series: () => this.#data.series(topic, array, index),
    })));
    this.values = specs.map(() => h("b", {}));
    this.legend.replaceChildren(...specs.map((spec, i) => {
      const swatch = h("i", { class: `legend-line${i >= 4 ? " dashed" : ""}` });
      swatch.dataset.hue = i % 7;
      if (!drop) return h("span", { class: "legend-key" }, swatch, spec.label, this.values[i]);
      return h("button", { class: "legend-key", type: "button", title: `Take ${spec.label} away`, onclick: () => drop(spec) }, swatch, spec.label, this.values[i], icon("close", 10));
    }));
  }

  measure() {
    this.lines.resize(this.host.clientWidth, this.host.clientHeight);
  }

  draw(end_s) {
    this.#end = end_s;
    this.lines.draw(end_s, this.#view.window_s);
  }

  point(at_s, end_s) {
    pointIn(this, at_s, end_s, this.#view.window_s);
  }

  /** Columns for a file: {name, t, v, n}. */
  columns() {
    return this.#specs.map(({ label, topic, array, index, factor = 1 }) => {
      const { t, v, n } = this.#data.series(topic, array, index);
      return { name: `${label}${this.unit && this.unit !== "1" ? ` (${this.unit})` : ""}`, t, v: factor === 1 ? v : v.map((value) => value * factor), n };
    });
  }

  /** [name, newest value, unit] of each line. */
  now() {
    return this.columns().map(({ v, n }, i) => [this.#specs[i].label, n ? v[n - 1] : NaN, this.unit]);
  }

  close() {
    this.lines.close();
  }
}
