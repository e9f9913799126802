/**
 * The material of everything that is lit: a sky, one key light that goes with the camera, one cool rim.
 *
 * Colours are display values all the way; a muscle has the colour of its bar in the list.
 */
import * as THREE from "three";

const VERTEX = `
varying vec3 vNormal, vView, vTint, vOwn;
varying float vUp;
#ifdef FIBRES
attribute float angle;
varying float vAngle;
#endif
uniform float swell;
void main() {
  vec3 n = normal;
  vec4 p = vec4(position + normal * swell, 1.0);
  vTint = vec3(1.0);
  vOwn = position;
  #ifdef USE_COLOR
  vTint = color;
  #endif
  #ifdef USE_INSTANCING
  p = instanceMatrix * p;
  n = mat3(instanceMatrix) * n;
  #endif
  #ifdef USE_INSTANCING_COLOR
  vTint *= instanceColor;
  #endif
  #ifdef FIBRES
  vAngle = angle;
  #endif
  vec4 view = modelViewMatrix * p;
  vView = view.xyz;
  vNormal = normalMatrix * n;
  vUp = normalize(mat3(modelMatrix) * n).z;
  gl_Position = projectionMatrix * view;
}`;

const LIT = `
uniform vec3 base, sky, soil, key, rim;
uniform float gloss, fill;
varying vec3 vNormal, vView, vTint;
varying float vUp;
#ifdef FIBRES
varying float vAngle;
#endif
const vec3 KEY = vec3(-0.44, 0.70, 0.56), RIM = vec3(0.72, 0.30, -0.62);
void main() {
  vec3 n = normalize(vNormal), v = normalize(-vView);
  vec3 paint = base * vTint;
  #ifdef FIBRES
  paint *= 0.97 + 0.07 * sin(vAngle * 13.0);
  #endif
  float facing = max(dot(n, v), 0.0);
  float lit = max((dot(n, KEY) + 0.25) / 1.25, 0.0);
  vec3 light = mix(soil, sky, vUp * 0.5 + 0.5) + key * lit;
  vec3 colour = paint * mix(light, vec3(0.98), fill);
  colour += key * gloss * pow(max(dot(n, normalize(KEY + v)), 0.0), 36.0) * (1.0 - fill);
  colour += rim * pow(1.0 - facing, 3.0) * max(dot(n, RIM) + 0.35, 0.0) * (1.0 - fill);
  gl_FragColor = vec4(colour, 1.0);
}`;

// Lit at its corners only: for large flat things, of which a processor that draws them itself has many pixels.
const PLAIN_VERTEX = `
uniform vec3 base, sky, soil, key;
uniform float fill;
varying vec3 vPaint;
void main() {
  vec4 p = vec4(position, 1.0);
  vec3 n = normal, tint = base;
  #ifdef USE_INSTANCING
  p = instanceMatrix * p;
  n = mat3(instanceMatrix) * n;
  #endif
  #ifdef USE_INSTANCING_COLOR
  tint *= instanceColor;
  #endif
  float up = normalize(mat3(modelMatrix) * n).z;
  float lit = max((dot(normalize(normalMatrix * n), vec3(-0.44, 0.70, 0.56)) + 0.25) / 1.25, 0.0);
  vPaint = tint * mix(mix(soil, sky, up * 0.5 + 0.5) + key * lit, vec3(0.98), fill);
  gl_Position = projectionMatrix * modelViewMatrix * p;
}`;

const PLAIN = `
varying vec3 vPaint;
void main() { gl_FragColor = vec4(vPaint, 1.0); }`;

const GHOST = `
uniform vec3 base, axis;
uniform float strength, apart;
varying vec3 vNormal, vView, vOwn;
void main() {
  float edge = 1.0 - abs(dot(normalize(vNormal), normalize(-vView)));
  float along = dot(vOwn, axis) / apart;
  float ring = 1.0 - min(abs(fract(along) - 0.5) / (fwidth(along) * 0.8 + 1e-5), 1.0);
  float alpha = 0.05 + 0.42 * pow(edge, 2.6) + 0.6 * pow(edge, 9.0) + ring * (0.10 + 0.35 * edge * edge);
  gl_FragColor = vec4(base, strength * min(alpha, 1.0));
}`;

const FLAT = `
uniform vec3 base;
void main() { gl_FragColor = vec4(base, 1.0); }`;

/** The light of one scene; its materials share these uniforms, so that a theme changes them all at once. */
export function light() {
  return {
    sky: { value: new THREE.Vector3() },
    soil: { value: new THREE.Vector3() },
    key: { value: new THREE.Vector3() },
    rim: { value: new THREE.Vector3() },
    fill: { value: 0 },
  };
}

/** Set the light for a dark or a light page. `flat` (0 or 1) leaves out key and rim. */
export function shine(light, dark, flat = 0) {
  light.sky.value.set(...(dark ? [0.5, 0.54, 0.58] : [0.66, 0.67, 0.69]));
  light.soil.value.set(...(dark ? [0.2, 0.2, 0.22] : [0.4, 0.385, 0.365]));
  light.key.value.set(...(dark ? [0.6, 0.57, 0.53] : [0.44, 0.425, 0.4]));
  light.rim.value.set(...(dark ? [0.34, 0.46, 0.52] : [0.16, 0.2, 0.24]));
  light.fill.value = flat;
}

/** A lit material. `base` is [r, g, b] in 0..1; `tinted` takes the colour attribute too, `fibres` draws striation. */
export function lit(light, base, { gloss = 0.16, tinted = false, fibres = false } = {}) {
  return new THREE.ShaderMaterial({
    uniforms: { ...light, base: vector(base), gloss: { value: gloss }, swell: { value: 0 } },
    vertexShader: VERTEX,
    fragmentShader: LIT,
    vertexColors: tinted,
    defines: fibres ? { FIBRES: "" } : {},
  });
}

/** Lit at the corners only, without gloss. */
export function plain(light, base) {
  return new THREE.ShaderMaterial({
    uniforms: { ...light, base: vector(base) },
    vertexShader: PLAIN_VERTEX,
    fragmentShader: PLAIN,
  });
}

/** See-through: its rim, and rings across `axis` (a unit vector) that are `apart` scene units from each other. */
export function ghost(base, strength, axis, apart) {
  return new THREE.ShaderMaterial({
    uniforms: { base: vector(base), strength: { value: strength }, axis: vector(axis), apart: { value: apart }, swell: { value: 0 } },
    vertexShader: VERTEX,
    fragmentShader: GHOST,
    transparent: true,
    depthWrite: false,
  });
}

/** The outline of a selected part: its back sides, moved outwards by `width` scene units. */
export function outline(base, width) {
  return new THREE.ShaderMaterial({
    uniforms: { base: vector(base), swell: { value: width } },
    vertexShader: VERTEX,
    fragmentShader: FLAT,
    side: THREE.BackSide,
  });
}

function vector(rgb) {
  return { value: new THREE.Vector3(...rgb) };
}
