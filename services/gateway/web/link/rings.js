/** The last seconds of numbers, kept so that any span of them is one contiguous view. */

const WIDEST = 256; // arrays with more elements are pictures or positions of thousands: not kept

/** The frames of one topic in the last `span_s` simulated seconds, a column for each element of each array. */
export class Ring {
  #capacity = 256;
  #start = 0;
  #end = 0;

  constructor(span_s = 60, most = 60000) {
    this.span_s = span_s;
    this.most = most;
    this.t = new Float64Array(2 * this.#capacity);
    this.columns = new Map();
  }

  /** Add the arrays of one frame, `{name: {data, shape}}`. Time that goes back empties the ring: it is another run. */
  push(t_s, arrays) {
    if (this.#end > this.#start && t_s < this.t[this.#end - 1]) this.clear();
    if (this.#end > this.#start && t_s === this.t[this.#end - 1]) return;
    if (this.#end === this.t.length) this.#room(t_s);
    const at = this.#end++;
    this.t[at] = t_s;
    for (const name in arrays) {
      const { data } = arrays[name];
      if (data.length > WIDEST) continue;
      for (let i = 0; i < data.length; i++) this.#column(name, i)[at] = data[i];
    }
    while (this.t[this.#start] < t_s - this.span_s) this.#start += 1;
  }

  /** Add named values of one moment. */
  pushValues(t_s, values) {
    const arrays = {};
    for (const name in values) if (typeof values[name] === "number") arrays[name] = { data: [values[name]] };
    this.push(t_s, arrays);
  }

  /** `{t, v, n}`: views of the times and of one element's values; n is 0 where there are none. */
  series(array, index = 0) {
    const columns = this.columns.get(array);
    const v = columns?.[index];
    if (!v) return { t: new Float64Array(0), v: new Float64Array(0), n: 0 };
    return { t: this.t.subarray(this.#start, this.#end), v: v.subarray(this.#start, this.#end), n: this.#end - this.#start };
  }

  get length() {
    return this.#end - this.#start;
  }

  clear() {
    this.#start = this.#end = 0;
    for (const columns of this.columns.values()) for (const column of columns) column?.fill(NaN);
  }

  #column(name, index) {
    let columns = this.columns.get(name);
    if (!columns) this.columns.set(name, (columns = []));
    return (columns[index] ??= new Float64Array(this.t.length).fill(NaN));
  }

  /** Bring what is in the span to the front; double the room where it would soon be full again. */
  #room(t_s) {
    while (this.#start < this.#end && this.t[this.#start] < t_s - this.span_s) this.#start += 1;
    const kept = this.#end - this.#start;
    const grow = kept > this.#capacity && this.#capacity < this.most;
    if (kept > this.#capacity && !grow) this.#start = this.#end - this.#capacity;
    if (grow) this.#capacity *= 2;
    const [start, end] = [this.#start, this.#end];
    const move = (old) => {
      const fresh = grow ? new Float64Array(2 * this.#capacity).fill(NaN) : old;
      if (grow) fresh.set(old.subarray(start, end));
      else fresh.copyWithin(0, start, end).fill(NaN, end - start);
      return fresh;
    };
    this.t = move(this.t);
    for (const columns of this.columns.values()) for (let i = 0; i < columns.length; i++) if (columns[i]) columns[i] = move(columns[i]);
    this.#end -= this.#start;
    this.#start = 0;
  }
}
