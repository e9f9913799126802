/** What is being built just now: tasks with counts and times, as the participants tell them. */

import { h } from "../element.js";
import { icon } from "../icons.js";
import { number } from "../words.js";

const HEADS = { brain: "Building the brain", body: "Building the body" };

/** Keeps the tasks of a simulation that is being built and shows them. */
export class Loading {
  #tasks = [];
  #begun = Date.now();

  constructor() {
    this.head = h("h3", {});
    this.fact = h("p", { class: "loading-fact" });
    this.bar = h("i", {});
    this.list = h("ul", { class: "loading-tasks" });
    this.element = h("div", { class: "loading" }, this.head, this.fact, h("div", { class: "loading-bar" }, this.bar), this.list);
  }

  /** `simulation.progress` is {service: {task, done, total, detail, since, tasks?}}. */
  show(simulation) {
    const progress = simulation.progress ?? {};
    for (const [service, one] of Object.entries(progress)) this.#note(service, one);
    const busy = this.#tasks.filter((task) => !task.ended_at);
    const first = progress.brain ?? Object.values(progress)[0];
    this.head.textContent = simulation.state === "created" ? "Starting the processes" : (HEADS[busy[0]?.service] ?? "Building");
    this.fact.textContent = this.#fact(first);
    const part = first?.total ? Math.min(1, first.done / first.total) : 0;
    this.bar.style.transform = `scaleX(${part})`;
    this.bar.parentElement.classList.toggle("unknown", !first?.total);
    this.list.replaceChildren(...this.#tasks.map(row), ...(busy.length ? [] : [row({ words: simulation.state === "created" ? "Brain, body, engine, recorder" : "First step", begun_at: this.#begun })]));
  }

  #note(service, { task, done, total, detail, since }) {
    const open = this.#tasks.find((one) => one.service === service && !one.ended_at);
    if (open && open.task !== task) open.ended_at = Date.now();
    let entry = this.#tasks.find((one) => one.service === service && one.task === task);
    if (!entry) this.#tasks.push((entry = { service, task, begun_at: Date.parse(since) || Date.now() }));
    const counted = total ? `, ${done} of ${total}` : "";
    entry.words = `${service}: ${task}${counted}${detail ? ` (${detail})` : ""}`;
    if (total && done >= total) entry.ended_at ??= Date.now();
  }

  /** "31 of 67, about 40 s left" where that can be known. */
  #fact(one) {
    const took_s = (Date.now() - (Date.parse(one?.since) || this.#begun)) / 1000;
    if (!one?.total) return `${number(took_s, 0)} s so far`;
    const left = one.done > 0 && one.done < one.total ? (took_s / one.done) * (one.total - one.done) : 0;
    return `${one.done} of ${one.total}${left > 1 ? `, about ${number(left, 0)} s left` : ""}`;
  }
}

function row({ words, begun_at, ended_at }) {
  const took = ((ended_at ?? Date.now()) - begun_at) / 1000;
  return h("li", { class: ended_at ? "done" : "busy" }, icon(ended_at ? "check" : "dots"), h("span", {}, words), h("b", {}, `${number(Math.max(0, took), 1)} s`));
}
