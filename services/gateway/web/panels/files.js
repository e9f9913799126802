// The files of an experiment: a list, an editor, and care for what others write at the same time.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { askDelete, askName, menu, sentence } from "../dialog.js";
import { makeEditor } from "../edit/editor.js";
import { faultOf } from "../edit/fault.js";
import { showDifference } from "../edit/difference.js";
import { bytes } from "../words.js";

const LANGUAGE = { py: "python", toml: "toml" };
const FIRST = "experiment.toml";

/** `{app, experiment, editable, template?, narrow?}` → `{element, tools, open(path, line, column), close, check}`. */
export function makeFiles({ app, experiment, editable, template = false, narrow = false, onsaved }) {
  const base = `${template ? "templates" : "experiments"}/${encodeURIComponent(experiment)}`;
  const where = (path) => `${base}/files/${path.split("/").map(encodeURIComponent).join("/")}`;
  const editor = makeEditor({ label: "File", readOnly: !editable, onchange: typed, onsave: save });
  const list = h("ul", { class: "file-list", "aria-label": "Files" });
  const picker = h("select", { class: "file-picker", "aria-label": "File", onchange: () => open(picker.value) });
  const note = h("span", { class: "muted scripts-note" });
  const saver = h("button", { class: "btn primary small", title: "Ctrl+S", onclick: save }, "Save");
  const reverter = h("button", { class: "btn small", onclick: revert }, "Revert");
  const problem = h("div", { class: "problem small", role: "alert", hidden: true });
  const other = h("div", { class: "file-other", hidden: true });
  const chooser = h("input", { type: "file", multiple: true, hidden: true, onchange: () => upload([...chooser.files]) });
  const more = h("button", { class: "icon-btn room-tools", "aria-label": "New file, upload, rename, delete", "aria-haspopup": "menu", hidden: !editable, onclick: () => menu(more, actions()) }, icon(narrow ? "dots" : "plus"));
  const bar = h("div", { class: "scripts-bar", hidden: !editable }, saver, reverter, note);
  const middle = h("div", { class: "file-room" }, narrow ? h("div", { class: "bar" }, picker) : null, editor.element, other, problem, bar);
  const element = h("div", { class: narrow ? "files narrow" : "files" }, narrow ? null : h("div", { class: "file-side" }, list), middle, chooser);
  let files = [];
  let current = null; // {path, etag, text}
  const drafts = new Map(); // path → text
  const marks = new Map(); // path → problem

  async function refresh() {
    try {
      files = await app.api.get(`${base}/files`);
      draw();
      if (!current && files.length) await open((files.find((each) => each.path === FIRST) ?? files[0]).path);
    } catch (error) {
      complain(error);
    }
  }

  function draw() {
    const state = (file) => (drafts.has(file.path) ? " •" : "");
    fill(list, files.map((file) => h("li", { "aria-current": file.path === current?.path ? "true" : null },
      h("button", { onclick: () => open(file.path) }, icon("file"), h("span", { class: "file-name" }, file.path, state(file)),
        marks.has(file.path) ? h("span", { class: "wrong" }, icon("warning")) : h("span", { class: "muted small mono" }, bytes(file.bytes))))));
    fill(picker, files.map((file) => h("option", { value: file.path, selected: file.path === current?.path }, file.path + state(file))));
  }

  async function open(path, line = null, column = null) {
    complain(null);
    if (current?.path !== path) {
      const file = files.find((each) => each.path === path);
      if (files.length && !file) return complain(new Error(`There is no file ${path}`));
      try {
        current = file && !file.text ? { path, etag: null, text: null } : await fetched(path);
      } catch (error) {
        return complain(error);
      }
    }
    draw();
    drawContent();
    if (line) requestAnimationFrame(() => editor.goto(line, column ?? 1));
    return undefined;
  }

  async function fetched(path) {
    const answer = await app.api.raw(where(path));
    return { path, etag: answer.headers.get("ETag"), text: await answer.text() };
  }

  function drawContent() {
    const text = current.text !== null;
    editor.element.hidden = !text;
    other.hidden = text;
    if (text) {
      editor.set(drafts.get(current.path) ?? current.text, LANGUAGE[current.path.split(".").pop()] ?? "");
      editor.readOnly = !editable;
      editor.mark(marks.get(current.path) ?? null);
    } else fill(other, h("p", { class: "second" }, "This file is not text."), h("button", { class: "btn", onclick: () => app.api.download(where(current.path), current.path.split("/").pop()).catch(complain) }, icon("download"), "Download"));
    drawBar();
  }

  function drawBar(words = "") {
    const dirty = !!current && drafts.has(current.path);
    saver.disabled = reverter.disabled = !dirty;
    write(note, words || (dirty ? "Not saved" : ""));
  }

  function typed(text) {
    if (!current) return;
    const was = drafts.has(current.path);
    if (text === current.text) drafts.delete(current.path);
    else drafts.set(current.path, text);
    if (was !== drafts.has(current.path)) draw();
    drawBar();
  }

  function revert() {
    drafts.delete(current.path);
    draw();
    drawContent();
  }

  async function save() {
    if (!editable || !current || !drafts.has(current.path)) return;
    complain(null);
    saver.disabled = true;
    try {
      await put(current.path, drafts.get(current.path), current.etag);
    } catch (error) {
      if (error.status === 412) await conflict();
      else complain(error);
    }
    drawBar(drafts.has(current.path) ? "" : "Saved");
  }

  async function put(path, text, etag) {
    const answer = await app.api.raw(where(path), { method: "PUT", body: new Blob([text], { type: "text/plain" }), headers: etag ? { "If-Match": etag } : {} });
    current = { path, text, etag: answer.headers.get("ETag") ?? (await answer.json().catch(() => null))?.etag ?? null };
    drafts.delete(path);
    marks.delete(path);
    files = await app.api.get(`${base}/files`);
    draw();
    onsaved?.(path);
  }

  /** Somebody else has saved this file since it was opened: show both and ask. */
  async function conflict() {
    const { path } = current;
    const theirs = await fetched(path);
    const mine = drafts.get(path);
    await showDifference({
      title: `${path} was changed by somebody else`, before: theirs.text, after: mine, names: ["theirs, saved", "yours, not saved"],
      actions: [
        { text: "Overwrite with mine", kind: "primary", act: () => put(path, mine, theirs.etag).then(drawContent) },
        { text: "Take theirs", act: () => { current = theirs; drafts.delete(path); draw(); drawContent(); } },
        { text: "Decide later" },
      ],
    });
  }

  async function upload(chosen) {
    try {
      for (const file of chosen) await app.api.upload(where(file.name), file, { method: "PUT" });
      chooser.value = "";
      await refresh();
      await open(chosen[0].name);
    } catch (error) {
      complain(error);
    }
  }

  function actions() {
    const rename = async (name) => {
      const answer = await app.api.raw(where(current.path));
      await app.api.upload(where(name), await answer.blob(), { method: "PUT", headers: { "If-None-Match": "*" } });
      await app.api.del(where(current.path));
      await again(name);
    };
    return [
      { text: "New file…", icon: "plus", act: () => askName({ title: "New file", label: "Name", action: "Make", act: async (name) => {
        if (files.some((each) => each.path === name)) throw new Error(`There is a file ${name} already`);
        await app.api.upload(where(name), new Blob(["\n"], { type: "text/plain" }), { method: "PUT" });
        await again(name);
      } }) },
      { text: "Upload…", icon: "upload", act: () => chooser.click() },
      { text: "Download", icon: "download", act: () => app.api.download(where(current.path), current.path.split("/").pop()).catch(complain) },
      { text: "Rename…", icon: "pencil", disabled: current?.path === FIRST, act: () => askName({ title: `Rename ${current.path}`, label: "Name", value: current.path, act: rename }) },
      null,
      { text: "Delete…", icon: "trash", disabled: current?.path === FIRST, note: current?.path === FIRST ? "an experiment needs this file" : "",
        act: () => askDelete({ title: `Delete ${current.path}?`, text: "The file is lost for good.", act: async () => { await app.api.del(where(current.path)); drafts.delete(current.path); await again(FIRST); } }) },
    ];
  }

  async function again(path) {
    current = null;
    files = await app.api.get(`${base}/files`);
    await open(path);
  }

  function complain(error) {
    problem.hidden = !error;
    if (error) fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
  }

  /** Asks the server whether the experiment could run; marks lines. Resolves to the problems. */
  async function check() {
    const { problems } = await app.api.post(`${base}/check`, undefined, { patience_ms: 60000 });
    marks.clear();
    for (const found of problems) {
      const file = found.file?.split("/").pop();
      const fault = faultOf(found);
      if (file && !marks.has(file)) marks.set(file, { ...fault, line: found.line ?? 1, text: sentence(fault.text) });
    }
    draw();
    if (current) drawContent();
    return problems;
  }

  const leaving = (event) => { if (drafts.size) event.preventDefault(); };
  window.addEventListener("beforeunload", leaving);
  refresh();
  return {
    element, tools: narrow || editable ? more : null, open, check, refresh,
    get dirty() { return drafts.size > 0; },
    focus: () => editor.focus(),
    close() { editor.close(); window.removeEventListener("beforeunload", leaving); },
  };
}
