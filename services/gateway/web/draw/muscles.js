/**
 * Muscles as spindles along the path through their points: colour and width say how active they are.
 *
 * All of them are one mesh, whose places, normals and colours are rewritten where they lie.
 */
import * as THREE from "three";

import { Curve } from "./curve.js";
import { lit, outline } from "./surface.js";

const RINGS = 26;
const ROUND = 10;
const TENDON = 0.13;
const TENDON_COLOUR = [0.86, 0.85, 0.81];

export class Muscles {
  /**
   * `list`: [{name, points: rows of the path points, max_isometric_force_N?}]. `unit` is the length of a millimetre in
   * scene units, `table` 256 colours as [r, g, b, r, g, b …] in 0..1 from activation 0 to 1.
   */
  constructor(light, list, { unit, table }) {
    this.list = list;
    this.unit = unit;
    this.table = table;
    this.radii = list.map(() => new Float32Array(RINGS));
    this.curves = list.map((muscle) => new Curve(muscle.points.length, RINGS));
    const vertices = list.length * RINGS * ROUND;
    const geometry = new THREE.BufferGeometry();
    for (const name of ["position", "normal", "color"]) {
      const attribute = new THREE.BufferAttribute(new Float32Array(vertices * 3), 3);
      attribute.setUsage(THREE.DynamicDrawUsage);
      geometry.setAttribute(name, attribute);
    }
    geometry.setAttribute("angle", new THREE.BufferAttribute(angles(list.length), 1));
    geometry.setIndex(tubes(list.length));
    this.object = new THREE.Mesh(geometry, lit(light, [1, 1, 1], { gloss: 0.2, tinted: true, fibres: true }));
    this.marked = new THREE.Mesh(sharing(geometry), outline([1, 1, 1], 0.16 * unit));
    this.marked.visible = false;
    this.rim = new THREE.Group().add(this.marked);
    for (const mesh of [this.object, this.marked]) mesh.frustumCulled = false;
  }

  /** Outline this muscle (its number, or -1 for none) in `colour` [r, g, b]. */
  mark(which, colour) {
    this.marked.visible = which >= 0;
    if (which < 0) return;
    // The same numbers once more, but only that part of the index that belongs to this muscle.
    const per = (RINGS - 1) * ROUND * 6;
    this.marked.geometry.setDrawRange(which * per, per);
    this.marked.material.uniforms.base.value.set(...colour);
  }

  /** `points` (n, 3) in scene units, flat; `activation` 0..1 per muscle. */
  update(points, activation) {
    const { position, normal, color } = this.object.geometry.attributes;
    this.list.forEach((muscle, m) => {
      const a = Math.min(Math.max(activation?.[m] ?? 0, 0), 1);
      const strength = Math.sqrt(muscle.max_isometric_force_N ?? 1);
      const radius = (0.34 + 0.16 * strength) * (0.78 + 0.62 * a) * this.unit;
      this.curves[m].through(points, muscle.points);
      this._tube(m, radius, a, position.array, normal.array, color.array);
    });
    for (const attribute of [position, normal, color]) attribute.needsUpdate = true;
  }

  /** The middle of a muscle: Vector3 in scene units. */
  middle(m, into = new THREE.Vector3()) {
    const place = this.object.geometry.attributes.position.array;
    const ring = (m * RINGS + (RINGS >> 1)) * ROUND;
    into.set(0, 0, 0);
    for (let k = 0; k < ROUND; k++) {
      const at = (ring + k) * 3;
      into.x += place[at] / ROUND;
      into.y += place[at + 1] / ROUND;
      into.z += place[at + 2] / ROUND;
    }
    return into;
  }

  /** Distance along the ray (origin, unit direction) to each muscle that it meets: [{m, distance}]. */
  meets(ray) {
    const found = [];
    const near = new THREE.Vector3();
    this.curves.forEach((curve, m) => {
      for (let k = 0; k + 1 < RINGS; k++) {
        const from = new THREE.Vector3().fromArray(curve.place, k * 3);
        const to = new THREE.Vector3().fromArray(curve.place, k * 3 + 3);
        const reach = Math.max(this.radii[m][k], 0.35 * this.unit);
        if (ray.distanceSqToSegment(from, to, near) > reach * reach) continue;
        found.push({ m, distance: near.distanceTo(ray.origin) - reach });
        return;
      }
    });
    return found;
  }

  _tube(m, radius, activation, place, normal, colour) {
    const curve = this.curves[m];
    const tone = Math.round(activation * 255) * 3;
    const tendon = 0.26 * radius;
    let at = m * RINGS * ROUND * 3;
    for (let k = 0; k < RINGS; k++) {
      const u = k / (RINGS - 1);
      const belly = Math.min(Math.max((u - TENDON) / (1 - 2 * TENDON), 0), 1);
      const r = tendon + (radius - tendon) * Math.pow(Math.sin(Math.PI * belly), 0.8);
      const red = smooth(Math.min(belly, 1 - belly) / 0.1);
      this.radii[m][k] = r;
      const slope = slopeAt(belly, (radius - tendon) / curve.total);
      for (let j = 0; j < ROUND; j++) {
        const c = COS[j];
        const s = SIN[j];
        for (let axis = 0; axis < 3; axis++) {
          const out = c * curve.side[k * 3 + axis] + s * curve.over[k * 3 + axis];
          place[at + axis] = curve.place[k * 3 + axis] + r * out;
          normal[at + axis] = out - slope * curve.along[k * 3 + axis];
          colour[at + axis] = TENDON_COLOUR[axis] * (1 - red) + this.table[tone + axis] * red;
        }
        at += 3;
      }
    }
  }
}

const COS = Float32Array.from({ length: ROUND }, (_, j) => Math.cos((2 * Math.PI * j) / ROUND));
const SIN = Float32Array.from({ length: ROUND }, (_, j) => Math.sin((2 * Math.PI * j) / ROUND));

/** How fast the radius of a belly grows along the muscle; `height`: of the belly, as a part of the muscle's length. */
function slopeAt(belly, height) {
  const at = Math.PI * Math.min(Math.max(belly, 0.04), 0.96);
  return (0.8 * Math.PI * height * Math.pow(Math.sin(at), -0.2) * Math.cos(at)) / (1 - 2 * TENDON);
}

function smooth(x) {
  const t = Math.min(Math.max(x, 0), 1);
  return t * t * (3 - 2 * t);
}

function angles(count) {
  return Float32Array.from({ length: count * RINGS * ROUND }, (_, i) => {
    const j = i % ROUND;
    return (2 * Math.PI * Math.min(j, ROUND - j)) / ROUND;
  });
}

function tubes(count) {
  const index = [];
  for (let m = 0; m < count; m++) {
    for (let k = 0; k + 1 < RINGS; k++) {
      for (let j = 0; j < ROUND; j++) {
        const a = (m * RINGS + k) * ROUND + j;
        const b = (m * RINGS + k) * ROUND + ((j + 1) % ROUND);
        index.push(a, b, a + ROUND, b, b + ROUND, a + ROUND);
      }
    }
  }
  return index;
}

/** Another geometry over the same attributes, with a draw range of its own. */
function sharing(geometry) {
  const other = new THREE.BufferGeometry();
  for (const [name, attribute] of Object.entries(geometry.attributes)) other.setAttribute(name, attribute);
  return other.setIndex(geometry.index);
}
