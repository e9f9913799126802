/** The neurons of a brain as points in space, in the colours of their populations. */
import * as THREE from "three";

import { Sparks } from "./sparks.js";

const VERTEX = `
uniform sampler2D palette;
uniform float size, dim, near, far;
uniform vec3 back;
attribute float population, known;
varying vec4 vColour;
void main() {
  vec4 paint = texelFetch(palette, ivec2(int(population + 0.5), 0), 0);
  vec4 view = modelViewMatrix * vec4(position, 1.0);
  float haze = clamp((-view.z - near) / (far - near), 0.0, 1.0);
  vColour = vec4(mix(paint.rgb, back, 0.08 + 0.5 * haze), mix(0.5 * dim, dim, known));
  gl_Position = paint.a > 0.5 ? projectionMatrix * view : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = clamp(size * mix(0.75, 1.0, known) / -view.z, 1.2, 30.0);
}`;

const FRAGMENT = `
varying vec4 vColour;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float r = dot(p, p);
  if (r > 1.0) discard;
  gl_FragColor = vec4(vColour.rgb, vColour.a * smoothstep(1.0, 0.55, r));
}`;

export class Cloud {
  /**
   * `places` Float32Array (n, 3) in scene units, `population` Uint16Array (n): number of the population of each point,
   * `known` Uint8Array (n): 1 where spikes are recorded. `size`: diameter of a point at rest, in scene units.
   */
  constructor({ places, population, known, populations, size }) {
    Object.assign(this, { places, population, size, count: places.length / 3 });
    this.palette = new THREE.DataTexture(new Uint8Array(populations * 4), populations, 1, THREE.RGBAFormat);
    this.uniforms = {
      palette: { value: this.palette },
      now: { value: 0 },
      size: { value: 1 },
      dim: { value: 0.5 },
      near: { value: 1 },
      far: { value: 2 },
      back: { value: new THREE.Vector3() },
    };
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(places, 3));
    geometry.setAttribute("population", new THREE.BufferAttribute(Float32Array.from(population), 1));
    geometry.setAttribute("known", new THREE.BufferAttribute(Float32Array.from(known), 1));
    this.object = new THREE.Points(
      geometry,
      new THREE.ShaderMaterial({ uniforms: this.uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, transparent: true, depthWrite: false, depthTest: false }),
    );
    this.object.frustumCulled = false;
    this.last = new Float64Array(this.count).fill(NaN);
    this._light(known);
  }

  /** Colours [r, g, b] in 0..255 of the populations, and which of them are drawn. */
  paint(colours, shown) {
    colours.forEach((rgb, i) => this.palette.image.data.set([...rgb, shown[i] ? 255 : 0], i * 4));
    this.palette.needsUpdate = true;
  }

  look({ back, dark }) {
    this.uniforms.back.value.set(...back);
    this.uniforms.dim.value = dark ? 0.72 : 0.66;
    this.sparks.look(dark);
  }

  /** Point number `point` has fired at time `t_s`; call `sparks.ready()` after the last of several. */
  fire(point, t_s) {
    this.last[point] = t_s;
    if (this.sparkOf[point] >= 0) this.sparks.fire(this.sparkOf[point], t_s);
  }

  /** Before drawing: the time shown, `pixels` of the canvas per scene unit at distance 1, and where the haze lies. */
  at(now_s, pixels, near, far) {
    this.uniforms.now.value = now_s;
    this.uniforms.size.value = this.size * pixels;
    this.uniforms.near.value = near;
    this.uniforms.far.value = far;
  }

  /** The point nearest to (x, y) in CSS pixels, of those that are drawn; -1 if none is within `reach`. */
  nearest(scene, x, y, reach) {
    const p = new THREE.Vector3();
    const { width, height } = scene.size;
    const matrix = new THREE.Matrix4().multiplyMatrices(scene.camera.projectionMatrix, scene.camera.matrixWorldInverse);
    let [best, least] = [-1, Infinity];
    for (let i = 0; i < this.count; i++) {
      if (!this.palette.image.data[this.population[i] * 4 + 3]) continue;
      p.fromArray(this.places, i * 3).applyMatrix4(matrix);
      if (p.z > 1) continue;
      const away = Math.hypot(((p.x + 1) / 2) * width - x, ((1 - p.y) / 2) * height - y);
      // A point in front wins over one behind it that is a little closer to the pointer.
      const rank = away + 400 * p.z;
      if (away < reach && rank < least) [best, least] = [i, rank];
    }
    return best;
  }

  place(point, into = new THREE.Vector3()) {
    return into.fromArray(this.places, point * 3);
  }

  close() {
    this.palette.dispose();
  }

  /** A light for each point of which spikes are recorded. */
  _light(known) {
    const points = Array.from(known.keys()).filter((point) => known[point]);
    const places = new Float32Array(points.length * 3);
    this.sparkOf = new Int32Array(this.count).fill(-1);
    points.forEach((point, i) => {
      this.sparkOf[point] = i;
      places.set(this.places.subarray(point * 3, point * 3 + 3), i * 3);
    });
    this.sparks = new Sparks(places, points.map((point) => this.population[point]), this.uniforms);
  }
}
