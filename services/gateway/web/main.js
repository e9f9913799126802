// Starts the page: who am I, which page, and the bar above all pages but the workbench.

import { api } from "./link/api.js";
import { fill, h } from "./element.js";
import { keys } from "./keys.js";
import { read, follow } from "./routes.js";
import { makeTopbar } from "./topbar.js";
import { theme } from "./theme.js";

const page = document.getElementById("page");
const announcer = document.getElementById("announcer");

const app = {
  api,
  theme,
  keys,
  me: null,
  go(hash) { location.hash = hash; },
  /** Tells screen readers about a change of state or an error; never about values. */
  announce(text) {
    announcer.textContent = "";
    setTimeout(() => { announcer.textContent = text; }, 50);
  },
};

const topbar = makeTopbar(app);

const WHOLE = new Set(["workbench", "playback", "login"]);

/** An empty room for a page: below the bar, or the whole window for the workbench. */
function roomFor(name) {
  document.title = "Reafference";
  topbar.rest();
  const room = h("main", { class: `room ${name}`, id: "room", tabindex: -1 });
  fill(page, WHOLE.has(name) ? [] : topbar.element, room);
  if (!WHOLE.has(name)) topbar.wake(name);
  return room;
}

function fault(room, error) {
  fill(room, h("div", { class: "column" }, h("div", { class: "empty" }, h("h2", {}, error.message),
    h("p", {}, "The page could not be opened. Reload it, or go back to the experiments."),
    h("a", { class: "btn", href: "#/" }, "Experiments"))));
}

keys.bind("Everywhere", "?", () => keys.showTable(), "this table");
keys.bind("Everywhere", "Shift+D", () => theme.toggle(), "light / dark");

function toLogin() {
  if (read(location.hash).page === "login") return;
  sessionStorage.setItem("reaf.after_login", location.hash || "#/");
  history.replaceState(null, "", "#/login");
}

async function start() {
  try {
    // Without a token one need not ask who one is, unless this server lets everybody in.
    if (!api.token && (await api.get("health")).tokens) toLogin();
    else app.me = await api.get("me", { stay: true });
  } catch (error) {
    if (error.status === 401) toLogin();
  }
  await follow(app, roomFor, fault);
}

start();
