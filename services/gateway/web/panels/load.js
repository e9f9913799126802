/** A constant load on a joint, the joystick's for one: a slider and a number that are sent when they are let go. */
import { h } from "../element.js";
import { number } from "../words.js";

const SMALL_NM = 0.005;
const LARGE_NM = 50;

/**
 * `joints`: names; `loads`: {joint: torque_Nm} as they are; `send({joint: torque_Nm})` returns a promise.
 * Returns {element, set(loads)}. With `editable` false everything is shown and nothing can be moved.
 */
export function makeLoad({ joints, loads, small, editable, send }) {
  const limit = small ? SMALL_NM : LARGE_NM;
  const unit = small ? { factor: 1000, name: "mN m", digits: 2 } : { factor: 1, name: "N m", digits: 1 };
  const note = h("p", { class: "inspector-note", hidden: editable }, editable ? "" : "Only its owner may set a load.");
  const rows = new Map(joints.map((joint) => [joint, row(joint, limit, unit, editable, order)]));
  const element = h(
    "div",
    { class: "load-box", hidden: true, role: "group", "aria-label": "Load" },
    h("header", {}, h("strong", {}, "Load"), h("span", { class: "muted" }, `torque, ${unit.name}`)),
    [...rows.values()].map((each) => each.element),
    note,
  );

  async function order(joint, torque) {
    try {
      await send({ [joint]: torque });
      note.hidden = true;
    } catch (problem) {
      note.hidden = false;
      note.classList.add("bad");
      note.textContent = problem.detail ?? problem.message;
    }
  }

  const set = (values) => rows.forEach((each, joint) => each.set(values[joint] ?? 0));
  set(loads ?? {});
  return { element, set };
}

function row(joint, limit, unit, editable, order) {
  const words = joint.replaceAll("_", " ");
  const limits = { min: -limit * unit.factor, max: limit * unit.factor, step: (limit * unit.factor) / 100, disabled: !editable };
  const slider = h("input", { type: "range", "aria-label": `Load on ${words}`, ...limits });
  const field = h("input", { type: "number", "aria-label": `Load on ${words} in ${unit.name}`, ...limits, step: "any" });
  const zero = h("button", { class: "btn small", type: "button", disabled: !editable, onclick: () => give(0) }, "0");
  const show = (value) => {
    slider.value = value;
    field.value = number(value, unit.digits).replaceAll(",", "");
  };
  const give = (value) => {
    show(value);
    order(joint, value / unit.factor);
  };
  slider.addEventListener("input", () => (field.value = Number(slider.value).toFixed(unit.digits)));
  slider.addEventListener("change", () => give(Number(slider.value)));
  field.addEventListener("change", () => give(Number(field.value) || 0));
  return {
    element: h("div", { class: "load-row" }, h("span", {}, words), slider, field, zero),
    set: (torque) => show(torque * unit.factor),
  };
}
