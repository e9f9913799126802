// What runs on a job, with the way to each workbench; and the launch of one more.

import { fill, h, write } from "../element.js";
import { sentence } from "../dialog.js";
import { askLaunch } from "../entry/launch.js";
import { number, state } from "../words.js";
import { choose } from "./form.js";

export function makeRuns({ app }) {
  const list = h("ul", { class: "job-runs" });
  const experiment = h("select", { "aria-label": "Experiment to launch on it" });
  const launch = h("button", { class: "btn primary", onclick: start }, "Launch…");
  const trouble = h("p", { class: "problem", role: "alert", hidden: true });
  const hint = h("p", { class: "muted small" });
  const starter = h("div", { class: "job-launch" }, experiment, launch);
  const element = h("section", { class: "card", "aria-label": "Simulations" }, h("header", {}, h("h3", {}, "Simulations")), h("div", { class: "card-body" }, list, starter, hint, trouble));
  let experiments = [];
  let server = null;
  let drawn = "";

  async function start() {
    trouble.hidden = true;
    try {
      await askLaunch(app, experiments.find((each) => each.id === experiment.value), { server });
    } catch (error) {
      trouble.hidden = false;
      fill(trouble, h("span", {}, sentence(error.message)));
    }
  }

  function draw(job, simulations, own) {
    experiments = own.filter((each) => app.me?.role === "admin" || each.owner === app.me?.name);
    server = job.server;
    const here = simulations.filter((each) => each.server === job.id || each.id.startsWith(`${job.id}-`));
    const key = JSON.stringify(here.map((each) => [each.id, each.state, Math.floor(each.t_s ?? 0)]));
    if (key !== drawn) fill(list, here.map(row));
    drawn = key;
    const may = app.me?.role === "owner" || app.me?.role === "admin";
    starter.hidden = !server || !may || !experiments.length;
    choose(experiment, experiments.map((each) => [each.id, each.name]));
    write(hint, hintOf(job, here, may));
    hint.hidden = !hint.textContent;
  }

  function hintOf(job, here, may) {
    if (server && may && !experiments.length) return "There is no experiment of yours to launch: clone a template first.";
    if (here.length || server) return "";
    if (job.state === "waiting" || job.state === "starting") return job.experiment ? `${job.experiment} is launched as soon as it serves.` : "Experiments can be launched as soon as it serves.";
    return job.state === "ending" ? "It takes no more." : "Nothing is known to have run on it.";
  }

  return { element, draw };
}

function row(simulation) {
  const { text, kind } = state(simulation);
  return h("li", {}, h("a", { class: "name", href: `#/run/${encodeURIComponent(simulation.id)}` }, simulation.title || simulation.experiment),
    h("span", { class: `chip ${kind || "dot"}` }, text), h("span", { class: "mono small" }, `${number(simulation.t_s, 1)} s`), h("small", { class: "muted" }, `${simulation.id}, by ${simulation.owner}`));
}
