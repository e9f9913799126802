/** Colours that carry data: seven hues for populations, one table from blue to red for muscles. */

const POPULATIONS = {
  light: ["#1B547A", "#A04200", "#02876D", "#8A8E14", "#CF5CB2", "#8348B9", "#70353A"],
  dark: ["#1E93E4", "#F7A540", "#2EEBC9", "#E9E84A", "#9F7298", "#B3B2FB", "#E0611A"],
};
const MUSCLES = {
  light: ["#1F5FD0", "#5C7FC4", "#9A86A6", "#CB5A55", "#D3200F"],
  dark: ["#4C8DFF", "#7C9BE0", "#B59CB4", "#E8766A", "#FF4A33"],
};
const BY_REGION = { S1: 0, M1: 1, TH: 2, CB: 4, BG: 6 };
const BY_LAYER = { L1: 0, L5A: 1, L23: 2, L2: 2, L4: 3, L3: 4, L5B: 5, L6: 6 };
const tables = {};
const read = {};

/** "dark" or "light": what the page shows now. */
export function themeName() {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

/** The hue number `index` (0 to 6, round and round) of the present theme as "#rrggbb". */
export function populationColour(index, theme = themeName()) {
  const hues = POPULATIONS[theme];
  return hues[((index % hues.length) + hues.length) % hues.length];
}

/** The hue of a region (whole brain) or a layer (one region); `fallback` is the number of its group. */
export function hueOf(name, what, fallback) {
  if (what === "layer") return BY_LAYER[name] ?? fallback;
  const [region, part] = String(name).split(/[ _]/);
  if (region === "TH" && part === "IZ") return 3;
  if (region === "CB" && part === "M1") return 5;
  return BY_REGION[region] ?? fallback;
}

/** 256 colours as "#rrggbb" from 0 (blue) to 1 (red). */
export function muscleTable(theme = themeName()) {
  return table(theme).hex;
}

/** The same 256 colours as 32-bit pixels (ABGR, opaque), for an ImageData. */
export function musclePixels(theme = themeName()) {
  return table(theme).pixels;
}

/** The colour of an activation from 0 to 1 as "#rrggbb". */
export function muscleColour(activation, theme = themeName()) {
  return table(theme).hex[Math.max(0, Math.min(255, Math.round(activation * 255) || 0))];
}

/** "#rrggbb" (or rgb(…)) as [r, g, b], each 0 to 255. */
export function rgb(colour) {
  const text = colour.trim();
  if (text.startsWith("#")) {
    const full = text.length === 4 ? [...text.slice(1)].map((c) => c + c).join("") : text.slice(1, 7);
    return [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16));
  }
  return (text.match(/[\d.]+/g) ?? [0, 0, 0]).slice(0, 3).map(Number);
}

/** A colour as one opaque 32-bit pixel; `over` and `part` mix it with what is behind. */
export function pixel(colour, over = colour, part = 1) {
  const [front, back] = [rgb(colour), rgb(over)];
  const [r, g, b] = front.map((value, i) => Math.round(value * part + back[i] * (1 - part)));
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** The value of a CSS variable of the page in the present theme; read once, for reading styles costs a layout. */
export function variable(name, theme = themeName()) {
  const cache = (read[theme] ??= {});
  return (cache[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888888");
}

function table(theme) {
  return (tables[theme] ??= build(MUSCLES[theme]));
}

function build(stops) {
  const hex = [];
  const pixels = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    const [a, b] = [rgb(stops[low]), rgb(stops[low + 1])];
    const mix = a.map((value, k) => Math.round(value + (b[k] - value) * (at - low)));
    hex.push("#" + mix.map((value) => value.toString(16).padStart(2, "0")).join(""));
    pixels[i] = pixel(hex[i]);
  }
  return { hex, pixels };
}
