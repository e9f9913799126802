// The cluster: places where simulations run, and jobs. Without a cluster it says so and shows this machine.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { clock, count, number, plural, state } from "../words.js";

const EVERY_MS = 3000;
const LIVE = new Set(["created", "initialised", "paused", "started", "stopping", "halted"]);

export function open(root, { job }, app) {
  const fact = h("span", { class: "fact" });
  const chip = h("span", { class: "chip" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const nodes = h("div", { class: "nodes" });
  const jobs = h("div", { class: "scroll-x" });
  const jobsFact = h("span", { class: "muted small" });
  const nodesFact = h("span", { class: "muted small" });
  const form = makeForm();
  fill(root, h("div", { class: "column" }, problem, h("section", {},
    h("div", { class: "section-head" }, h("h1", {}, "Cluster"), fact, chip),
    h("div", { class: "cluster-grid" }, form.element, h("div", { class: "cluster-right" },
      h("section", { class: "card", "aria-label": "Servers" }, h("header", {}, h("h3", {}, "Servers"), nodesFact, h("span", { class: "legend" }, h("i", { class: "yours" }), "in use", h("i"), "free")), nodes),
      h("section", { class: "card", "aria-label": "Jobs" }, h("header", {}, h("h3", {}, "Jobs"), jobsFact), jobs))))));
  document.title = "Cluster · Reafference";
  let timer = null;
  let closed = false;

  async function watch() {
    try {
      const [servers, list, simulations, experiments] = await Promise.all(["servers", "jobs", "simulations", "experiments"].map((each) => app.api.get(each)));
      if (closed) return;
      problem.hidden = true;
      draw(servers, list, simulations);
      form.draw(experiments, servers);
    } catch (error) {
      problem.hidden = false;
      fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
    }
    if (!closed) timer = setTimeout(watch, EVERY_MS);
  }

  function draw(servers, list, simulations) {
    const remote = servers.filter((each) => each.id !== "local");
    write(fact, remote.length ? plural(remote.length, "server") : "No cluster is connected to this server");
    write(chip, remote.length ? "connected" : "this machine only");
    chip.className = `chip ${remote.length ? "live" : ""}`;
    write(nodesFact, servers.map((each) => `${each.cores} cores, ${number(each.memory_gb, 0)} GB`)[0] ?? "");
    fill(nodes, servers.map((server) => node(server, simulations.filter((each) => each.server === server.id && LIVE.has(each.state)))));
    write(jobsFact, list.length ? count(list.length) : "");
    fill(jobs, list.length ? table(list) : h("div", { class: "empty" }, h("h3", {}, "No jobs"),
      h("p", {}, "Jobs appear here once a cluster is connected: waiting, serving, ended, each with its log. A job that serves is one more server to launch on.")));
  }

  function node(server, running) {
    const cells = Array.from({ length: server.places }, (_, i) => h("i", { class: i < server.busy ? "yours" : "" }));
    return h("div", { class: "node" },
      h("div", { class: "node-head" }, h("strong", {}, server.title), h("span", { class: "muted small mono" }, `${server.busy} of ${server.places}`)),
      h("div", { class: "places", role: "img", "aria-label": `${server.busy} of ${server.places} places in use` }, cells),
      running.map((each) => h("p", { class: "small" }, h("a", { href: `#/run/${each.id}` }, each.experiment), h("span", { class: "muted" }, ` ${state(each).text.toLowerCase()}, by ${each.owner}, ${clock(each.real_s)}`))));
  }

  function table(list) {
    return h("table", { class: "list" },
      h("thead", {}, h("tr", {}, ["Job", "Experiment", "State"].map((name) => h("th", { scope: "col" }, name)), ["Nodes", "Waited", "Elapsed", "Limit"].map((name) => h("th", { scope: "col", class: "n" }, name)))),
      h("tbody", {}, list.map((each) => h("tr", { class: each.id === job ? "fresh" : "" }, h("td", { class: "mono" }, each.id), h("td", {}, each.experiment ?? each.title), h("td", {}, h("span", { class: "chip" }, each.state)),
        h("td", { class: "n" }, each.nodes ?? "–"), h("td", { class: "n" }, clock(each.waited_s)), h("td", { class: "n" }, clock(each.elapsed_s)), h("td", { class: "n" }, clock(each.limit_s))))));
  }

  watch();
  return { close() { closed = true; clearTimeout(timer); } };
}

/** The form of a new job. It can be filled in and computes what it asks for; it is sent only where there is a cluster. */
function makeForm() {
  const experiment = h("select", { "aria-label": "Experiment" });
  const whole = (value, label) => h("input", { type: "number", min: 1, step: 1, value, "aria-label": label, oninput: compute });
  const fields = { nodes: whole(1, "Nodes"), ranks: whole(4, "Ranks per node"), threads: whole(9, "Threads per rank"), memory: whole(96, "Memory per node"), time: h("input", { value: "1:30", pattern: "\\d+:\\d\\d", "aria-label": "Time" }) };
  const result = h("dd", { class: "mono" });
  const submit = h("button", { class: "btn primary", disabled: true, type: "button" }, "Submit job");
  const why = h("p", { class: "muted small" });
  const field = (name, control, note = "") => h("label", { class: "field" }, h("span", {}, name), note && h("small", {}, note), control);
  const element = h("form", { class: "card job-form", onsubmit: (event) => event.preventDefault() }, h("h3", {}, "New job"),
    field("Experiment", experiment), h("div", { class: "two" }, field("Nodes", fields.nodes), field("Ranks per node", fields.ranks), field("Threads per rank", fields.threads), field("Memory per node", fields.memory, "GB"), field("Time", fields.time, "h:mm")),
    h("dl", { class: "needs-box" }, h("dt", {}, "Virtual processes"), result), submit, why);
  let shown = "";

  function compute() {
    const processes = ["nodes", "ranks", "threads"].reduce((product, key) => product * Number(fields[key].value || 0), 1);
    write(result, count(processes));
  }

  function draw(experiments, servers) {
    const key = experiments.map((each) => each.id).join();
    if (key !== shown) fill(experiment, experiments.length ? experiments.map((each) => h("option", { value: each.id }, each.name)) : h("option", {}, "none yet"));
    shown = key;
    write(why, servers.some((each) => each.id !== "local") ? "" : "There is no cluster to submit to. Launch on this machine from the experiments page.");
  }

  compute();
  return { element, draw };
}
