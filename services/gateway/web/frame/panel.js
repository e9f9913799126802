/** The frame of a panel: header with title or tabs, tools, a body, and the six states that page and person know. */

import { h } from "../element.js";

const CHIPS = { paused: "Paused", halted: "Halted", disconnected: "Not connected" };

export class Panel {
  #titleText = h("h2", { class: "panel-title" });
  #fact = h("span", { class: "panel-fact" });
  #tabs = null;
  #state = "";
  #cover = h("div", { class: "panel-cover", hidden: true });
  #chip = h("span", { class: "panel-chip", hidden: true });

  constructor(id, label) {
    this.id = id;
    this.label = label;
    this.tools = h("div", { class: "panel-tools" });
    this.lead = h("div", { class: "panel-lead" }, this.#titleText, this.#fact);
    this.header = h("header", { class: "panel-head" }, this.lead, this.#chip, this.tools);
    this.body = h("div", { class: "panel-body" });
    this.root = h("section", { class: "panel", "data-panel": id, tabindex: "-1", "aria-label": label });
    this.root.append(this.header, this.body, this.#cover);
    this.title(label);
  }

  /** Set the title and the muted fact beside it; undefined leaves a part as it is. */
  title(text, fact) {
    if (text !== undefined && this.#titleText.textContent !== text) this.#titleText.textContent = text;
    if (fact !== undefined && this.#fact.textContent !== fact) this.#fact.textContent = fact;
  }

  /**
   * Put tabs in place of the title: `items` are {id, label}. `onpick(id)` is called when one is chosen.
   * Returns {pick(id), badge(id, text), add(item), remove(id), picked}.
   */
  tabs(items, onpick) {
    this.#tabs = new Tabs(this.label, items, onpick);
    this.#titleText.classList.add("unseen");
    this.lead.prepend(this.#tabs.root);
    return this.#tabs;
  }

  /** The tabs made before, or null. */
  get tabStrip() {
    return this.#tabs;
  }

  /** empty, loading, live, paused, halted or disconnected. The first two cover the body, the others never do. */
  state(name, { head = "", text = "", action = null, content = null } = {}) {
    this.#state = name;
    this.root.dataset.state = name;
    const covered = name === "empty" || name === "loading";
    this.#cover.hidden = !covered;
    this.#chip.hidden = !(name in CHIPS);
    this.#chip.textContent = CHIPS[name] ?? "";
    if (covered) this.#cover.replaceChildren(content ?? words(head, text, action));
    else this.#cover.replaceChildren();
  }

  get stateName() {
    return this.#state;
  }
}

/** One row of tabs with one tab stop; arrows go from one to the next. */
class Tabs {
  #items = new Map();
  #onpick;

  constructor(label, items, onpick) {
    this.#onpick = onpick;
    this.root = h("div", { class: "panel-tabs", role: "tablist", "aria-label": label });
    this.root.addEventListener("keydown", (event) => this.#move(event));
    this.picked = items[0]?.id;
    for (const item of items) this.add(item);
  }

  add({ id, label, onpick }) {
    if (this.#items.has(id)) return;
    const badge = h("span", { class: "panel-badge", hidden: true });
    const button = h("button", { class: "panel-tab", type: "button", role: "tab" }, label, badge);
    button.addEventListener("click", () => (onpick ? onpick() : this.pick(id)));
    this.#items.set(id, { button, badge });
    this.root.append(button);
    this.#mark();
  }

  remove(id) {
    this.#items.get(id)?.button.remove();
    this.#items.delete(id);
    this.#mark();
  }

  pick(id, quietly = false) {
    if (!this.#items.has(id)) return;
    this.picked = id;
    this.#mark();
    if (!quietly) this.#onpick?.(id);
  }

  /** A small number behind a tab; empty text takes it away. */
  badge(id, text) {
    const item = this.#items.get(id);
    if (!item) return;
    item.badge.hidden = !text;
    item.badge.textContent = text || "";
  }

  #mark() {
    for (const [id, { button }] of this.#items) {
      button.setAttribute("aria-selected", String(id === this.picked));
      button.tabIndex = id === this.picked ? 0 : -1;
    }
  }

  #move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const buttons = [...this.#items.values()].map((item) => item.button);
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    event.preventDefault();
    next.focus();
    next.click();
  }
}

function words(head, text, action) {
  const box = h("div", { class: "panel-words" });
  if (head) box.append(h("p", { class: "panel-words-head" }, head));
  if (text) box.append(h("p", { class: "panel-words-text" }, text));
  if (action) box.append(h("button", { class: "btn", type: "button", onclick: action.run }, action.label));
  return box;
}

/** A row of buttons of which one is pressed, as [id, label] pairs; returns {root, pick(id)}. */
export function choice(label, pairs, picked, onpick) {
  const root = h("div", { class: "choice", role: "radiogroup", "aria-label": label });
  const buttons = new Map();
  const mark = (id) => {
    for (const [key, button] of buttons) {
      button.setAttribute("aria-checked", String(key === id));
      button.tabIndex = key === id ? 0 : -1;
    }
  };
  const choose = (id) => {
    mark(id);
    onpick(id);
  };
  for (const [id, text] of pairs) {
    const button = h("button", { class: "choice-part", type: "button", role: "radio" }, text);
    button.addEventListener("click", () => choose(id));
    buttons.set(id, button);
    root.append(button);
  }
  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const all = [...buttons.keys()];
    const at = all.findIndex((id) => buttons.get(id) === document.activeElement);
    const next = all[(at + step + all.length) % all.length];
    event.preventDefault();
    event.stopPropagation();
    buttons.get(next).focus();
    choose(next);
  });
  mark(picked);
  return { root, pick: mark };
}
