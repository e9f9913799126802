// The launch dialog: how long, on how much, with which parameters.

import { fill, h } from "../element.js";
import { settings, valueOf } from "../edit/toml.js";
import { show } from "../dialog.js";

const TABLES = ["parameters", "brain.parameters", "body.parameters"];

/** Asks how to launch `experiment`, launches it, and goes to its workbench. */
export async function askLaunch(app, experiment) {
  const path = `experiments/${encodeURIComponent(experiment.id)}`;
  const source = await app.api.raw(`${path}/files/experiment.toml`).then((answer) => answer.text()).catch(() => "");
  const offered = settings(source, TABLES);
  const given = Object.fromEntries(settings(source, ["experiment", "brain"]).map((each) => [`${each.table}.${each.key}`, valueOf(each.value)]));
  const form = makeForm(experiment, offered, given);
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

function makeForm(experiment, offered, given) {
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
  const element = h("div", { class: "launch" },
    h("div", { class: "launch-grid" },
      field("Ends after", h("div", { class: "pair" }, fields.limit, fields.kind), "s"),
      field("Speed", fields.pace),
      field("Seed", fields.seed),
      field("Ranks", fields.ranks, "MPI processes"),
      field("Threads per rank", fields.threads),
      h("div", { class: "checks" },
        h("label", { class: "check" }, fields.record, "Record"),
        h("label", { class: "check" }, fields.start, "Start when loaded"))),
    parameters.length > 0 && h("fieldset", { class: "parameters" }, h("legend", {}, "Parameters"),
      parameters.map((each) => h("label", { class: "parameter" }, h("span", { class: "mono" }, each.key), each.input, h("small", {}, each.note)))));

  function read() {
    const order = { limit: { kind: fields.kind.value, s: Number(fields.limit.value) }, record: fields.record.checked, start: fields.start.checked };
    if (!(order.limit.s > 0)) throw new Error("Ends after: write a number of seconds above 0");
    for (const key of ["seed", "ranks", "threads", "pace"]) if (fields[key].value) order[key] = Number(fields[key].value);
    const changed = parameters.filter((each) => each.input.value.trim() !== each.value);
    if (changed.length) order.set = Object.fromEntries(changed.map((each) => [`${each.table}.${each.key}`, valueOf(each.input.value)]));
    return order;
  }

  return { element, read };
}
