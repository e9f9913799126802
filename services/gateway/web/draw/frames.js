/** Thin boxes around parts of a scene, to say where a region ends. */
import * as THREE from "three";

export class Frames {
  /** `boxes`: THREE.Box3 in scene units. */
  constructor(boxes) {
    const corners = [];
    for (const box of boxes) corners.push(...edges(box));
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(corners), 3));
    this.object = new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({ transparent: true, opacity: 0.5, depthWrite: false }));
  }

  /** `rgb` in 0..1. */
  look(rgb, opacity) {
    this.object.material.color.setRGB(...rgb);
    this.object.material.opacity = opacity;
  }
}

/** The box around every third of these numbers, taken as x, y, z. */
export function boxAround(places) {
  const box = new THREE.Box3();
  const p = new THREE.Vector3();
  for (let i = 0; i < places.length; i += 3) box.expandByPoint(p.fromArray(places, i));
  return box;
}

function edges({ min, max }) {
  const lines = [];
  const corner = (bits) => [bits & 1 ? max.x : min.x, bits & 2 ? max.y : min.y, bits & 4 ? max.z : min.z];
  for (let bits = 0; bits < 8; bits++)
    for (const axis of [1, 2, 4]) if (!(bits & axis)) lines.push(...corner(bits), ...corner(bits | axis));
  return lines;
}
