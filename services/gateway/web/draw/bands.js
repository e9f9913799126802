/** Which cells are recorded, in which bands of which groups, and how high each band is. */

import { hueOf } from "./colours.js";

const LEAST_PX = 9;
const GAP_PX = 1;
const GROUP_GAP_PX = 6;
const NOWHERE = 65535;

/**
 * The recorded cells in the order of `cell` in brain/raster: recorders by name, labels in their order, each neuron once.
 * `{cells, bands: [{label, name, group, colour, sign, kind, size, cells, parts: [{first, cells}], places}], groups}`:
 * a population that two recorders know is one band of two parts; `places` are its places in `counts`.
 */
export function bandsOf(facts) {
  const populations = facts?.populations ?? {};
  const regions = new Set(Object.values(populations).map((one) => one.region).filter(Boolean));
  const recorders = facts?.recorders ?? {};
  const several = Object.keys(recorders).length > 1;
  const bands = new Map();
  const seen = new Set();
  let cells = 0;
  let place = 0;
  for (const recorder of Object.keys(recorders).sort()) {
    for (const [label, ranges] of Object.entries(recorders[recorder])) {
      const fresh = several ? unseen(ranges, seen) : ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      const known = populations[label] ?? {};
      if (!bands.has(label)) {
        bands.set(label, { label, ...named(label, known, regions.size > 1), sign: known.sign, kind: known.kind, size: known.size, cells: 0, parts: [], places: [] });
      }
      const band = bands.get(label);
      band.parts.push({ first: cells, cells: fresh });
      band.places.push(place++);
      band.cells += fresh;
      cells += fresh;
    }
  }
  for (const band of bands.values()) band.size ??= band.cells;
  return { cells, bands: [...bands.values()], groups: grouped([...bands.values()], regions.size > 1) };
}

/** How many neurons of these ranges were in no list before. */
function unseen(ranges, seen) {
  let fresh = 0;
  for (const [first, last] of ranges) {
    for (let id = first; id <= last; id++) {
      if (!seen.has(id)) fresh += 1;
      seen.add(id);
    }
  }
  return fresh;
}

/** Name and group of a population: of a whole brain its region (the thalamus has two zones), else its layer. */
function named(label, { region, layer, cell }, several) {
  const shown = layer === "L23" ? "L2/3" : layer;
  if (several && region) {
    const zone = /^(.*?)_?(EZ|IZ)$/.exec(layer ?? "");
    const group = [region.replaceAll("_", " "), zone?.[2]].filter(Boolean).join(" ");
    const parts = [zone ? zone[1] : shown, cell].filter(Boolean);
    return { group, name: [...new Set(parts)].join(" ") || label, hue: group };
  }
  if (layer) return { group: shown, name: cell ?? label, hue: layer };
  return { group: "", name: label, hue: label };
}

function grouped(bands, several) {
  const groups = new Map();
  for (const band of bands) {
    if (!band.cells) continue;
    if (!groups.has(band.group)) groups.set(band.group, { name: band.group, bands: [] });
    groups.get(band.group).bands.push(band);
  }
  const list = [...groups.values()];
  list.forEach((group, i) => {
    group.hue = hueOf(group.bands[0].hue, several ? "region" : "layer", i);
    if (group.name) for (const band of group.bands) band.colour = group.hue;
    else group.bands.forEach((band, k) => (band.colour = k));
  });
  return list;
}

/**
 * Rows of a raster `height` pixels high: `[{y, h, colour, group, bands, folded}]`. Groups of which the bands would be too
 * thin are folded into one row each, unless their name is in `opened`; those in `hidden` get none.
 */
export function rowsOf(groups, height, { opened = new Set(), hidden = new Set() } = {}) {
  const shown = groups.map((group) => ({ group, bands: group.bands.filter((band) => !hidden.has(band.label)) })).filter((one) => one.bands.length);
  const need = shown.reduce((sum, { bands }) => sum + bands.length * (LEAST_PX + GAP_PX), 0) + (shown.length - 1) * GROUP_GAP_PX;
  const fold = need > height && shown.length > 1;
  const rows = [];
  for (const { group, bands } of shown) {
    if (fold && !opened.has(group.name)) rows.push({ group, bands, folded: true, colour: group.hue });
    else for (const band of bands) rows.push({ group, bands: [band], folded: false, colour: band.colour });
  }
  spread(rows, height);
  return { rows, fold };
}

/** Heights grow with the 0.42th power of the number of cells; gaps are wider between groups. */
function spread(rows, height) {
  const gaps = rows.reduce((sum, row, i) => sum + (i ? (row.group !== rows[i - 1].group ? GROUP_GAP_PX : GAP_PX) : 0), 0);
  const weights = rows.map((row) => row.bands.reduce((sum, band) => sum + band.cells, 0) ** 0.42);
  const free = Math.max(rows.length, height - gaps);
  const least = Math.min(LEAST_PX, free / Math.max(1, rows.length));
  const spare = free - least * rows.length;
  const total = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  let y = 0;
  rows.forEach((row, i) => {
    if (i) y += row.group !== rows[i - 1].group ? GROUP_GAP_PX : GAP_PX;
    const h = least + (spare * weights[i]) / total;
    row.y = Math.round(y);
    row.h = Math.max(1, Math.round(y + h) - row.y);
    y += h;
  });
}

/** For each cell the line of pixels and the row it is drawn in; `mark` is how high a spike is. */
export function placesOf(cells, rows) {
  const y = new Uint16Array(cells).fill(NOWHERE);
  const row = new Uint16Array(cells);
  const each = rows.map((one) => one.h / Math.max(1, one.bands.reduce((sum, band) => sum + band.cells, 0)));
  const most = cells <= 64 ? 16 : 5; // few cells are drawn as bars, many as dots
  const mark = Math.max(1, Math.min(most, Math.floor(Math.min(...each, 32) * 0.6)));
  rows.forEach((one, number) => {
    const all = one.bands.reduce((sum, band) => sum + band.cells, 0);
    const room = Math.max(1, one.h - mark + 1);
    let place = 0;
    for (const band of one.bands) {
      for (const { first, cells: many } of band.parts) {
        for (let k = 0; k < many; k++, place++) {
          y[first + k] = one.y + Math.min(room - 1, Math.floor(((place + 0.5) / all) * room));
          row[first + k] = number;
        }
      }
    }
  });
  return { y, row, mark };
}
