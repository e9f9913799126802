/** The ground: one quad with a grid of two widths, faded at the rim. */
import * as THREE from "three";

const VERTEX = `
varying vec2 vPlace;
void main() {
  vPlace = position.xy;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const FRAGMENT = `
uniform vec3 line;
uniform float fine, reach, ink;
varying vec2 vPlace;
float grid(vec2 p, vec2 w) {
  vec2 d = abs(fract(p - 0.5) - 0.5) / w;
  return 1.0 - min(min(d.x, d.y), 1.0);
}
void main() {
  float far = length(vPlace) / reach;
  if (far > 1.0) discard;
  float rim = smoothstep(1.0, 0.15, far);
  vec2 p = vPlace / fine, w = max(fwidth(p), 1e-5);
  // Lines that come closer than a few pixels fade away instead of flickering.
  float narrow = grid(p, w * 1.1) * 0.5 * clamp(0.22 / max(w.x, w.y), 0.0, 1.0);
  gl_FragColor = vec4(line, min(narrow + grid(p / 5.0, w / 5.0 * 1.35), 1.0) * ink * rim * rim);
}`;

export class Ground {
  /** `fine` is the width of the narrow grid, five of which are a wide one; `reach` how far it goes (scene units). */
  constructor({ x, y, z, fine, reach }) {
    this.uniforms = { line: { value: new THREE.Vector3() }, fine: { value: fine }, reach: { value: reach }, ink: { value: 0.5 } };
    this.object = new THREE.Mesh(
      new THREE.PlaneGeometry(2 * reach, 2 * reach),
      new THREE.ShaderMaterial({ uniforms: this.uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, transparent: true, depthWrite: false, side: THREE.DoubleSide }),
    );
    this.object.position.set(x, y, z);
  }

  /** Lines in `line` [r, g, b], at most `ink` (0..1) dark. */
  look({ line, ink }) {
    this.uniforms.line.value.set(...line);
    this.uniforms.ink.value = ink;
  }
}
