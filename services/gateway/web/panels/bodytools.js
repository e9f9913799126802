/** The tools of the body: where to look from, light, load. */
import { h } from "../element.js";
import { choice } from "../frame/panel.js";
import { icon } from "../icons.js";

const VIEWS = [["side", "Side"], ["front", "Front"], ["top", "Top"], ["follow", "Follow"]];

/** Returns {views: element for the header, corner: element over the picture, view(name), light(on), load(open | null)}. */
export function makeBodyTools({ onview, onlight, onload }) {
  const views = choice("View", VIEWS, "side", onview);
  const button = (name, words, title, state, act) =>
    h("button", { class: "icon-btn", type: "button", [state]: "false", "aria-label": words, title, onclick: act }, icon(name));
  const light = button("sun", "Shade", "With or without shade", "aria-pressed", onlight);
  const load = button("push", "Load on a joint", "Load on a joint", "aria-expanded", onload);
  return {
    views: views.root,
    corner: h("div", { class: "view-tools" }, load, light),
    view: views.pick,
    light: (on) => light.setAttribute("aria-pressed", String(on)),
    load(open) {
      load.hidden = open === null;
      load.setAttribute("aria-expanded", String(Boolean(open)));
    },
  };
}
