/** "Add curve…": every value of this run by its name, to be searched and ticked. */

import { h } from "../element.js";
import { show } from "../dialog.js";
import { plural } from "../words.js";

const WIDEST = 256;
const SHOWN = 200;

/** All values that can be drawn: {topic, array, index, label, unit}. */
export function valuesOf(store, data) {
  const values = [];
  for (const who of ["brain", "body", "engine"]) {
    for (const port of store.ports[who]?.outputs ?? []) values.push(...ofPort(who, port));
  }
  for (const name of Object.keys(data.latest("engine/values")?.values ?? {})) {
    values.push({ topic: "engine/values", array: name, index: 0, label: name, unit: "1", from: "transfer functions" });
  }
  return values;
}

function ofPort(who, { name, shape, unit, labels = [] }) {
  const at = name.lastIndexOf(".");
  const [stream, array] = [name.slice(0, at), name.slice(at + 1)];
  const many = shape.reduce((product, n) => product * n, 1);
  if (at < 0 || stream === "timing" || shape.some((n) => n < 0) || many > WIDEST) return [];
  const per = shape.length > 1 ? many / shape[0] : 1;
  const axes = per === 3 ? ["x", "y", "z"] : per === 4 ? ["w", "x", "y", "z"] : null;
  return Array.from({ length: many }, (_, i) => {
    const part = [labels[Math.floor(i / per)] ?? (shape.length ? Math.floor(i / per) : ""), per > 1 ? (axes?.[i % per] ?? i % per) : ""].filter((one) => one !== "").join(" ");
    return { topic: `${who}/${stream}`, array, index: i, label: [part.length < 2 ? stream : "", part, array].filter(Boolean).join(" "), unit: unit || "1", from: `${who}/${stream}` };
  });
}

/** Ask for curves; `toggle(curve)` adds one or takes it away, `toggle.has(curve)` says whether it is there. */
export function addCurve({ store, data }, toggle) {
  data.want("curves dialog", "engine/values", { hz: 2 });
  const all = valuesOf(store, data);
  const search = h("input", { type: "search", placeholder: "muscle, joint, read-out, function…", "aria-label": "Search values", autofocus: true, spellcheck: "false" });
  const list = h("div", { class: "curve-list", role: "group", "aria-label": "Values" });
  const found = h("p", { class: "curve-count" });
  const fill = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const begins = (one, word) => ` ${one.label} ${one.from}`.toLowerCase().replace(/[_/.]/g, " ").includes(` ${word.replace(/[_/.]/g, " ")}`);
    const fits = all.filter((one) => words.every((word) => begins(one, word)));
    list.replaceChildren(...fits.slice(0, SHOWN).map((one) => {
      const box = h("input", { type: "checkbox", checked: toggle.has(one), onchange: () => toggle(one) });
      return h("label", { class: "curve-row" }, box, h("span", {}, one.label), h("small", {}, one.from), h("small", { class: "unit" }, one.unit === "1" ? "" : one.unit));
    }));
    found.textContent = fits.length ? `${plural(fits.length, "value")}${fits.length > SHOWN ? `, the first ${SHOWN} shown` : ""}` : "No value has this name";
  };
  search.addEventListener("input", fill);
  fill();
  const body = h("div", { class: "curve-picker" }, search, found, list);
  return show({ title: "Add curve", body, wide: true, actions: [{ text: "Done", kind: "primary" }] }).then(() => data.release("curves dialog"));
}
