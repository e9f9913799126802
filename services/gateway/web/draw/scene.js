/**
 * A three-dimensional picture with a camera one can turn around it; drawn when asked, never by itself.
 *
 * Scene units are millimetres for small bodies and metres for rooms, z is up. Knows its canvas and nothing else.
 */
import * as THREE from "three";
import { OrbitControls } from "three/addons/OrbitControls.js";

import { light, shine } from "./surface.js";

THREE.ColorManagement.enabled = false;

const FOV = 26;
const SOFTWARE_PIXELS = 5e5;
const SOFTWARE_FINER = 1.4;
const STILL_PIXELS = 3e6;
// Azimuth and polar angle in degrees; the animal looks along −y, so 0 is its left side.
const VIEWS = { side: [-30, 76], front: [-90, 80], top: [0, 1] };

/** Whether WebGL is computed by the processor here. Undefined where there is no WebGL at all. */
export function software() {
  if (found !== null) return found;
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return (found = undefined);
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : gl.getParameter(gl.RENDERER);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return (found = /swiftshader|llvmpipe|software|basic render/i.test(name));
}
let found = null;

export class Scene {
  /**
   * `target` [x, y, z] is looked at from `distance`, both in scene units; `onchange` is called after the camera moved.
   * Throws when the browser gives no WebGL.
   */
  constructor(canvas, { target, distance, views = VIEWS, onchange = () => {} }) {
    this.canvas = canvas;
    this.software = software();
    if (this.software === undefined) throw new Error("this browser gives no WebGL");
    this.renderer = new THREE.WebGLRenderer({
      canvas,
      antialias: this.software === false,
      powerPreference: "low-power",
    });
    this.renderer.outputColorSpace = THREE.LinearSRGBColorSpace;
    this.renderer.sortObjects = true;
    this.stage = new THREE.Scene();
    this.light = light();
    this.views = views;
    this.home = new THREE.Vector3(...target);
    this.distance = distance;
    this.shift = 0;
    this.size = { width: 0, height: 0 };
    this.camera = new THREE.PerspectiveCamera(FOV, 1, distance / 200, distance * 30);
    this.camera.up.set(0, 0, 1);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = false;
    this.controls.maxPolarAngle = THREE.MathUtils.degToRad(97);
    this.controls.minDistance = distance / 12;
    this.controls.maxDistance = distance * 6;
    this.controls.zoomSpeed = 0.8;
    this.controls.addEventListener("change", onchange);
    this.onchange = onchange;
    this.view("side");
  }

  add(...objects) {
    this.stage.add(...objects);
  }

  /** Colours of the page: `back` [r, g, b], and whether it is dark; `flat` leaves key and rim light out. */
  look({ back, dark, flat = 0 }) {
    this.renderer.setClearColor(new THREE.Color(...back), 1);
    shine(this.light, dark, flat);
  }

  /** The size of the canvas in CSS pixels; software draws at most half a million. */
  resize(width, height) {
    if (width < 2 || height < 2) return;
    this.size = { width, height };
    this.renderer.setPixelRatio(this._ratio());
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.offset(this.shift);
  }

  /**
   * Draw the next picture much finer than usual, or as usual again: for one that stands still where there is no MSAA.
   * Whether that changed the size of the canvas in pixels.
   */
  sharpen(sharp) {
    const { width, height } = this.size;
    const ratio = sharp ? Math.min(2, Math.sqrt(STILL_PIXELS / (width * height))) : this._ratio();
    if (Math.abs(ratio - this.renderer.getPixelRatio()) < 1e-6) return false;
    this.renderer.setPixelRatio(ratio);
    return true;
  }

  /** Move the picture to the right by this part of its width, to leave room for a list. */
  offset(shift) {
    const { width, height } = this.size;
    this.shift = shift;
    if (shift) this.camera.setViewOffset(width, height, -shift * width, 0, width, height);
    else this.camera.clearViewOffset();
    this.camera.updateProjectionMatrix();
  }

  /** One of the named views, at the first distance. */
  view(name) {
    const [azimuth, polar] = this.views[name].map(THREE.MathUtils.degToRad);
    this.controls.target.copy(this.home);
    this._place(azimuth, polar, this.distance);
  }

  /** Choose the first distance so that these places (Vector3) fill at most this part of width and height; go there. */
  fit(places, wide, high) {
    this.view("side");
    for (let round = 0; round < 4; round++) {
      this.camera.updateMatrixWorld();
      const most = Math.max(
        ...places.map((place) => {
          const { x, y } = place.clone().project(this.camera);
          return Math.max(Math.abs(x) / wide, Math.abs(y) / high);
        }),
      );
      this.distance *= most;
      this.view("side");
    }
  }

  /** Turn by these angles in degrees. */
  orbit(sideways, up) {
    const { azimuth, polar, distance } = this._where();
    const least = THREE.MathUtils.degToRad(1);
    const next = Math.min(Math.max(polar - THREE.MathUtils.degToRad(up), least), this.controls.maxPolarAngle);
    this._place(azimuth + THREE.MathUtils.degToRad(sideways), next, distance);
  }

  /** Come nearer (below 1) or go away (above 1) by this factor. */
  zoom(factor) {
    const { azimuth, polar, distance } = this._where();
    const next = Math.min(Math.max(distance * factor, this.controls.minDistance), this.controls.maxDistance);
    this._place(azimuth, polar, next);
  }

  /** Keep looking at this place (Vector3); the camera moves along. */
  follow(place) {
    const by = place.clone().sub(this.controls.target);
    if (by.lengthSq() < 1e-12) return;
    this.controls.target.add(by);
    this.camera.position.add(by);
    this.controls.update();
  }

  /** Where a place (Vector3) is on the canvas, in CSS pixels from its upper left corner; `seen` if before the camera. */
  project(place) {
    const p = place.clone().project(this.camera);
    const { width, height } = this.size;
    return { x: ((p.x + 1) / 2) * width, y: ((1 - p.y) / 2) * height, seen: p.z < 1 };
  }

  /** The ray through a point of the canvas, in CSS pixels. */
  ray(x, y) {
    const caster = new THREE.Raycaster();
    const { width, height } = this.size;
    caster.setFromCamera(new THREE.Vector2((x / width) * 2 - 1, 1 - (y / height) * 2), this.camera);
    return caster.ray;
  }

  /** CSS pixels per scene unit at the distance of the target. */
  get pixelsPerUnit() {
    const distance = this.camera.position.distanceTo(this.controls.target);
    return this.size.height / (2 * distance * Math.tan(THREE.MathUtils.degToRad(FOV / 2)));
  }

  render() {
    if (this.size.width) this.renderer.render(this.stage, this.camera);
  }

  /** Give back everything the graphics card holds. */
  close() {
    this.controls.dispose();
    this.stage.traverse((object) => {
      object.geometry?.dispose();
      object.material?.dispose?.();
    });
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }

  /** Without MSAA a small canvas is drawn a little finer than it is shown: the edges are softer, and it stays cheap. */
  _ratio() {
    if (!this.software) return Math.min(Math.max(window.devicePixelRatio, 1), 1.5);
    return Math.min(SOFTWARE_FINER, Math.sqrt(SOFTWARE_PIXELS / (this.size.width * this.size.height)));
  }

  _where() {
    const arm = this.camera.position.clone().sub(this.controls.target);
    const distance = arm.length();
    return { azimuth: Math.atan2(arm.y, arm.x), polar: Math.acos(arm.z / distance), distance };
  }

  _place(azimuth, polar, distance) {
    const flat = Math.sin(polar) * distance;
    this.camera.position
      .set(Math.cos(azimuth) * flat, Math.sin(azimuth) * flat, Math.cos(polar) * distance)
      .add(this.controls.target);
    this.controls.update();
    this.onchange();
  }
}
