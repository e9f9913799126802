// The last lines of what a job has said. It follows until it is paused, or until somebody scrolls back.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { count } from "../words.js";

const LINES = 200;
const ALL_LINES = 10000;
const AT_END_PX = 24;

export function makeLog({ app, id, refresh }) {
  const path = `jobs/${encodeURIComponent(id)}/log`;
  const fact = h("span", { class: "muted small" });
  const pause = h("button", { type: "button", class: "btn quiet small", "aria-pressed": "false", onclick: toggle });
  const save = h("button", { type: "button", class: "btn quiet small", onclick: download }, icon("download"), "Download");
  const text = h("pre", { class: "job-log", tabindex: 0, "aria-label": `Log of ${id}` });
  const element = h("section", { class: "card", "aria-label": "Log" }, h("header", {}, h("h3", {}, "Log"), fact, h("span", { class: "log-acts" }, pause, save)), text);
  let paused = false;
  let ended = false;
  let lines = 0;
  dress();

  function dress() {
    pause.setAttribute("aria-pressed", String(paused));
    fill(pause, icon(paused ? "play" : "pause", 12), paused ? "Follow" : "Pause");
    write(fact, [lines >= LINES ? `last ${count(LINES)} lines` : lines ? `${count(lines)} lines` : "", paused && !ended ? "paused" : ""].filter(Boolean).join(", "));
  }

  function toggle() {
    paused = !paused;
    dress();
    if (!paused) refresh();
  }

  async function download() {
    try {
      await app.api.download(`${path}?lines=${ALL_LINES}`, `${id}.log`);
    } catch (error) {
      write(fact, sentence(error.message));
    }
  }

  function show(found) {
    if (text.textContent === found) return;
    const following = text.scrollHeight - text.scrollTop - text.clientHeight < AT_END_PX;
    text.textContent = found;
    if (following) text.scrollTop = text.scrollHeight;
  }

  /** Asks for the newest lines, unless paused; of a job that has ended (`over`) once more. It says itself when they cannot be had. */
  async function look(over) {
    if (paused || ended) return;
    let found;
    try {
      found = await (await app.api.raw(`${path}?lines=${LINES}`)).text();
    } catch (error) {
      return write(fact, sentence(error.message));
    }
    if (paused) return;
    lines = found ? found.trimEnd().split("\n").length : 0;
    show(found || (over ? "It has said nothing." : "Nothing yet: a job begins to speak when it has its nodes."));
    ended = over;
    pause.hidden = over;
    dress();
  }

  return { element, look };
}
