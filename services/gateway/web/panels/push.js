/** A push: dragging the picked link draws an arrow in newtons; letting go sends it for a fifth of a second. */
import * as THREE from "three";

import { Arrow } from "../draw/labels.js";

const DURATION_S = 0.2;
const GREATEST_N = { small: 0.5, large: 300 };

/**
 * `grasp(x, y)` tells what may be pushed there: {name, at: Vector3 in scene units, group: the link's} or null; `send(order)` orders it.
 * While a push is drawn the camera rests.
 */
export class Push {
  constructor({ scene, layer, small, grasp, send }) {
    Object.assign(this, { scene, grasp, send });
    this.greatest = small ? GREATEST_N.small : GREATEST_N.large;
    this.digits = small ? 3 : 0;
    this.scale = small ? 1000 : 1;
    this.arrow = new Arrow(layer);
    this.held = null;
    this.listeners = { pointerdown: (e) => this._down(e), pointermove: (e) => this._move(e), pointerup: (e) => this._up(e), pointercancel: () => this._drop() };
    for (const [name, fn] of Object.entries(this.listeners)) scene.canvas.addEventListener(name, fn, { capture: true });
  }

  get busy() {
    return this.held !== null;
  }

  close() {
    for (const [name, fn] of Object.entries(this.listeners)) this.scene.canvas.removeEventListener(name, fn, { capture: true });
  }

  _down(event) {
    if (event.button !== 0) return;
    const part = this.grasp(event.offsetX, event.offsetY);
    if (!part) return;
    this.held = { ...part, from: this.scene.project(part.at), to: { x: event.offsetX, y: event.offsetY } };
    this.scene.controls.enabled = false;
    this.scene.canvas.setPointerCapture(event.pointerId);
  }

  _move(event) {
    if (!this.held) return this._point(event);
    event.stopImmediatePropagation();
    this.held.to = { x: event.offsetX, y: event.offsetY };
    const force = this._force();
    return this.arrow.place(`${force.length().toFixed(this.digits)} N`, this.held.from, this.held.to);
  }

  /** The pointer says whether a drag from here would push. */
  _point(event) {
    if (!event.buttons) this.scene.canvas.style.cursor = this.grasp(event.offsetX, event.offsetY) ? "crosshair" : "";
  }

  _up() {
    if (!this.held) return;
    const [force, part] = [this._force(), this.held];
    const drawn = Math.hypot(part.to.x - part.from.x, part.to.y - part.from.y) > 6;
    this._drop();
    if (drawn)
      this.send({
        link: part.name,
        force_N: force.toArray(),
        duration_s: DURATION_S,
        at_m: part.group.worldToLocal(part.at.clone()).divideScalar(this.scale).toArray(),
      });
  }

  _drop() {
    this.held = null;
    this.arrow.hide();
    this.scene.controls.enabled = true;
  }

  /** World force: the arrow in the plane of the screen; two fifths of the picture's height are the greatest. */
  _force() {
    const { from, to } = this.held;
    const { width, height } = this.scene.size;
    const [right, up] = [new THREE.Vector3(), new THREE.Vector3()];
    this.scene.camera.matrixWorld.extractBasis(right, up, new THREE.Vector3());
    const full = 0.4 * Math.min(width, height);
    const force = right.multiplyScalar((to.x - from.x) / full).addScaledVector(up, (from.y - to.y) / full);
    return force.clampLength(0, 1).multiplyScalar(this.greatest);
  }
}
