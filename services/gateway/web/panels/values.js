// The values of all read-outs of the brain, and those of functions, as numbers.

import { fill, h, write } from "../element.js";
import { telling } from "../words.js";

const OWNER = "console values";
const READS = [["brain/sinks", "Read-outs of the brain"], ["engine/values", "Values of functions"], ["engine/inputs/body", "Inputs of the body"], ["engine/inputs/brain", "Inputs of the brain"]];
const MOST_OF_ONE = 400;

export function makeValues({ data, loop, store }) {
  const filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter values", oninput: () => { shape = ""; } });
  const list = h("div", { class: "values-list" });
  const nothing = h("p", { class: "muted values-none" }, "Values appear with the first step.");
  const element = h("div", { class: "console-values", hidden: true }, h("div", { class: "bar" }, filter), nothing, list);
  let shape = "";
  let cells = [];
  let view = null;

  function show(on) {
    view?.remove();
    view = null;
    data.release(OWNER);
    if (!on) return;
    for (const [topic] of READS) data.want(OWNER, topic, { hz: 8 });
    view = loop.add({ name: "values", hz: 8, draw });
    for (const [topic] of READS) offs.push(data.on(topic, () => view?.dirty()));
    view.dirty();
  }

  function draw() {
    const groups = READS.map(([topic, head]) => ({ topic, head, arrays: arraysOf(data.latest(topic)) })).filter((each) => each.arrays);
    const next = JSON.stringify(groups.map(({ topic, arrays }) => [topic, Object.entries(arrays).map(([name, values]) => [name, values.length])])) + filter.value;
    if (next !== shape) {
      shape = next;
      build(groups);
    }
    const byTopic = new Map(groups.map(({ topic, arrays }) => [topic, arrays]));
    for (const { cell, topic, name, index } of cells) write(cell, telling(Number(byTopic.get(topic)?.[name]?.[index]), 4));
  }

  function build(groups) {
    const wanted = filter.value.trim().toLowerCase();
    cells = [];
    nothing.hidden = groups.length > 0;
    fill(list, groups.map(({ topic, head, arrays }) => {
      const rows = [];
      for (const [name, values] of Object.entries(arrays)) {
        const { labels, unit } = said(store.ports, topic, name);
        for (let index = 0; index < Math.min(values.length, MOST_OF_ONE); index++) {
          const label = labels[index] ?? (values.length > 1 ? `${name}[${index}]` : name);
          if (wanted && !`${name} ${label}`.toLowerCase().includes(wanted)) continue;
          const cell = h("td", { class: "n value" });
          cells.push({ cell, topic, name, index });
          rows.push(h("tr", {}, h("th", { scope: "row" }, label), h("td", { class: "muted small" }, label === name ? "" : name), cell, h("td", { class: "muted small" }, unit)));
        }
      }
      return rows.length ? h("section", {}, h("h3", {}, head), h("table", {}, h("tbody", {}, rows))) : [];
    }));
  }

  const offs = [];
  return { element, show, close() { view?.remove(); data.release(OWNER); for (const off of offs) off(); } };
}

/** name → numbers of a frame, whether it carries arrays or single values. */
function arraysOf(frame) {
  if (!frame) return null;
  if (frame.values) return Object.fromEntries(Object.entries(frame.values).map(([name, value]) => [name, [value]]));
  return Object.fromEntries(Object.entries(frame.arrays ?? {}).map(([name, { data: values }]) => [name, values]));
}

/** Labels and unit of an array, as its participant has declared them. */
function said(ports, topic, name) {
  const [service, ...rest] = topic.split("/");
  const declared = service === "engine" && rest[0] === "inputs" ? ports[rest[1]]?.inputs : ports[service]?.outputs;
  const all = Array.isArray(declared) ? declared : Object.entries(declared ?? {}).map(([key, port]) => ({ name: key, ...port }));
  const port = all.find((each) => each.name === `${rest.join("/")}.${name}`) ?? all.find((each) => each.name === name);
  return { labels: port?.labels ?? [], unit: port?.unit ?? "" };
}
