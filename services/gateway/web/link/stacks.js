/** Frames of streams, piled up by topic into few large buffers, so that many can be handed over at once. */

const KINDS = {
  "|b1": Uint8Array, "|i1": Int8Array, "|u1": Uint8Array, "<i2": Int16Array, "<u2": Uint16Array, "<i4": Int32Array,
  "<u4": Uint32Array, "<f4": Float32Array, "<f8": Float64Array, "<i8": Float64Array, "<u8": Float64Array,
};

/** The numbers of an array that came as bytes; those of 64 bits as floats, exact up to 2^53. */
export function numbers(dtype, bytes) {
  const Kind = KINDS[dtype];
  if (!Kind) throw new TypeError(`dtype ${dtype} is not one of the wire`);
  if (dtype === "<i8" || dtype === "<u8") return wide(dtype, bytes);
  const copy = bytes.slice(); // aligned, and ours
  return new Kind(copy.buffer, 0, Math.floor(copy.byteLength / Kind.BYTES_PER_ELEMENT));
}

function wide(dtype, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float64Array(bytes.byteLength >> 3);
  for (let i = 0; i < values.length; i++) {
    const high = dtype === "<i8" ? view.getInt32(8 * i + 4, true) : view.getUint32(8 * i + 4, true);
    values[i] = high * 4294967296 + view.getUint32(8 * i, true);
  }
  return values;
}

/** All frames of one topic since the last handing over. */
export class Stack {
  constructor(topic) {
    this.topic = topic;
    this.step = [];
    this.t_s = [];
    this.columns = new Map();
  }

  /** Add a frame: `rows` are [name, dtype, shape, where] with the large parts in `parts`, by their index. */
  push(step, t_s, rows, parts) {
    const at = this.step.length;
    this.step.push(step);
    this.t_s.push(t_s);
    for (const [name, dtype, shape, where] of rows) {
      let column = this.columns.get(name);
      if (!column) this.columns.set(name, (column = { frames: [], pieces: [], shapes: [], length: 0 }));
      const piece = numbers(dtype, typeof where === "number" ? parts[where] : where);
      const last = column.shapes.at(-1);
      column.frames.push(at);
      column.pieces.push(piece);
      column.shapes.push(last && equal(last, shape) ? last : shape); // the same list is handed over once
      column.length += piece.length;
    }
  }

  /** `{topic, step, t_s, columns: [{name, frames, shapes, ends, data}]}`, and the buffers to transfer. */
  pack() {
    const columns = [];
    const buffers = [];
    for (const [name, { frames, pieces, shapes, length }] of this.columns) {
      const ends = new Uint32Array(pieces.length);
      let data = pieces[0];
      if (pieces.length > 1) data = new pieces[0].constructor(length);
      for (let i = 0, end = 0; i < pieces.length; i++) {
        if (pieces.length > 1) data.set(pieces[i], end);
        ends[i] = end += pieces[i].length;
      }
      columns.push({ name, frames, shapes, ends, data });
      buffers.push(data.buffer);
    }
    return { packed: { topic: this.topic, step: this.step, t_s: this.t_s, columns }, buffers };
  }
}

/** The frames of a packed stack: `[{step, t_s, arrays: {name: {data, shape}}}]`, data as views. */
export function unpack({ step, t_s, columns }) {
  const frames = step.map((number, i) => ({ step: number, t_s: t_s[i], arrays: {} }));
  for (const { name, frames: places, shapes, ends, data } of columns) {
    for (let i = 0, start = 0; i < ends.length; i++) {
      frames[places[i]].arrays[name] = { data: data.subarray(start, ends[i]), shape: shapes[i] };
      start = ends[i];
    }
  }
  return frames;
}

function equal(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
