// Two versions of a text, line by line.

import { h } from "../element.js";
import { show } from "../dialog.js";

const MOST = 3000;

/** Rows `[kind, text]` from `before` to `after`; kind is "same", "gone" or "new". Longest common subsequence of lines. */
export function difference(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (a.length * b.length > MOST * MOST) return [...a.map((text) => ["gone", text]), ...b.map((text) => ["new", text])];
  const wide = b.length + 1;
  const length = new Uint16Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * wide + j] = a[i] === b[j] ? length[(i + 1) * wide + j + 1] + 1 : Math.max(length[(i + 1) * wide + j], length[i * wide + j + 1]);
    }
  }
  const rows = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { rows.push(["same", a[i]]); i++; j++; }
    else if (i < a.length && (j === b.length || length[(i + 1) * wide + j] >= length[i * wide + j + 1])) rows.push(["gone", a[i++]]);
    else rows.push(["new", b[j++]]);
  }
  return rows;
}

/** The same rows with what is far from any change folded into one row of the kind "fold". */
export function folded(rows, around = 3) {
  const near = rows.map((_, i) => rows.slice(Math.max(0, i - around), i + around + 1).some(([kind]) => kind !== "same"));
  const found = [];
  let away = 0;
  rows.forEach((row, i) => {
    if (near[i] && away) found.push(["fold", `${away} ${away === 1 ? "line" : "lines"} alike`]);
    away = near[i] ? 0 : away + 1;
    if (near[i]) found.push(row);
  });
  return away ? [...found, ["fold", `${away} ${away === 1 ? "line" : "lines"} alike`]] : found;
}

/** A dialog that shows `before` and `after`; `names` says what each is. */
export function showDifference({ title, before, after, names, actions }) {
  const rows = folded(difference(before, after));
  const signs = { fold: "", same: " ", gone: "−", new: "+" };
  const body = [
    h("p", { class: "difference-names" }, h("span", { class: "gone" }, `− ${names[0]}`), h("span", { class: "new" }, `+ ${names[1]}`)),
    h("div", { class: "difference", tabindex: 0 }, rows.map(([kind, text]) => h("div", { class: kind }, h("span", { "aria-hidden": "true" }, signs[kind]), text || " "))),
  ];
  return show({ title, body, actions, wide: true });
}
