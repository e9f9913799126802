// The cluster as a whole: the form of a new job, nodes, jobs, and where simulations can be launched.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { makeForm } from "./form.js";
import { makeJobs } from "./jobs.js";
import { about, makeNodes } from "./nodes.js";
import { makePlaces } from "./places.js";
import { makeUnconnected } from "./unconnected.js";
import { makeWatch } from "./watch.js";

const WAYS = { slurm: "Slurm", slurmrestd: "Slurm over slurmrestd", unicore: "UNICORE" };
const RARE_EVERY = 5; // what seldom changes is asked for at each fifth look

export function openOverview(root, app) {
  const fact = h("span", { class: "fact" });
  const chip = h("span", { class: "chip", hidden: true });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const room = h("div");
  const refresh = () => watch.now();
  const form = makeForm({ app, onsent: (job) => { jobs.mark(job.id); refresh(); } });
  const nodes = makeNodes();
  const jobs = makeJobs({ app, refresh });
  const places = makePlaces();
  let rare = null;
  let turn = 0;
  let shape = "";
  let nodesFact = "";
  let closed = false;
  fill(root, h("div", { class: "column" }, problem, h("section", { "aria-label": "Cluster" }, h("div", { class: "section-head" }, h("h1", {}, "Cluster"), fact, chip), room)));
  document.title = "Cluster · Reafference";

  const watch = makeWatch(look, { failed });

  async function look() {
    const [servers, simulations, list, found] = await Promise.all([
      app.api.get("servers"), app.api.get("simulations"), app.api.get("jobs"),
      turn % RARE_EVERY === 0 || !rare ? Promise.all([app.api.get("cluster"), app.api.get("experiments")]) : rare,
      rare?.[0].connected ? lookAtNodes() : null,
    ]);
    if (!rare && found[0].connected) await lookAtNodes();
    turn += 1;
    rare = found;
    if (closed) return;
    draw(found, servers, simulations, list);
  }

  /** Its own place on the page says when nobody tells; the rest goes on. */
  async function lookAtNodes() {
    try {
      const found = await app.api.get("cluster/nodes");
      nodes.draw(found);
      nodesFact = about(found);
    } catch (error) {
      if (error.status === 401) throw error;
      nodes.complain(error);
      nodesFact = "";
    }
  }

  function failed(error) {
    if (closed || error.status === 401) return;
    complain(`${sentence(error.message)} What stands here is from before; it is asked again.`);
  }

  function draw([cluster, experiments], servers, simulations, list) {
    shapeOf(cluster.connected);
    places.draw(servers, simulations);
    chip.hidden = false;
    if (!cluster.connected) {
      complain("");
      write(fact, "");
      write(chip, "this machine only");
      chip.className = "chip";
      return;
    }
    form.draw(cluster, experiments);
    jobs.draw(list);
    const [free] = nodesFact.split(" · ");
    write(fact, [cluster.title, WAYS[cluster.scheduler] ?? cluster.scheduler, free && `${free.replace(" free", " nodes free")}`, cluster.tunnel && "through tunnels"].filter(Boolean).join(" · "));
    write(chip, cluster.problem ? "does not answer" : "connected");
    chip.className = `chip ${cluster.problem ? "warn" : "live"}`;
    complain(sentence(cluster.problem), "warn");
  }

  /** Says it once: a text that stays is not told anew to screen readers. */
  function complain(text, kind = "") {
    problem.className = `problem ${kind}`;
    if (problem.hidden !== !text) problem.hidden = !text;
    if (problem.textContent !== text) fill(problem, text ? [icon("warning"), h("span", {}, text)] : []);
  }

  function shapeOf(connected) {
    if (shape === String(connected)) return;
    shape = String(connected);
    if (connected) fill(room, h("div", { class: "cluster-grid" }, form.element, h("div", { class: "cluster-right" }, nodes.element, jobs.element, places.element)));
    else fill(room, h("div", { class: "cluster-right" }, makeUnconnected(), places.element));
  }

  return { close() { closed = true; watch.close(); } };
}
