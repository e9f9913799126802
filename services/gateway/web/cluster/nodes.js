// The nodes of the cluster as a picture: a cell for each core, in use by our jobs, by others, or free.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { count, number, plural } from "../words.js";

const MOST_LARGE = 24; // nodes with a cell for each core; more are shown as one cell each
const MOST_CELLS = 64;
const WORDS = { idle: "free", mixed: "in use", allocated: "in use", down: "down", other: "not available" };

export function makeNodes() {
  const fact = h("span", { class: "muted small" });
  const problem = h("p", { class: "problem warn", role: "status", hidden: true });
  const body = h("div");
  const legend = h("span", { class: "legend" }, h("i", { class: "ours" }), "this server's jobs", h("i", { class: "others" }), "others", h("i"), "free");
  const element = h("section", { class: "card", "aria-label": "Nodes" }, h("header", {}, h("h3", {}, "Nodes"), fact, legend), problem, body);
  let drawn = "";

  function draw(nodes) {
    problem.hidden = true;
    const key = JSON.stringify(nodes);
    if (key === drawn) return;
    drawn = key;
    write(fact, about(nodes));
    legend.hidden = !nodes.length;
    if (!nodes.length) fill(body, h("p", { class: "empty" }, "This cluster does not tell about its nodes."));
    else fill(body, nodes.length > MOST_LARGE ? small(nodes) : large(nodes));
  }

  /** The picture stays; above it stands why it is not of now. */
  function complain(error) {
    problem.hidden = false;
    fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
    if (!drawn) fill(body);
  }

  return { element, draw, complain };
}

/** "3 of 8 free, 36 cores and 120 GB each". */
export function about(nodes) {
  if (!nodes.length) return "";
  const free = nodes.filter((each) => each.state === "idle").length;
  const same = (key) => nodes.every((each) => each[key] === nodes[0][key]);
  const [{ cores, memory_gb }] = nodes;
  const each = [same("cores") && cores && plural(cores, "core"), same("memory_gb") && memory_gb && `${number(memory_gb, 0)} GB`].filter(Boolean);
  return [`${count(free)} of ${count(nodes.length)} free`, each.length && `${each.join(", ")} each`].filter(Boolean).join(" · ");
}

const useOf = (node) => (node.state === "down" || node.state === "other" ? WORDS[node.state] : `${count(node.cores_used)} of ${count(node.cores)}`);
const kindOf = (node) => (node.jobs.length ? "ours" : "others");

function large(nodes) {
  return h("ul", { class: "nodes" }, nodes.map((node) => h("li", { class: `node ${node.state}` },
    h("div", { class: "node-head" }, h("strong", {}, node.name), h("span", { class: "muted small mono", title: "cores in use" }, useOf(node))),
    cells(node),
    h("p", { class: "node-jobs" }, node.jobs.map((id) => h("a", { href: `#/cluster/${encodeURIComponent(id)}` }, id))))));
}

/** One cell for each core; of a node with very many, for several. */
function cells(node) {
  const n = Math.min(node.cores, MOST_CELLS);
  const used = node.cores ? Math.ceil((node.cores_used / node.cores) * n) : 0;
  const away = node.state === "down" || node.state === "other";
  const made = h("div", { class: `cores ${away ? "away" : ""}`, role: "img", "aria-label": `${node.name}: ${away ? WORDS[node.state] : `${plural(node.cores_used, "core")} of ${count(node.cores)} in use${node.jobs.length ? ` with ${node.jobs.join(", ")}` : ""}`}` },
    Array.from({ length: n }, (_, i) => h("i", { class: i < used ? kindOf(node) : "" })));
  made.style.gridTemplateColumns = `repeat(${columnsOf(n)}, minmax(0, 1fr))`;
  return made;
}

/** So many cells in a row that rows are whole where that can be: 12 of 36, 16 of 64, 8 of 24. */
export function columnsOf(n) {
  if (n <= 8) return Math.max(n, 4);
  const whole = [12, 16, 14, 10, 8, 11, 13, 9, 15].find((columns) => n % columns === 0);
  return whole ?? 12;
}

function small(nodes) {
  const ours = nodes.filter((each) => each.jobs.length);
  const down = nodes.filter((each) => each.state === "down" || each.state === "other").length;
  return h("div", { class: "node-map" },
    h("div", { class: "cells", role: "img", "aria-label": `${about(nodes)}; ${plural(ours.length, "node")} with jobs of this server; ${count(down)} not available` },
      nodes.map((node) => {
        const use = h("i", { class: kindOf(node) });
        use.style.transform = `scaleY(${node.cores ? node.cores_used / node.cores : 0})`;
        return h("span", { class: node.state, title: `${node.name}, ${useOf(node)}${node.jobs.length ? `, ${node.jobs.join(", ")}` : ""}` }, use);
      })),
    h("p", { class: "small second" }, ours.length ? ["This server's jobs have ", ours.map((each) => each.name).join(", "), "."] : "No job of this server has a node.", down ? ` ${plural(down, "node is", "nodes are")} not available.` : ""));
}
