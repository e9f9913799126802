/** Recorded neurons as lights in space: each flashes when it fires and goes out in simulated time. */
import * as THREE from "three";

const LONG_AGO = -1e6;
const AREA_PX = 4e5; // all lights together may cover so many pixels, however many there are

const VERTEX = `
uniform sampler2D palette;
uniform float now, tau, size, grows, near, far, most;
attribute float population, fired;
varying vec3 vColour;
varying float vHot;
void main() {
  float since = now - fired;
  vHot = since < -0.05 ? 0.0 : exp(-max(since, 0.0) / tau);
  vec4 paint = texelFetch(palette, ivec2(int(population + 0.5), 0), 0);
  vec4 view = modelViewMatrix * vec4(position, 1.0);
  bool drawn = paint.a > 0.5 && vHot > 0.03;
  vColour = paint.rgb;
  gl_Position = drawn ? projectionMatrix * view : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = clamp(size * (1.5 + grows * 1.9 * vHot) / -view.z, 2.0, most * (0.6 + 0.4 * vHot));
  vHot *= 1.0 - 0.45 * clamp((-view.z - near) / (far - near), 0.0, 1.0);
}`;

const FRAGMENT = `
uniform vec3 flash;
varying vec3 vColour;
varying float vHot;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float r = dot(p, p);
  if (r > 1.0) discard;
  float core = smoothstep(0.30, 0.04, r);
  float halo = (1.0 - r) * (1.0 - r);
  gl_FragColor = vec4(mix(vColour, flash, core * 0.7 * vHot * vHot), vHot * max(core, 0.42 * halo));
}`;

export class Sparks {
  /** `places` (n, 3) and `population` (n) of the neurons that can light up; `shared`: uniforms of their cloud. */
  constructor(places, population, shared) {
    const count = population.length;
    this.uniforms = {
      ...shared,
      tau: { value: 0.1 },
      grows: { value: 1 },
      flash: { value: new THREE.Vector3(1, 1, 1) },
      most: { value: Math.min(Math.max(Math.sqrt((1.27 * AREA_PX) / Math.max(count, 1)), 3.5), 26) },
    };
    const geometry = new THREE.BufferGeometry();
    this.fired = new THREE.BufferAttribute(new Float32Array(count).fill(LONG_AGO), 1).setUsage(THREE.DynamicDrawUsage);
    geometry.setAttribute("position", new THREE.BufferAttribute(places, 3));
    geometry.setAttribute("population", new THREE.BufferAttribute(Float32Array.from(population), 1));
    geometry.setAttribute("fired", this.fired);
    this.object = new THREE.Points(
      geometry,
      new THREE.ShaderMaterial({ uniforms: this.uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, transparent: true, depthWrite: false, depthTest: false }),
    );
    this.object.frustumCulled = false;
    this.object.renderOrder = 1;
  }

  /** On a dark page lights add up; on a light one they are drawn over each other. */
  look(dark) {
    this.uniforms.flash.value.set(...(dark ? [1, 1, 1] : [0.07, 0.08, 0.08]));
    this.object.material.blending = dark ? THREE.AdditiveBlending : THREE.NormalBlending;
  }

  /** Neuron number `i` of those that can light up has fired at time `t_s`; `ready` after the last of several. */
  fire(i, t_s) {
    this.fired.array[i] = t_s;
  }

  ready() {
    this.fired.needsUpdate = true;
  }
}
