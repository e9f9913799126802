/** What is known of a picked link or muscle: a small list of numbers with units, refreshed while it moves. */
import { icon } from "../icons.js";
import { fill, h, write } from "../element.js";
import { number as plain } from "../words.js";

/** Returns {element, show(name, kind), rows([[name, text]]), note(text, bad), hide()}. */
export function makeInspector(onclose) {
  const name = h("strong");
  const kind = h("span", { class: "muted" });
  const close = h("button", { class: "icon-btn", type: "button", "aria-label": "Close", title: "Close", onclick: onclose }, icon("close"));
  const list = h("dl");
  const note = h("p", { class: "inspector-note", hidden: true });
  const element = h("aside", { class: "inspector", "aria-label": "Selected part", hidden: true }, h("header", {}, name, kind, close), list, note);
  let values = [];

  return {
    element,
    show(called, what) {
      write(name, called);
      write(kind, what);
      values = [];
      fill(list);
      element.hidden = false;
    },
    rows(pairs) {
      if (pairs.length !== values.length) {
        values = pairs.map(() => h("dd"));
        fill(list, pairs.map(([label], i) => [h("dt", {}, label), values[i]]));
      }
      pairs.forEach(([, text], i) => write(values[i], text));
    },
    note(text, bad = false) {
      note.hidden = !text;
      note.classList.toggle("bad", bad);
      write(note, text);
    },
    hide() {
      element.hidden = true;
    },
  };
}

/** What a shape is, in words: "capsule 10.6 × 2.0 mm". `small`: millimetres, else metres. */
export function shapeWords(shape, small) {
  if (!shape) return "no shape";
  const length = (metres) => (small ? number(metres * 1000, 1) : number(metres, 2));
  const unit = small ? "mm" : "m";
  if (shape.kind === "box") return `box ${shape.size_m.map(length).join(" × ")} ${unit}`;
  if (shape.kind === "ellipsoid") return `ellipsoid ${shape.semi_axes_m.map((x) => length(2 * x)).join(" × ")} ${unit}`;
  const long = Math.hypot(...shape.to_m.map((x, i) => x - shape.from_m[i]));
  return `${shape.kind} ${length(long)} × ${length(2 * shape.radius_m)} ${unit}`;
}

/** Rows about link number `index`: where it is, and what its joints do. `at(topic, array)` gives a typed array or undefined. */
export function linkRows(index, joints, names, at, small) {
  const unit = small ? 1000 : 1;
  const position = at("body/links", "position");
  const place = position ? [0, 1, 2].map((axis) => number(position[index * 3 + axis] * unit, small ? 1 : 2)).join("  ") : "–";
  const rows = [[`place, ${small ? "mm" : "m"}`, place]];
  const [angle, speed, effort] = ["position", "velocity", "effort"].map((array) => at("body/joints", array));
  for (const joint of joints) {
    const i = names.indexOf(joint.name);
    if (i < 0 || !angle) continue;
    const words = joint.name.replaceAll("_", " ");
    rows.push([words, `${degrees(angle[i])} °`], ["speed", `${degrees(speed?.[i])} °/s`]);
    if (effort) rows.push(["torque", torque(effort[i])]);
  }
  return rows;
}

/** Rows about a muscle. */
export function muscleRows(m, force, at) {
  const take = (array) => at("body/muscles", array)?.[m];
  return [
    ["excitation", number(take("excitation"), 2)],
    ["length", `${number(take("length") * 1000, 2)} mm`],
    ["speed", `${number(take("velocity") * 1000, 1)} mm/s`],
    [force == null ? "force" : `force, of ${number(force, 1)}`, `${number(take("force"), 3)} N`],
  ];
}

function degrees(radians) {
  return number((radians * 180) / Math.PI, 1);
}

function torque(Nm) {
  return Math.abs(Nm) < 0.1 ? `${number(Nm * 1000, 3)} mN m` : `${number(Nm, 2)} N m`;
}

/** "5.06 mm" as number and unit. */
export function apart(text) {
  const found = /^(\S+) (\D+)$/.exec(text);
  return found ? found.slice(1) : [text, ""];
}

/** A number that is never "-0.0": a value at rest does not flicker. */
function number(value, digits) {
  const text = plain(value, digits);
  return /^-[0.,]*$/.test(text) ? text.slice(1) : text;
}
