// What the steps of a job used: time, memory, processor time, energy; a dash where nobody measures it.

import { fill, h } from "../element.js";
import { bytes, clock, energy } from "../words.js";

const HEADS = ["Elapsed", "Peak memory", "Processor time", "Energy"];

export function makeSteps() {
  const body = h("tbody");
  const element = h("section", { class: "card", "aria-label": "Steps", hidden: true }, h("header", {}, h("h3", {}, "Steps"), h("span", { class: "muted small" }, "memory of the largest process")),
    h("div", { class: "scroll-x" }, h("table", { class: "list steps" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Step"), HEADS.map((name) => h("th", { scope: "col", class: "n" }, name)))), body)));

  function draw({ steps }) {
    element.hidden = !steps.length;
    fill(body, steps.map((step) => h("tr", {}, h("td", { class: "mono" }, step.name), h("td", { class: "n" }, clock(step.elapsed_s)),
      h("td", { class: "n" }, bytes(step.peak_rss_mb == null ? null : step.peak_rss_mb * 1e6)), h("td", { class: "n" }, clock(step.cpu_s)), h("td", { class: "n" }, energy(step.energy_J)))));
  }

  return { element, draw };
}
