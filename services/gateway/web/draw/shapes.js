/** What single links look like: geometries along their own axes, in scene units. */
import * as THREE from "three";

const ROUND = 28;

/** A bone: a lathed shaft between two thicker ends, the far one with two knobs. From the origin along +y. */
export function bone(length, radius) {
  const knob = 1.34 * radius;
  const points = [];
  const steps = 44;
  for (let i = 0; i <= steps; i++) {
    const ease = (1 - Math.cos((Math.PI * i) / steps)) / 2;
    const y = -knob + ease * (length + 2 * knob);
    const ends = [ball(y, knob), ball(y - length, 1.22 * radius)];
    const along = Math.min(Math.max(y / length, 0), 1);
    const shaft = y > -0.4 * knob && y < length + 0.4 * knob ? radius * (0.62 + 0.3 * Math.pow(Math.abs(2 * along - 1), 3)) : 0;
    const r = Math.pow(ends[0] ** 5 + ends[1] ** 5 + shaft ** 5, 0.2);
    points.push(new THREE.Vector2(Math.max(r, 0), y));
  }
  const knobs = [-1, 1].map((side) => {
    const sphere = new THREE.SphereGeometry(0.82 * radius, 18, 14);
    sphere.translate(side * 0.62 * radius, length + 0.1 * radius, 0);
    return sphere;
  });
  return merged([new THREE.LatheGeometry(points, ROUND), ...knobs]);
}

/** A rod with round ends, from the origin along +y. */
export function rod(length, radius) {
  const capsule = new THREE.CapsuleGeometry(radius, length, 10, ROUND);
  capsule.translate(0, length / 2, 0);
  return capsule;
}

/** A joystick: a rod with a rounded grip at the origin and a foot at its other end. */
export function stick(length, radius) {
  const grip = new THREE.SphereGeometry(1.45 * radius, 22, 16);
  const foot = new THREE.LatheGeometry(
    [[0, -3.2], [3.1, -2.6], [2.5, -1.2], [1.4, 0.4], [1.02, 2.4]].map(([r, y]) => new THREE.Vector2(r * radius, y * radius)),
    ROUND,
  );
  foot.rotateX(Math.PI);
  foot.translate(0, length, 0);
  return merged([rod(length, radius), grip, foot]);
}

/**
 * A hand inside a box: a round wrist at the near end and four rays that spread and end in tips.
 * `near` and `far` are along x, `wide` along y, `thick` along z; the wrist lies at `near`.
 */
export function hand(near, far, wide, thick) {
  const length = far - near;
  const parts = [];
  const palm = new THREE.SphereGeometry(1, 20, 14);
  palm.scale(0.3 * length, 0.42 * wide, 0.62 * thick);
  palm.translate(near + 0.2 * length, 0, 0);
  parts.push(palm);
  for (let i = 0; i < 4; i++) {
    const across = ((i - 1.5) / 1.5) * 0.5 * wide;
    const reach = far - Math.abs(i - 1.35) * 0.07 * length;
    const from = new THREE.Vector3(near + 0.12 * length, 0.45 * across, 0.1 * thick);
    const knuckle = new THREE.Vector3(near + 0.56 * length, 0.95 * across, 0.3 * thick);
    const tip = new THREE.Vector3(reach, 1.12 * across, -0.35 * thick);
    parts.push(taper(from, knuckle, 0.3 * thick, 0.27 * thick), taper(knuckle, tip, 0.3 * thick, 0.13 * thick));
  }
  return merged(parts);
}

/** A box whose edges are rounded by `radius`; `size` [x, y, z]. */
export function box(size, radius) {
  const geometry = new THREE.BoxGeometry(...size, 6, 6, 6);
  const place = geometry.attributes.position;
  const normal = geometry.attributes.normal;
  const p = new THREE.Vector3();
  const core = new THREE.Vector3();
  const half = new THREE.Vector3(...size).multiplyScalar(0.5);
  const grain = 6;
  for (let i = 0; i < place.count; i++) {
    p.fromBufferAttribute(place, i);
    ["x", "y", "z"].forEach((axis) => {
      // Rows of vertices are moved to where the rounding is; the flat part needs none.
      const row = Math.round((p[axis] / size["xyz".indexOf(axis)] + 0.5) * grain);
      const inner = half[axis] - radius;
      const rows = [-half[axis], -inner - 0.45 * radius, -inner, 0, inner, inner + 0.45 * radius, half[axis]];
      p[axis] = rows[row];
      core[axis] = Math.min(Math.max(p[axis], -inner), inner);
    });
    const out = p.clone().sub(core);
    if (out.lengthSq() < 1e-18) continue;
    out.normalize();
    normal.setXYZ(i, out.x, out.y, out.z);
    p.copy(core).addScaledVector(out, radius);
    place.setXYZ(i, p.x, p.y, p.z);
  }
  return geometry;
}

/** A wheel: tyre, rim, hub and bolts, from the origin along +y; tinted, so that the rim is lighter than `base`. */
export function wheel(length, radius) {
  const tyre = lathe([[0.62, 0], [0.9, 0], [0.985, 0.1], [1, 0.24], [1, 0.76], [0.985, 0.9], [0.9, 1], [0.62, 1]], radius, length);
  const rim = lathe([[0, 0.1], [0.2, 0.1], [0.24, 0.18], [0.55, 0.18], [0.6, 0.05], [0.66, 0.05], [0.66, 0.95], [0.6, 0.95], [0.55, 0.82], [0.24, 0.82], [0.2, 0.9], [0, 0.9]], radius, length);
  const parts = [tinted(tyre, [1, 1, 1]), tinted(rim, [4.6, 4.6, 4.4])];
  for (let i = 0; i < 6; i++) {
    const bolt = new THREE.CylinderGeometry(0.05 * radius, 0.05 * radius, 0.84 * length, 8);
    const turn = (i / 6) * 2 * Math.PI;
    bolt.translate(0.4 * radius * Math.cos(turn), length / 2, 0.4 * radius * Math.sin(turn));
    parts.push(tinted(bolt, [2.2, 2.2, 2.2]));
  }
  return merged(parts);
}

/** Turn a geometry that lies along +y from the origin so that it goes from `from` towards `to` (Vector3). */
export function between(geometry, from, to) {
  const along = to.clone().sub(from).normalize();
  geometry.applyQuaternion(new THREE.Quaternion().setFromUnitVectors(new THREE.Vector3(0, 1, 0), along));
  geometry.translate(from.x, from.y, from.z);
  return geometry;
}

function taper(from, to, first, last) {
  const length = from.distanceTo(to);
  const points = [];
  for (let i = 0; i <= 20; i++) {
    const y = -first + (i / 20) * (length + first + last);
    const along = Math.min(Math.max(y / length, 0), 1);
    const shaft = y > 0 && y < length ? (first + (last - first) * along) * 0.74 : 0;
    points.push(new THREE.Vector2(Math.max(ball(y, first), ball(y - length, last), shaft), y));
  }
  return between(new THREE.LatheGeometry(points, 14), from, to);
}

function lathe(profile, radius, length) {
  return new THREE.LatheGeometry(profile.map(([r, y]) => new THREE.Vector2(r * radius, y * length)), 40);
}

function ball(y, radius) {
  return Math.sqrt(Math.max(radius * radius - y * y, 0));
}

function tinted(geometry, rgb) {
  const colours = new Float32Array(geometry.attributes.position.count * 3);
  for (let i = 0; i < colours.length; i++) colours[i] = rgb[i % 3];
  geometry.setAttribute("color", new THREE.BufferAttribute(colours, 3));
  return geometry;
}

function merged(parts) {
  const result = new THREE.BufferGeometry();
  const names = ["position", "normal", ...(parts[0].attributes.color ? ["color"] : [])];
  for (const name of names) {
    const arrays = parts.map((part) => part.attributes[name].array);
    const all = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
    let at = 0;
    for (const array of arrays) {
      all.set(array, at);
      at += array.length;
    }
    result.setAttribute(name, new THREE.BufferAttribute(all, 3));
  }
  const index = [];
  let first = 0;
  for (const part of parts) {
    for (const i of part.index.array) index.push(i + first);
    first += part.attributes.position.count;
    part.dispose();
  }
  result.setIndex(index);
  return result;
}
