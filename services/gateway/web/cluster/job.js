// One job: its course, how it lies on its nodes, what runs on it, what it says and what it used.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { NONE, clock, count, jobState, number, plural } from "../words.js";
import { askAbort, askForget, isOver, mayEnd } from "./acts.js";
import { makeLayout } from "./layout.js";
import { makeLog } from "./log.js";
import { makeRuns } from "./runs.js";
import { makeSteps } from "./steps.js";
import { makeTimeline } from "./timeline.js";
import { makeWatch } from "./watch.js";

const RARE_EVERY = 5;

export function openJob(root, id, app) {
  const title = h("h1", {}, id);
  const chip = h("span", { class: "chip" });
  const about = h("p", { class: "second job-text", role: "status" });
  const trouble = h("p", { class: "problem", role: "alert", hidden: true });
  const abort = h("button", { class: "btn", hidden: true, onclick: () => askAbort(app, job, () => watch.now()) }, "Abort…");
  const forget = h("button", { class: "btn", hidden: true, onclick: () => askForget(app, job, () => app.go("#/cluster")) }, "Forget…");
  const parts = { timeline: makeTimeline(), layout: makeLayout(), steps: makeSteps() };
  const runs = makeRuns({ app });
  const facts = makeFacts();
  const log = makeLog({ app, id, refresh: () => watch.now() });
  const column = h("div", { class: "column" }, h("section", { "aria-label": `Job ${id}` },
    h("p", { class: "crumb" }, h("a", { href: "#/cluster" }, "Cluster"), ` / ${id}`),
    h("div", { class: "section-head" }, h("div", { class: "about-head" }, title, chip), h("div", { class: "acts" }, abort, forget)), about, trouble,
    h("div", { class: "job-grid" },
      h("div", { class: "cluster-right" }, parts.timeline.element, parts.layout.element, log.element, parts.steps.element),
      h("div", { class: "cluster-right" }, runs.element, facts.element))));
  let job = null;
  let rare = null;
  let turn = 0;
  let closed = false;
  let lastState = "";
  fill(root, column);
  document.title = `${id} · Reafference`;
  const watch = makeWatch(look, { failed });

  async function look() {
    const [found, simulations, experiments] = await Promise.all([
      app.api.get(`jobs/${encodeURIComponent(id)}`), app.api.get("simulations"), turn % RARE_EVERY === 0 || !rare ? app.api.get("experiments") : rare,
      log.look(job !== null && isOver(job)),
    ]);
    turn += 1;
    rare = experiments;
    if (closed) return;
    job = found;
    complain("");
    draw(simulations);
  }

  function draw(simulations) {
    const { text, kind } = jobState(job);
    write(title, job.title);
    write(chip, text);
    chip.className = `chip ${kind}`;
    write(about, sentence(job.text));
    about.hidden = !job.text;
    for (const part of Object.values(parts)) part.draw(job);
    runs.draw(job, simulations, rare);
    facts.draw(job);
    abort.hidden = isOver(job) || !mayEnd(app, job);
    forget.hidden = !isOver(job) || !mayEnd(app, job);
    if (lastState && lastState !== job.state) app.announce(`Job ${id}: ${text}`);
    lastState = job.state;
    document.title = `${id} ${text.toLowerCase()} · Reafference`;
  }

  function failed(error) {
    if (closed || error.status === 401) return;
    if (error.status !== 404) return complain(`${sentence(error.message)} What stands here is from before; it is asked again.`);
    watch.close();
    fill(column, h("div", { class: "card empty" }, h("h2", {}, `There is no job ${id}`), h("p", {}, "It may have been forgotten. Recordings that were fetched are with their experiments."), h("a", { class: "btn", href: "#/cluster" }, "All jobs")));
  }

  function complain(text) {
    if (trouble.hidden !== !text) trouble.hidden = !text;
    if (trouble.textContent !== text) fill(trouble, text ? [icon("warning"), h("span", {}, text)] : []);
  }

  return { close() { closed = true; watch.close(); } };
}

/** What was asked for, and what the cluster says. */
function makeFacts() {
  const names = ["Experiment", "Owner", "Scheduler's number", "Nodes", "Ranks", "Memory per node", "Time limit", "Partition", "Account", "Container runtime", "Image", "Exit status", "Folder"];
  const values = Object.fromEntries(names.map((name) => [name, h("dd", { class: /Folder|Image|number/.test(name) ? "mono small" : "" })]));
  const list = h("dl", { class: "job-facts" }, names.map((name) => h("div", {}, h("dt", {}, name), values[name])));
  const element = h("section", { class: "card", "aria-label": "Facts" }, h("header", {}, h("h3", {}, "Facts")), list);

  function draw(job) {
    const said = {
      Experiment: job.experiment, Owner: job.owner, "Scheduler's number": job.scheduler_id,
      Nodes: `${count(job.nodes)} for the brain, one for the rest`, Ranks: `${count(job.ranks_per_node)} per node, ${plural(job.threads_per_rank, "thread")} each`,
      "Memory per node": job.memory_gb_per_node == null ? "the usual" : `${number(job.memory_gb_per_node, job.memory_gb_per_node % 1 ? 1 : 0)} GB`,
      "Time limit": clock(job.limit_s), Partition: job.partition, Account: job.account, "Container runtime": job.runtime, Image: job.image,
      "Exit status": job.exit_status == null ? "" : String(job.exit_status), Folder: job.folder,
    };
    for (const name of names) {
      write(values[name], said[name] || NONE);
      values[name].parentElement.hidden = !said[name];
    }
  }

  return { element, draw };
}
