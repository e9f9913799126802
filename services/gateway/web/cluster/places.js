// Where simulations can be launched: this machine, containers, and each job that serves.

import { fill, h, write } from "../element.js";
import { sentence } from "../dialog.js";
import { clock, count, number, plural, state, withTimes } from "../words.js";

const LIVE = new Set(["created", "initialised", "paused", "started", "stopping", "halted"]);

export function makePlaces() {
  const fact = h("span", { class: "muted small" });
  const body = h("ul", { class: "servers" });
  const element = h("section", { class: "card", "aria-label": "Servers" }, h("header", {}, h("h3", {}, "Servers"), fact), body);
  let drawn = "";

  function draw(servers, simulations) {
    const [busy, places] = ["busy", "places"].map((key) => servers.reduce((sum, each) => sum + each[key], 0));
    write(fact, `${count(busy)} of ${plural(places, "place")} in use`);
    const running = simulations.filter((each) => LIVE.has(each.state));
    const key = JSON.stringify([servers, running.map((each) => [each.id, each.state, Math.floor(each.real_s ?? 0)])]);
    if (key === drawn) return;
    drawn = key;
    const focus = document.activeElement?.closest?.(".servers a")?.getAttribute("href");
    fill(body, servers.map((each) => makeServer(each, running.filter((simulation) => simulation.server === each.id))));
    if (focus) body.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
  }

  return { element, draw };
}

function makeServer(server, running) {
  const title = server.kind === "job" ? h("a", { href: `#/cluster/${encodeURIComponent(server.id)}`, class: "name" }, server.title) : h("strong", {}, server.title);
  const size = [server.cores && plural(server.cores, "core"), server.memory_gb && `${number(server.memory_gb, 0)} GB`].filter(Boolean).join(", ");
  return h("li", { class: "server" },
    h("div", { class: "server-head" }, title, server.kind === "job" ? h("span", { class: "muted small mono" }, server.id) : null, h("span", { class: "muted small" }, size),
      server.ready === false ? h("span", { class: "chip warn" }, "not ready") : null,
      h("span", { class: "places", role: "img", "aria-label": `${server.busy} of ${server.places} places in use` }, Array.from({ length: server.places }, (_, i) => h("i", { class: i < server.busy ? "ours" : "" }))),
      h("span", { class: "mono small" }, `${server.busy} of ${server.places}`)),
    server.ready === false && server.text ? h("p", { class: "small second" }, sentence(withTimes(server.text))) : null,
    running.map((each) => h("p", { class: "small" }, h("a", { href: `#/run/${encodeURIComponent(each.id)}` }, each.title || each.experiment), h("span", { class: "muted" }, ` ${state(each).text.toLowerCase()}, by ${each.owner}, ${clock(each.real_s)}`))));
}
