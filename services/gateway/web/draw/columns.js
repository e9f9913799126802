/** A picture that scrolls: a ring of pixel columns of which only the new ones are ever painted. */

const KEPT_STRIPS = 12;

export class Columns {
  #ring = document.createElement("canvas");
  #context = null;
  #strips = new Map();
  width = 0;
  height = 0;

  /** Room for `width` columns of `height` pixels; what was painted is gone. */
  resize(width, height) {
    this.width = this.#ring.width = Math.max(1, width);
    this.height = this.#ring.height = Math.max(1, height);
    this.#context = this.#ring.getContext("2d", { alpha: false });
    this.#strips.clear();
  }

  /** Pixels for `n` columns, row by row, as 32-bit numbers; they hold what they held before. */
  strip(n) {
    let strip = this.#strips.get(n);
    if (!strip) {
      const image = new ImageData(n, this.height);
      strip = { image, pixels: new Uint32Array(image.data.buffer), hits: new Uint8Array(n * this.height) };
      if (n <= KEPT_STRIPS) this.#strips.set(n, strip);
    }
    return strip;
  }

  /** Put a strip's `n` columns at the column `first`, counted without end. */
  put({ image }, first, n) {
    const x = first % this.width;
    const before = Math.min(n, this.width - x);
    this.#context.putImageData(image, x, 0, 0, 0, before, this.height);
    if (before < n) this.#context.putImageData(image, -before, 0, before, 0, n - before, this.height);
  }

  /** Draw the ring so that the column `last` is the rightmost; each column `scale` pixels wide. */
  unroll(context, last, scale = 1) {
    const cut = (last + 1) % this.width;
    const old = this.width - cut;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#ring, cut, 0, old, this.height, 0, 0, old * scale, this.height);
    if (cut) context.drawImage(this.#ring, 0, 0, cut, this.height, old * scale, 0, cut * scale, this.height);
  }

  /** Draw the ring as it lies, for those who want no scrolling. */
  lay(context, scale = 1) {
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#ring, 0, 0, this.width, this.height, 0, 0, this.width * scale, this.height);
  }
}
