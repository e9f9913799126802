// Recordings of an experiment: play, look, download, CSV, delete.

import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { askDelete, menu, sentence, show } from "../dialog.js";
import { picture } from "../picture.js";
import { bytes, count, day, ended, number } from "../words.js";

const PROFILE = "profile.csv"; // written by the run itself
const hasPicture = (rec) => rec.files?.some((each) => each.path === "overview.png") ?? false;

export function makeRecordings({ app, experiment, mine }) {
  const base = `experiments/${encodeURIComponent(experiment)}/recordings`;
  const fact = h("span", { class: "fact" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const room = h("div", { class: "card scroll-x" });
  const element = h("section", { "aria-label": "Recordings" }, h("div", { class: "section-head" }, h("h2", {}, "Recordings"), fact), problem, room);

  async function refresh() {
    try {
      draw(await app.api.get(base));
    } catch (error) {
      complain(error);
    }
  }

  function complain(error) {
    problem.hidden = !error;
    if (error) fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
  }

  function draw(list) {
    write(fact, list.length ? `${count(list.length)}, ${bytes(list.reduce((sum, each) => sum + each.bytes, 0))}` : "");
    if (!list.length) {
      fill(room, h("div", { class: "empty" }, h("h3", {}, "No recordings yet"), h("p", {}, "Each run is recorded here: spikes, read-outs, joints, muscles, messages. Launch the experiment to make one.")));
      return;
    }
    const pictures = list.some(hasPicture);
    fill(room, h("table", { class: "list" },
      h("thead", {}, h("tr", {}, pictures && h("th", {}, h("span", { class: "unseen" }, "Picture")), ["Started", "Ended"].map((name) => h("th", { scope: "col" }, name)),
        ["Simulated", "Steps", "Seed", "Size"].map((name) => h("th", { scope: "col", class: "n" }, name)), h("th", {}, h("span", { class: "unseen" }, "Actions")))),
      h("tbody", {}, list.map((rec) => row(rec, pictures)))));
  }

  function row(rec, pictures) {
    const path = `${base}/${encodeURIComponent(rec.id)}`;
    const end = ended(rec);
    const running = rec.outcome === "" && rec.steps === 0;
    const csv = h("button", { class: "btn small", onclick: () => takeCsv(csv, rec, path) }, icon("download"), "CSV");
    const more = h("button", { class: "icon-btn", "aria-label": `More for the recording of ${rec.started_at}`, "aria-haspopup": "menu", onclick: () => menu(more, actions(rec, path)) }, icon("dots"));
    return h("tr", { data: { id: rec.id } },
      pictures && h("td", { class: "thumb" }, hasPicture(rec) ? h("button", { class: "thumb-button", "aria-label": "Enlarge the picture", onclick: () => enlarge(rec, path) }, picture(app.api, `${path}/files/overview.png`)) : null),
      h("td", {}, day(rec.started_at) === "–" ? rec.id : day(rec.started_at)),
      h("td", {}, h("span", { class: `chip ${running ? "" : end.kind}`, title: rec.text || null }, running ? "being written" : end.text)),
      h("td", { class: "n" }, `${number(rec.simulated_s, 2)} s`), h("td", { class: "n" }, count(rec.steps)), h("td", { class: "n" }, rec.seed ?? "–"), h("td", { class: "n" }, bytes(rec.bytes)),
      h("td", { class: "act" }, csv, h("a", { class: "btn small", href: `#/play/${encodeURIComponent(experiment)}/${encodeURIComponent(rec.id)}` }, icon("play"), "Play"), more));
  }

  function enlarge(rec, path) {
    return show({ title: `${experiment}, ${day(rec.started_at)}`, wide: true, body: h("div", { class: "large-picture" }, picture(app.api, `${path}/files/overview.png`, { alt: "Overview of the run" })) });
  }

  /** Exports once, then offers every CSV file. */
  async function takeCsv(button, rec, path) {
    const wasText = button.lastChild.textContent;
    button.disabled = true;
    button.lastChild.textContent = "Exporting…";
    try {
      complain(null);
      let whole = rec;
      if (!rec.files?.some((each) => each.path.endsWith(".csv") && each.path !== PROFILE)) whole = await app.api.post(`${path}/export`, undefined, { patience_ms: 600000 });
      rec.files = whole.files;
      const files = whole.files.filter((each) => each.path.endsWith(".csv"));
      menu(button, files.map((file) => ({ text: file.path.replace(/^csv\//, ""), icon: "download", note: bytes(file.bytes), act: () => take(path, rec, file.path) })));
    } catch (error) {
      complain(error);
    } finally {
      button.disabled = false;
      button.lastChild.textContent = wasText;
    }
  }

  const take = (path, rec, file) => app.api.download(`${path}/files/${file.split("/").map(encodeURIComponent).join("/")}`, `${experiment}-${rec.id}-${file.replaceAll("/", "-")}`).catch(complain);

  function actions(rec, path) {
    const others = (rec.files ?? []).filter((each) => !each.path.endsWith(".csv"));
    return [
      ...others.map((file) => ({ text: file.path, icon: "download", note: bytes(file.bytes), act: () => take(path, rec, file.path) })),
      null,
      { text: "Delete…", icon: "trash", disabled: !mine, act: () => askDelete({ title: "Delete this recording?", text: `${number(rec.simulated_s, 2)} s of ${day(rec.started_at)} (${bytes(rec.bytes)}) are lost for good.`,
        act: async () => { await app.api.del(path); await refresh(); } }) },
    ];
  }

  refresh();
  return { element, refresh, close() {} };
}
