// Your experiments: a table with the last run of each, and everything one can do with it.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { askDelete, askName, menu } from "../dialog.js";
import { bytes, count, day, ended, number, plural } from "../words.js";
import { askLaunch } from "./launch.js";
import { fits } from "./templates.js";

const LIVE = new Set(["created", "initialised", "paused", "started", "stopping"]);

export function makeOwned(entry) {
  const { app } = entry;
  const fact = h("span", { class: "fact" });
  const file = h("input", { type: "file", accept: ".zip,application/zip", hidden: true, onchange: () => file.files[0] && send(file.files[0]) });
  const upload = h("button", { class: "btn small", onclick: () => file.click() }, icon("upload"), "Upload zip…");
  const body = h("tbody");
  const table = h("div", { class: "card scroll-x" }, h("table", { class: "list owned" },
    h("thead", {}, h("tr", {}, ["Name", "From", "Last run", "Ended"].map((name) => h("th", { scope: "col" }, name)),
      ["Simulated", "Recordings"].map((name) => h("th", { scope: "col", class: "n" }, name)), h("th", {}, h("span", { class: "unseen" }, "Actions")))), body));
  const empty = h("div", { class: "card" });
  const element = h("section", { "aria-label": "Your experiments", class: "drop" },
    h("div", { class: "section-head" }, h("h1", {}, "Your experiments"), fact, upload, file), table, empty);
  let drawn = "";

  async function send(zip) {
    entry.complain(null);
    upload.disabled = true;
    try {
      const name = zip.name.replace(/\.zip$/i, "");
      const made = await app.api.upload(`experiments/upload?name=${encodeURIComponent(name)}`, zip, { headers: { "Content-Type": "application/zip" } });
      entry.fresh = made.id;
      await entry.refresh();
    } catch (error) {
      entry.complain(error);
    } finally {
      upload.disabled = false;
      file.value = "";
    }
  }

  element.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", (event) => { if (!element.contains(event.relatedTarget)) element.classList.remove("over"); });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });

  function draw() {
    if (!entry.known) return;
    upload.hidden = app.me?.role === "viewer";
    const all = entry.experiments;
    const shown = all.filter((each) => fits(each, entry.filter));
    const live = new Map(entry.simulations.filter((each) => LIVE.has(each.state)).map((each) => [each.experiment, each]));
    write(fact, all.length ? `${count(all.length)}, ${bytes(all.reduce((sum, each) => sum + each.bytes + (each.recordings?.bytes ?? 0), 0))}` : "");
    table.hidden = !shown.length;
    empty.hidden = !!shown.length;
    const key = JSON.stringify([shown, [...live.values()].map((each) => [each.id, each.experiment, each.state]), entry.filter, entry.templates.length]);
    for (const [id, { t_s }] of live) {
      const cell = body.querySelector(`tr[data-id="${CSS.escape(id)}"] .simulated`);
      if (cell) write(cell, `${number(t_s, 1)} s`);
    }
    if (key === drawn) return;
    drawn = key;
    const focus = document.activeElement?.closest?.("tr")?.dataset.id;
    const control = document.activeElement?.dataset?.control;
    fill(body, shown.map((each) => makeRow(entry, each, live.get(each.id))));
    if (focus && control) body.querySelector(`tr[data-id="${CSS.escape(focus)}"] [data-control="${control}"]`)?.focus();
    if (!shown.length) fill(empty, nothing());
    if (entry.fresh && show(entry.fresh)) entry.fresh = null;
  }

  function nothing() {
    if (entry.filter) return h("div", { class: "empty" }, h("h3", {}, `Nothing matches “${entry.filter}”`), h("p", {}, "The search looks at names, titles, descriptions, owners and tags."));
    return h("div", { class: "empty" }, h("h3", {}, "No experiments yet"), h("p", {}, "Clone a template above to get one that you can change and run, or drop a zip of an experiment here."));
  }

  function show(id) {
    const row = body.querySelector(`tr[data-id="${CSS.escape(id)}"]`);
    if (!row) return false; // an answer that was under way when it was made does not know it yet
    row.classList.add("fresh");
    row.querySelector('[data-control="launch"]')?.focus();
    row.scrollIntoView({ block: "nearest" });
    return true;
  }

  return { element, draw };
}

function makeRow(entry, experiment, live) {
  const { app } = entry;
  const path = `#/x/${encodeURIComponent(experiment.id)}`;
  const run = live ? { outcome: "running", simulated_s: live.t_s } : experiment.last_run;
  const end = ended(run);
  const mine = app.me?.role === "admin" || (app.me?.role === "owner" && experiment.owner === app.me.name);
  const template = entry.templates.find((each) => each.id === experiment.template);
  const launch = live
    ? h("a", { class: "btn small", data: { control: "launch" }, href: `#/run/${encodeURIComponent(live.id)}` }, "Open")
    : h("button", { class: "btn small", data: { control: "launch" }, disabled: !mine, onclick: () => askLaunch(app, experiment) }, "Launch…");
  const more = h("button", { class: "icon-btn", data: { control: "more" }, "aria-label": `More for ${experiment.name}`, "aria-haspopup": "menu", onclick: () => menu(more, actions(entry, experiment, mine, live)) }, icon("dots"));
  return h("tr", { data: { id: experiment.id } },
    h("td", {}, h("a", { href: path, class: "name" }, experiment.name), experiment.owner && experiment.owner !== app.me?.name && h("span", { class: "muted small" }, ` ${experiment.owner}`)),
    h("td", { class: "second wrap" }, template?.title ?? (experiment.template || "an upload")),
    h("td", { class: "second" }, live ? day(live.started_at ?? live.created_at) : day(experiment.last_run?.started_at)),
    h("td", {}, run ? h("span", { class: `chip ${end.kind}`, title: experiment.last_run?.text || null }, end.text) : h("span", { class: "muted" }, "never run")),
    h("td", { class: "n simulated" }, live || run?.steps ? `${number(run.simulated_s, 1)} s` : "–"),
    h("td", { class: "n" }, experiment.recordings?.count ? `${experiment.recordings.count}, ${bytes(experiment.recordings.bytes)}` : "–"),
    h("td", { class: "act" }, launch, more));
}

function actions(entry, experiment, mine, live) {
  const { app, refresh } = entry;
  const path = `experiments/${encodeURIComponent(experiment.id)}`;
  const viewer = app.me?.role === "viewer";
  return [
    { text: "Files and recordings", icon: "folder", act: () => app.go(`#/x/${encodeURIComponent(experiment.id)}`) },
    { text: "Rename…", icon: "pencil", disabled: !mine, act: () => askName({ title: "Rename", label: "Name", value: experiment.name,
      act: async (name) => { await app.api.patch(path, { name }); await refresh(); } }) },
    { text: "Clone", icon: "copy", disabled: viewer, act: async () => {
      try {
        entry.fresh = (await app.api.post("experiments", { source: experiment.id })).id;
        await refresh();
      } catch (error) { entry.complain(error); }
    } },
    { text: "Download zip", icon: "download", note: "without recordings", act: () => app.api.download(`${path}/download`, `${experiment.id}.zip`).catch(entry.complain) },
    null,
    { text: "Delete…", icon: "trash", disabled: !mine || !!live, note: live ? "it is running" : "", act: () => askDelete({ title: `Delete ${experiment.name}?`,
      text: experiment.recordings?.count
        ? `Its files and ${plural(experiment.recordings.count, "recording")} (${bytes(experiment.recordings.bytes)}) are lost for good.`
        : "Its files are lost for good. There are no recordings.",
      act: async () => { await app.api.del(path); await refresh(); } }) },
  ];
}
