/** The room of a robot: boxes and cylinders that never move. What stands between eye and robot is left out. */
import * as THREE from "three";

import { plain } from "./surface.js";

const FLAT = 0.2;

export class Room {
  /** `parts`: [{name, shape: "box"|"cylinder", center_m, yaw_rad, size_m, rgb}]; `scale`: scene units per metre. */
  constructor(light, parts, scale) {
    this.object = new THREE.Group();
    this.parts = [];
    /** How high the floor is where the robot stands, in scene units. */
    this.floor = 0;
    for (const kind of ["box", "cylinder"]) this._instances(light, kind, parts.filter((part) => part.shape === kind), scale);
  }

  /** Give a part another colour [r, g, b]. */
  paint(name, rgb) {
    for (const part of this.parts) {
      if (part.name !== name || String(part.rgb) === String(rgb)) continue;
      part.rgb = rgb;
      part.mesh.setColorAt(part.index, new THREE.Color(...rgb));
      part.mesh.instanceColor.needsUpdate = true;
    }
  }

  /** Leave out roofs above the eye's target, and whatever is between `eye` and `target` (Vector3). */
  clear(eye, target) {
    const ray = new THREE.Ray(eye, target.clone().sub(eye).normalize());
    const far = eye.distanceTo(target);
    const hit = new THREE.Vector3();
    for (const part of this.parts) {
      const roof = part.flat && part.bounds.min.z > target.z + 1e-6 && eye.z > part.bounds.min.z - 0.5 * far;
      const before = ray.intersectBox(part.bounds, hit) && hit.distanceTo(eye) < far;
      const behind = part.bounds.containsPoint(eye);
      this._show(part, !(roof || ((before || behind) && !part.floor)));
    }
  }

  _instances(light, kind, parts, scale) {
    if (!parts.length) return;
    const geometry = kind === "box" ? new THREE.BoxGeometry(1, 1, 1) : standing();
    const mesh = new THREE.InstancedMesh(geometry, plain(light, [1, 1, 1]), parts.length);
    parts.forEach((part, index) => {
      const matrix = new THREE.Matrix4().compose(
        new THREE.Vector3(...part.center_m).multiplyScalar(scale),
        new THREE.Quaternion().setFromAxisAngle(new THREE.Vector3(0, 0, 1), part.yaw_rad ?? 0),
        new THREE.Vector3(...part.size_m).multiplyScalar(scale),
      );
      mesh.setMatrixAt(index, matrix);
      mesh.setColorAt(index, new THREE.Color(...(part.rgb ?? [0.7, 0.7, 0.7])));
      const unit = new THREE.Box3(new THREE.Vector3(-0.5, -0.5, -0.5), new THREE.Vector3(0.5, 0.5, 0.5));
      const bounds = unit.applyMatrix4(matrix).expandByScalar(0.15 * scale);
      const flat = part.size_m[2] < FLAT * Math.min(part.size_m[0], part.size_m[1]);
      const floor = flat && part.center_m[2] < 0.2 && part.size_m[0] > 1;
      if (floor) this.floor = Math.max(this.floor, (part.center_m[2] + part.size_m[2] / 2) * scale);
      this.parts.push({ name: part.name, mesh, index, matrix, bounds, flat, floor, rgb: part.rgb, shown: true });
    });
    mesh.frustumCulled = false;
    this.object.add(mesh);
  }

  _show(part, shown) {
    if (part.shown === shown) return;
    part.shown = shown;
    part.mesh.setMatrixAt(part.index, shown ? part.matrix : NOTHING);
    part.mesh.instanceMatrix.needsUpdate = true;
  }
}

const NOTHING = new THREE.Matrix4().makeScale(0, 0, 0);

function standing() {
  const geometry = new THREE.CylinderGeometry(0.5, 0.5, 1, 36);
  return geometry.rotateX(Math.PI / 2);
}
