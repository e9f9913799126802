// Where to launch: this machine, containers of a chosen version, or a job that serves. One place needs no choice.

import { fill, h, write } from "../element.js";
import { sentence } from "../dialog.js";
import { count, plural, withTimes } from "../words.js";

/**
 * `{element, read(), sized, onchange}`: a choice among `servers`, beginning with `first` if it can be used. `sized` says that
 * the place has its own ranks and threads: a job, whose layout counts.
 */
export function makeWhere(servers, jobs, first = "local") {
  const usable = servers.find((each) => each.id === first && each.ready !== false) ?? servers.find((each) => each.ready !== false);
  const server = h("select", { "aria-label": "Where", onchange: draw }, servers.map((each) => h("option", { value: each.id, disabled: each.ready === false, selected: each === usable }, nameOf(each))));
  const image = h("select", { "aria-label": "Image version" });
  const version = h("label", { class: "field" }, h("span", {}, "Image version"), image);
  const note = h("p", { class: "muted small" });
  const element = h("div", { class: "launch-where", hidden: servers.length < 2 },
    h("div", { class: "launch-places" }, h("label", { class: "field" }, h("span", {}, "Where"), server), version), note);
  const made = { element, read, sized: false, onchange: () => {} };
  const chosen = () => servers.find((each) => each.id === server.value);

  function draw() {
    const now = chosen();
    const job = now?.kind === "job" ? jobs.find((each) => each.id === now.id) : null;
    made.sized = now?.kind === "job";
    version.hidden = !now?.images?.length;
    if (!version.hidden) fill(image, now.images.map((each) => h("option", { value: each }, each)));
    const away = servers.filter((each) => each.ready === false && each.text).map((each) => sentence(withTimes(each.text)));
    write(note, [noteOf(now, job), ...away].filter(Boolean).join(" "));
    note.hidden = !note.textContent;
    made.onchange();
  }

  function read() {
    const now = chosen();
    if (!now || (now.kind ?? "local") === "local") return {};
    return version.hidden ? { server: now.id } : { server: now.id, image: image.value };
  }

  draw();
  return made;
}

const nameOf = (server) => [server.kind === "job" ? `${server.title} (job ${server.id})` : server.title,
  server.ready === false ? "not ready" : `${count(server.places - server.busy)} of ${plural(server.places, "place")} free`].join(", ");

function noteOf(server, job) {
  if (!server || server.kind !== "job") return "";
  if (!job) return "Ranks and threads are those of the job.";
  return `${plural(job.nodes * job.ranks_per_node, "rank")} of ${plural(job.threads_per_rank, "thread")} on ${plural(job.nodes, "node")}, as the job has them.`;
}
