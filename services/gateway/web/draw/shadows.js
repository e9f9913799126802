/** Soft shadows of rods on the ground, each on a quad of its own size: few pixels, however large the ground. */
import * as THREE from "three";

const MOST = 8;

const VERTEX = `
uniform vec4 rod[${MOST}];
uniform vec2 soft[${MOST}];
attribute float which;
varying vec2 vLocal;
varying float vHalf, vDark;
void main() {
  vec4 ends = rod[int(which + 0.5)];
  vec2 blur = soft[int(which + 0.5)];
  vec2 span = ends.zw - ends.xy;
  float half_ = 0.5 * length(span);
  vec2 along = half_ > 1e-6 ? span / (2.0 * half_) : vec2(1.0, 0.0);
  vHalf = half_ / blur.x;
  vDark = blur.y;
  vLocal = position.xy * vec2(vHalf + 1.0, 1.0);
  vec2 place = 0.5 * (ends.xy + ends.zw) + blur.x * (along * vLocal.x + vec2(-along.y, along.x) * vLocal.y);
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place, 0.0, 1.0);
}`;

const FRAGMENT = `
uniform vec3 shade;
uniform float dark;
varying vec2 vLocal;
varying float vHalf, vDark;
void main() {
  vec2 d = vec2(max(abs(vLocal.x) - vHalf, 0.0), vLocal.y);
  float near = max(1.0 - dot(d, d), 0.0);
  gl_FragColor = vec4(shade, dark * vDark * near * near);
}`;

export class Shadows {
  /** `z`: how high the ground is, in scene units. */
  constructor(z) {
    this.z = z;
    this.uniforms = {
      rod: { value: Array.from({ length: MOST }, () => new THREE.Vector4()) },
      soft: { value: Array.from({ length: MOST }, () => new THREE.Vector2(1, 0)) },
      shade: { value: new THREE.Vector3() },
      dark: { value: 0.5 },
    };
    this.object = new THREE.Mesh(
      quads(),
      new THREE.ShaderMaterial({ uniforms: this.uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, transparent: true, depthWrite: false, side: THREE.DoubleSide }),
    );
    this.object.position.z = z;
    this.object.frustumCulled = false;
    this.object.renderOrder = -1;
  }

  look({ shade, dark }) {
    this.uniforms.shade.value.set(...shade);
    this.uniforms.dark.value = dark;
  }

  /** Of at most eight rods: [{from, to (Vector3 in the scene), radius}]; the higher one is, the softer. */
  cast(rods) {
    for (let i = 0; i < MOST; i++) {
      const rod = rods[i];
      if (!rod) {
        this.uniforms.soft.value[i].y = 0;
        continue;
      }
      const height = Math.max((rod.from.z + rod.to.z) / 2 - this.z, 0);
      const width = 2.6 * rod.radius + 0.34 * height;
      this.uniforms.rod.value[i].set(rod.from.x, rod.from.y, rod.to.x, rod.to.y);
      this.uniforms.soft.value[i].set(width, Math.min(0.9, (3.4 * rod.radius) / width));
    }
  }
}

function quads() {
  const geometry = new THREE.BufferGeometry();
  const place = [];
  const which = [];
  const index = [];
  for (let i = 0; i < MOST; i++) {
    place.push(-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0);
    which.push(i, i, i, i);
    index.push(...[0, 1, 2, 0, 2, 3].map((k) => 4 * i + k));
  }
  geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(place), 3));
  geometry.setAttribute("which", new THREE.BufferAttribute(new Float32Array(which), 1));
  geometry.setIndex(index);
  return geometry;
}
