// The launch dialog: where, how long, on how much, with which parameters.

import { fill, h } from "../element.js";
import { settings, valueOf } from "../edit/toml.js";
import { show } from "../dialog.js";
import { makeWhere } from "./where.js";

const TABLES = ["parameters", "brain.parameters", "body.parameters"];

/** Asks how to launch `experiment`, launches it, and goes to its workbench. `server`: the place that is chosen at first. */
export async function askLaunch(app, experiment, { server = "local" } = {}) {
  const path = `experiments/${encodeURIComponent(experiment.id)}`;
  const [source, servers, jobs] = await Promise.all([
    app.api.raw(`${path}/files/experiment.toml`).then((answer) => answer.text()).catch(() => ""),
    ...["servers", "jobs"].map((each) => app.api.get(each).catch(() => [])),
  ]);
  const offered = settings(source, TABLES);
  const given = Object.fromEntries(settings(source, ["experiment", "brain"]).map((each) => [`${each.table}.${each.key}`, valueOf(each.value)]));
  const form = makeForm(experiment, offered, given, makeWhere(servers, jobs, server));
  return show({
    title: `Launch ${experiment.name}`, wide: true, body: form.element,
    actions: [
      { text: "Launch", kind: "primary", act: () => launch(app, { experiment: experiment.id, ...form.read() }) },
      { text: "Cancel" },
    ],
  });
}

async function launch(app, order) {
  const simulation = await app.api.post("simulations", order, { patience_ms: 120000 });
  app.go(`#/run/${encodeURIComponent(simulation.id)}`);
}

function makeForm(experiment, offered, given, where) {
  const limit = experiment.limit ?? { kind: "simulated", s: 60 };
  const input = (properties) => h("input", { inputmode: "decimal", autocomplete: "off", spellcheck: "false", ...properties });
  const fields = {
    limit: input({ type: "number", min: 0, step: "any", value: limit.s, autofocus: true }),
    kind: h("select", {}, h("option", { value: "simulated", selected: limit.kind !== "real" }, "simulated"), h("option", { value: "real", selected: limit.kind === "real" }, "real")),
    seed: input({ type: "number", min: 0, step: 1, placeholder: given["experiment.seed"] ?? "" }),
    ranks: input({ type: "number", min: 1, step: 1, placeholder: 1 }),
    threads: input({ type: "number", min: 1, step: 1, placeholder: given["brain.threads"] ?? 1 }),
    pace: h("select", {}, h("option", { value: "" }, "as fast as it goes"), h("option", { value: "1" }, "no faster than real time"), h("option", { value: "0.1" }, "no faster than a tenth")),
    record: h("input", { type: "checkbox", checked: true }),
    start: h("input", { type: "checkbox", checked: false }),
  };
  const parameters = offered.map((each) => ({ ...each, input: input({ value: each.value, "aria-label": `${each.table}.${each.key}` }) }));
  const field = (name, control, note = "") => h("label", { class: "field" }, h("span", {}, name), note && h("small", {}, note), control);
  const sizes = [field("Ranks", fields.ranks, "MPI processes"), field("Threads per rank", fields.threads)];
  where.onchange = () => { for (const size of sizes) size.hidden = where.sized; };
  where.onchange();
  const element = h("div", { class: "launch" },
    where.element,
    h("div", { class: "launch-grid" },
      field("Ends after", h("div", { class: "pair" }, fields.limit, fields.kind), "s"),
      field("Speed", fields.pace),
      field("Seed", fields.seed),
      sizes,
      h("div", { class: "checks" },
        h("label", { class: "check" }, fields.record, "Record"),
        h("label", { class: "check" }, fields.start, "Start when loaded"))),
    parameters.length > 0 && h("fieldset", { class: "parameters" }, h("legend", {}, "Parameters"),
      parameters.map((each) => h("label", { class: "parameter" }, h("span", { class: "mono" }, each.key), each.input, h("small", {}, each.note)))));

  function read() {
    const order = { limit: { kind: fields.kind.value, s: Number(fields.limit.value) }, record: fields.record.checked, start: fields.start.checked };
    if (!(order.limit.s > 0)) throw new Error("Ends after: write a number of seconds above 0");
    Object.assign(order, where.read());
    for (const key of where.sized ? ["seed", "pace"] : ["seed", "ranks", "threads", "pace"]) if (fields[key].value) order[key] = Number(fields[key].value);
    const changed = parameters.filter((each) => each.input.value.trim() !== each.value);
    if (changed.length) order.set = Object.fromEntries(changed.map((each) => [`${each.table}.${each.key}`, valueOf(each.input.value)]));
    return order;
  }

  return { element, read };
}
