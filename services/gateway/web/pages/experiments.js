// The entry: what runs now, templates to clone, your experiments.

import { fill, h } from "../element.js";
import { icon } from "../icons.js";
import { sentence } from "../dialog.js";
import { makeOwned } from "../entry/owned.js";
import { makeRunning } from "../entry/running.js";
import { makeTemplates } from "../entry/templates.js";

const RUNNING_EVERY_MS = 1000;
const REST_EVERY = 5;

export function open(root, params, app) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const entry = { app, refresh, filter: "", experiments: [], templates: [], simulations: [], complain };
  const parts = [makeRunning(entry), makeTemplates(entry), makeOwned(entry)];
  fill(root, h("div", { class: "column" }, problem, parts.map((part) => part.element)));
  document.title = "Experiments · Reafference";

  entry.filter = (document.querySelector(".search input")?.value ?? "").trim().toLowerCase();
  let turn = 0;
  let closed = false;
  let timer = null;

  function complain(error) {
    problem.hidden = !error;
    if (error) fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
  }

  /** Asks the server for what may have changed; all of it when `whole`. */
  async function refresh(whole = true) {
    try {
      const [simulations, experiments, templates, servers] = await Promise.all([
        app.api.get("simulations"),
        whole ? app.api.get("experiments") : entry.experiments,
        entry.templates.length ? entry.templates : app.api.get("templates"),
        whole || !entry.servers ? app.api.get("servers") : entry.servers,
      ]);
      if (closed) return;
      Object.assign(entry, { simulations, experiments, templates, servers, known: true });
      if (entry.lost) complain(null);
      entry.lost = false;
      for (const part of parts) part.draw();
    } catch (error) {
      if (closed || error.status === 401) return;
      entry.lost = true;
      complain(error);
    }
  }

  async function watch() {
    if (!document.hidden) await refresh(turn++ % REST_EVERY === 0);
    if (!closed) timer = setTimeout(watch, RUNNING_EVERY_MS);
  }

  const search = (event) => {
    entry.filter = event.detail.trim().toLowerCase();
    for (const part of parts) part.draw();
  };
  document.addEventListener("reaf:search", search);
  watch();

  return {
    close() {
      closed = true;
      clearTimeout(timer);
      document.removeEventListener("reaf:search", search);
      for (const part of parts) part.close?.();
    },
  };
}
