/** Populations by group, each with its sign and a switch: which of them are drawn. */
import { h } from "../element.js";
import { count } from "../words.js";

/** ▲ excitatory, ● inhibitory, ◇ relay: hue says where, shape says what. */
export function glyph({ sign, kind }) {
  if (kind === "relay") return "◇";
  return sign === "I" ? "●" : "▲";
}

/**
 * `populations`: [{name, short, group, sign, kind, size}]. `onchange(shown)` gets one boolean for each.
 * Returns {element, paint(colours: "#rrggbb"[]), all(on)}.
 */
export function makePopulationList(populations, onchange) {
  const shown = populations.map(() => true);
  const rows = populations.map((population, i) => {
    const sign = h("span", { class: "pop-glyph", "aria-hidden": "true" }, glyph(population));
    const button = h(
      "button",
      { class: "pop-row", type: "button", role: "switch", "aria-checked": "true", title: population.name, onclick: () => turn([i], !shown[i]) },
      sign,
      h("span", { class: "pop-name" }, population.short),
      h("span", { class: "pop-size" }, count(population.size)),
    );
    return { button, sign };
  });
  const groups = new Map();
  populations.forEach((population, i) => groups.set(population.group, [...(groups.get(population.group) ?? []), i]));
  const heads = [...groups].map(([name, members]) => {
    const head = h("button", { class: "pop-head", type: "button", title: "All of them on or off", onclick: () => turn(members, !members.every((i) => shown[i])) }, name);
    return h("div", { class: "pop-group", role: "group", "aria-label": name }, name ? head : null, members.map((i) => rows[i].button));
  });
  const element = h("div", { class: "brain-list", hidden: true }, heads);

  function turn(members, on) {
    for (const i of members) {
      shown[i] = on;
      rows[i].button.setAttribute("aria-checked", String(on));
    }
    onchange(shown);
  }

  return {
    element,
    shown,
    paint(colours) {
      rows.forEach(({ sign }, i) => (sign.style.color = colours[i]));
    },
    all: (on) => turn(rows.map((_, i) => i), on),
  };
}
