// Keys of the page, and the table that `?` shows.

import { h } from "./element.js";
import { show } from "./dialog.js";

const bindings = new Set();

export const keys = {
  /**
   * Calls `act(event)` on "Space", ".", "Shift+S", "Ctrl+Enter" … `scope` is the head under which the table lists it, or
   * an element: then it acts only while the focus is inside. Single keys rest while a person types. Returns an off function.
   */
  bind(scope, key, act, words) {
    const binding = { scope, key, act, words };
    bindings.add(binding);
    return () => bindings.delete(binding);
  },

  showTable() {
    const heads = new Map();
    for (const { scope, key, words } of bindings) {
      if (!words) continue;
      const head = typeof scope === "string" ? scope : (scope.getAttribute("aria-label") ?? "Panel");
      if (!heads.has(head)) heads.set(head, new Map());
      const rows = heads.get(head);
      rows.set(words, [...(rows.get(words) ?? []), key]);
    }
    const groups = [...heads].map(([head, rows]) =>
      h("section", {}, h("h3", {}, head),
        h("dl", { class: "keys" }, [...rows].map(([words, list]) =>
          [h("dt", {}, list.map((key) => h("kbd", {}, shown(key)))), h("dd", {}, words)]))));
    show({ title: "Keys", body: h("div", { class: "key-groups" }, groups), wide: true });
  },
};

const shown = (key) => key.replace("ArrowLeft", "←").replace("ArrowRight", "→").replace("ArrowUp", "↑").replace("ArrowDown", "↓");

/** How a key press is called in `bind`. */
export function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const letter = /^[A-Z]$/.test(key) || event.key.length > 1;
  return [
    event.ctrlKey || event.metaKey ? "Ctrl+" : "",
    event.altKey ? "Alt+" : "",
    event.shiftKey && letter ? "Shift+" : "",
    key,
  ].join("");
}

/** Whether keys now belong to what has the focus. */
export function typing(target) {
  return target?.matches?.("input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select, [contenteditable=true]") ?? false;
}

// A button or link that has the focus answers these itself.
const OF_CONTROLS = new Set(["Space", "Enter"]);

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  const single = !name.includes("Ctrl+") && !name.includes("Alt+");
  if (single && name !== "Escape" && typing(event.target)) return;
  if (single && document.querySelector("dialog[open]")) return;
  if (OF_CONTROLS.has(name) && event.target.closest?.("button, a, summary, [role=switch], [role=tab], [role=menuitem], input, [role=option]")) return;
  const fits = [...bindings].filter((binding) => binding.key === name);
  const inside = fits.find((binding) => typeof binding.scope !== "string" && binding.scope.contains(event.target));
  const binding = inside ?? fits.findLast((candidate) => typeof candidate.scope === "string");
  if (!binding) return;
  event.preventDefault();
  binding.act(event);
});
