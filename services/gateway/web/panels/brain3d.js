/** The brain in space: every neuron a point, lit when it fires; click one to read and set its parameters. */
import * as THREE from "three";

import { hueOf, populationColour, rgb, themeName, variable } from "../draw/colours.js";
import { Backdrop } from "../draw/backdrop.js";
import { Cloud } from "../draw/cloud.js";
import { Frames, boxAround } from "../draw/frames.js";
import { ScaleBar } from "../draw/labels.js";
import { Scene } from "../draw/scene.js";
import { fill, h, write } from "../element.js";
import { icon } from "../icons.js";
import { count, seconds } from "../words.js";
import { numberIn, invented, pointsOf } from "./brainpoints.js";
import { makeInspector } from "./inspector.js";
import { makeNeuron } from "./neuron.js";
import { makePopulationList } from "./poplist.js";
import { turnKeys } from "./turning.js";

const HZ = 30;
const MOST_POINTS = 60000;
const REACH_PX = 10;
const SIGN = { width: 44, height: 16 }; // px
const VIEWS = { side: [-38, 68], front: [-90, 86], top: [0, 1] };

export function make(ctx) {
  return new Brain3d(ctx);
}

class Brain3d {
  constructor(ctx) {
    this.ctx = ctx;
    this.known = "";
    this.picked = -1;
    this.element = h("div", { class: "body-view brain-view", "aria-label": "Brain in 3-D", tabindex: "-1" });
    ctx.panel?.body.append(this.element);
    this.view = ctx.loop.add({ name: "brain 3-D", hz: HZ, heavy: true, draw: () => this._draw() });
    this.off = [
      ctx.store.on("ports", () => this._arrange()),
      ctx.app.theme.on(() => this._look()),
      ctx.data.on("brain/raster", (frames) => this._fire(frames)),
      ...this._keys(),
    ];
    this.observer = new ResizeObserver(() => this._resize());
    this.observer.observe(this.element);
  }

  focus() {
    this.canvas?.focus();
  }

  /** How many points of each population are drawn. */
  table() {
    const rows = (this.populations ?? []).map((each, p) => [each.name, count(each.size), count(this.points.drawn[p])]);
    return { head: ["Population", "Neurons", "Points drawn"], rows };
  }

  close() {
    for (const off of this.off) off();
    this.view.remove();
    this.observer.disconnect();
    this.ctx.data.release(this);
    this._clear();
    this.element.remove();
  }

  // What is there

  /** Ask for the places of the neurons, once for each network, when the panel is seen for the first time. */
  async _arrange() {
    const facts = this.ctx.store.ports?.brain?.facts;
    if (!facts?.populations || !this.element.clientWidth) return;
    const text = JSON.stringify([this.ctx.store.start?.run, facts.populations, facts.recorders]);
    if (text === this.known) return;
    this.known = text;
    this._clear();
    fill(this.element, h("p", { class: "brain-wait" }, "Asking where the neurons lie, after this step…"));
    const populations = await this._places(facts);
    if (this.known !== text) return;
    this._build(populations, facts);
  }

  async _places(facts) {
    const { sim } = this.ctx;
    const id = typeof sim === "string" ? sim : sim?.id;
    try {
      const answer = id ? await this.ctx.api.get(`simulations/${encodeURIComponent(id)}/brain/positions?most=${MOST_POINTS}`) : { populations: {} };
      const found = Object.values(answer.populations).filter((each) => each.ids.length);
      this.note = found.some((each) => !each.generated) ? null : "These neurons have no places in space: they are drawn where there is room";
      if (found.length) return answer.populations;
    } catch (problem) {
      this.note = `The places of the neurons did not come: ${problem.detail ?? problem.message}`;
    }
    return invented(facts.populations);
  }

  _build(places, facts) {
    this._clear();
    this.facts = facts;
    const points = (this.points = pointsOf(places, facts));
    const several = new Set(points.names.map((name) => facts.populations[name]?.region).filter(Boolean)).size > 1;
    this.populations = points.names.map((name) => described(name, facts.populations[name] ?? {}, several));
    this.canvas = h("canvas", { class: "body-canvas", role: "img", tabindex: "0", "aria-label": `Brain, ${count(points.ids.length)} neurons drawn` });
    this.element.append(this.canvas);
    const whole = boxAround(points.places);
    try {
      this._stage(whole);
    } catch (error) {
      return fill(this.element, h("div", { class: "empty" }, h("h3", {}, "No 3-D here"), h("p", {}, `It cannot be drawn: ${error.message}. The raster shows the same spikes.`)));
    }
    this._frames(several);
    this._overlays();
    this.ctx.data.want(this, "brain/raster", { most_per_s: 20000 });
    this._resize();
    this._look();
  }

  _stage(whole) {
    const size = whole.getSize(new THREE.Vector3());
    const target = whole.getCenter(new THREE.Vector3()).toArray();
    this.radius = 0.5 * size.length();
    this.scene = new Scene(this.canvas, { target, distance: 4.9 * this.radius, views: VIEWS, onchange: () => this._moved() });
    this.cloud = new Cloud({ ...this.points, populations: this.populations.length });
    this.backdrop = new Backdrop();
    this.backdrop.still.add(this.cloud.object);
    this.scene.add(this.backdrop.object, this.cloud.sparks.object);
    this.canvas.addEventListener("pointerdown", (event) => (this.pressed = { x: event.offsetX, y: event.offsetY }));
    this.canvas.addEventListener("click", (event) => {
      if (Math.hypot(event.offsetX - this.pressed?.x, event.offsetY - this.pressed?.y) < 5)
        this._pick(this.cloud.nearest(this.scene, event.offsetX, event.offsetY, REACH_PX));
    });
  }

  /** A box around each region; signs for regions, or for the layers of the only one. */
  _frames(several) {
    const boxes = new Map();
    const signs = new Map();
    this.populations.forEach((population, p) => {
      const place = [];
      for (let i = 0; i < this.points.population.length; i++)
        if (this.points.population[i] === p) place.push(...this.points.places.subarray(i * 3, i * 3 + 3));
      const box = boxAround(place);
      const region = several ? population.group : "";
      boxes.set(region, (boxes.get(region) ?? new THREE.Box3()).union(box));
      signs.set(population.group, (signs.get(population.group) ?? new THREE.Box3()).union(box));
    });
    const margin = 0.02 * this.radius;
    this.frames = new Frames([...boxes.values()].map((box) => box.clone().expandByScalar(margin)));
    this.backdrop.still.add(this.frames.object);
    const whole = [...boxes.values()].reduce((all, box) => all.union(box), new THREE.Box3());
    this.corners = cornersOf(whole);
    this.signs = [...signs].filter(([name]) => name).map(([name, box]) => ({
      beside: !several,
      place: box.getCenter(new THREE.Vector3()).setZ(several ? box.max.z + 0.05 * this.radius : (box.min.z + box.max.z) / 2),
      element: h("span", { class: several ? "brain-sign" : "brain-sign side", data: { group: name } }, name.replaceAll("_", " ")),
    }));
  }

  _overlays() {
    this.list = makePopulationList(this.populations, () => this._look());
    this.grow = h("button", { class: "icon-btn", type: "button", "aria-pressed": "true", "aria-label": "Size by activity", title: "Size by activity", onclick: () => this._setGrow() }, icon("pulse"));
    this.listButton = h("button", { class: "icon-btn", type: "button", "aria-expanded": "false", "aria-label": "Populations", title: "Populations (P)", onclick: () => this._setList() }, icon("sliders"));
    this.fact = h("span", { class: "brain-fact" });
    this.inspector = makeInspector(() => this._pick(-1));
    const views = [["side", "Side"], ["front", "Front"], ["top", "Top"]].map(([name, text]) => h("button", { type: "button", onclick: () => this.scene.view(name) }, text));
    this.bar = new ScaleBar(this.element, ["µm", "mm", "m"]);
    this.element.append(
      ...this.signs.map((sign) => sign.element),
      h("div", { class: "brain-tools" }, this.listButton, this.grow, h("span", { class: "seg", role: "group", "aria-label": "View" }, views)),
      this.list.element,
      this.fact,
      this.inspector.element,
    );
    this.ring = h("span", { class: "brain-ring", hidden: true });
    this.element.append(this.ring);
    const all = this.populations.reduce((sum, each) => sum + each.size, 0);
    const part = this.points.ids.length < all ? `${count(this.points.ids.length)} of ${count(all)} neurons` : `${count(all)} neurons`;
    const wider = this.points.wider > 1 ? `, drawn ${this.points.wider} times as wide as they lie` : "";
    write(this.fact, this.note ?? `${part}; ${count(this.points.known.reduce((sum, bit) => sum + bit, 0))} of them recorded, these light up${wider}`);
  }

  _clear() {
    this.cloud?.close();
    this.backdrop?.close();
    this.scene?.close();
    this.scene = this.cloud = this.list = this.inspector = null;
    this.picked = -1;
    this.fitted = false;
    this.element.replaceChildren();
  }

  // Drawing

  _fire(frames) {
    if (!this.cloud) return;
    for (const { arrays } of frames) {
      const [cells, after] = [arrays.cell.data, arrays.dt_us.data];
      const begun = Number(arrays.t0_ns.data[0]) / 1e9;
      for (let i = 0; i < cells.length; i++) {
        const point = this.points.pointOfCell[cells[i]];
        if (point >= 0) this.cloud.fire(point, begun + after[i] / 1e6);
      }
    }
    this.cloud.sparks.ready();
    this.view.dirty();
  }

  _draw() {
    if (!this.scene || !this.element.clientWidth) return;
    const { scene } = this;
    const eye = scene.camera.position.distanceTo(scene.controls.target);
    const pixels = scene.pixelsPerUnit * eye * scene.renderer.getPixelRatio();
    this.cloud.at(this.ctx.data.now_s, pixels, Math.max(eye - this.radius, 0), eye + this.radius);
    if (this.stale) this._still();
    scene.render();
    this._mark();
  }

  _moved() {
    this.stale = true;
    this.view.dirty();
  }

  /** What changes with the camera only. */
  _still() {
    const { scene } = this;
    this.stale = false;
    this.backdrop.renew(scene.renderer, scene.camera);
    this.bar.fit(scene.pixelsPerUnit);
    const left = Math.min(...this.corners.map((corner) => scene.project(corner).x));
    const taken = [];
    for (const { place, beside, element } of this.signs) {
      const { x: middle, y: wished } = scene.project(place);
      const x = beside ? left : middle;
      const y = free(taken, x, wished);
      element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    }
  }

  _mark() {
    this.ring.hidden = this.picked < 0;
    if (this.picked < 0) return;
    const { x, y } = this.scene.project(this.cloud.place(this.picked));
    this.ring.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    const last = this.cloud.last[this.picked];
    this.neuron?.spiked(this.points.known[this.picked] ? (Number.isNaN(last) ? "not yet" : seconds(last, 3)) : "not recorded");
  }

  _look() {
    if (!this.scene) return;
    const dark = themeName() === "dark";
    const part = (name) => rgb(variable(name)).map((value) => value / 255);
    const back = part(dark ? "--sunken" : "--panel");
    const colours = this.populations.map(({ hue }) => populationColour(hue));
    this.scene.look({ back, dark });
    this.cloud.look({ back, dark });
    this.cloud.paint(colours.map(rgb), this.list.shown);
    this.frames.look(part("--ink3"), dark ? 0.28 : 0.32);
    this.list.paint(colours);
    for (const { element } of this.signs) {
      const of = this.populations.find((each) => each.group === element.dataset.group);
      element.style.color = populationColour(of.hue);
    }
    this._moved();
  }

  _resize() {
    if (!this.element.clientWidth) return;
    if (!this.scene) return this._arrange();
    this.scene.resize(this.element.clientWidth, this.element.clientHeight);
    if (!this.fitted) this.scene.fit(this.corners, 0.74, 0.88);
    this.fitted = true;
    this._moved();
  }

  // Picking

  _pick(point) {
    this.picked = point;
    this.neuron = null;
    this.view.dirty();
    if (point < 0) return this.inspector.hide();
    const population = this.populations[this.points.population[point]];
    const id = this.points.ids[point];
    const place = this.cloud.place(point).toArray().map((x, axis) => (axis < 2 ? x / this.points.wider : x));
    const index = numberIn(this.facts.populations[population.name]?.ranges ?? [], id);
    this.neuron = makeNeuron({ ctx: this.ctx, inspector: this.inspector, population, index, id, place });
  }

  // Keys and switches

  _setList() {
    if (!this.list) return;
    this.list.element.hidden = !this.list.element.hidden;
    this.listButton.setAttribute("aria-expanded", String(!this.list.element.hidden));
  }

  _setGrow() {
    const { grows } = this.cloud.sparks.uniforms;
    grows.value = 1 - grows.value;
    this.grow.setAttribute("aria-pressed", String(Boolean(grows.value)));
    this.view.dirty();
  }

  _keys() {
    const { keys } = this.ctx.app;
    return [
      ...turnKeys(keys, this.element, () => this.scene, () => this.scene.view("side")),
      keys.bind(this.element, "P", () => this._setList(), "populations on and off"),
    ];
  }
}

/** The nearest height above `y` at which no other sign is. */
function free(taken, x, y) {
  while (taken.some((other) => Math.abs(other.x - x) < SIGN.width && Math.abs(other.y - y) < SIGN.height)) y -= 4;
  taken.push({ x, y });
  return y;
}

function cornersOf({ min, max }) {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => new THREE.Vector3(bits & 1 ? max.x : min.x, bits & 2 ? max.y : min.y, bits & 4 ? max.z : min.z));
}

function described(name, facts, several) {
  const { region, layer, cell, sign, kind, size = 0 } = facts;
  const shown = layer === "L23" ? "L2/3" : layer;
  const part = region === "TH" && /_IZ/.test(name) ? "TH IZ" : region;
  const group = (several ? part : shown) ?? "";
  const short = [several && shown, cell].filter(Boolean).join(" ") || name;
  return { name, short, group, sign, kind, size, hue: hueOf(several ? part : layer, several ? "region" : "layer", 0) };
}
