/**
 * Reads msgpack: nil, booleans, numbers, texts, byte strings, lists, maps. Whole numbers of 64 bits become numbers, exact
 * up to 2^53. Byte strings are views into what was given, not copies. Extension types are refused.
 */

const texts = new TextDecoder();
const known = new Map(); // short texts come again and again: keys, topics, dtypes

export class Reader {
  /** `bytes` is a Uint8Array. */
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  /** The next value. Throws RangeError where the bytes end too soon. */
  next() {
    const code = this.view.getUint8(this.at++);
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 15);
    if (code < 0xa0) return this.list(code & 15);
    if (code < 0xc0) return this.text(code & 31);
    if (code >= 0xe0) return code - 256;
    return this.#long(code);
  }

  list(n) {
    if (n > this.bytes.length - this.at) throw new RangeError(`a list of ${n} values does not fit`);
    const list = new Array(n);
    for (let i = 0; i < n; i++) list[i] = this.next();
    return list;
  }

  map(n) {
    const map = {};
    for (let i = 0; i < n; i++) {
      const key = this.next();
      const value = this.next();
      if (key === "__proto__") Object.defineProperty(map, key, { value, enumerable: true });
      else map[key] = value;
    }
    return map;
  }

  bin(n) {
    return this.#take(n);
  }

  text(n) {
    const bytes = this.#take(n);
    if (n > 24) return texts.decode(bytes);
    let hash = n;
    for (let i = 0; i < n; i++) hash = (hash * 31 + bytes[i]) | 0;
    const found = known.get(hash);
    if (found && same(found.bytes, bytes)) return found.text;
    const text = texts.decode(bytes);
    if (known.size < 4096) known.set(hash, { bytes: bytes.slice(), text });
    return text;
  }

  #take(n) {
    if (n > this.bytes.length - this.at) throw new RangeError(`${n} bytes are announced, ${this.bytes.length - this.at} are left`);
    const bytes = this.bytes.subarray(this.at, this.at + n);
    this.at += n;
    return bytes;
  }

  #number(size, read) {
    const value = read.call(this.view, this.at);
    this.at += size;
    return value;
  }

  #wide(high) {
    const value = high * 4294967296 + this.view.getUint32(this.at + 4);
    this.at += 8;
    return value;
  }

  #long(code) {
    const { view } = this;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.bin(this.#number(1, view.getUint8));
      case 0xc5: return this.bin(this.#number(2, view.getUint16));
      case 0xc6: return this.bin(this.#number(4, view.getUint32));
      case 0xca: return this.#number(4, view.getFloat32);
      case 0xcb: return this.#number(8, view.getFloat64);
      case 0xcc: return this.#number(1, view.getUint8);
      case 0xcd: return this.#number(2, view.getUint16);
      case 0xce: return this.#number(4, view.getUint32);
      case 0xcf: return this.#wide(view.getUint32(this.at));
      case 0xd0: return this.#number(1, view.getInt8);
      case 0xd1: return this.#number(2, view.getInt16);
      case 0xd2: return this.#number(4, view.getInt32);
      case 0xd3: return this.#wide(view.getInt32(this.at));
      case 0xd9: return this.text(this.#number(1, view.getUint8));
      case 0xda: return this.text(this.#number(2, view.getUint16));
      case 0xdb: return this.text(this.#number(4, view.getUint32));
      case 0xdc: return this.list(this.#number(2, view.getUint16));
      case 0xdd: return this.list(this.#number(4, view.getUint32));
      case 0xde: return this.map(this.#number(2, view.getUint16));
      case 0xdf: return this.map(this.#number(4, view.getUint32));
      default: throw new TypeError(`msgpack code 0x${code.toString(16)} is not used on this wire`);
    }
  }
}

/** The one value in `bytes`. */
export function decode(bytes) {
  return new Reader(bytes).next();
}

function same(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
