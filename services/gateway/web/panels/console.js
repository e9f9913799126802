// The console: messages of functions and services, what people changed, and the values of all read-outs.

import { fill, h, write } from "../element.js";
import { faultOf } from "../edit/fault.js";
import { icon } from "../icons.js";
import { number } from "../words.js";
import { makeServiceLog } from "./servicelog.js";
import { makeValues } from "./values.js";

const MOST = 2000;
const ICONS = { error: "warning", fatal: "warning", warning: "alert", info: "dot", edit: "dot" };

export function make(ctx) {
  const { panel, store, app } = ctx;
  const rows = h("ol", { class: "log", tabindex: 0, "aria-label": "Messages" });
  const nothing = h("div", { class: "empty" }, h("p", {}, "Messages of functions and services, and what people change, appear here."));
  const log = h("div", { class: "console-log" }, nothing, rows);
  const service = makeServiceLog(ctx);
  const values = makeValues(ctx);
  const rooms = { log, values: values.element, service: service.element };
  fill(panel.body, Object.values(rooms));
  panel.body.classList.add("console");
  const tabs = panel.tabs([{ id: "log", label: "Console" }, { id: "values", label: "Values" }, { id: "service", label: "Logs" }], pick);

  const known = new Map();
  const filters = h("div", { class: "seg", role: "group", "aria-label": "Messages shown" },
    [["all", "All"], ["errors", "Errors"]].map(([id, text]) => h("button", { "aria-pressed": String(id === "all"), onclick: () => filter(id) }, text)));
  panel.tools.prepend(filters);
  let errors = 0;
  let shown = "log";

  function pick(id) {
    shown = id;
    for (const [name, room] of Object.entries(rooms)) room.hidden = name !== id;
    filters.hidden = id !== "log";
    values.show(id === "values");
    service.show(id === "service");
  }

  function filter(id) {
    rows.classList.toggle("only-errors", id === "errors");
    filters.querySelectorAll("button").forEach((button, i) => button.setAttribute("aria-pressed", String((id === "errors") === (i === 1))));
  }

  /** A message again is a row with a count, at the place of its newest. */
  function add(message) {
    const key = [message.severity, message.source, message.function, message.text, message.line].join("\u0001");
    const same = known.get(key);
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    if (same) same.again(message);
    else known.set(key, makeRow(message));
    const row = known.get(key);
    nothing.hidden = true;
    if (rows.lastChild !== row.element) rows.append(row.element);
    if (known.size > MOST) {
      const [first, oldest] = known.entries().next().value;
      oldest.element.remove();
      known.delete(first);
    }
    if (bad(message)) {
      if (!same) { errors++; app.announce(`${message.function || message.source}: ${message.text}`); }
      count();
    }
    if (below) log.scrollTop = log.scrollHeight;
  }

  /** The number of errors, on this tab and for whoever leads to it. */
  function count() {
    tabs.badge("log", errors ? String(errors) : "");
    document.dispatchEvent(new CustomEvent("reaf:errors", { detail: errors }));
  }

  function clear() {
    known.clear();
    errors = 0;
    count();
    nothing.hidden = false;
    rows.replaceChildren();
  }

  const first = [...store.messages.map((each) => [each.t_s, each]), ...store.edits.filter(changes).map((each) => [each.t_s, told(each, app.me)])];
  for (const [, message] of first.sort((a, b) => a[0] - b[0])) add(message);
  let ended = "";
  /** That a run has halted or failed stands among the messages too. */
  function tellEnd(simulation) {
    const { problem, state } = simulation ?? {};
    const key = `${simulation?.run} ${state}`;
    if (!problem || !["halted", "failed"].includes(state) || ended === key) return;
    ended = key;
    add({ ...problem, severity: "error", source: problem.source ?? "engine", text: problem.text ?? problem.detail, t_s: simulation.t_s });
  }

  tellEnd(store.simulation);
  const offs = [
    store.on("simulation", tellEnd),
    store.on("message", add),
    store.on("edit", (change) => changes(change) && add(told(change, app.me))),
    store.on("run", clear),
  ];
  const openLog = (event) => { tabs.pick("service"); service.pick(event.detail.service); ctx.front?.("console"); };
  document.addEventListener("reaf:log", openLog);
  pick("log");

  return {
    element: panel.body,
    focus: () => (shown === "log" ? rows.focus() : rooms[shown].querySelector("input, select, table, pre")?.focus()),
    close() {
      for (const off of offs) off();
      document.removeEventListener("reaf:log", openLog);
      values.close();
      service.close();
    },
  };
}

// What only asks is no change.
const QUESTIONS = new Set(["scene", "positions", "kernel_status", "functions"]);
const changes = ({ what }) => !QUESTIONS.has(what) && !what.startsWith("get_");
const bad = (message) => message.severity === "error" || message.severity === "fatal";

function makeRow(message) {
  const time = h("span", { class: "mono log-time" });
  const times = h("span", { class: "log-count", hidden: true });
  const place = message.line || message.function || message.file;
  const text = h("span", { class: "log-text" }, said(message));
  const source = message.function || message.source || "engine";
  const inside = [icon(ICONS[message.severity] ?? "dot"), time, h("span", { class: "log-source", title: source }, source), text, times];
  const body = place ? h("button", { class: "log-row", onclick: () => open(message) }, inside) : h("div", { class: "log-row" }, inside);
  const element = h("li", { class: bad(message) ? "bad" : message.severity === "warning" ? "warned" : "" }, body);
  let count = 1;
  const at = (t_s) => write(time, t_s == null ? "–" : `${number(t_s)} s`);
  at(message.t_s);
  return {
    element,
    again(next) {
      count++;
      at(next.t_s);
      times.hidden = false;
      write(times, `${count} ×`);
    },
  };
}

function said(message) {
  if (message.severity === "edit" || message.severity === "info") return message.text;
  const { type, line, text } = faultOf(message);
  const head = [type, line && `line ${line}`].filter(Boolean).join(", ");
  return head ? `${head}: ${text}` : text;
}

function open({ function: name, file, line, column }) {
  document.dispatchEvent(new CustomEvent("reaf:open", { detail: { function: name, file, line, column } }));
}

const EDITS = {
  add_function: (change) => `Added ${name(change)}`,
  replace_function: (change) => `Replaced ${name(change)}`,
  delete_function: (change) => `Deleted ${name(change)}`,
  switch_function: (change) => `Switched ${name(change)} ${change.arguments?.on ? "on" : "off"}`,
  set_priority: (change) => `Priority of ${name(change)} is ${change.arguments?.priority}`,
  order_functions: () => "Changed the order of the functions",
  set_limit: (change) => `Limit: ${pairs(change)}`,
  set_parameters: (change) => (change.to === "brain" ? `Set ${pairs(change)} in ${where(change)}` : `Parameters: ${pairs(change)}`),
  silence: (change) => `Silenced ${where(change)}`,
  restore: (change) => `Restored ${where(change)}`,
  lesion: (change) => `Lesioned ${where(change)}`,
  stimulate: (change) => `Stimulated ${where(change)}`,
  switch: (change) => `Switched ${change.arguments?.device ?? "a device"} ${change.arguments?.on === false ? "off" : "on"}`,
  set_populations: () => "Named populations, built the brain again",
  push: (change) => `Pushed ${change.arguments?.link} with ${change.arguments?.force_N?.map((each) => number(each, 3)).join(", ")} N`,
  load: (change) => `Load: ${pairs(change, "torque_Nm")} N m`,
  replace_brain: () => "Replaced the brain",
  reset_world: () => "Put the world back",
  reset: (change) => `Put the ${change.to} back to its start`,
  add_device: (change) => `Added the devices ${change.arguments?.group}`,
  set_device: (change) => `Set the devices ${change.arguments?.group}`,
};
const where = (change) => change.arguments?.population ?? "the brain";
const name = (change) => change.arguments?.name || /def\s+(\w+)/.exec(change.arguments?.source ?? "")?.[1] || "a function";

function pairs(change, key = null) {
  const given = key ? change.arguments?.[key] : change.arguments?.parameters ?? change.arguments;
  return Object.entries(given ?? {}).map(([each, value]) => `${each} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}

/** A change as a line of the console. */
export function told(change, me) {
  const words = EDITS[change.what]?.(change) ?? `${change.what?.replaceAll("_", " ")} (${change.to})${pairs(change) ? `: ${pairs(change)}` : ""}`;
  const by = change.by && me && change.by === me.name ? "you" : change.by || "server";
  return { severity: "edit", t_s: change.t_s, step: change.step, source: by, text: words.length > 300 ? `${words.slice(0, 300)}…` : words };
}
