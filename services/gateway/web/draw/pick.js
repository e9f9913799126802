/** What lies under the pointer: the ray against rods, boxes and muscles, computed here, on a click only. */
import * as THREE from "three";

/**
 * The nearest part of a body that a ray meets: {kind: "link", name, at} or {kind: "muscle", m, at}, `at` a Vector3 in
 * scene units; null if it meets none. `slack` widens thin parts (scene units).
 */
export function pick(ray, skeleton, muscles, slack = 0) {
  const found = [];
  for (const link of skeleton.links) {
    if (!link.mesh || link.ghost) continue;
    const at = link.shape.kind === "box" ? throughBox(ray, link, skeleton.scale) : nearRod(ray, link, slack);
    if (at) found.push({ kind: "link", name: link.name, at, distance: at.distanceTo(ray.origin) });
  }
  for (const { m, distance } of muscles?.meets(ray) ?? [])
    found.push({ kind: "muscle", m, at: ray.at(distance, new THREE.Vector3()), distance });
  found.sort((a, b) => a.distance - b.distance);
  return found[0] ?? null;
}

function nearRod(ray, link, slack) {
  const from = link.group.localToWorld(link.span.from.clone());
  const to = link.group.localToWorld(link.span.to.clone());
  const onRay = new THREE.Vector3();
  const reach = link.span.radius + slack;
  const square = ray.distanceSqToSegment(from, to, onRay);
  if (square > reach * reach) return null;
  const depth = Math.sqrt(Math.max(link.span.radius ** 2 - square, 0));
  return onRay.addScaledVector(ray.direction, -depth);
}

function throughBox(ray, link, scale) {
  const { center_m: center, size_m: size } = link.shape;
  const inverse = link.group.matrixWorld.clone().invert();
  const local = ray.clone().applyMatrix4(inverse);
  const box = new THREE.Box3();
  box.setFromCenterAndSize(
    new THREE.Vector3(...center).multiplyScalar(scale),
    new THREE.Vector3(...size).multiplyScalar(scale),
  );
  const hit = local.intersectBox(box, new THREE.Vector3());
  return hit ? link.group.localToWorld(hit) : null;
}
