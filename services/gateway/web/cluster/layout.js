// How a job lies on its nodes: the rest on the first, the brain's ranks with their threads on the others.

import { fill, h, write } from "../element.js";
import { count, plural } from "../words.js";

const FIRST = ["engine", "body", "recorder", "gateway"];
const MOST_RANKS = 1024; // more are said in words
const MOST_THREADS = 2048;

/** The nodes of a job: `[{name, known, ranks: [0, 1, …]}]`; the first has no ranks. Before it has nodes they have numbers. */
export function nodesOf(job) {
  return Array.from({ length: job.nodes + 1 }, (_, i) => ({
    name: job.node_names[i] ?? `node ${i + 1}`,
    known: i < job.node_names.length,
    ranks: i === 0 ? [] : Array.from({ length: job.ranks_per_node }, (_, r) => (i - 1) * job.ranks_per_node + r),
  }));
}

export function makeLayout() {
  const fact = h("span", { class: "muted small" });
  const body = h("ul", { class: "layout-nodes" });
  const element = h("section", { class: "card", "aria-label": "Layout" }, h("header", {}, h("h3", {}, "Layout"), fact), body);
  let drawn = "";

  function draw(job) {
    const key = JSON.stringify([job.nodes, job.ranks_per_node, job.threads_per_rank, job.node_names]);
    if (key === drawn) return;
    drawn = key;
    const ranks = job.nodes * job.ranks_per_node;
    write(fact, `${plural(ranks, "rank")} of ${plural(job.threads_per_rank, "thread")}, ${plural(ranks * job.threads_per_rank, "virtual process", "virtual processes")}`);
    const detail = { ranks: ranks <= MOST_RANKS, threads: ranks * job.threads_per_rank <= MOST_THREADS };
    fill(body, nodesOf(job).map((node, i) => drawNode(node, i === 0, job, detail)));
  }

  return { element, draw };
}

function drawNode(node, first, job, detail) {
  const inside = first ? FIRST.map((name) => h("span", { class: "service" }, name)) : detail.ranks ? node.ranks.map((rank) => drawRank(rank, job, detail)) : [h("span", { class: "service" }, `ranks ${count(node.ranks[0])} to ${count(node.ranks.at(-1))}`)];
  return h("li", { class: first ? "first" : "" },
    h("div", { class: "node-head" }, h("strong", { class: node.known ? "" : "muted" }, node.name), h("span", { class: "muted small" }, first ? "all but the brain" : "brain")),
    h("div", { class: "inside" }, inside));
}

function drawRank(rank, job, detail) {
  const threads = detail.threads ? Array.from({ length: job.threads_per_rank }, () => h("i")) : [h("small", {}, `× ${job.threads_per_rank}`)];
  return h("span", { class: "rank", title: `rank ${rank}, ${plural(job.threads_per_rank, "thread")}` }, h("span", { class: "mono" }, String(rank)), h("span", { class: "threads", "aria-hidden": "true" }, threads));
}
