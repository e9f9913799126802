// The brain: its script where it has one, its populations and their parameters.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { faultOf } from "../edit/fault.js";
import { makeEditor } from "../edit/editor.js";
import { sentence } from "../dialog.js";
import { count, telling } from "../words.js";
import { makeSelections } from "./selections.js";

// Those that nearly every model of a neuron has; any other is asked for by its name.
const USUAL = ["V_th", "V_reset", "E_L", "C_m", "t_ref", "I_e"];

const GLYPHS = { E: "▲", I: "●" };
const BUILDING = new Set(["created", "initialised", "failed"]);

export function makeBrainRoom(ctx) {
  const { app, sim, store, editable } = ctx;
  const facts = h("div", { class: "brain-facts" });
  const editor = makeEditor({ language: "python", label: "Brain script", readOnly: !editable, onchange: drawBar, onapply: apply, onsave: save });
  const filter = h("input", { type: "search", placeholder: "Filter populations", "aria-label": "Filter populations", oninput: drawPopulations });
  const list = h("div", { class: "populations" });
  const problem = h("p", { class: "problem small", role: "alert", hidden: true });
  const note = h("span", { class: "muted scripts-note" });
  const buttons = {
    apply: h("button", { class: "btn primary small", title: "Ctrl+Enter", onclick: apply }, "Apply"),
    revert: h("button", { class: "btn small", onclick: () => { editor.set(brain.source); editor.mark(null); drawBar(); } }, "Revert"),
    save: h("button", { class: "btn quiet small", title: "Ctrl+S", onclick: save }, "Save"),
  };
  const bar = h("div", { class: "scripts-bar" }, buttons.apply, buttons.revert, note, buttons.save);
  const search = h("div", { class: "bar" }, filter);
  const selections = makeSelections({
    editable,
    apply: (named) => app.api.put(`simulations/${sim}/populations`, { populations: named }, { patience_ms: 600000 }),
    save: () => app.api.post(`simulations/${sim}/brain/save`),
  });
  const element = h("div", { class: "brain-room" }, facts, editor.element, search, list, selections.element, problem, bar);
  let brain = null;
  let populations = {};
  let open = null;

  async function load() {
    complain(null);
    try {
      if (sim && !BUILDING.has(store.simulation?.state)) brain = await app.api.get(`simulations/${sim}/brain`, { patience_ms: 60000 });
    } catch (error) {
      complain(error);
    }
    const known = store.ports?.brain?.facts ?? {};
    populations = known.populations ?? asMap(brain?.populations);
    draw(known);
  }

  function draw(known) {
    const source = brain?.source || null;
    const script = source !== null;
    editor.element.hidden = bar.hidden = !script;
    if (script && (!editor.element.dataset.read || !dirty())) editor.set(source, "python");
    editor.element.dataset.read = "yes";
    selections.element.hidden = !sim;
    selections.set(brain?.selections);
    list.classList.toggle("below", script);
    const size = Object.values(populations).reduce((sum, each) => sum + (each.size ?? 0), 0);
    const words = [
      ["", brain?.model ?? brain?.script ?? known.model ?? "brain"],
      [size && count(size), "neurons"],
      [Object.keys(populations).length, "populations"],
      [known.synapses && count(known.synapses), "synapses"],
      [store.simulation?.facts?.processes, store.simulation?.facts?.processes === 1 ? "rank" : "ranks"], [store.simulation?.facts?.threads, store.simulation?.facts?.threads === 1 ? "thread" : "threads"],
    ].filter(([value, name]) => value === "" || (value && name));
    fill(facts, words.map(([value, name]) => h("span", {}, value === "" ? h("b", {}, name) : [h("b", { class: "mono" }, String(value)), ` ${name}`])));
    drawPopulations();
    drawBar();
  }

  const dirty = () => !!brain?.source && editor.value !== brain.source;

  function drawBar() {
    buttons.apply.disabled = buttons.revert.disabled = !editable || !dirty();
    buttons.save.disabled = !editable || !brain?.source;
    write(note, dirty() ? "Not applied yet" : brain?.changed ? "Not saved to the experiment" : "");
  }

  function drawPopulations() {
    const wanted = filter.value.trim().toLowerCase();
    const names = Object.keys(populations).filter((name) => name.toLowerCase().includes(wanted));
    fill(list, names.map((name) => {
      const { size, sign, kind } = populations[name];
      const glyph = GLYPHS[sign] ?? (kind === "relay" ? "◇" : "");
      return h("section", { class: "population" },
        h("button", { "aria-expanded": String(open === name), onclick: () => { open = open === name ? null : name; drawPopulations(); } },
          icon(open === name ? "down" : "right"), h("span", { "aria-hidden": "true", class: "muted" }, glyph), h("span", { class: "mono" }, name), h("span", { class: "muted small" }, size ? `${count(size)} cells` : "")),
        open === name && populationRoom(name));
    }), names.length ? [] : h("div", { class: "empty" }, h("p", {}, wanted ? `No population matches “${filter.value}”` : "The populations appear here once the brain is built.")));
  }

  /** Parameters of all neurons of a population, read now, written for all at once. */
  function populationRoom(name) {
    const rows = h("tbody");
    const words = h("p", { class: "muted small" }, "Reading…");
    const room = h("div", { class: "population-room" }, h("table", {}, rows), words);
    const path = `simulations/${sim}/populations/${encodeURIComponent(name)}/parameters`;
    const order = (what, text) => h("button", { class: "btn small", disabled: !editable, onclick: () => edit(what, name, words) }, text);
    const another = h("input", { placeholder: "another parameter", "aria-label": "Name of another parameter", spellcheck: "false", onkeydown: (event) => {
      if (event.key !== "Enter" || !another.value.trim()) return;
      read([another.value.trim()]);
      another.value = "";
    } });
    if (sim) room.append(h("div", { class: "acts" }, another, order("silence", "Silence"), order("restore", "Restore")));

    async function read(names) {
      try {
        const values = await app.api.get(`${path}?names=${names.join(",")}`);
        for (const [key, value] of Object.entries(values)) rows.append(parameter(key, value));
        write(words, "Enter sets the value for all its neurons.");
      } catch (error) {
        write(words, sentence(error.message));
      }
    }

    function parameter(key, value) {
      const all = (Array.isArray(value) ? value : [value]).map(Number);
      const [least, most] = [Math.min(...all), Math.max(...all)];
      const input = h("input", { value: least === most ? String(least) : "", placeholder: least === most ? "" : "several", disabled: !editable, "aria-label": key,
        onkeydown: (event) => { if (event.key === "Enter") set(key, input); } });
      return h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, input), h("td", {}, least === most ? "" : `${telling(least)} to ${telling(most)}`));
    }

    async function set(key, input) {
      const value = Number(input.value);
      if (input.value.trim() === "" || !Number.isFinite(value)) return write(words, `${key}: write a number`);
      try {
        await app.api.patch(path, { [key]: value });
        write(words, `${key} is ${value} for all its neurons now.`);
      } catch (error) {
        write(words, sentence(error.message));
      }
      return undefined;
    }

    if (sim) read(USUAL);
    else write(words, "Parameters can be read while a simulation runs.");
    return room;
  }

  async function edit(what, population, words) {
    try {
      await app.api.post(`simulations/${sim}/edits`, { to: "brain", what, arguments: { population } });
      write(words, what === "silence" ? `${population} is silent now.` : `${population} fires again.`);
    } catch (error) {
      write(words, sentence(error.message));
    }
  }

  async function apply() {
    if (!editable || !dirty()) return;
    complain(null);
    write(note, "Building the brain…");
    const source = editor.value;
    try {
      await app.api.put(`simulations/${sim}/brain`, { source }, { patience_ms: 600000 });
      editor.mark(null);
      brain.source = source;
      await load();
    } catch (error) {
      const fault = faultOf({ ...error, text: "", line_text: source.split("\n")[error.line - 1] });
      if (error.line) editor.mark({ ...fault, text: sentence(fault.text), after: "The brain before still runs." });
      else complain(error);
    }
    drawBar();
  }

  async function save() {
    if (!editable || !brain?.source) return;
    try {
      await app.api.post(`simulations/${sim}/brain/save`);
      write(note, "Saved to the experiment");
    } catch (error) {
      complain(error);
    }
  }

  function complain(error) {
    problem.hidden = !error;
    if (error) fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
  }

  const offs = [store.on("ports", load)];
  return { element, shown: load, focus: () => (editor.element.hidden ? filter : editor).focus(), close() { editor.close(); for (const off of offs) off(); } };
}

function asMap(populations) {
  if (!populations) return {};
  return Array.isArray(populations) ? Object.fromEntries(populations.map((each) => [each.name, each])) : populations;
}
