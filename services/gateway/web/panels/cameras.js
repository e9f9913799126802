/** What the cameras of a robot see: small pictures in a corner, one of them large after a click. */
import { h, write } from "../element.js";

const TILE = { width: 160, height: 120 };
const TILE_HZ = 8;
const LARGE_HZ = 15;

/** `topics` are those of the cameras. Returns {element, draw(), close()}; `draw` shows what has come since the last one. */
export function makeCameras(topics, data, loop) {
  const owner = Symbol("cameras");
  const element = h("div", { class: "camera-tiles", hidden: !topics.length });
  const tiles = topics.map((topic) => new Tile(topic, () => enlarge(topic)));
  const view = loop.add({ name: "cameras", hz: LARGE_HZ, draw: () => tiles.forEach((tile) => tile.draw(data.latest(tile.topic))) });
  const off = topics.map((topic) => data.on(topic, () => view.dirty()));
  element.append(...tiles.map((tile) => tile.element));

  function ask() {
    for (const tile of tiles)
      data.want(owner, tile.topic, tile.large ? { hz: LARGE_HZ, points: 640 * 480 } : { hz: TILE_HZ, points: TILE.width * TILE.height });
  }

  function enlarge(topic) {
    for (const tile of tiles) tile.enlarge(tile.topic === topic && !tile.large);
    ask();
  }

  ask();
  return {
    element,
    close() {
      for (const each of off) each();
      view.remove();
      data.release(owner);
      element.remove();
    },
  };
}

class Tile {
  constructor(topic, onclick) {
    this.topic = topic;
    this.large = false;
    this.step = -1;
    this.name = topic.replace(/^body\/camera\//, "").replaceAll("/", " ");
    this.canvas = h("canvas", { ...TILE, role: "img", "aria-label": `Camera ${this.name}` });
    this.note = h("span", { class: "camera-note" }, this.name);
    this.element = h("button", { class: "camera-tile", type: "button", title: "Larger or smaller", onclick }, this.canvas, this.note);
  }

  enlarge(large) {
    this.large = large;
    this.element.classList.toggle("large", large);
    this.element.setAttribute("aria-pressed", String(large));
  }

  /** `frame` as the data have it: image uint8 (rows, columns, 3). */
  draw(frame) {
    if (!frame || frame.step === this.step) return;
    this.step = frame.step;
    const { data, shape } = frame.arrays.image;
    const [height, width] = shape;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0, p = 0; i < pixels.length; i++, p += 3)
      pixels[i] = 0xff000000 | (data[p + 2] << 16) | (data[p + 1] << 8) | data[p];
    context.putImageData(picture, 0, 0);
    write(this.note, `${this.name} ${frame.t_s.toFixed(2)} s`);
  }
}
