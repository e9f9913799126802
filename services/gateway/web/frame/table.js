/** What a panel draws, as a table that can be read and copied. */

import { h } from "../element.js";
import { show } from "../dialog.js";

/** Show what `read()` gives, {head, rows} or rows alone, anew every second while the dialog is open. */
export function showTable(title, read) {
  const table = h("table", { class: "plain value-table" });
  const fill = () => {
    const found = read();
    const { head, rows } = Array.isArray(found) ? { head: null, rows: found } : found;
    const body = h("tbody", {}, rows.map((row) => h("tr", {}, row.map((value, i) => h(i ? "td" : "th", i ? { class: isNumber(value) ? "" : "word" } : { scope: "row" }, String(value ?? ""))))));
    table.replaceChildren(...(head ? [h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col", class: isNumber(rows[0]?.[head.indexOf(name)]) ? "" : "word" }, name))))] : []), body);
  };
  fill();
  const timer = setInterval(fill, 1000);
  return show({ title, body: h("div", { class: "table-scroll" }, table), wide: true }).then(() => clearInterval(timer));
}

const isNumber = (value) => /^[-–+]?[\d,.]*(e[-+]?\d+)?$/.test(String(value ?? ""));
