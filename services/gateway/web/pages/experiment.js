// One experiment: its files, its recordings, what is wrong with it, launch. Templates: the same, to look at.

import { fill, h } from "../element.js";
import { icon } from "../icons.js";
import { askName, sentence } from "../dialog.js";
import { askLaunch } from "../entry/launch.js";
import { makeRecordings } from "../entry/recordings.js";
import { facts } from "../entry/templates.js";
import { makeFiles } from "../panels/files.js";
import { portrait } from "../picture.js";
import { ago } from "../words.js";

const LIVE = new Set(["created", "initialised", "paused", "started", "stopping", "halted"]);

export function open(root, { id, template = false }, app) {
  const base = `${template ? "templates" : "experiments"}/${encodeURIComponent(id)}`;
  let closed = false;
  let files = null;
  let recordings = null;
  let timer = null;
  const column = h("div", { class: "column" }, h("p", { class: "muted" }, "Loading…"));
  fill(root, column);

  async function load() {
    try {
      const experiment = await app.api.get(base);
      if (!closed) draw(experiment);
    } catch (error) {
      if (closed) return;
      fill(column, h("div", { class: "card empty" }, h("h2", {}, error.status === 404 ? `There is no ${template ? "template" : "experiment"} ${id}` : "The experiment could not be read"),
        h("p", {}, sentence(error.message)), h("a", { class: "btn", href: "#/" }, "All experiments")));
    }
  }

  function draw(experiment) {
    document.title = `${experiment.name} · Reafference`;
    const mine = !template && (app.me?.role === "admin" || (app.me?.role === "owner" && experiment.owner === app.me.name));
    files = makeFiles({ app, experiment: id, editable: mine, template, onsaved: () => note("") });
    recordings = template ? null : makeRecordings({ app, experiment: id, mine, oncount: () => {} });
    const checked = h("div", { class: "checked", hidden: true, role: "status" });
    const checker = h("button", { class: "btn small", onclick: check }, icon("check"), "Check");
    const title = h("h1", {}, template ? experiment.title : experiment.name);
    const live = h("span", { class: "live-link" });

    async function check() {
      checker.disabled = true;
      try {
        const problems = await files.check();
        checked.hidden = false;
        checked.className = problems.length ? "checked problem" : "checked fine";
        fill(checked, problems.length ? problems.map((found) => complaint(found)) : [icon("check"), h("span", {}, "No problem found. The scripts were read, not run.")]);
      } catch (error) {
        note(error.message);
      } finally {
        checker.disabled = false;
      }
    }

    const complaint = (found) => h("button", { class: "found", disabled: !found.file, onclick: () => files.open(found.file.split("/").pop(), found.line, found.column) }, icon("warning"),
      h("span", {}, found.file ? h("strong", {}, `${found.file.split("/").pop()}${found.line ? `, line ${found.line}` : ""}. `) : null, sentence(found.text ?? found.detail)));

    async function clone() {
      try {
        const made = await app.api.post("experiments", { source: id });
        app.go(`#/x/${encodeURIComponent(made.id)}`);
      } catch (error) {
        note(error.message);
      }
    }

    const acts = [
      template || app.me?.role !== "viewer" ? h("button", { class: `btn ${template ? "primary" : ""}`, disabled: app.me?.role === "viewer", onclick: clone }, "Clone") : null,
      !template && h("button", { class: "btn", onclick: () => app.api.download(`${base}/download`, `${id}.zip`).catch((error) => note(error.message)) }, icon("download"), "Download zip"),
      mine && h("button", { class: "btn", onclick: () => askName({ title: "Rename", label: "Name", value: experiment.name, act: async (name) => { const next = await app.api.patch(base, { name }); title.textContent = next.name; if (next.id !== id) app.go(`#/x/${encodeURIComponent(next.id)}`); } }) }, "Rename…"),
      mine && h("button", { class: "btn primary", data: { control: "launch" }, onclick: () => askLaunch(app, experiment) }, "Launch…"),
    ];
    fill(column,
      h("section", { class: "about" },
        h("div", { class: "about-picture card" }, portrait(app.api, base, { alt: "", mark: experiment.changed_at + (experiment.last_run?.started_at ?? "") })),
        h("div", { class: "about-text" },
          h("p", { class: "crumb" }, h("a", { href: "#/" }, "Experiments"), template ? " / template" : experiment.template ? [" / from ", h("a", { href: `#/t/${encodeURIComponent(experiment.template)}` }, experiment.template)] : ""),
          h("div", { class: "about-head" }, title, live), template ? null : h("p", { class: "about-title" }, experiment.title),
          h("p", { class: "second" }, experiment.description), facts(experiment.facts),
          h("p", { class: "muted small" }, [experiment.owner && `by ${experiment.owner}`, experiment.changed_at && !template && `changed ${ago(experiment.changed_at)}`, experiment.tags?.length && experiment.tags.join(", ")].filter(Boolean).join(" · ")),
          h("div", { class: "acts left" }, acts))),
      h("p", { class: "problem page-problem", role: "alert", hidden: true }),
      h("section", { "aria-label": "Files" },
        h("div", { class: "section-head" }, h("h2", {}, "Files"), h("span", { class: "fact" }, mine ? "Changes act from the next launch on" : "To read"), h("div", { class: "acts" }, template || !mine ? null : checker, files.tools)),
        checked, h("div", { class: "card files-card" }, files.element)),
      recordings?.element);
    watch(live);
  }

  function note(text) {
    const element = column.querySelector(".page-problem");
    if (!element) return;
    element.hidden = !text;
    if (text) fill(element, icon("warning"), h("span", {}, sentence(text)));
  }

  /** Shows the way to a simulation of this experiment while there is one. */
  async function watch(place) {
    if (template || closed) return;
    try {
      const running = (await app.api.get("simulations")).find((each) => each.experiment === id && LIVE.has(each.state));
      if ((running?.id ?? "") !== (place.dataset.id ?? "")) {
        place.dataset.id = running?.id ?? "";
        fill(place, running ? h("a", { class: "chip live", href: `#/run/${running.id}` }, "Open workbench") : []);
        await recordings.refresh();
      }
    } catch { /* the bar says when the server is lost */ }
    timer = setTimeout(() => watch(place), 2000);
  }

  load();
  return { close() { closed = true; clearTimeout(timer); files?.close(); recordings?.close(); } };
}
