/** Spikes of every recorded population as a raster, with rates from full counts; the brain in 3-D as its second tab. */

import { h, write } from "../element.js";
import { icon } from "../icons.js";
import { menu } from "../dialog.js";
import { choice } from "../frame/panel.js";
import { TimeView } from "../frame/cursor.js";
import { Gutter } from "./gutter.js";
import { RateCurves, Rates, pointIn } from "./rates.js";
import { bandsOf, placesOf, rowsOf } from "../draw/bands.js";
import { populationColour, variable } from "../draw/colours.js";
import { Raster } from "../draw/raster.js";
import { NONE, count, telling } from "../words.js";

const MOST_PER_S = 20000;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export function make(ctx) {
  const { app, store, data, loop, panel, view } = ctx;
  const canvas = h("canvas", { class: "raster", role: "img", "aria-label": "Spikes" });
  const ruler = h("canvas", { class: "ruler", "aria-hidden": "true" });
  const cursor = h("i", { class: "cursor-line", hidden: true });
  const gutter = new Gutter();
  const stage = h("div", { class: "raster-stage" }, canvas, cursor);
  const curves = new RateCurves();
  const upper = h("div", { class: "raster-block" }, gutter.left, stage, gutter.right, ruler, h("span", { class: "hz-unit" }, "Hz"));
  const spikes = h("div", { class: "spikes" }, upper, curves.element);
  const deep = h("div", { class: "brain3d-host", hidden: true });
  panel.body.append(spikes, deep);

  const raster = new Raster(canvas);
  const rates = new Rates();
  let brain = { cells: 0, bands: [], groups: [] };
  let rows = [];
  let folded = false;
  let shown = 1;
  let spikesPerS = NaN;
  let dirtyLayout = true;
  let third = null;
  const opened = new Set();
  const hidden = new Set();

  const tabs = panel.tabs([{ id: "spikes", label: "Spikes" }, { id: "brain3d", label: "Brain 3-D" }], pickTab);
  const chip = h("span", { class: "chip thin", hidden: true });
  const windows = choice("Window", TimeView.WINDOWS.map((s) => [s, `${s} s`]), view.window_s, (s) => view.setWindow(s));
  const options = h("button", { class: "icon-btn", type: "button", "aria-haspopup": "menu", "aria-label": "Populations", title: "Populations (P)", onclick: openOptions }, icon("sliders"));
  const spikeTools = h("span", { class: "tool-set" }, chip, windows.root, options);
  const deepTools = h("span", { class: "tool-set", hidden: true });
  panel.tools.prepend(spikeTools, deepTools);

  const drawing = loop.add({ name: "raster", hz: 60, draw });
  const numbers = loop.add({ name: "rates", hz: 6, draw: drawNumbers });
  const lines = loop.add({ name: "rate curves", hz: 12, draw: () => curves.draw(end(), view.window_s) });
  const size = new ResizeObserver(() => {
    dirtyLayout = true;
    drawing.dirty();
    lines.dirty();
  });
  size.observe(stage);
  size.observe(curves.host);

  data.want("spikes", "brain/raster", { most_per_s: MOST_PER_S });
  const off = [
    data.on("brain/raster", take),
    store.on("ports", setBrain),
    ...["run", "cut"].map((what) => store.on(what, forget)),
    app.theme.on(() => {
      dirtyLayout = true;
      for (const one of [drawing, numbers, lines]) one.dirty();
    }),
    view.on((what) => {
      if (what === "window") {
        windows.pick(view.window_s);
        raster.window_s = view.window_s;
        raster.replay(end());
        drawing.dirty();
      }
      numbers.dirty();
      lines.dirty();
      point();
    }),
    app.keys.bind("Spikes", "P", openOptions, "populations on and off"),
  ];
  listenToPointer();
  setBrain(store.ports);

  const end = () => view.end_s ?? (raster.t_s || data.now_s);

  function take(frames) {
    for (const { arrays } of frames) {
      const [t0_s, t1_s] = [arrays.t0_ns.data[0] / 1e9, arrays.t1_ns.data[0] / 1e9];
      raster.push(t0_s, t1_s, arrays.cell.data, arrays.dt_us.data);
      rates.push(t0_s, t1_s, arrays.counts.data);
      curves.push(t0_s, t1_s, arrays.counts.data);
      shown = arrays.shown?.data[0] ?? 1;
    }
    spikesPerS = rates.total();
    for (const one of [drawing, numbers, lines]) one.dirty();
  }

  function setBrain(ports) {
    const facts = ports.brain?.facts;
    if (!facts) return;
    brain = bandsOf(facts);
    const { groups } = brain;
    const curvesOf = groups.length !== 1 ? groups : groups[0].bands.slice(0, 8).map((band) => ({ name: band.name, hue: band.colour, bands: [band] }));
    curves.setGroups(curvesOf.map(({ name, hue, bands }) => ({ name, hue, places: bands.flatMap((band) => band.places), cells: bands.reduce((sum, band) => sum + band.cells, 0) })));
    const regions = [...new Set(Object.values(facts.populations ?? {}).map((one) => one.region).filter(Boolean))];
    upper.classList.toggle("deep", regions.length > 1); // longer names beside it
    const all = facts.neurons ?? brain.cells;
    const some = brain.cells < all ? `${count(brain.cells)} of ${count(all)} cells` : `${count(all)} cells`;
    panel.title(undefined, regions.length === 1 ? `${regions[0]}, ${some}` : some);
    dirtyLayout = true;
    drawing.dirty();
    lines.dirty();
  }

  function forget() {
    raster.clear();
    rates.clear();
    view.look(null);
    dirtyLayout = true;
    drawing.dirty();
  }

  function layOut() {
    dirtyLayout = false;
    const { clientWidth: width, clientHeight: height } = stage;
    if (width < 20 || height < 20) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    const found = rowsOf(brain.groups, high, { opened, hidden });
    rows = found.rows;
    folded = found.fold;
    const placed = placesOf(brain.cells, rows);
    gutter.show(rows, ratio, { folded, onopen: toggleGroup, onpoint: (band) => gutter.name(band) });
    for (const row of rows) row.places = row.bands.flatMap((band) => band.places);
    raster.window_s = view.window_s;
    raster.layout({
      ...placed, width: wide, height: high, column: brain.cells < 200 ? 2 : 1,
      rows: rows.map(({ y, h: tall, colour }) => ({ y, h: tall, colour: populationColour(colour) })),
      panel: variable("--panel"), band: variable("--sunken"), line: variable("--line2"),
    });
    ruler.width = Math.round((width + 48) * ratio);
    ruler.height = Math.round(22 * ratio);
    const { clientWidth, clientHeight } = curves.host;
    curves.lines.resize(clientWidth, clientHeight);
    numbers.dirty();
  }

  function draw() {
    if (spikes.hidden) return;
    if (dirtyLayout) layOut();
    if (view.end_s == null) raster.draw(still.matches);
    drawRuler();
  }

  function drawRuler() {
    const context = ruler.getContext("2d");
    const ratio = Math.min(2, devicePixelRatio || 1);
    const width = ruler.width / ratio - 48;
    context.setTransform(ratio, 0, 0, ratio, 24 * ratio, 0);
    context.clearRect(-24, 0, width + 48, 22);
    context.font = '11px "Plex Sans", system-ui, sans-serif';
    context.textAlign = "center";
    context.fillStyle = variable("--ink3");
    const each = view.window_s <= 1 ? 0.2 : view.window_s <= 4 ? 1 : 2;
    const now = end();
    for (let k = Math.max(0, Math.ceil(((now - view.window_s) * 2) / each)); k <= (now * 2) / each; k++) {
      const x = ((k * each) / 2 - now + view.window_s) * (width / view.window_s);
      context.fillRect(Math.round(x), 0, 1, k % 2 ? 3 : 5);
      if (k % 2 === 0) context.fillText(`${+((k * each) / 2).toFixed(1)} s`, x, 17);
    }
  }

  let said = 0;
  function drawNumbers(now) {
    if (dirtyLayout) return drawing.dirty();
    const hz = rows.map((row) => rates.of(row.places, row.bands.reduce((sum, band) => sum + band.cells, 0)));
    gutter.rates(hz);
    chip.hidden = !(shown < 1);
    write(chip, `1 in ${count(Math.max(2, Math.round(1 / shown)))} shown`);
    chip.title = "Whole cells are left out by a hash of their number; rates come from all spikes";
    if (now - said < 1000) return;
    said = now;
    const best = hz.reduce((top, value, i) => (value > (hz[top] ?? -1) ? i : top), 0);
    if (rows[best]) canvas.setAttribute("aria-label", `${rows.length} populations, highest ${rowName(rows[best])} ${telling(hz[best], 2)} Hz`);
  }

  function toggleGroup(name) {
    if (opened.has(name)) opened.delete(name);
    else opened.add(name);
    again();
  }

  function again() {
    dirtyLayout = true;
    drawing.dirty();
  }

  function openOptions() {
    if (tabs.picked !== "spikes" && third?.populations) return third.populations();
    const entries = brain.groups.flatMap((group) => {
      const on = group.bands.some((band) => !hidden.has(band.label));
      const act = () => {
        for (const band of group.bands) on ? hidden.add(band.label) : hidden.delete(band.label);
        if (hidden.size >= brain.bands.length) hidden.clear(); // nothing at all is no picture
        again();
      };
      return { text: group.name || "All populations", checked: on, act };
    });
    if (folded || opened.size) {
      const all = brain.groups.length === opened.size;
      entries.push(null, { text: all ? "Fold all groups" : "Open all groups", icon: "expand", act: () => {
        opened.clear();
        if (!all) for (const group of brain.groups) opened.add(group.name);
        again();
      } });
    }
    menu(options, entries);
  }

  async function pickTab(id) {
    spikes.hidden = spikeTools.hidden = id !== "spikes";
    deep.hidden = deepTools.hidden = id === "spikes";
    if (id === "spikes") {
      again();
      return third?.rest?.();
    }
    if (third) return third.wake?.();
    third = {};
    try {
      const module = await import("./brain3d.js");
      third = module.make({ ...ctx, panel: { ...inner(panel), body: deep, tools: deepTools } });
      if (third.element) deep.append(third.element);
    } catch (error) {
      third = null;
      console.error(error);
      deep.replaceChildren(h("div", { class: "panel-words" }, h("p", { class: "panel-words-head" }, "No 3-D view"), h("p", { class: "panel-words-text" }, error.message)));
    }
  }

  function point() {
    pointIn({ lines: { inner: { left: 0, width: stage.clientWidth }, at: () => [] }, cursor }, view.at_s, end(), view.window_s);
    pointIn(curves, view.at_s, end(), view.window_s);
  }

  function listenToPointer() {
    const timeAt = (event, box, left = 0, width = box.width) => end() - view.window_s + ((event.clientX - box.left - left) / width) * view.window_s;
    stage.addEventListener("pointermove", (event) => {
      const box = stage.getBoundingClientRect();
      view.point(timeAt(event, box));
      gutter.nameAt(event.clientY - box.top);
    });
    stage.addEventListener("pointerleave", () => {
      view.point(null);
      gutter.name(null);
    });
    curves.host.addEventListener("pointermove", (event) => {
      const { left, width } = curves.lines.inner;
      view.point(timeAt(event, curves.host.getBoundingClientRect(), left, width));
    });
    curves.host.addEventListener("pointerleave", () => view.point(null));
    stage.addEventListener("wheel", (event) => {
      if (store.simulation?.state === "started") return; // while it runs the edge is now
      event.preventDefault();
      const shift = ((event.deltaX || event.deltaY) / stage.clientWidth) * view.window_s;
      const next = Math.min(raster.t_s, Math.max(raster.oldest_s + view.window_s, end() + shift));
      view.look(next >= raster.t_s ? null : next);
    }, { passive: false });
  }

  return {
    get spikes_per_s() {
      return spikesPerS;
    },
    focus: () => stage.focus(),
    pick: (id) => tabs.pick(id),
    table: () => table(brain, rates),
    close: () => {
      size.disconnect();
      third?.close?.();
      curves.close();
      data.release("spikes");
      [...off, drawing.remove, numbers.remove, lines.remove].forEach((fn) => fn());
    },
  };
}

/** The panel as the 3-D view sees it: the same frame, its own body and tools, a title that is not its own. */
function inner(panel) {
  return { root: panel.root, header: panel.header, title: () => {}, state: () => {}, id: panel.id };
}

const rowName = (row) => (row.folded ? row.group.name : [row.group.name, row.bands[0].name].filter(Boolean).join(" "));

function table(brain, rates) {
  const body = brain.bands.map((band) => [band.group || NONE, band.name, count(band.size), count(band.cells), telling(rates.of(band.places, band.cells))]);
  return { head: ["Group", "Population", "Cells", "Recorded", "Rate, Hz"], rows: body };
}
