/** The links of a body: each a group with its shape, moved to where the body says it is. */
import * as THREE from "three";

import * as shapes from "./shapes.js";
import { ghost, lit, outline } from "./surface.js";

const BONE = [0.93, 0.905, 0.85];
const METAL = [0.42, 0.45, 0.46];
const STICKS = /stick|lever/;
const NEVER = /^(rig|world|room)$/;

export class Skeleton {
  /**
   * `links` as the body declares them: [{name, shape, rgb?}], metres in link axes. `scale`: scene units per metre.
   * `alive`: whether shapes are bones (a body with muscles) or the parts of a machine.
   */
  constructor(light, links, { scale, alive }) {
    this.scale = scale;
    this.object = new THREE.Group();
    /** The see-through parts, to be drawn behind the others. */
    this.veil = new THREE.Group();
    this.links = links.map((link) => this._link(light, link, alive));
    for (const link of this.links) (link.ghost ? this.veil : this.object).add(link.group);
  }

  look({ veil, bone }) {
    for (const link of this.links) {
      if (link.ghost) {
        link.mesh.material.uniforms.base.value.set(...veil.rgb);
        link.mesh.material.uniforms.strength.value = veil.strength;
      } else if (link.mesh && link.bone) link.mesh.material.uniforms.base.value.set(...(bone ?? BONE));
    }
  }

  /** `position` (n, 3) m and `orientation` (n, 4) as w x y z, flat, in the order of the links. */
  pose(position, orientation) {
    this.links.forEach(({ group }, i) => {
      const [p, q] = [i * 3, i * 4];
      group.position.set(position[p], position[p + 1], position[p + 2]).multiplyScalar(this.scale);
      group.quaternion.set(orientation[q + 1], orientation[q + 2], orientation[q + 3], orientation[q]);
      group.updateMatrixWorld();
    });
  }

  /** Whether a see-through part is elsewhere than at the last call. */
  veilMoved() {
    const now = this.links.filter((link) => link.ghost).flatMap(({ group }) => [...group.position, ...group.quaternion]);
    const moved = now.some((value, i) => Math.abs(value - (this._veil?.[i] ?? Infinity)) > 1e-4 * this.scale);
    if (moved) this._veil = now;
    return moved;
  }

  find(name) {
    return this.links.find((link) => link.name === name);
  }

  /** Outline one link, or none, in `colour` [r, g, b]; `width` in scene units. */
  mark(name, colour, width) {
    for (const link of this.links) {
      const wanted = link.name === name && link.mesh && !link.ghost;
      if (wanted && !link.rim) {
        link.rim = new THREE.Mesh(link.mesh.geometry, outline(colour, width));
        link.group.add(link.rim);
      }
      if (link.rim) link.rim.visible = wanted;
      if (wanted) {
        link.rim.material.uniforms.base.value.set(...colour);
        link.rim.material.uniforms.swell.value = width;
      }
    }
  }

  /** Rods on the ground below: for shadows. */
  rods() {
    return this.links
      .filter((link) => link.span && link.mesh && !link.ghost)
      .map((link) => ({
        from: link.group.localToWorld(link.span.from.clone()),
        to: link.group.localToWorld(link.span.to.clone()),
        radius: link.span.radius,
      }));
  }

  _link(light, { name, shape, rgb }, alive) {
    const group = new THREE.Group();
    const made = { name, shape, group, mesh: null, ghost: false, bone: false, span: null, rim: null };
    if (!shape || NEVER.test(name)) return made;
    const stick = STICKS.test(name);
    made.ghost = shape.kind === "ellipsoid";
    made.bone = alive && !stick && !made.ghost && !rgb;
    made.span = span(shape, this.scale);
    const geometry = this._shape(shape, { alive, stick });
    const colour = rgb ?? (made.bone ? BONE : METAL);
    const tinted = Boolean(geometry.attributes.color);
    made.mesh = new THREE.Mesh(
      geometry,
      made.ghost ? veil(shape, colour, this.scale) : lit(light, colour, { gloss: made.bone ? 0.1 : 0.22, tinted }),
    );
    group.add(made.mesh);
    return made;
  }

  _shape(shape, { alive, stick }) {
    const s = this.scale;
    if (shape.kind === "box") return alive && !stick ? handIn(shape, s) : boxOf(shape, s);
    if (shape.kind === "ellipsoid") {
      const ball = new THREE.SphereGeometry(1, 72, 48);
      ball.scale(...shape.semi_axes_m.map((x) => x * s));
      return ball.translate(...shape.center_m.map((x) => x * s));
    }
    const from = vector(shape.from_m, s);
    const to = vector(shape.to_m, s);
    const [length, radius] = [from.distanceTo(to), shape.radius_m * s];
    const make = shape.kind === "cylinder" ? shapes.wheel : stick ? shapes.stick : alive ? shapes.bone : shapes.rod;
    return shapes.between(make(length, radius), from, to);
  }
}

/** The see-through look of an ellipsoid, with rings across its longest axis. */
function veil(shape, colour, scale) {
  const longest = shape.semi_axes_m.indexOf(Math.max(...shape.semi_axes_m));
  const axis = [0, 1, 2].map((i) => Number(i === longest));
  return ghost(colour, 0.3, axis, (shape.semi_axes_m[longest] * scale) / 12);
}

function vector(metres, scale) {
  return new THREE.Vector3(...metres).multiplyScalar(scale);
}

function boxOf(shape, scale) {
  const size = shape.size_m.map((x) => x * scale);
  return shapes.box(size, 0.18 * Math.min(...size)).translate(...shape.center_m.map((x) => x * scale));
}

/** A hand along the longest side of a box; its wrist at the end that is nearer to the joint, the origin. */
function handIn(shape, scale) {
  const size = shape.size_m.map((x) => x * scale);
  const center = shape.center_m.map((x) => x * scale);
  const [long, wide, thick] = [0, 1, 2].sort((a, b) => size[b] - size[a]);
  const away = center[long] >= 0 ? 1 : -1;
  const near = away * center[long] - size[long] / 2;
  const geometry = shapes.hand(near, near + size[long], size[wide], size[thick]);
  const axes = [0, 1, 2].map((axis) => new THREE.Vector3().setComponent(axis, 1));
  const x = axes[long].multiplyScalar(away);
  const y = axes[wide];
  const turn = new THREE.Matrix4().makeBasis(x, y, new THREE.Vector3().crossVectors(x, y));
  geometry.applyMatrix4(turn);
  const middle = [...center];
  middle[long] = 0;
  return geometry.translate(...middle);
}

/** The rod that stands for a shape when it is picked or throws a shadow. */
function span(shape, scale) {
  if (shape.kind === "capsule" || shape.kind === "cylinder")
    return { from: vector(shape.from_m, scale), to: vector(shape.to_m, scale), radius: shape.radius_m * scale };
  const center = vector(shape.center_m, scale);
  if (shape.kind === "ellipsoid") return { from: center, to: center, radius: Math.min(...shape.semi_axes_m) * scale };
  const long = [0, 1, 2].sort((a, b) => shape.size_m[b] - shape.size_m[a]);
  const half = new THREE.Vector3().setComponent(long[0], (shape.size_m[long[0]] / 2) * scale);
  return {
    from: center.clone().sub(half),
    to: center.clone().add(half),
    radius: (shape.size_m[long[1]] / 2) * scale,
  };
}
