/** What stands still behind what moves: drawn once into a picture, and from there into every frame. */
import * as THREE from "three";

const VERTEX = `
varying vec2 vPlace;
void main() {
  vPlace = position.xy * 0.5 + 0.5;
  gl_Position = vec4(position.xy, 0.0, 1.0);
}`;

const FRAGMENT = `
uniform sampler2D picture;
varying vec2 vPlace;
void main() { gl_FragColor = texture2D(picture, vPlace); }`;

export class Backdrop {
  constructor() {
    this.still = new THREE.Scene();
    this.target = new THREE.WebGLRenderTarget(2, 2, { depthBuffer: false, minFilter: THREE.LinearFilter });
    const cover = new THREE.BufferGeometry();
    cover.setAttribute("position", new THREE.BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3));
    this.object = new THREE.Mesh(
      cover,
      new THREE.ShaderMaterial({ uniforms: { picture: { value: this.target.texture } }, vertexShader: VERTEX, fragmentShader: FRAGMENT, depthTest: false, depthWrite: false }),
    );
    this.object.frustumCulled = false;
    this.object.renderOrder = -2;
  }

  /** Draw the still things anew: after the camera moved, or their colours changed. */
  renew(renderer, camera) {
    const { width, height } = renderer.domElement;
    this.target.setSize(width, height);
    renderer.setRenderTarget(this.target);
    renderer.render(this.still, camera);
    renderer.setRenderTarget(null);
  }

  close() {
    this.target.dispose();
    this.still.traverse((object) => {
      object.geometry?.dispose();
      object.material?.dispose();
    });
  }
}
