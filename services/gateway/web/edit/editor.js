// A text editor: a textarea for the caret over coloured rows for the eye, so that undo, input methods and readers just work.

import { h } from "../element.js";
import { icon } from "../icons.js";
import { pieces as pythonPieces } from "./python.js";
import { pieces as tomlPieces } from "./toml.js";
import { pressed } from "./typing.js";

const LANGUAGES = { python: pythonPieces, toml: tomlPieces };
const MOST_COLOURED = 200000;
export const LINE_PX = 20;
const PAD_PX = 8;

/**
 * `{language, label, value, readOnly, onchange(text), onapply(), onsave()}` → `{element, value, set(text), mark(problem), goto(line,
 * column), focus(), caret}`. Tab indents; Esc then Tab leaves. Lines and columns count from 1.
 */
export function makeEditor({ language = "", label = "Script", value = "", readOnly = false, onchange, onapply, onsave } = {}) {
  const rows = h("div", { class: "code-rows", "aria-hidden": "true" });
  const area = h("textarea", { class: "code-area", spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off", "aria-label": label, readOnly });
  const page = h("div", { class: "code-page" }, rows, area);
  const element = h("div", { class: "editor" }, page);
  const message = h("div", { class: "code-message", role: "note", id: `message-${++made}` });
  let tell = LANGUAGES[language];
  let drawn = [];
  let problem = null;
  let longest = 0;

  area.addEventListener("input", () => { draw(); follow(); onchange?.(area.value); });
  area.addEventListener("keydown", (event) => pressed(event, area, { onapply, onsave }));
  // The rows below a message are pushed down, those of a textarea cannot be: so it moves with the half that is used.
  area.addEventListener("keyup", follow);
  area.addEventListener("focus", follow);
  page.addEventListener("pointermove", (event) => { if (problem && !event.buttons) shift(event.clientY > message.getBoundingClientRect().top); });
  const watcher = new ResizeObserver(() => element.style.setProperty("--visible", `${element.clientWidth}px`));
  watcher.observe(element);

  function draw() {
    const coloured = tell && area.value.length < MOST_COLOURED ? tell(area.value) : [[area.value, ""]];
    const next = lines(coloured);
    const keys = next.map((line) => line.map(([text, kind]) => `${kind}\u0001${text}`).join("\u0002"));
    let head = 0;
    while (head < keys.length && head < drawn.length && keys[head] === drawn[head]) head++;
    let tail = 0;
    while (tail < keys.length - head && tail < drawn.length - head && keys[keys.length - 1 - tail] === drawn[drawn.length - 1 - tail]) tail++;
    message.remove();
    for (let i = drawn.length - tail - 1; i >= head; i--) rows.children[i].remove();
    const after = rows.children[head] ?? null;
    for (let i = head; i < keys.length - tail; i++) rows.insertBefore(rowOf(next[i]), after);
    drawn = keys;
    longest = Math.max(...area.value.split("\n").map((line) => width(line)), 20);
    page.style.setProperty("--columns", longest + 4);
    page.style.setProperty("--digits", String(keys.length).length);
    place();
  }

  function place() {
    for (const row of rows.querySelectorAll(".bad")) row.classList.remove("bad");
    rows.querySelector(".bad-word")?.remove();
    const row = problem && rows.children[Math.min(problem.line, drawn.length) - 1];
    const height = drawn.length * LINE_PX + 2 * PAD_PX;
    if (row) {
      row.classList.add("bad");
      if (problem.column) row.append(wordMark(row, problem.column));
      row.after(message);
    }
    page.style.height = `${height + (row ? message.offsetHeight : 0)}px`;
    area.style.height = `${height}px`;
    if (!row) shift(false);
  }

  function shift(down) {
    area.style.transform = down && message.isConnected ? `translateY(${message.offsetHeight}px)` : "";
  }

  function caret() {
    const before = area.value.slice(0, area.selectionDirection === "backward" ? area.selectionStart : area.selectionEnd);
    const line = before.split("\n").length;
    return { line, column: before.length - before.lastIndexOf("\n") };
  }

  /** Moves the half with the caret to its place and keeps the caret in sight. */
  function follow() {
    const { line, column } = caret();
    const below = !!problem && message.isConnected && line > problem.line;
    shift(below);
    reveal(line, column, below ? message.offsetHeight : 0);
  }

  function reveal(line, column, extra = 0) {
    const top = PAD_PX + (line - 1) * LINE_PX + extra;
    if (top < element.scrollTop) element.scrollTop = top - PAD_PX;
    else if (top + LINE_PX + 12 > element.scrollTop + element.clientHeight) element.scrollTop = top + LINE_PX + 12 - element.clientHeight;
    const unit = (area.scrollWidth || 1) / (longest + 4);
    if (column * unit < element.scrollLeft + 20) element.scrollLeft = Math.max(0, (column - 4) * unit);
    else if (column * unit > element.scrollLeft + element.clientWidth - 70) element.scrollLeft = column * unit - element.clientWidth + 90;
  }

  function set(text, name = null) {
    if (name !== null) tell = LANGUAGES[name];
    if (area.value !== text) {
      area.value = text;
      area.setSelectionRange(0, 0);
    }
    draw();
  }

  /** Marks a problem `{line, column?, type?, text, after?}` at its place; null takes it away. */
  function mark(next) {
    problem = next?.line ? next : null;
    if (problem) {
      const head = problem.type ? `${problem.type}, line ${problem.line}` : `Line ${problem.line}`;
      message.replaceChildren(h("p", {}, icon("warning"), h("span", {}, h("strong", {}, `${head}. `), quoted(problem.text))), problem.after ? h("p", { class: "after" }, problem.after) : "");
      area.setAttribute("aria-describedby", message.id);
      area.setAttribute("aria-invalid", "true");
    } else {
      message.remove();
      area.removeAttribute("aria-describedby");
      area.removeAttribute("aria-invalid");
    }
    place();
    shift(!!problem && caret().line > problem.line);
  }

  function goto(line, column = 1) {
    const texts = area.value.split("\n");
    const at = texts.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0) + Math.max(0, column - 1);
    area.focus({ preventScroll: true });
    area.setSelectionRange(at, at);
    element.scrollTop = Math.max(0, (line - 4) * LINE_PX);
    follow();
  }

  set(value);
  return {
    element, set, mark, goto,
    focus: () => area.focus(),
    get value() { return area.value; },
    set readOnly(fixed) { area.readOnly = fixed; },
    get caret() { return caret(); },
    close: () => watcher.disconnect(),
  };
}

let made = 0;

/** Pieces cut at line ends: a list of pieces for each line. */
function lines(found) {
  const cut = [[]];
  for (const [text, kind] of found) {
    text.split("\n").forEach((part, i) => {
      if (i) cut.push([]);
      const line = cut[cut.length - 1];
      if (!part) return;
      const last = line[line.length - 1];
      if (last?.[1] === kind) last[0] += part;
      else line.push([part, kind]);
    });
  }
  return cut;
}

const rowOf = (line) => h("div", { class: "code-row" }, line.map(([text, kind]) => (kind ? h("span", { class: `code-${kind}` }, text) : text)));

function wordMark(row, column) {
  const text = row.textContent;
  const word = /^[\w.]+/.exec(text.slice(column - 1))?.[0] ?? " ";
  const element = h("span", { class: "bad-word" });
  element.style.setProperty("--from", width(text.slice(0, column - 1)));
  element.style.setProperty("--long", word.length);
  return element;
}

/** A sentence whose 'names' stand as code. */
const quoted = (text) => text.split(/'([^'\s]+)'/).map((part, i) => (i % 2 ? h("code", {}, part) : part));

/** Columns on the screen: a tab goes to the next multiple of four. */
function width(text) {
  let columns = 0;
  for (const sign of text) columns += sign === "\t" ? 4 - (columns % 4) : 1;
  return columns;
}
