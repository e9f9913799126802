/** The muscles of a body by name: a bar, a number, and a click that selects one. */
import { muscleColour, muscleTable } from "../draw/colours.js";
import { h, write } from "../element.js";
import { number } from "../words.js";

/** Returns {element, update(activation), mark(m), look()}; `onpick(m)` is called with -1 when none is picked any more. */
export function makeMuscleList(names, onpick) {
  let marked = -1;
  const rows = names.map((name, m) => row(name, m, (which) => onpick(which === marked ? -1 : which)));
  const legend = h("div", { class: "muscle-legend" }, "0", h("i"), "1 activation");
  const list = h("div", { class: "muscle-rows", role: "listbox", "aria-label": "Muscles" }, rows.map((each) => each.element));
  const element = h("div", { class: "muscle-list" }, list, legend);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = rows.findIndex((each) => each.element === document.activeElement);
    rows[(at + step + rows.length) % rows.length].element.focus();
  });

  function mark(m) {
    marked = m;
    rows.forEach((each, i) => {
      each.element.setAttribute("aria-selected", String(i === m));
      each.element.tabIndex = i === Math.max(m, 0) ? 0 : -1;
    });
  }

  mark(-1);
  return {
    element,
    mark,
    update(activation) {
      rows.forEach((each, m) => each.update(activation[m]));
    },
    look() {
      const stops = [0, 64, 128, 191, 255].map((i) => muscleTable()[i]);
      legend.querySelector("i").style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
      for (const each of rows) each.look();
    },
  };
}

function row(name, m, onpick) {
  let shown = NaN;
  const bar = h("i");
  const value = h("span", { class: "muscle-value" }, "–");
  const element = h(
    "button",
    { class: "muscle-row", type: "button", role: "option", onclick: () => onpick(m) },
    h("span", { class: "muscle-name" }, name),
    h("span", { class: "muscle-bar" }, bar),
    value,
  );
  const draw = () => {
    const a = Math.min(Math.max(shown || 0, 0), 1);
    bar.style.transform = `scaleX(${a.toFixed(3)})`;
    bar.style.background = muscleColour(a);
    write(value, number(shown, 2));
  };
  return {
    element,
    update(activation) {
      if (Math.abs(activation - shown) < 5e-4) return;
      shown = activation;
      draw();
    },
    look: draw,
  };
}
