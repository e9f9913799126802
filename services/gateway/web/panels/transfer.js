// Transfer functions: the list in the order of calling, an editor for one, and what happened to it.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { askDelete, menu, sentence } from "../dialog.js";
import { makeEditor } from "../edit/editor.js";
import { faultOf } from "../edit/fault.js";
import { showDifference } from "../edit/difference.js";
import { ago, plural, seconds } from "../words.js";
import { who } from "../people.js";
import { Functions } from "./functions.js";
import { makeRows } from "./functionrows.js";

/** `badge(count)` is told how many functions do not run. */
export function makeTransfer(ctx, badge) {
  const { app } = ctx;
  const functions = new Functions(ctx, draw);
  const rows = makeRows({ pick, act, editable: ctx.editable });
  const editor = makeEditor({ language: "python", label: "Source of the function", readOnly: !ctx.editable, onchange: typed, onapply: apply, onsave: save });
  const news = h("div", { class: "news", hidden: true });
  const refused = h("p", { class: "problem small", role: "alert", hidden: true });
  const note = h("span", { class: "muted scripts-note" });
  const buttons = {
    apply: h("button", { class: "btn primary small", title: "Ctrl+Enter", onclick: apply }, "Apply"),
    revert: h("button", { class: "btn small", onclick: revert }, "Revert"),
    save: h("button", { class: "btn quiet small", title: "Ctrl+S", onclick: save }, "Save"),
  };
  const bar = h("div", { class: "scripts-bar", hidden: !ctx.editable }, buttons.apply, buttons.revert, note, buttons.save);
  const add = h("button", { class: "icon-btn room-tools", "aria-label": "Add a function", title: "Add a function", hidden: !ctx.editable, onclick: () => begin() }, icon("plus"));
  const begin = () => { functions.add(); pick(functions.chosen); editor.focus(); };
  const nothing = h("div", { class: "empty fills" }, h("h3"), h("p"), h("button", { class: "btn", onclick: begin }, "Add a function"));
  const element = h("div", { class: "transfer-room" }, rows.element, news, editor.element, nothing, refused, bar);
  let drawnName = null;
  let busy = false;

  function draw() {
    const entry = functions.entry;
    rows.draw(functions.entries, functions.chosen);
    badge(functions.entries.filter((each) => each.problem).length);
    if (!entry) {
      drawnName = null;
      show(false);
      return drawBar(null);
    }
    show(true);
    editor.readOnly = !ctx.editable;
    if (entry.name !== drawnName || editor.value !== entry.text) editor.set(entry.text);
    if (entry.name !== drawnName) editor.element.scrollTop = 0;
    drawnName = entry.name;
    editor.mark(told(entry));
    drawNews(entry);
    return drawBar(entry);
  }

  function show(some) {
    for (const part of [rows.element, editor.element]) part.hidden = !some;
    bar.hidden = !some || !ctx.editable;
    nothing.hidden = some;
    const building = !functions.loaded;
    const failed = ctx.store.simulation?.state === "failed";
    write(nothing.querySelector("h3"), failed ? "Nothing was built" : building ? "Scripts come next" : "No transfer functions");
    write(nothing.querySelector("p"), failed ? "The files of the experiment can be mended in the tab Files." : building ? "The transfer functions appear here once brain and body are built." : "Brain and body run side by side, without a link. A transfer function reads from one and writes to the other.");
    nothing.querySelector("button").hidden = building || !ctx.editable;
    if (!some) news.hidden = true;
  }

  /** The problem of a function with what goes on without it. */
  function told(entry) {
    const problem = entry.refused ?? (entry.dirty ? null : entry.problem);
    if (!problem?.line) return null;
    const others = functions.entries.filter((each) => each !== entry && each.active && !each.problem).length;
    const rest = others ? `${others === 1 ? "The other one goes" : `The other ${inWords(others)} go`} on.` : "The step goes on without it.";
    const since = problem.since_s == null ? "This function is off." : `This function is off since ${seconds(problem.since_s)}.`;
    const fault = faultOf({ ...problem, line_text: entry.text.split("\n")[problem.line - 1] });
    return { ...fault, text: sentence(fault.text), after: entry.refused ? "Nothing has changed: the version before still runs." : `${since} ${rest}` };
  }

  function drawNews(entry) {
    const { theirs } = entry;
    news.hidden = !theirs;
    if (!theirs) return;
    const key = `${entry.name} ${theirs.at} ${theirs.by} ${entry.dirty}`;
    if (news.dataset.key === key) return write(news.querySelector(".when"), ago(theirs.at));
    news.dataset.key = key;
    fill(news, icon("people"), h("span", {}, h("strong", {}, who(theirs.by)), " changed this ", h("span", { class: "when" }, ago(theirs.at))),
      h("button", { class: "btn quiet small", onclick: () => difference(entry) }, "Show difference"),
      h("button", { class: "icon-btn", "aria-label": "Hide this line", onclick: () => functions.keepMine(entry.name) }, icon("close")));
  }

  function difference(entry) {
    const { theirs } = entry;
    showDifference({
      title: `${entry.name}, changed by ${who(theirs.by)}`,
      ...(entry.dirty ? { before: entry.source, after: entry.text, names: ["theirs, running now", "yours, not applied"] } : { before: theirs.before, after: entry.source, names: ["before", "now"] }),
      actions: entry.dirty
        ? [{ text: "Keep mine", kind: "primary", act: () => functions.keepMine(entry.name) }, { text: "Take theirs", act: () => functions.revert(entry.name) }, { text: "Close" }]
        : [{ text: "Close" }],
    });
  }

  function drawBar(entry) {
    const unsaved = functions.entries.some((each) => each.saved === false);
    buttons.apply.disabled = busy || !entry;
    buttons.revert.disabled = busy || !entry?.dirty;
    buttons.save.disabled = busy || !unsaved;
    buttons.apply.classList.toggle("primary", true);
    write(note, !entry ? "" : entry.dirty ? "Not applied yet" : unsaved ? "Not saved to the experiment" : functions.loaded ? "Saved" : "");
    const text = entry?.refused && !entry.refused.line ? entry.refused.detail : functions.fault;
    refused.hidden = !text;
    if (text) fill(refused, icon("warning"), h("span", {}, sentence(text)));
  }

  function pick(name) {
    functions.choose(name);
    draw();
  }

  function typed(text) {
    functions.draft(text);
    drawBar(functions.entry);
    rows.draw(functions.entries, functions.chosen);
    if (!functions.entry?.refused) editor.mark(told(functions.entry));
  }

  async function work(order) {
    if (busy) return;
    busy = true;
    functions.fault = "";
    try {
      await order();
    } catch (error) {
      functions.fault = error.message;
    } finally {
      busy = false;
      draw();
    }
  }

  function apply() {
    if (!ctx.editable || !functions.entry) return undefined;
    return work(async () => {
      const done = await functions.apply();
      const { problem } = functions.entry ?? {};
      if (done) app.announce(problem ? `${functions.chosen} was applied and does not run: ${problem.text}` : `${functions.chosen} was applied`);
    });
  }

  function save() {
    if (!ctx.editable) return undefined;
    return work(async () => {
      if (functions.entry?.dirty && !(await functions.apply())) return;
      await functions.save();
      app.announce("Saved to the experiment");
    });
  }

  function revert() {
    functions.revert(functions.chosen);
  }

  /** What a row or its menu asks for. */
  function act(what, entry, anchor) {
    if (what === "switch") return work(() => functions.switch(entry.name, !entry.active));
    if (what === "up" || what === "down") return work(() => functions.move(entry.name, what === "up" ? -1 : 1));
    const others = functions.entries.filter((each) => !each.fresh);
    const at = others.indexOf(entry);
    return menu(anchor, [
      { text: "Clone", icon: "copy", disabled: entry.fresh, act: () => { functions.clone(entry.name); pick(functions.chosen); } },
      { text: "Rename…", icon: "pencil", disabled: entry.fresh, act: () => rows.rename(entry, (name) => work(() => functions.rename(entry.name, name))) },
      { text: "Call earlier", icon: "up", disabled: at <= 0, act: () => act("up", entry) },
      { text: "Call later", icon: "downward", disabled: entry.fresh || at === others.length - 1, act: () => act("down", entry) },
      null,
      { text: "Delete…", icon: "trash", act: () => askDelete({ title: `Delete ${entry.name}?`,
        text: entry.fresh ? "It has not been applied yet." : "It stops being called. The experiment keeps it until you save.",
        act: () => functions.delete(entry.name) }) },
    ]);
  }

  functions.start();
  return {
    element, tools: add,
    focus: () => editor.focus(),
    open(name, line, column) {
      if (!functions.has(name)) return false;
      pick(name);
      if (line) requestAnimationFrame(() => editor.goto(line, column ?? 1));
      return true;
    },
    close() { functions.close(); editor.close(); },
  };
}

const inWords = (n) => ["no", "one", "two", "three", "four", "five", "six"][n] ?? plural(n, "function");
