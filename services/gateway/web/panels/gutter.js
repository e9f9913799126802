/** What stands beside the raster: brackets and names of groups, names and glyphs of bands, rates as bars and numbers. */

import { h, write } from "../element.js";
import { NONE, number } from "../words.js";

const GLYPHS = { E: "▲", I: "●", relay: "◇" };
const WORDS = { E: "excitatory", I: "inhibitory", relay: "relay" };
const LABEL_PX = 13;

export class Gutter {
  #rows = [];
  #ratio = 1;
  #bars = [];
  #values = [];
  #most = 10;
  #names = [];

  constructor() {
    this.left = h("div", { class: "gutter" });
    this.right = h("div", { class: "rates" });
    this.tag = h("div", { class: "band-tag", hidden: true });
  }

  /** Place all names for these rows (in device pixels; `ratio` of them make one px). */
  show(rows, ratio, { folded, onopen }) {
    this.#rows = rows;
    this.#ratio = ratio;
    this.left.replaceChildren(...brackets(rows, ratio, folded, onopen), ...this.#bandNames(rows, ratio, onopen), this.tag);
    this.#bars = [];
    this.#values = [];
    let free = -Infinity;
    const cells = rows.map((row) => {
      const bar = h("i", { class: "rate-bar" });
      bar.dataset.hue = row.colour % 7;
      const value = h("span", { class: "rate-value" });
      this.#bars.push(bar);
      const middle = (row.y + row.h / 2) / ratio;
      const room = middle - free >= LABEL_PX - 2;
      if (room) free = middle;
      this.#values.push(room ? value : null);
      const cell = h("div", { class: "rate" }, bar, room ? value : null);
      cell.style.top = `${row.y / ratio}px`;
      cell.style.height = `${row.h / ratio}px`;
      bar.style.height = `${Math.max(2, Math.min(16, row.h / ratio - 4))}px`;
      return cell;
    });
    this.right.replaceChildren(...cells);
  }

  /** The rate of each row in Hz. */
  rates(hz) {
    const top = Math.max(...hz.filter(Number.isFinite), 1);
    if (top > this.#most || top < this.#most * 0.4) this.#most = top * 1.25;
    hz.forEach((value, i) => {
      const known = Number.isFinite(value);
      this.#bars[i].style.transform = `scaleX(${known ? Math.min(1, value / this.#most) : 0})`;
      if (this.#values[i]) write(this.#values[i], known ? number(value, value < 9.95 ? 1 : 0) : NONE);
    });
  }

  /** Name the band at a height in px, where there is no room for its name. */
  nameAt(y) {
    const at = y * this.#ratio;
    this.name(this.#rows.find((row) => at >= row.y && at < row.y + row.h) ?? null);
  }

  name(row) {
    const shown = row && !this.#names.includes(row);
    this.tag.hidden = !shown;
    if (!shown) return;
    write(this.tag, row.folded ? `${row.group.name}, ${row.bands.length} populations` : [row.group.name, row.bands[0].name].filter(Boolean).join(" "));
    this.tag.style.top = `${Math.max(0, (row.y + row.h / 2) / this.#ratio - 10)}px`;
  }

  #bandNames(rows, ratio, onopen) {
    const names = [];
    this.#names = [];
    let free = -Infinity;
    for (const row of rows) {
      const middle = (row.y + row.h / 2) / ratio;
      if (row.folded) {
        const name = h("button", { class: "band-name folded", type: "button", title: `Open ${row.group.name}`, onclick: () => onopen(row.group.name) }, `${row.bands.length} populations`);
        name.style.top = `${middle - 10}px`;
        names.push(name);
        this.#names.push(row);
        continue;
      }
      if (middle - free < LABEL_PX - 2) continue; // no room: the pointer names it
      free = middle;
      const [band] = row.bands;
      const kind = band.kind === "relay" ? "relay" : band.sign;
      const glyph = h("i", { class: "glyph", title: WORDS[kind] ?? "" }, GLYPHS[kind] ?? "");
      glyph.dataset.hue = row.colour % 7;
      const name = h("span", { class: row.group.name ? "band-name" : "band-name alone", title: `${band.label}: ${band.cells} cells recorded${WORDS[kind] ? `, ${WORDS[kind]}` : ""}` }, h("span", {}, band.name), glyph);
      name.style.top = `${middle - 10}px`;
      names.push(name);
      this.#names.push(row);
    }
    return names;
  }
}

function brackets(rows, ratio, folded, onopen) {
  const found = [];
  for (let i = 0; i < rows.length; ) {
    let k = i;
    while (k + 1 < rows.length && rows[k + 1].group === rows[i].group) k += 1;
    const { name } = rows[i].group;
    const [top, bottom] = [rows[i].y / ratio, (rows[k].y + rows[k].h) / ratio];
    if (name) {
      const words = folded && !rows[i].folded ? h("button", { type: "button", title: `Fold ${name}`, onclick: () => onopen(name) }, name) : h("span", {}, name);
      const bracket = h("div", { class: "bracket" }, words);
      bracket.style.top = `${top}px`;
      bracket.style.height = `${bottom - top}px`;
      found.push(bracket);
    }
    i = k + 1;
  }
  return found;
}
