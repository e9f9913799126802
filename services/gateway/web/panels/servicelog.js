// The last lines of each service's own log, as it wrote them, only easier to read.

import { fill, h, write } from "../element.js";

const SERVICES = ["engine", "brain", "body", "recorder"];
const EVERY_MS = 3000;
const BAD = new Set(["error", "critical", "fatal"]);

/** `{element, show(on), pick(service), close}`. */
export function makeServiceLog({ app, sim, store }) {
  const lines = h("pre", { class: "service-log", tabindex: 0 });
  const choice = h("select", { "aria-label": "Service", onchange: () => pick(choice.value) }, SERVICES.map((each) => h("option", { value: each }, each)));
  const element = h("div", { class: "console-service", hidden: true }, h("div", { class: "bar" }, choice), lines);
  let timer = null;
  let shown = "";

  async function pick(name) {
    choice.value = name;
    if (!sim) return void write(lines, "A recording keeps its logs beside it: see the files of the recording.");
    try {
      const answer = await app.api.get(`simulations/${sim}/log/${name}`);
      const text = typeof answer === "string" ? answer : (answer?.lines ?? answer ?? []).join("\n");
      const key = `${name}\n${text}`;
      if (key === shown || choice.value !== name) return;
      shown = key;
      fill(lines, text.trim() ? text.trim().split("\n").map(lineOf) : `${name} has written nothing yet`);
      lines.scrollTop = lines.scrollHeight;
    } catch (error) {
      shown = "";
      write(lines, error.message);
    }
  }

  function show(on) {
    clearInterval(timer);
    if (!on) return;
    pick(choice.value);
    timer = setInterval(() => { if (store.connection.state === "live" && lines.scrollTop + lines.clientHeight > lines.scrollHeight - 30) pick(choice.value); }, EVERY_MS);
  }

  return { element, show, pick, close: () => clearInterval(timer) };
}

/** A line of JSON as "10:02:11  event  field value"; any other line as it is. */
function lineOf(line) {
  let fields;
  try {
    fields = JSON.parse(line);
  } catch {
    return h("div", {}, line);
  }
  const { timestamp = "", event = "", level = "info", service, ...rest } = fields;
  const told = Object.entries(rest).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
  const words = [h("span", { class: "muted" }, timestamp.slice(11, 19)), ` ${event}`, told && h("span", { class: "muted" }, `  ${told}`)].filter(Boolean);
  return h("div", { class: BAD.has(level) ? "wrong" : level === "warning" ? "doubtful" : "" }, words);
}
