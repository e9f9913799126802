// The table of jobs: state with its reason, waited, elapsed against the limit, and the way to each.

import { fill, h, write } from "../element.js";
import { sentence } from "../dialog.js";
import { NONE, clock, count, day, jobState, plural } from "../words.js";
import { askAbort, isOver, mayEnd } from "./acts.js";
import { makeSpan } from "./span.js";

const HEADS = [["Job"], ["Experiment"], ["State"], ["Nodes", "n"], ["Waited", "n"], ["Elapsed", "n"], ["Limit", "n limit"]];
const FEW_ENDED = 8;

/** `refresh()` is called after something has been done. */
export function makeJobs({ app, refresh }) {
  const fact = h("span", { class: "muted small" });
  const whose = h("div", { class: "seg", role: "group", "aria-label": "Whose jobs" });
  const body = h("tbody");
  const table = h("div", { class: "scroll-x" }, h("table", { class: "list jobs" },
    h("thead", {}, h("tr", {}, HEADS.map(([name, kind]) => h("th", { scope: "col", class: kind ?? null }, name)), h("th", {}, h("span", { class: "unseen" }, "Actions")))), body));
  const more = h("button", { class: "btn quiet small", hidden: true, onclick: () => { old = !old; draw(last); } });
  const empty = h("div", { class: "empty", hidden: true });
  const element = h("section", { class: "card", "aria-label": "Jobs" }, h("header", {}, h("h3", {}, "Jobs"), fact, whose), table, h("p", { class: "more" }, more), empty);
  const rows = new Map();
  let last = [];
  let mine = false;
  let old = false;
  let fresh = "";

  function draw(jobs) {
    last = jobs;
    write(fact, tally(jobs));
    drawWhose(jobs);
    const chosen = mine ? jobs.filter((each) => each.owner === app.me?.name) : jobs;
    const ended = chosen.filter(isOver);
    const hidden = new Set(old ? [] : ended.slice(FEW_ENDED).map((each) => each.id));
    const shown = chosen.filter((each) => !hidden.has(each.id));
    more.parentElement.hidden = more.hidden = ended.length <= FEW_ENDED;
    write(more, old ? "Show fewer" : `Show ${count(ended.length - FEW_ENDED)} older`);
    table.hidden = !shown.length;
    empty.hidden = !!shown.length;
    if (!shown.length) fill(empty, nothing(jobs));
    place(shown);
  }

  /** Rows are kept: what has the focus keeps it. */
  function place(shown) {
    const ids = new Set(shown.map((each) => each.id));
    for (const [id, row] of rows) if (!ids.has(id)) { row.element.remove(); rows.delete(id); }
    shown.forEach((job, i) => {
      if (!rows.has(job.id)) rows.set(job.id, makeRow(app, job, refresh));
      const row = rows.get(job.id);
      if (body.children[i] !== row.element) body.insertBefore(row.element, body.children[i] ?? null);
      row.draw(job);
      row.element.classList.toggle("fresh", job.id === fresh);
    });
  }

  function drawWhose(jobs) {
    whose.hidden = !app.me?.name || jobs.every((each) => each.owner === app.me.name);
    if (whose.children.length) for (const [i, on] of [mine, !mine].entries()) whose.children[i].setAttribute("aria-pressed", String(on));
    else fill(whose, ["Mine", "All"].map((text, i) => h("button", { type: "button", "aria-pressed": String(mine === !i), onclick: () => { mine = !i; draw(last); } }, text)));
  }

  const nothing = (jobs) => [h("h3", {}, jobs.length ? "No jobs of yours" : "No jobs yet"),
    h("p", {}, "A job asks the cluster for nodes. Once it serves, it is one more place to launch experiments on.")];

  return { element, draw, mark(id) { fresh = id; } };
}

/** "1 serving, 2 waiting, 3 ended". */
export function tally(jobs) {
  const order = ["serving", "starting", "waiting", "ending", "ended", "failed", "aborted"];
  return order.map((state) => [state, jobs.filter((each) => each.state === state).length]).filter(([, n]) => n).map(([state, n]) => `${count(n)} ${state}`).join(", ");
}

function makeRow(app, { id, submitted_at }, refresh) {
  const route = `#/cluster/${encodeURIComponent(id)}`;
  const chip = h("span", { class: "chip" });
  const why = h("small", { class: "job-why" });
  const name = h("span", { class: "job-name" });
  const owner = h("small", { class: "muted" });
  const number = h("small", { class: "muted mono", title: "the scheduler's number" });
  const cells = Object.fromEntries(["nodes", "waited", "elapsed", "limit"].map((key) => [key, h("span")]));
  const span = makeSpan();
  const enter = h("a", { class: "btn small", href: route }, "Open");
  const abort = h("button", { class: "btn small", onclick: () => askAbort(app, job, refresh) }, "Abort…");
  let job = null;
  const element = h("tr", { data: { job: id } },
    h("td", { title: `submitted ${day(submitted_at)}` }, h("a", { href: route, class: "name mono" }, id), number), h("td", {}, name, owner), h("td", { class: "wrap" }, chip, why),
    h("td", { class: "n" }, cells.nodes), h("td", { class: "n" }, cells.waited), h("td", { class: "n" }, cells.elapsed, span.element), h("td", { class: "n limit" }, cells.limit), h("td", { class: "act" }, abort, enter));

  function draw(now) {
    job = now;
    const { text, kind } = jobState(job);
    write(chip, text);
    chip.className = `chip ${kind}`;
    write(why, sentence(job.text).replace(/\.$/, ""));
    why.title = job.text;
    write(number, job.scheduler_id);
    write(name, job.experiment ?? (job.title === `Job ${id}` ? NONE : job.title));
    name.title = job.title;
    write(owner, job.owner === app.me?.name ? "" : job.owner);
    cells.nodes.title = `${plural(job.nodes, "node")} for the brain, one for the rest`;
    write(cells.nodes, `${count(job.nodes)} + 1`);
    write(cells.waited, clock(job.waited_s));
    write(cells.elapsed, job.started_at || job.elapsed_s ? clock(job.elapsed_s) : clock(null));
    write(cells.limit, clock(job.limit_s));
    span.draw(job);
    abort.hidden = isOver(job) || !mayEnd(app, job);
  }

  return { element, draw };
}
