/** Muscle lanes, joints, and any other value by its name, over one window of simulated time. */

import { h } from "../element.js";
import { icon } from "../icons.js";
import { menu } from "../dialog.js";
import { choice } from "../frame/panel.js";
import { LanePlot } from "./laneplot.js";
import { LinePlot } from "./lineplot.js";
import { addCurve } from "./curves.js";
import { saveKept, saveRun } from "./csv.js";
import { NONE, telling } from "../words.js";

const DEGREES = 180 / Math.PI;
const MOST_LINES = 8;

export function make(ctx) {
  const { app, store, data, loop, panel, view } = ctx;
  const lanes = new LanePlot({ data, view });
  const modes = choice("Value of the muscles", [["activation", "Activation"], ["length", "Length"], ["force", "Force"]], "activation", (mode) => {
    lanes.setMode(mode);
    drawing.dirty();
  });
  const add = h("button", { class: "icon-btn", type: "button", "aria-label": "Add curve", title: "Add curve…", onclick: () => addCurve(ctx, more) }, icon("plus"));
  const csv = h("button", { class: "btn quiet csv", type: "button", "aria-label": "CSV", title: "Values as a table (CSV)", "aria-haspopup": "menu", onclick: openCsv }, icon("download"), h("span", { class: "roomy" }, "CSV"));
  panel.tools.prepend(modes.root, csv, add);
  const host = h("div", { class: "plots" });
  panel.body.append(host);
  const joints = new LinePlot("Joint angle", "°", { data, view });
  let curves = []; // plots of at most 8 lines each
  let chosen = []; // {topic, array, index, label, unit}

  const drawing = loop.add({ name: "plots", hz: 12, draw });
  const all = () => [...(lanes.count ? [lanes] : []), ...(joints.count ? [joints] : []), ...curves];
  const size = new ResizeObserver(() => {
    for (const plot of all()) plot.measure();
    drawing.dirty();
  });
  size.observe(host);

  const topics = ["body/muscles", "body/joints"];
  for (const topic of topics) data.want("plots", topic);
  const off = [
    ...topics.map((topic) => data.on(topic, drawing.dirty)),
    store.on("ports", setPorts),
    store.on("run", () => drawing.dirty()),
    store.on("cut", () => {
      lanes.again();
      drawing.dirty();
    }),
    app.theme.on(() => {
      lanes.again();
      drawing.dirty();
    }),
    view.on((what) => {
      if (what === "window") {
        lanes.again();
        return drawing.dirty();
      }
      for (const plot of all()) plot.point(view.at_s, end());
    }),
  ];
  setPorts(store.ports);

  const end = () => view.end_s ?? data.now_s;

  function setPorts(ports) {
    const outputs = ports.body?.outputs;
    if (!outputs) return;
    const port = (name) => outputs.find((one) => one.name === name);
    const muscles = port("muscles.activation");
    lanes.setMuscles(muscles?.labels ?? [], ports.body.facts?.muscles ?? []);
    modes.root.hidden = !muscles;
    const wheels = Boolean(port("base.position"));
    const joint = port(wheels ? "joints.velocity" : "joints.position");
    joints.title(wheels ? "Wheel speed" : "Joint angle", wheels ? "rad/s" : "°");
    const labels = joint?.labels ?? [];
    joints.setLines(labels.slice(0, MOST_LINES).map((label, i) => ({
      label: label.replaceAll("_", " "), topic: "body/joints", array: wheels ? "velocity" : "position", index: i, factor: wheels ? 1 : DEGREES,
    })));
    panel.title(muscles ? "Muscles and joints" : wheels ? "Wheels" : labels.length ? "Joints" : "Plots");
    arrange();
  }

  /** Add a curve, or take it away if it is there. */
  function more(curve) {
    const at = chosen.findIndex((one) => one.topic === curve.topic && one.array === curve.array && one.index === curve.index);
    if (at >= 0) chosen.splice(at, 1);
    else chosen.push(curve);
    for (const plot of curves) plot.close();
    data.release("curves");
    for (const { topic } of chosen) data.want("curves", topic);
    curves = byUnit(chosen).map(([unit, lines]) => {
      const plot = new LinePlot(lines.length === 1 ? lines[0].label : "Values", unit, { data, view });
      plot.setLines(lines, (line) => more(line));
      return plot;
    });
    arrange();
  }

  more.has = (curve) => chosen.some((one) => one.topic === curve.topic && one.array === curve.array && one.index === curve.index);

  function arrange() {
    host.replaceChildren(...all().map((plot) => plot.element));
    for (const plot of all()) plot.measure();
    drawing.dirty();
  }

  function draw() {
    const now = end();
    for (const plot of all()) plot.draw(now);
  }

  function openCsv() {
    const kept = [];
    if (lanes.count) kept.push({ text: "Muscles, last 60 s", act: () => saveKept(ctx, "muscles", lanes.columns()) });
    if (joints.count) kept.push({ text: `${joints.name}, last 60 s`, act: () => saveKept(ctx, "joints", joints.columns()) });
    for (const plot of curves) kept.push({ text: `${plot.name}, last 60 s`, act: () => saveKept(ctx, "values", plot.columns()) });
    const streams = [...new Set([...topics, ...chosen.map((one) => one.topic)])].filter((topic) => topic !== "engine/values");
    const recorded = Boolean(store.simulation?.recording) && ctx.sim;
    const whole = streams.map((topic) => ({ text: `${topic}, whole run`, note: recorded ? null : ctx.recording ? "With the files of the recording" : "This run is not recorded", disabled: !recorded, act: () => saveRun(ctx, topic) }));
    menu(csv, [...kept, null, ...whole]);
  }

  return {
    table: () => ({ head: ["Value", "Now", "Unit"], rows: all().flatMap((plot) => plot.now().map(([name, value, unit]) => [name, Number.isFinite(value) ? telling(value) : NONE, unit])) }),
    close: () => {
      size.disconnect();
      for (const plot of all()) plot.close();
      for (const owner of ["plots", "curves"]) data.release(owner);
      [...off, drawing.remove].forEach((fn) => fn());
    },
  };
}

/** Curves of one unit share a plot, as long as it has not more than 8 lines. */
function byUnit(curves) {
  const plots = [];
  for (const curve of curves) {
    let plot = plots.find(([unit, lines]) => unit === curve.unit && lines.length < MOST_LINES);
    if (!plot) plots.push((plot = [curve.unit, []]));
    plot[1].push(curve);
  }
  return plots;
}
