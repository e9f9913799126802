// What became of a job, from left to right: submitted, waiting, starting, serving, ended, each with its time.

import { fill, h } from "../element.js";
import { NONE, clock, day, jobState, time } from "../words.js";
import { isOver } from "./acts.js";
import { makeSpan } from "./span.js";

/**
 * The five points of a job: `{name, note, state}`, state being "done", "now", "ahead", "never" or "wrong". The note says
 * when it came, and how long it took.
 */
export function pointsOf(job) {
  const over = isOver(job);
  const started = job.started_at != null;
  const served = job.ready_after_s != null && started;
  const ready_at = served ? Date.parse(job.started_at) + job.ready_after_s * 1000 : null;
  const served_s = served ? Math.max(0, job.elapsed_s - job.ready_after_s) : null;
  // A job that is being ended does neither of both any more.
  const now = (state) => (job.state === state ? "now" : over || job.state === "ending" ? "never" : "ahead");
  const end = jobState(job).text;
  return [
    { name: "Submitted", note: day(job.submitted_at), state: "done" },
    { name: started || job.state !== "waiting" ? "Waited" : "Waiting", note: clock(job.waited_s), state: started ? "done" : now("waiting") },
    { name: "Starting", note: !started ? NONE : served ? `${time(job.started_at)}, took ${clock(job.ready_after_s)}` : `${time(job.started_at)}, for ${clock(job.elapsed_s)}`, state: served ? "done" : started && over ? "wrong" : now("starting") },
    { name: "Serving", note: served ? `${time(ready_at)}, for ${clock(served_s)}` : NONE, state: job.state === "serving" ? "now" : served ? "done" : now("serving") },
    { name: over ? end : job.state === "ending" ? "Ending" : "End", note: over ? day(job.ended_at) : started ? `by ${time(Date.parse(job.started_at) + job.limit_s * 1000)}` : NONE,
      state: over ? (job.state === "failed" ? "wrong" : "done") : job.state === "ending" ? "now" : "ahead" },
  ];
}

export function makeTimeline() {
  const list = h("ol", { class: "timeline" });
  const span = makeSpan({ words: true });
  const element = h("section", { class: "card", "aria-label": "Course" }, h("header", {}, h("h3", {}, "Course"), h("span", { class: "span-place" }, span.element)), list);
  let drawn = "";

  function draw(job) {
    span.draw(job);
    const points = pointsOf(job);
    const key = JSON.stringify(points);
    if (key === drawn) return;
    drawn = key;
    fill(list, points.map(({ name, note, state }) => h("li", { class: state, "aria-current": state === "now" ? "step" : null }, h("strong", {}, name), h("span", { class: "mono small" }, note))));
  }

  return { element, draw };
}
