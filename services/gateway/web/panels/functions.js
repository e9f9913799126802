// The transfer functions of a simulation as the server has them, and the drafts of the person at this page.

import { Problem } from "../link/api.js";

const BUILDING = new Set(["created", "initialised", "failed"]);
const FRESH_NAME = "new_function";

/** Entries are the server's Function plus `text` (draft or source), `dirty`, `fresh`, `refused`, `theirs`, `ms`. */
export class Functions {
  entries = [];
  chosen = null;
  loaded = false;
  fault = "";
  #ctx; #changed; #known = []; #drafts = new Map(); #news = new Map(); #fresh = []; #spent = new Map(); #offs = []; #asking = false; #again = false; #timer = null;

  constructor(ctx, changed) {
    this.#ctx = ctx;
    this.#changed = changed;
  }

  start() {
    const { store } = this.#ctx;
    const ask = () => this.refresh();
    this.#offs = [store.on("functions", ask), store.on("run", ask), store.on("simulation", (simulation) => {
      this.#measure(simulation);
      if (!this.loaded) this.refresh();
    })];
    this.#timer = setInterval(() => this.#changed(), 5000); // "20 s ago" grows old
    this.refresh();
  }

  close() {
    clearInterval(this.#timer);
    for (const off of this.#offs) off();
  }

  get entry() {
    return this.entries.find((each) => each.name === this.chosen) ?? null;
  }

  has(name) {
    return this.entries.some((each) => each.name === name);
  }

  /** Asks the server once more; calls during an answer are one more question after it. */
  async refresh() {
    if (this.#asking) { this.#again = true; return; }
    if (BUILDING.has(this.#ctx.store.simulation?.state)) return; // there are none yet; their note will come
    this.#asking = true;
    try {
      do {
        this.#again = false;
        this.#take(await this.#list());
      } while (this.#again);
      this.fault = "";
    } catch (error) {
      if (this.#ctx.store.functions?.length) this.#take(this.#ctx.store.functions);
      else this.fault = error.message;
    } finally {
      this.#asking = false;
      this.#changed();
    }
  }

  async #list() {
    return this.#ctx.sim ? this.#ctx.api.get(`${this.#path}`) : this.#ctx.store.functions;
  }

  get #path() {
    return `simulations/${this.#ctx.sim}/transfer-functions`;
  }

  #take(list) {
    const me = this.#ctx.app.me?.name;
    for (const next of list ?? []) {
      const before = this.#known.find((each) => each.name === next.name);
      const draft = this.#drafts.get(next.name);
      if (draft && draft.text === next.source) this.#drafts.delete(next.name);
      if (before && before.source !== next.source && !this.#mine(next, me)) {
        this.#news.set(next.name, { by: next.changed?.by ?? "", at: next.changed?.at ?? new Date().toISOString(), before: before.source });
      }
      if (before && before.source !== next.source && draft) draft.refused = null;
    }
    this.#known = list ?? [];
    this.loaded = true;
    this.#compose();
  }

  #own = new Map(); // sources that this page has applied, by name

  #mine(next, me) {
    return this.#own.get(next.name) === next.source || (next.changed?.by === me && this.#own.has(next.name));
  }

  #compose() {
    const entries = this.#known.map((each) => {
      const draft = this.#drafts.get(each.name);
      return { ...each, text: draft?.text ?? each.source, dirty: draft !== undefined && draft.text !== each.source, refused: draft?.refused ?? null, theirs: this.#news.get(each.name) ?? null, ms: this.#spent.get(each.name)?.ms ?? null };
    });
    this.entries = [...entries, ...this.#fresh];
    if (!this.has(this.chosen)) this.chosen = (this.entries.find((each) => each.problem) ?? this.entries[0])?.name ?? null;
  }

  #measure(simulation) {
    const { step } = simulation;
    for (const [name, s] of Object.entries(simulation.function_s ?? {})) {
      const last = this.#spent.get(name);
      if (last && step > last.step) this.#spent.set(name, { step, s, ms: ((s - last.s) * 1000) / (step - last.step) });
      else if (!last || step < last.step) this.#spent.set(name, { step, s, ms: step ? (s * 1000) / step : null });
    }
    this.#compose();
    this.#changed();
  }

  choose(name) {
    this.chosen = name;
  }

  /** Keeps what is typed for the chosen function. */
  draft(text) {
    const entry = this.entry;
    if (!entry) return;
    if (entry.fresh) {
      Object.assign(entry, { text, refused: null });
      return;
    }
    if (text === entry.source) this.#drafts.delete(entry.name);
    else this.#drafts.set(entry.name, { text, refused: null });
    this.#compose();
  }

  revert(name) {
    if (this.#fresh.some((each) => each.name === name)) this.#fresh = this.#fresh.filter((each) => each.name !== name);
    this.#drafts.delete(name);
    this.#news.delete(name);
    this.#compose();
    this.#changed();
  }

  /** The amber line has been read: what I write goes on top of their version. */
  keepMine(name) {
    this.#news.delete(name);
    this.#compose();
    this.#changed();
  }

  add(source = this.#template(), name = FRESH_NAME) {
    const free = this.#free(name);
    const text = renamed(source, free);
    this.#fresh.push({ name: free, source: "", text, dirty: true, fresh: true, active: true, direction: "not applied yet", refused: null, problem: null, theirs: null, saved: true });
    this.chosen = free;
    this.#compose();
    this.#changed();
  }

  clone(name) {
    this.add(this.entries.find((each) => each.name === name).text, `${name}_2`);
  }

  #free(name) {
    let free = name;
    for (let i = 2; this.has(free); i++) free = `${name.replace(/_\d+$/, "")}_${i}`;
    return free;
  }

  #template() {
    const outputs = this.#ctx.store.ports?.body?.outputs ?? [];
    const port = outputs.find((each) => each.labels?.length)?.name ?? "joints.position";
    if (this.entries.length && this.entries.every((each) => /^@(nrp\.|Robot2Neuron|Neuron2Robot)/m.test(each.text))) {
      return `@nrp.MapVariable("calls", initial_value=0)\n@nrp.Robot2Neuron()\ndef ${FRESH_NAME}(t, calls):\n    """What it does, in one sentence."""\n    calls.value += 1\n`;
    }
    return `@transfer(reads="body.${port}")\ndef ${FRESH_NAME}(values, t):\n    """What it does, in one sentence."""\n    return None\n`;
  }

  /** Sends the chosen function; true when the server has taken it. What it refuses is kept with the draft. */
  async apply() {
    const entry = this.entry;
    const { text } = entry;
    const defined = nameIn(text) ?? entry.name;
    this.#own.set(defined, text);
    try {
      const { api } = this.#ctx;
      const made = entry.fresh ? await api.post(this.#path, { source: text }) : await api.put(`${this.#path}/${entry.name}`, { source: text });
      if (entry.fresh) this.#fresh = this.#fresh.filter((each) => each !== entry);
      this.#drafts.delete(entry.name);
      this.#news.delete(entry.name);
      this.chosen = made?.name ?? defined;
      await this.refresh();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!error.status) throw error;
      if (entry.fresh) entry.refused = error;
      else this.#drafts.set(entry.name, { text, refused: error });
      this.#compose();
      return false;
    }
  }

  async switch(name, active) {
    await this.#ctx.api.put(`${this.#path}/${name}/active`, { active });
    await this.refresh();
  }

  /** Calls it earlier (-1) or later (+1) among those of its direction. */
  async move(name, by) {
    const names = this.#known.map((each) => each.name);
    const at = names.indexOf(name);
    const to = Math.max(0, Math.min(names.length - 1, at + by));
    names.splice(to, 0, ...names.splice(at, 1));
    await this.#ctx.api.put(`${this.#path}/order`, { names });
    await this.refresh();
  }

  async rename(name, next) {
    if (!/^[A-Za-z_]\w*$/.test(next)) throw new Error(`${next} is no name for a function: use letters, digits and _`);
    const entry = this.entries.find((each) => each.name === name);
    const source = renamed(entry.source, next);
    this.#own.set(next, source);
    await this.#ctx.api.put(`${this.#path}/${name}`, { source });
    this.#drafts.delete(name);
    this.chosen = next;
    await this.refresh();
  }

  async delete(name) {
    if (this.#fresh.some((each) => each.name === name)) return this.revert(name);
    await this.#ctx.api.del(`${this.#path}/${name}`);
    this.#drafts.delete(name);
    return this.refresh();
  }

  async save() {
    await this.#ctx.api.post(`${this.#path}/save`);
    await this.refresh();
  }
}

/** The name of the function that a source defines: that below its decorator, else the first. */
export const nameIn = (source) => (/^@(?:transfer|nrp\.|Map|Neuron|Robot2)[\s\S]*?^(?:async )?def\s+(\w+)/m.exec(source) ?? /^def\s+(\w+)/m.exec(source))?.[1];

const renamed = (source, name) => source.replace(/(^@(?:transfer|nrp\.|Map|Neuron|Robot2)[\s\S]*?^def\s+)\w+/m, `$1${name}`);
