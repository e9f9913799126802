// The list of transfer functions: switch, name, direction, time per step or the line that is wrong.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { askName } from "../dialog.js";
import { milliseconds } from "../words.js";

function makeRow({ pick, act, editable }) {
  let entry = null;
  const unapplied = h("span", { class: "unapplied", title: "Not applied yet", hidden: true }, " •");
  const text = h("span");
  const name = h("button", { class: "function-name", data: { part: "name" }, onclick: () => pick(entry.name) }, text, unapplied);
  const more = h("button", { class: "icon-btn", data: { part: "more" }, "aria-haspopup": "menu", hidden: !editable, onclick: () => act("menu", entry, more) }, icon("dots"));
  const flip = h("button", { class: "switch", role: "switch", data: { part: "switch" }, onclick: () => act("switch", entry) });
  const direction = h("span", { class: "muted small direction" });
  const cost = h("span");
  const element = h("li", { onclick: (event) => { if (!event.target.closest("button")) pick(entry.name); } }, flip, name, direction, cost, more);
  let said = "";

  function draw(next, chosen) {
    entry = next;
    element.dataset.name = entry.name;
    if (chosen) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
    for (const button of [flip, name, more]) button.tabIndex = chosen ? 0 : -1;
    flip.setAttribute("aria-checked", String(!!entry.active && !entry.problem));
    flip.setAttribute("aria-label", `${entry.name} is called`);
    flip.disabled = !editable || !!entry.fresh;
    more.setAttribute("aria-label", `More for ${entry.name}`);
    write(text, entry.name);
    unapplied.hidden = !entry.dirty;
    write(direction, entry.direction === "none" ? "reads only" : (entry.direction ?? "").replace(" to ", " → "));
    const [kind, words] = priceOf(entry);
    if (`${kind} ${words}` === said) return;
    said = `${kind} ${words}`;
    cost.className = `function-cost ${kind}`;
    fill(cost, words, kind === "wrong" && icon("warning"));
  }

  return { element, draw };
}

/** What a function costs, or what is wrong with it: kind and words. */
function priceOf(entry) {
  const problem = entry.refused ?? entry.problem;
  if (problem) return ["wrong", problem.line ? `line ${problem.line}` : "error"];
  if (entry.fresh) return ["muted", "new"];
  return ["mono", entry.active ? milliseconds(entry.ms) : "off"];
}

/** `pick(name)` when one is chosen; `act("switch" | "up" | "down" | "menu", entry, anchor)`. */
export function makeRows({ pick, act, editable }) {
  const element = h("ul", { class: "functions", "aria-label": "Transfer functions, in the order of calling" });
  const kept = new Map();

  /** Rows are kept as long as their function is there, so that a click never lands on one that has just been replaced. */
  function draw(entries, chosen) {
    for (const [name, row] of kept) {
      if (entries.some((each) => each.name === name)) continue;
      row.element.remove();
      kept.delete(name);
    }
    entries.forEach((entry, i) => {
      if (!kept.has(entry.name)) kept.set(entry.name, makeRow({ pick, act, editable }));
      const row = kept.get(entry.name);
      row.draw(entry, entry.name === chosen);
      if (element.children[i] !== row.element) element.insertBefore(row.element, element.children[i] ?? null);
    });
  }

  element.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const item = event.target.closest("li");
    if (!by || !item) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.altKey && editable) return act(by < 0 ? "up" : "down", { name: item.dataset.name });
    const next = by < 0 ? item.previousElementSibling : item.nextElementSibling;
    if (!next) return undefined;
    pick(next.dataset.name);
    return element.querySelector("[aria-current] .function-name")?.focus();
  });

  const rename = (entry, done) => askName({ title: `Rename ${entry.name}`, label: "Name of the function", value: entry.name, act: done });
  return { element, draw, rename };
}
