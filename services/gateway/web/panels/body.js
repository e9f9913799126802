/** The body as it moves: links, muscles, cameras; turn it, pick a part, push it, load a joint. */
import { fill, h } from "../element.js";
import { number, plural } from "../words.js";
import { makeBodyTools } from "./bodytools.js";
import { makeCameras } from "./cameras.js";
import { apart, makeInspector, muscleRows } from "./inspector.js";
import { makeLoad } from "./load.js";
import { makeMuscleList } from "./musclelist.js";
import { Push } from "./push.js";
import { Selection } from "./selection.js";
import { Stage } from "./stage.js";
import { turnKeys } from "./turning.js";

const HZ = 30;
const NUMBERS_HZ = 8;
const LIST_PX = 190;
const STILL_MS = 900;
const STREAMS = ["body/links", "body/joints"];
const MUSCLES = ["body/muscle_points", "body/muscles"];
const WRITTEN = "engine/inputs/body";

export function make(ctx) {
  return new Body(ctx);
}

class Body {
  constructor(ctx) {
    this.ctx = ctx;
    this.known = "";
    this.following = false;
    this.layer = h("div", { class: "body-view" });
    this.tools = makeBodyTools({ onview: (name) => this._view(name), onlight: () => this._light(), onload: () => this._openLoad() });
    ctx.panel.body.append(this.layer);
    ctx.panel.tools.prepend(this.tools.views);
    this.at = (topic, array) => ctx.data.latest(topic)?.arrays[array]?.data;
    this.views = [
      ctx.loop.add({ name: "body", hz: HZ, heavy: true, draw: () => this._draw() }),
      ctx.loop.add({ name: "body numbers", hz: NUMBERS_HZ, draw: () => this._numbers() }),
    ];
    const reset = () => this.reset();
    document.addEventListener("reaf:camera", reset);
    this.off = [
      () => document.removeEventListener("reaf:camera", reset),
      ctx.store.on("ports", () => this._arrange()),
      ctx.app.theme.on(() => this._look()),
      ...[...STREAMS, ...MUSCLES].map((topic) => ctx.data.on(topic, () => this._dirty())),
      ...turnKeys(ctx.app.keys, ctx.panel.root, () => this.stage?.scene, () => this.reset()),
      ctx.app.keys.bind("Body", "M", () => this.selection?.next(1), "next, previous muscle"),
      ctx.app.keys.bind("Body", "Shift+M", () => this.selection?.next(-1), "next, previous muscle"),
      ctx.app.keys.bind("Body", "N", () => this.selection?.nextLink(1), "next, previous part"),
      ctx.app.keys.bind("Body", "Shift+N", () => this.selection?.nextLink(-1), "next, previous part"),
    ];
    this.observer = new ResizeObserver(() => this._resize());
    this.observer.observe(this.layer);
    this._arrange();
  }

  focus() {
    this.canvas?.focus();
  }

  /** The same as numbers: {head, rows}. */
  table() {
    if (!this.stage) return { head: [], rows: [] };
    const rows = [];
    for (const [m, { name }] of (this.body?.muscles ?? []).entries()) {
      rows.push([name, "activation", number(this.at("body/muscles", "activation")?.[m], 2), ""]);
      rows.push(...muscleRows(m, null, this.at).map(([what, text]) => [name, what, ...apart(text)]));
    }
    for (const [i, { name }] of (this.body?.links ?? []).entries()) rows.push(...this.selection.linkRows(i).map(([what, text]) => [name, what, ...apart(text)]));
    return { head: ["Part", "What", "Value", "Unit"], rows };
  }

  /** The camera as it was at the beginning. */
  reset() {
    this._view("side");
    if (this.stage && !this.stage.small) this._view("follow");
  }

  close() {
    for (const off of this.off) off();
    for (const view of this.views) view.remove();
    this.observer.disconnect();
    clearTimeout(this.rest);
    this.ctx.data.release(this);
    this._clear();
    this.layer.remove();
    this.tools.views.remove();
  }

  // What is there

  /** Build the scene from the newest ports, unless it is the one that stands. */
  _arrange() {
    const facts = this.ctx.store.ports?.body?.facts;
    if (!facts?.links?.length) return this._none();
    const text = JSON.stringify([facts.links, facts.muscles, facts.room]);
    if (text === this.known) return undefined;
    this.known = text;
    this._build({ joints: [], pushable: [], loadable: [], loads: {}, ...facts, muscles: facts.muscles ?? [] });
    return this._learn();
  }

  _none() {
    if (this.ctx.store.start && !this.stage) this._say("No body", "This experiment has a brain alone: nothing moves here.");
  }

  _say(head, text) {
    fill(this.layer, h("div", { class: "empty" }, h("h3", {}, head), h("p", {}, text)));
  }

  /** Ask what acts on the body now: loads, and the colours of the room. */
  async _learn() {
    if (!this._id) return;
    try {
      const { loads, room } = await this.ctx.api.get(this._path(""));
      this.load?.set(loads ?? {});
      for (const part of room ?? []) this.stage?.room?.paint(part.name, part.rgb);
      this._dirty();
    } catch (problem) {
      if (problem.status !== 409) console.info(`What acts on the body is not known: ${problem.detail ?? problem.message}`);
    }
  }

  _build(body) {
    this._clear();
    this.body = body;
    this.canvas = h("canvas", { class: "body-canvas", role: "img", tabindex: "0", "aria-label": "Body" });
    this.layer.append(this.canvas);
    try {
      this.stage = new Stage(this.canvas, this.layer, body, () => this._dirty());
    } catch (error) {
      this._clear();
      return this._say("No 3-D here", `It cannot be drawn: ${error.message}. The plots show the same numbers.`);
    }
    this._overlays(body);
    this._hands();
    this._want();
    this._fact();
    this.reset();
    this._resize();
    return this._look();
  }

  _overlays(body) {
    const outputs = this.ctx.store.ports.body.outputs ?? [];
    const cameras = outputs.filter((port) => /^camera\/.*\.image$/.test(port.name)).map((port) => `body/${port.name.replace(/\.image$/, "")}`);
    const names = body.muscles.map((muscle) => muscle.name);
    this.list = names.length ? makeMuscleList(names, (m) => this.selection.choose(m < 0 ? null : { kind: "muscle", m })) : null;
    this.inspector = makeInspector(() => this.selection.choose(null));
    this.cameras = makeCameras(cameras, this.ctx.data, this.ctx.loop);
    this.load = body.loadable.length
      ? makeLoad({ joints: body.loadable, loads: body.loads, small: this.stage.small, editable: this._editable, send: (loads) => this.ctx.api.put(this._path("/load"), loads) })
      : null;
    this.tools.load(this.load ? false : null);
    this.tools.light(true);
    this.layer.append(this.tools.corner, ...[this.list, this.inspector, this.cameras, this.load].filter(Boolean).map((part) => part.element));
    const joints = [...(outputs.find((port) => port.name === "joints.position")?.labels ?? [])];
    const { stage, list, inspector, at } = this;
    this.selection = new Selection({ stage, body, list, inspector, joints, at, editable: this._editable, onchange: () => this._dirty() });
  }

  /** Clicks pick, a drag on the picked link pushes. */
  _hands() {
    let pressed = { x: 0, y: 0 };
    this.canvas.addEventListener("pointerdown", ({ offsetX: x, offsetY: y }) => (pressed = { x, y }));
    this.canvas.addEventListener("click", ({ offsetX: x, offsetY: y }) => {
      if (Math.hypot(x - pressed.x, y - pressed.y) < 4) this.selection.choose(this.stage.pick(x, y));
    });
    this.push = new Push({
      scene: this.stage.scene,
      layer: this.layer,
      small: this.stage.small,
      grasp: (x, y) => this.selection.grasp(x, y),
      send: (order) => this._order(order),
    });
  }

  _clear() {
    this.push?.close();
    this.cameras?.close();
    this.stage?.close();
    this.stage = this.push = this.cameras = this.list = this.inspector = this.load = this.selection = null;
    this.layer.replaceChildren();
  }

  _want() {
    this.ctx.data.release(this);
    for (const topic of [...STREAMS, ...(this.body.muscles.length ? MUSCLES : [])]) this.ctx.data.want(this, topic, { hz: HZ });
    if (this.stage.screens) this.ctx.data.want(this, WRITTEN, { hz: 4 });
  }

  _fact() {
    const { muscles, joints, model } = this.body;
    const many = muscles.length ? plural(muscles.length, "muscle") : joints.length ? plural(joints.length, "joint") : "";
    this.ctx.panel.title("Body", [model, many, this.stage.small ? "mm" : "m"].filter(Boolean).join(" · "));
  }

  // Drawing

  _dirty() {
    for (const view of this.views ?? []) view.dirty();
  }

  _draw() {
    if (!this.stage || !this.layer.clientWidth) return;
    const placed = this.stage.pose(this.at);
    this.stage.turnScreens(this.at(WRITTEN, "screens"));
    if (this.following) this.stage.follow();
    this.stage.mark(this.selection);
    this.stage.render();
    clearTimeout(this.rest);
    if (this.stage.scene.software) this.rest = setTimeout(() => this.layer.clientWidth && this.stage?.render(true), STILL_MS);
    this._tag(placed ? this.selection.muscle : -1);
  }

  _tag(m) {
    if (m < 0) return this.stage.tag.hide();
    const { x, y, seen } = this.stage.scene.project(this.stage.muscles.middle(m));
    if (!seen) return this.stage.tag.hide();
    return this.stage.tag.place(`${this.body.muscles[m].name} ${number(this.at("body/muscles", "activation")?.[m], 2)}`, x, y, this.layer.clientWidth);
  }

  _numbers() {
    if (!this.stage) return;
    const activation = this.at("body/muscles", "activation");
    if (activation) this.list?.update(activation);
    this.selection.update();
    this._describe(activation);
  }

  /** For those who cannot see the picture: at most once a second. */
  _describe(activation) {
    const now = performance.now();
    if (now - (this.described ?? -1e4) < 1000) return;
    this.described = now;
    const strongest = activation ? activation.indexOf(Math.max(...activation)) : -1;
    const words = strongest >= 0 ? `, most active ${this.body.muscles[strongest].name} ${number(activation[strongest], 2)}` : "";
    this.canvas.setAttribute("aria-label", `${this.body.model ?? "Body"}: ${plural(this.body.links.length, "link")}${words}`);
  }

  _look() {
    this.stage?.look();
    this.list?.look();
    this._dirty();
  }

  _resize() {
    const { clientWidth: width, clientHeight: height } = this.layer;
    if (!this.stage || width < 2 || height < 2) return;
    this.stage.resize(width, height, this.list && width > 2 * LIST_PX ? Math.min(0.17, (0.45 * LIST_PX) / width) : 0);
    this._dirty();
  }

  // Orders

  _view(name) {
    this.tools.view(name);
    this.following = name === "follow";
    if (!this.following) this.stage?.scene.view(name);
    this._dirty();
  }

  _light() {
    if (!this.stage) return;
    this.stage.flat = 1 - this.stage.flat;
    this.tools.light(!this.stage.flat);
    this._look();
  }

  _openLoad() {
    this.load.element.hidden = !this.load.element.hidden;
    this.tools.load(!this.load.element.hidden);
  }

  async _order(push) {
    const { inspector } = this;
    try {
      await this.ctx.api.post(this._path("/push"), push);
      inspector.note(`Pushed with ${Number(Math.hypot(...push.force_N).toPrecision(2))} N for ${push.duration_s} s`);
    } catch (problem) {
      inspector.note(problem.detail ?? problem.message, true);
      this.ctx.app.announce(problem.detail ?? problem.message);
    }
  }

  get _id() {
    const { sim } = this.ctx;
    return (typeof sim === "string" ? sim : sim?.id) ?? null;
  }

  get _editable() {
    return Boolean(this.ctx.editable && this._id);
  }

  _path(what) {
    return `simulations/${encodeURIComponent(this._id)}/body${what}`;
  }
}
