// The form of a new job: what it comes to is computed, and what is wrong is said beside the field before anything is sent.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { NONE, count, number, plural } from "../words.js";
import { faults, most, partitionOf, readTime, SIZES, sums, upTo, writeTime } from "./order.js";

const RUNTIMES = { none: "none", apptainer: "Apptainer", charliecloud: "Charliecloud", sarus: "Sarus" };

/** `onsent(job)` hears of each job that has been submitted. */
export function makeForm({ app, onsent }) {
  const whole = (key) => h("input", { type: "number", min: 1, step: 1, inputmode: "numeric", name: key, autocomplete: "off" });
  const select = (name) => h("select", { name });
  const controls = {
    experiment: select("experiment"),
    nodes: whole("nodes"), ranks_per_node: whole("ranks_per_node"), threads_per_rank: whole("threads_per_rank"),
    memory_gb_per_node: h("input", { type: "number", min: 0, step: "any", inputmode: "decimal", name: "memory_gb_per_node", placeholder: "the usual", autocomplete: "off" }),
    time_s: h("input", { name: "time_s", inputmode: "text", autocomplete: "off", spellcheck: "false" }),
    partition: select("partition"), account: select("account"), runtime: select("runtime"),
  };
  const fields = {
    experiment: field("experiment", "Experiment", "launched as soon as the job serves", "whole"),
    nodes: field("nodes", "Brain nodes"), ranks_per_node: field("ranks_per_node", "Ranks per node"),
    threads_per_rank: field("threads_per_rank", "Threads per rank"), memory_gb_per_node: field("memory_gb_per_node", "Node memory", "GB"),
    time_s: field("time_s", "Time", "h:mm"), partition: field("partition", "Partition"),
    account: field("account", "Account"), runtime: field("runtime", "Container runtime"),
  };
  const results = { processes: makeResult("Virtual processes"), cores: makeResult("Cores of a node"), nodes: makeResult("Nodes in all"), node_hours: makeResult("Node hours at most") };
  const sockets = h("button", { type: "button", class: "btn quiet small", hidden: true, onclick: fillNode }, "One rank per socket");
  const submit = h("button", { class: "btn primary", type: "submit" }, "Submit job");
  const note = h("p", { class: "form-note", role: "status" });
  const element = h("form", { class: "card job-form", "aria-label": "New job", novalidate: true, onsubmit: send },
    h("h3", {}, "New job"),
    h("div", { class: "two" }, Object.values(fields).map((each) => each.element)),
    h("dl", { class: "needs-box" }, Object.values(results).map((each) => each.nodes)),
    h("div", { class: "form-acts" }, submit, sockets), note);
  let offer = {};
  let filled = false;
  let sending = false;
  let refused = {};

  element.addEventListener("input", (event) => {
    delete refused[event.target.name];
    judge();
  });

  function field(key, name, hint = "", kind = "") {
    const id = `job-${key}-fault`;
    const fault = h("small", { class: "fault", id, hidden: true });
    const aside = h("small", {}, hint);
    const control = controls[key];
    const around = h("label", { class: `field ${kind}` }, h("span", {}, name), aside, control, fault);
    return {
      element: around,
      hint: (text) => write(aside, [hint, text].filter(Boolean).join(" ")),
      blame(text) {
        fault.hidden = !text;
        fill(fault, text ? [icon("alert", 12), text] : []);
        if (text) { control.setAttribute("aria-invalid", "true"); control.setAttribute("aria-describedby", id); }
        else { control.removeAttribute("aria-invalid"); control.removeAttribute("aria-describedby"); }
      },
    };
  }

  /** What is asked for, as POST jobs takes it; a field that cannot be read is NaN or null. */
  function read() {
    const numeric = (text) => (text.trim() === "" ? NaN : Number(text));
    const order = Object.fromEntries(SIZES.map((key) => [key, numeric(controls[key].value)]));
    order.time_s = readTime(controls.time_s.value);
    // A number field that holds letters says "" and knows that this is wrong.
    if (controls.memory_gb_per_node.value.trim() || controls.memory_gb_per_node.validity.badInput) order.memory_gb_per_node = numeric(controls.memory_gb_per_node.value);
    for (const key of ["experiment", "partition", "account", "runtime"]) if (controls[key].value) order[key] = controls[key].value;
    return order;
  }

  function judge() {
    const order = read();
    const wrong = { ...refused, ...faults(order, offer) };
    for (const [key, each] of Object.entries(fields)) each.blame(wrong[key] ?? "");
    const limit = most(order, offer);
    fields.nodes.hint(upTo(limit.nodes));
    fields.ranks_per_node.hint(upTo(limit.ranks_per_node));
    fields.memory_gb_per_node.hint(upTo(limit.memory_gb_per_node, (gb) => number(gb, 0)));
    fields.time_s.hint(upTo(limit.time_s, writeTime));
    const sum = sums(order);
    results.processes.set(count(sum.processes));
    results.cores.set(limit.cores ? `${count(sum.cores)} of ${count(limit.cores)}` : count(sum.cores));
    results.nodes.set(Number.isFinite(sum.nodes) ? `${count(order.nodes)} + 1` : NONE);
    results.node_hours.set(number(sum.node_hours, sum.node_hours < 10 ? 2 : 0));
    return { order, wrong };
  }

  function fillNode() {
    const { cores_per_node, sockets_per_node } = offer.limits;
    controls.ranks_per_node.value = sockets_per_node;
    controls.threads_per_rank.value = Math.max(1, Math.floor(cores_per_node / sockets_per_node));
    judge();
  }

  async function send(event) {
    event.preventDefault();
    if (sending) return;
    refused = {};
    const { order, wrong } = judge();
    const first = Object.keys(fields).find((key) => wrong[key]);
    if (first) return controls[first].focus();
    sending = submit.disabled = true;
    tell("", "Submitting…");
    try {
      const job = await app.api.post("jobs", order, { patience_ms: 120000 });
      tell("fine", h("span", {}, h("a", { href: `#/cluster/${encodeURIComponent(job.id)}` }, job.id), " is submitted"));
      app.announce(`Job ${job.id} is submitted`);
      onsent(job);
    } catch (error) {
      blame(error);
    } finally {
      sending = false;
      submit.disabled = !allowed();
    }
  }

  /** What the server refuses stands beside its field, if it says which. */
  function blame(error) {
    const key = fields[error.key] ? error.key : /^(\w+): /.exec(error.message)?.[1];
    if (!fields[key]) return tell("problem", icon("warning"), h("span", {}, sentence(error.message)));
    tell("");
    refused = { [key]: sentence(error.message.replace(/^\w+: /, "")) };
    judge();
    controls[key].focus();
  }

  function tell(kind, ...children) {
    note.className = `form-note ${kind}`;
    fill(note, ...children);
  }

  const allowed = () => app.me?.role === "owner" || app.me?.role === "admin";

  /** Takes what the cluster offers, and whose experiments there are. What somebody has written stays. */
  function draw(given, experiments) {
    offer = given;
    const mine = experiments.filter((each) => app.me?.role === "admin" || each.owner === app.me?.name);
    choose(controls.experiment, [["", "none, launch later"], ...mine.map((each) => [each.id, each.name])]);
    choose(controls.partition, offer.partitions.length ? offer.partitions.map((each) => [each.name, each.name]) : [["", "the usual"]]);
    choose(controls.account, [...(offer.defaults.account ? [] : [["", "the usual"]]), ...new Set([offer.defaults.account, ...offer.accounts].filter(Boolean))].map((each) => (Array.isArray(each) ? each : [each, each])));
    choose(controls.runtime, offer.runtimes.map((each) => [each, RUNTIMES[each] ?? each]));
    if (!filled) begin(offer.defaults);
    const { cores_per_node, sockets_per_node } = offer.limits ?? {};
    sockets.hidden = !(cores_per_node && sockets_per_node > 1);
    sockets.title = sockets.hidden ? "" : `${plural(sockets_per_node, "rank")} of ${plural(Math.floor(cores_per_node / sockets_per_node), "thread")}: what a node has`;
    for (const each of [...Object.values(controls), submit, sockets]) each.disabled = !allowed() || (each === submit && sending);
    if (!allowed()) tell("muted", "A viewer may look. To submit jobs, sign in with the token of an owner.");
    judge();
  }

  function begin(defaults) {
    for (const key of SIZES) controls[key].value = defaults[key];
    controls.memory_gb_per_node.value = defaults.memory_gb_per_node ?? "";
    controls.time_s.value = writeTime(defaults.time_s);
    for (const key of ["partition", "account", "runtime"]) controls[key].value = defaults[key] || controls[key].value;
    if (!controls.partition.value) controls.partition.value = partitionOf({}, offer)?.name ?? "";
    filled = true;
  }

  return { element, draw };
}

function makeResult(name) {
  const value = h("dd", { class: "mono" }, NONE);
  return { nodes: [h("dt", {}, name), value], set: (text) => write(value, text) };
}

/** Gives a select these choices, and keeps the chosen one if it is still there. */
export function choose(control, choices) {
  const key = JSON.stringify(choices);
  if (control.dataset.choices === key) return;
  const chosen = control.value;
  fill(control, choices.map(([value, text]) => h("option", { value }, text)));
  control.dataset.choices = key;
  if (choices.some(([value]) => value === chosen)) control.value = chosen;
}
