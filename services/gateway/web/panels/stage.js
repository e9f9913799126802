/** A body on its ground: scene, links, muscles, room and signs, built from what the body says of itself. */
import { muscleTable, rgb, themeName, variable } from "../draw/colours.js";
import { Backdrop } from "../draw/backdrop.js";
import { Ground } from "../draw/ground.js";
import { ScaleBar, Tag } from "../draw/labels.js";
import { Muscles } from "../draw/muscles.js";
import { Room } from "../draw/room.js";
import { Scene } from "../draw/scene.js";
import { Shadows } from "../draw/shadows.js";
import { Skeleton } from "../draw/skeleton.js";
import { pick } from "../draw/pick.js";

const ROOM_FROM_M = 1;
const ROOM_DISTANCE = 0.45;
const LIMB_DISTANCE = 1.8;
const RAISED = 0.09; // the picture's middle lies so much above that of the body: what moves is above, the ground below

// The screens of the robot's room, and which of the numbers written to them each shows: red from 0.5 up, else blue.
const SCREENS = { left_screen_panel: 0, right_screen_panel: 1 };
const RED = [0.9, 0.08, 0.06];
const BLUE = [0.05, 0.12, 0.86];

export class Stage {
  /** `body`: links, muscles, room, display as in a Scene of the server; `layer` takes the signs. */
  constructor(canvas, layer, body, onchange) {
    const { center_m: center, extent_m: extent } = body.display ?? { center_m: [0, 0, 0], extent_m: 1 };
    this.body = body;
    this.small = extent < ROOM_FROM_M;
    this.scale = this.small ? 1000 : 1;
    this.extent = extent * this.scale;
    this.scene = new Scene(canvas, {
      target: center.map((x, axis) => x * this.scale + (this.small && axis === 2 ? RAISED * extent * this.scale : 0)),
      distance: (this.small ? LIMB_DISTANCE : ROOM_DISTANCE) * this.extent,
      onchange: () => {
        this.stale = true;
        onchange();
      },
    });
    this.skeleton = new Skeleton(this.scene.light, body.links, { scale: this.scale, alive: Boolean(body.muscles?.length) });
    this.muscles = body.muscles?.length ? new Muscles(this.scene.light, body.muscles, { unit: this.scale / 1000, table: this._table() }) : null;
    this.room = body.room?.length ? new Room(this.scene.light, body.room, this.scale) : null;
    this._build(center);
    this.screens = Boolean(body.room?.some((part) => part.name in SCREENS));
    this.tag = new Tag(layer);
    this.bar = new ScaleBar(layer, this.small ? ["µm", "mm", "m"] : [null, "m", "km"]);
    this.points = new Float64Array(0);
    this.flat = 0;
    this.look();
  }

  /** Take the colours of the page as they are now. */
  look() {
    const dark = themeName() === "dark";
    const part = (name) => rgb(variable(name)).map((value) => value / 255);
    this.accent = part("--live");
    this.scene.look({ back: part(dark ? "--sunken" : "--panel"), dark, flat: this.flat });
    this.skeleton.look({
      veil: { rgb: dark ? [0.62, 0.7, 0.72] : [0.3, 0.34, 0.34], strength: dark ? 0.34 : 0.26 },
      bone: dark ? [0.9, 0.87, 0.81] : [0.95, 0.925, 0.87],
    });
    this.ground?.look({ line: part("--ink3"), ink: dark ? 0.42 : 0.5 });
    this.shadows.look({ shade: dark || this.room ? [0, 0, 0] : [0.28, 0.27, 0.24], dark: this.room ? 0.6 : dark ? 0.8 : 0.5 });
    this.stale = true;
    if (this.muscles) this.muscles.table = this._table();
  }

  /** Where everything is: `at(topic, array)` gives the newest typed array, or undefined. */
  pose(at) {
    const [position, orientation] = [at("body/links", "position"), at("body/links", "orientation")];
    if (position && orientation) this.skeleton.pose(position, orientation);
    const points = at("body/muscle_points", "position");
    if (this.muscles && points) {
      if (this.points.length !== points.length) this.points = new Float64Array(points.length);
      for (let i = 0; i < points.length; i++) this.points[i] = points[i] * this.scale;
      this.muscles.update(this.points, at("body/muscles", "activation"));
    }
    if (!position) return false;
    this.shadows.cast(this.skeleton.rods());
    if (this.skeleton.veilMoved()) this.stale = true;
    return true;
  }

  /** What lies at a point of the canvas. */
  pick(x, y) {
    return pick(this.scene.ray(x, y), this.skeleton, this.muscles, 4 / this.scene.pixelsPerUnit);
  }

  /** Colour the screens of a room by what is written to them. */
  turnScreens(values) {
    if (!this.screens || !values) return;
    for (const [name, side] of Object.entries(SCREENS)) this.room.paint(name, values[side] >= 0.5 ? RED : BLUE);
  }

  /** Keep looking at what is followed: a robot's first link, or a limb's last bone. */
  follow() {
    const { links } = this.skeleton;
    this.scene.follow((links.findLast((link) => link.bone) ?? links[0]).group.position);
  }

  /** Outline a link by name, a muscle by number, or neither. */
  mark({ link = null, muscle = -1 }) {
    const width = 1.6 / this.scene.pixelsPerUnit;
    this.skeleton.mark(link, this.accent, width);
    this.muscles?.mark(muscle, this.accent);
  }

  /** Draw; `sharp` for a picture that stands still. */
  render(sharp = false) {
    if (this.scene.sharpen(sharp)) this.stale = true;
    this.room?.clear(this.scene.camera.position, this.scene.controls.target);
    if (this.stale) this.backdrop?.renew(this.scene.renderer, this.scene.camera);
    this.stale = false;
    this.scene.render();
    this.bar.fit(this.scene.pixelsPerUnit);
  }

  /** The size of the canvas in CSS pixels; `shift`: the part of its width by which the picture goes to the right. */
  resize(width, height, shift) {
    this.scene.resize(width, height);
    this.scene.offset(shift);
    this.stale = true;
  }

  close() {
    this.backdrop?.close();
    this.scene.close();
  }

  _table() {
    return Float32Array.from(muscleTable().flatMap((colour) => rgb(colour).map((value) => value / 255)));
  }

  /** Grid and torso stand still behind the limb: they are drawn once for each place of the camera. */
  _build([x, y, z]) {
    const low = this.room ? this.room.floor + 0.004 : z * this.scale - 0.46 * this.extent;
    this.shadows = new Shadows(low);
    this.scene.add(...[this.skeleton.object, this.muscles?.object, this.muscles?.rim, this.room?.object, this.shadows.object].filter(Boolean));
    if (this.room) return;
    this.ground = new Ground({ x: x * this.scale, y: y * this.scale, z: low, fine: this.small ? 5 : 1, reach: (this.small ? 3.2 : 2) * this.extent });
    this.backdrop = new Backdrop();
    this.backdrop.still.add(this.ground.object, this.skeleton.veil);
    this.scene.add(this.backdrop.object);
  }
}
