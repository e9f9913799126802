// Named populations: names for parts of the brain that sources, sinks and functions may use, as in the experiment file.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";

/** `apply(populations)` and `save()` are async and throw; `{element, set(populations)}`. */
export function makeSelections({ editable, apply, save }) {
  const rows = h("div", { class: "selection-rows" });
  const note = h("span", { class: "muted scripts-note" });
  const problem = h("p", { class: "problem small", role: "alert", hidden: true });
  const applier = h("button", { class: "btn small", disabled: true, onclick: () => work(() => apply(read()), "Not saved to the experiment") }, "Apply");
  const saver = h("button", { class: "btn quiet small", onclick: () => work(save, "Saved") }, "Save");
  const adder = h("button", { class: "btn quiet small", onclick: () => { rows.append(row("", "")); rows.lastChild.querySelector("input").focus(); } }, icon("plus"), "Add");
  const summary = h("summary", {}, "Named populations");
  const element = h("details", { class: "selections" }, summary,
    h("p", { class: "muted small" }, "A name for a selection such as M1_L5B_PT + M1_L5B_CS or neurons[0:4]. Applying builds the brain again; body and clock go on."),
    rows, problem, h("div", { class: "selection-bar", hidden: !editable }, adder, note, applier, saver));
  let known = "";

  function row(name, selection) {
    const field = (value, label) => h("input", { value, placeholder: label, "aria-label": label, spellcheck: "false", disabled: !editable, oninput: changed });
    const line = h("div", { class: "selection" }, field(name, "name"), field(selection, "selection"),
      editable && h("button", { class: "icon-btn", "aria-label": `Delete ${name || "this line"}`, onclick: () => { line.remove(); changed(); } }, icon("close")));
    return line;
  }

  function read() {
    const found = {};
    for (const line of rows.children) {
      const [name, selection] = [...line.querySelectorAll("input")].map((input) => input.value.trim());
      if (name || selection) found[name] = /^(\[.*\]|\d+)$/.test(selection) ? JSON.parse(selection) : selection;
    }
    return found;
  }

  function changed() {
    let dirty = true;
    try {
      dirty = JSON.stringify(read()) !== known;
    } catch { /* a list that is not finished yet */ }
    applier.disabled = !dirty;
    write(note, dirty ? "Not applied yet" : "");
  }

  async function work(order, words) {
    problem.hidden = true;
    applier.disabled = saver.disabled = true;
    write(note, "Working…");
    try {
      await order();
      known = JSON.stringify(read());
      write(note, words);
    } catch (error) {
      fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
      problem.hidden = false;
      write(note, "");
      applier.disabled = false;
    }
    saver.disabled = false;
  }

  /** Shows what the brain has, unless something is being written here. */
  function set(populations = {}) {
    const next = JSON.stringify(populations);
    if (next === known || (known && !applier.disabled)) return;
    known = next;
    const entries = Object.entries(populations);
    write(summary, entries.length ? `Named populations (${entries.length})` : "Named populations");
    fill(rows, entries.map(([name, selection]) => row(name, typeof selection === "string" ? selection : JSON.stringify(selection))));
  }

  return { element, set };
}
