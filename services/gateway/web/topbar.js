// The bar above all pages but the workbench: where one is, what runs, search, theme, who one is.

import { fill, h } from "./element.js";
import { icon, mark } from "./icons.js";
import { menu } from "./dialog.js";
import { askTokens } from "./entry/tokens.js";

const RUNNING = new Set(["created", "initialised", "paused", "started"]);
const EVERY_MS = 3000;

export function makeTopbar(app) {
  const count = h("span", { class: "chip live", hidden: true });
  const links = {
    experiments: h("a", { href: "#/" }, icon("experiments"), "Experiments"),
    workbench: h("a", { href: "#/", class: "quiet", "aria-disabled": "true" }, icon("pulse"), "Workbench", count),
    cluster: h("a", { href: "#/cluster" }, icon("server"), "Cluster"),
  };
  const search = h("input", { type: "search", placeholder: "Search experiments", "aria-label": "Search experiments", spellcheck: "false" });
  const themeButton = h("button", { class: "icon-btn", "aria-label": "Light or dark", title: "Light or dark (Shift+D)", onclick: () => app.theme.toggle() });
  const who = h("button", { class: "chip who", "aria-haspopup": "menu", onclick: () => menu(who, [
    ...(app.me?.role === "admin" ? [{ text: "Tokens…", icon: "people", act: () => askTokens(app) }] : []),
    { text: "Sign out", icon: "close", act: () => { app.api.token = ""; app.me = null; app.go("#/login"); } },
  ]) });
  const element = h("header", { class: "topbar" },
    h("a", { class: "brand", href: "#/" }, mark(), "Reafference"),
    h("nav", { "aria-label": "Pages" }, Object.values(links)),
    h("label", { class: "search" }, icon("search"), search, h("kbd", {}, "/")),
    themeButton, who);
  let timer = null;

  search.addEventListener("input", () => {
    document.dispatchEvent(new CustomEvent("reaf:search", { detail: search.value }));
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && location.hash !== "#/" && location.hash !== "") app.go("#/");
    if (event.key === "Escape") { search.value = ""; search.dispatchEvent(new Event("input")); search.blur(); }
  });
  app.keys.bind("Everywhere", "/", () => search.focus(), "search");
  const dress = () => fill(themeButton, icon(app.theme.now === "dark" ? "sun" : "moon"));
  app.theme.on(dress);
  dress();

  async function refresh() {
    try {
      const running = (await app.api.get("simulations")).filter((each) => RUNNING.has(each.state) || each.state === "halted");
      const mine = running.find((each) => each.owner === app.me?.name) ?? running[0];
      links.workbench.href = mine ? `#/run/${encodeURIComponent(mine.id)}` : "#/";
      links.workbench.setAttribute("aria-disabled", String(!mine));
      links.workbench.title = mine ? mine.title : "Nothing runs. Launch an experiment first.";
      count.hidden = !running.length;
      count.textContent = String(running.length);
    } catch { /* the page below says what is wrong */ }
  }

  return {
    element,
    search,
    wake(page) {
      for (const [name, link] of Object.entries(links)) {
        if (name === page || (name === "experiments" && page === "experiment")) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      who.textContent = app.me ? (app.me.name === app.me.role ? app.me.role : `${app.me.name} · ${app.me.role}`) : "not signed in";
      refresh();
      timer = setInterval(refresh, EVERY_MS);
    },
    rest() {
      clearInterval(timer);
    },
  };
}
