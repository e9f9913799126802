// A thin bar: how much of its time limit a job has had.

import { h, write } from "../element.js";
import { clock } from "../words.js";

const LATE = 0.9;

/** `{element, draw(job)}`: "12:07" of "1:00:00" as a bar; `words` also writes both beside it. */
export function makeSpan({ words = false } = {}) {
  const fill = h("i");
  const bar = h("span", { class: "span-bar", role: "img" }, fill);
  const text = h("span", { class: "mono small" });
  const element = h("span", { class: `span ${words ? "wide" : ""}` }, bar, words && text);

  function draw(job) {
    const share = Math.min(1, job.elapsed_s / job.limit_s || 0);
    fill.style.transform = `scaleX(${share.toFixed(4)})`;
    bar.classList.toggle("late", share > LATE && (job.state === "serving" || job.state === "ending"));
    bar.setAttribute("aria-label", `${clock(job.elapsed_s)} of ${clock(job.limit_s)}`);
    write(text, `${clock(job.elapsed_s)} of ${clock(job.limit_s)}`);
  }

  return { element, draw };
}
