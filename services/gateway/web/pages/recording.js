/** A recorded run: how it went, its picture, its numbers, its files. */

import { fill, h } from "../element.js";
import { icon } from "../icons.js";
import { NONE, bytes, count, day, ended, number, seconds } from "../words.js";

/** Open the page of a recording. */
export function open(root, { recording: { experiment, rec } }, app) {
  const path = `experiments/${encodeURIComponent(experiment)}/recordings/${encodeURIComponent(rec)}`;
  const page = { path, experiment, rec, app, root, urls: [], closed: false };
  fill(root, h("p", { class: "workbench-wait" }, "Reading the recording…"));
  show(page).catch((error) => {
    if (page.closed || error.status === 401) return;
    fill(root, h("div", { class: "empty" }, h("h2", {}, "The recording cannot be shown"), h("p", {}, error.detail ?? String(error)), h("a", { class: "btn primary", href: "#/" }, "Experiments")));
  });
  return {
    close() {
      page.closed = true;
      for (const url of page.urls) URL.revokeObjectURL(url);
    },
  };
}

async function show(page) {
  const { path, experiment, root, app } = page;
  const recording = await app.api.get(path);
  const summary = await summaryOf(page, recording);
  if (page.closed) return;
  document.title = `Recording ${page.rec} – Reafference`;
  const back = h("a", { class: "btn quiet", href: `#/x/${encodeURIComponent(experiment)}` }, icon("left"), experiment);
  const outcome = ended(recording);
  const play = h("a", { class: "btn primary recording-play", href: `#/play/${encodeURIComponent(experiment)}/${encodeURIComponent(page.rec)}` }, icon("play"), "Play");
  fill(root,
    h("header", { class: "recording-head" }, back, h("h1", {}, recording.title || experiment), h("span", { class: `chip dot ${outcome.kind}` }, outcome.text), play),
    recording.text && h("p", { class: "recording-text" }, recording.text),
    h("dl", { class: "recording-facts" }, facts(recording, summary).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    await picture(page, recording),
    measures(summary),
    files(page, recording));
}

function facts(recording, summary) {
  return [
    ["Begun", day(recording.started_at)],
    ["Simulated", seconds(recording.simulated_s)],
    ["Steps", count(recording.steps)],
    ["Real-time factor", summary?.real_time_factor ? `${number(summary.real_time_factor, 2)} ×` : NONE],
    ["Neurons", count(recording.neurons)],
    ["Synapses", count(recording.synapses)],
    ["Seed", recording.seed == null ? NONE : String(recording.seed)],
    ["Size", bytes(recording.bytes)],
  ];
}

async function summaryOf({ app, path }, { files: list = [] }) {
  if (!list.some((file) => file.path === "summary.json")) return null;
  try {
    return await (await app.api.raw(`${path}/files/summary.json`)).json();
  } catch {
    return null; // the rest of the page does not need it
  }
}

async function picture(page, { files: list = [] }) {
  const found = list.find((file) => /overview\.png$/.test(file.path));
  if (!found) return h("p", { class: "recording-text" }, "No overview was drawn of this run.");
  const blob = await (await page.app.api.raw(`${page.path}/files/${encodeURI(found.path)}`)).blob();
  const url = URL.createObjectURL(blob);
  page.urls.push(url);
  return h("img", { class: "recording-picture", alt: "Overview of the run: spikes, muscles, joints", src: url });
}

function measures(summary) {
  const rows = Object.entries(summary?.measures ?? {}).filter(([, value]) => typeof value === "number");
  if (!rows.length) return null;
  return h("section", {}, h("h2", {}, "Measured"), h("table", { class: "plain" }, h("tbody", {}, rows.map(([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name.replaceAll("_", " ")), h("td", {}, number(value, 4)))))));
}

function files(page, { files: list = [] }) {
  const { app, path } = page;
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const say = (error) => {
    problem.textContent = error.detail ?? String(error);
    problem.hidden = false;
  };
  const get = (file) => app.api.download(`${path}/files/${encodeURI(file.path)}`, file.path.split("/").pop()).catch(say);
  const make = h("button", { class: "btn", type: "button", onclick: async () => {
    make.disabled = true;
    try {
      await app.api.post(`${path}/export`, undefined, { patience_ms: 600000 });
      if (!page.closed) await show(page);
    } catch (error) {
      say(error);
      make.disabled = false;
    }
  } }, icon("download"), "Make CSV and HDF5");
  const rows = list.map((file) => h("li", {}, h("button", { class: "btn quiet", type: "button", onclick: () => get(file) }, icon("file"), h("span", {}, file.path), h("small", {}, bytes(file.bytes)))));
  return h("section", {}, h("header", { class: "recording-head" }, h("h2", {}, "Files"), make), problem, h("ul", { class: "recording-files" }, rows));
}
