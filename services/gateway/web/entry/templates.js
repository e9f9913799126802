// Templates: a picture of the experiment itself, one sentence, numbers, Clone.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { portrait } from "../picture.js";
import { sentence } from "../dialog.js";
import { count, plural } from "../words.js";

// The order in which they teach; what a server has besides comes after them.
const FIRST = ["mouse_reach", "rodent_brain", "braitenberg_husky", "balanced_network"];
const rank = ({ id }) => (FIRST.includes(id) ? FIRST.indexOf(id) : FIRST.length);

export function makeTemplates(entry) {
  const filters = h("div", { class: "seg", role: "group", "aria-label": "Show templates with the tag" });
  const cards = h("div", { class: "cards" });
  const element = h("section", { "aria-label": "Templates" },
    h("div", { class: "section-head" }, h("h1", {}, "Templates"), h("span", { class: "fact" }, "Clone one to change and run it"), filters), cards);
  let tag = "";
  let drawn = "";

  function draw() {
    const shown = [...entry.templates].sort((a, b) => rank(a) - rank(b)).filter((each) => (!tag || each.tags?.includes(tag)) && fits(each, entry.filter));
    const key = JSON.stringify([shown.map((each) => each.id), tag, entry.filter, entry.app.me?.role, entry.known]);
    if (key === drawn) return;
    drawn = key;
    drawFilters();
    fill(cards, shown.map((each, i) => makeCard(entry, each, i === 0)),
      shown.length || !entry.known ? [] : h("p", { class: "muted none" }, entry.filter ? `No template matches “${entry.filter}”` : "This server has no templates"));
  }

  function drawFilters() {
    const tags = [...new Set([...entry.templates].sort((a, b) => rank(a) - rank(b)).flatMap((each) => each.tags ?? []))];
    filters.hidden = tags.length < 2;
    fill(filters, ["", ...tags].map((each) => h("button", {
      "aria-pressed": String(each === tag), onclick: () => { tag = each; draw(); },
    }, each ? capital(each) : "All")));
  }

  return { element, draw };
}

function makeCard(entry, template, first) {
  const { api, me } = entry.app;
  const problem = h("p", { class: "problem small", role: "alert", hidden: true });
  const clone = h("button", { class: `btn ${first ? "primary" : ""}`, disabled: me?.role === "viewer", onclick: copy,
    title: me?.role === "viewer" ? "A viewer may look, not clone" : null }, "Clone");
  const path = encodeURIComponent(template.id);

  async function copy() {
    clone.disabled = true;
    problem.hidden = true;
    try {
      const made = await api.post("experiments", { source: template.id });
      entry.fresh = made.id;
      await entry.refresh();
      entry.app.announce(`${made.name} is ready`);
    } catch (error) {
      fill(problem, icon("warning"), sentence(error.message));
      problem.hidden = false;
    } finally {
      clone.disabled = me?.role === "viewer";
    }
  }

  return h("article", { class: "card template" },
    h("a", { class: "template-picture", href: `#/t/${path}`, tabindex: -1, "aria-hidden": "true" }, portrait(api, `templates/${path}`, { alt: template.title })),
    h("div", { class: "template-text" },
      h("h3", {}, template.title), h("p", { class: "second" }, template.description), facts(template.facts), problem,
      h("div", { class: "template-actions" }, clone, h("a", { class: "btn quiet", href: `#/t/${path}` }, "Look inside"),
        template.tags?.includes("cluster") && h("span", { class: "muted small needs" }, icon("server"), "cluster"))));
}

/** The numbers of an experiment: those that are known and tell something. */
export function facts(known = {}) {
  const words = [
    known.cells && [count(known.cells), "cells"],
    known.synapses && [count(known.synapses), "synapses"],
    known.populations && [count(known.populations), "populations"],
    known.muscles && [count(known.muscles), "muscles"],
    known.camera && ["1", "camera"],
    known.functions && plural(known.functions, "function").split(" "),
  ].filter(Boolean);
  return h("ul", { class: "facts" }, words.map(([value, name]) => h("li", {}, h("b", { class: "mono" }, value), ` ${name}`)));
}

/** Whether an experiment has the words searched for in its name, title, description or tags. */
export function fits(experiment, filter) {
  if (!filter) return true;
  const text = [experiment.id, experiment.name, experiment.title, experiment.description, experiment.owner, ...(experiment.tags ?? [])].join(" ").toLowerCase();
  return filter.split(/\s+/).every((word) => text.includes(word));
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
