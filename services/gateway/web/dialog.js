// Dialogs, only for names, options, uploads and deleting; and the small menus behind "…".

import { fill, h } from "./element.js";
import { icon } from "./icons.js";

/**
 * Opens a dialog: `{title, text?, body?, actions?: [{text, kind?, act?, type?}], wide?}`. An action's `act` may be async:
 * the dialog closes when it has ended, and shows the reason when it fails. Resolves when closed.
 */
export function show({ title, text, body, actions = [{ text: "Close" }], wide }) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h("form", { method: "dialog" },
    h("header", {}, h("h2", {}, title), h("button", { type: "button", class: "icon-btn", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    h("div", { class: "dialog-body" }, text && h("p", {}, text), body, problem),
    h("footer", {}, actions.map((action) => button(action))));
  const dialog = h("dialog", { class: wide ? "wide" : "" }, form);
  const main = actions.find((action) => action.act && action.kind !== "quiet");

  function button(action) {
    return h("button", { type: action.type ?? (action === actions.find((each) => each.act) ? "submit" : "button"), class: `btn ${action.kind ?? ""}`,
      onclick: (event) => { event.preventDefault(); run(action); } }, action.text);
  }

  async function run(action) {
    if (!action.act) return dialog.close();
    const buttons = [...form.querySelectorAll("footer button")];
    for (const each of buttons) each.disabled = true;
    try {
      if ((await action.act(dialog)) !== false) dialog.close();
    } catch (error) {
      fill(problem, icon("warning"), h("span", {}, sentence(error.message)));
      problem.hidden = false;
    } finally {
      for (const each of buttons) each.disabled = false;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (main) run(main);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog && !body) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  (form.querySelector("[autofocus]") ?? form.querySelector(".dialog-body input, .dialog-body select") ?? form.querySelector("footer .btn"))?.focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => { dialog.remove(); resolve(); }));
}

/** Asks for one line of text and hands it to `act`. */
export function askName({ title, label, value = "", action = "Rename", text, act }) {
  const input = h("input", { value, autofocus: true, required: true, spellcheck: "false", autocomplete: "off" });
  const opened = show({ title, text, body: h("label", { class: "field" }, h("span", {}, label), input),
    actions: [{ text: action, kind: "primary", act: () => act(input.value.trim()) }, { text: "Cancel" }] });
  input.select();
  return opened;
}

/** Asks before something is lost, and says what. */
export const askDelete = ({ title, text, action = "Delete", act }) =>
  show({ title, text, actions: [{ text: action, kind: "danger", act }, { text: "Cancel" }] });

/**
 * A menu under `anchor`: entries `{text, icon?, note?, act, disabled?, checked?}` or null for a line. Arrows move, Esc closes.
 * A second call on an open anchor closes it.
 */
export function menu(anchor, entries, { align = "right" } = {}) {
  if (anchor.getAttribute("aria-expanded") === "true") return anchor.closeMenu?.();
  const items = entries.map((entry) => entry === null ? h("hr") : h("button", {
    type: "button", role: entry.checked === undefined ? "menuitem" : "menuitemcheckbox", tabindex: -1, disabled: !!entry.disabled,
    "aria-checked": entry.checked === undefined ? null : String(entry.checked),
    onclick: () => { close(); entry.act(); },
  }, icon(entry.checked === undefined ? entry.icon ?? "none" : entry.checked ? "check" : "none"),
  h("span", {}, entry.text, entry.note && h("small", {}, entry.note))));
  const list = h("div", { class: "menu", role: "menu" }, items);
  const before = document.activeElement; // after a menu that a key has opened, the next key is again for the page
  document.body.append(list);
  place(list, anchor, align);
  anchor.setAttribute("aria-expanded", "true");
  anchor.closeMenu = close;

  const usable = items.filter((item) => item.matches("button:not(:disabled)"));
  usable[0]?.focus();
  list.addEventListener("keydown", (event) => {
    const here = usable.indexOf(document.activeElement);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1 + usable.length, Home: 0, End: usable.length - 1 }[event.key];
    if (next !== undefined) usable[next % usable.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const outside = (event) => { if (!list.contains(event.target) && !anchor.contains(event.target)) close(false); };
  document.addEventListener("pointerdown", outside);
  window.addEventListener("hashchange", close);

  function close(back = true) {
    if (!list.isConnected) return;
    list.remove();
    document.removeEventListener("pointerdown", outside);
    window.removeEventListener("hashchange", close);
    anchor.setAttribute("aria-expanded", "false");
    if (back && before !== document.body) before?.focus();
  }
}

function place(list, anchor, align) {
  const box = anchor.getBoundingClientRect();
  const left = align === "right" ? box.right - list.offsetWidth : box.left;
  const below = box.bottom + 4 + list.offsetHeight < innerHeight;
  list.style.left = `${Math.max(8, Math.min(left, innerWidth - list.offsetWidth - 8))}px`;
  list.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - 4 - list.offsetHeight)}px`;
}

/** A reason as a sentence: with a capital and a full stop. */
export function sentence(text) {
  const whole = String(text ?? "").trim();
  // A name in front, such as brain.parameters.regions or motor_drive, keeps its spelling.
  const head = /^\w+[._]\w/.test(whole) ? whole[0] : whole.charAt(0).toUpperCase();
  return whole ? head + whole.slice(1) + (/[.!?…]$/.test(whole) ? "" : ".") : "";
}
