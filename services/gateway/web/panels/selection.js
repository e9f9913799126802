/** The picked part of a body: which one it is, what is said of it, and whether it may be pushed. */
import { linkRows, muscleRows, shapeWords } from "./inspector.js";

export class Selection {
  /**
   * `stage` and `body` as they are drawn, `list` of the muscles or null, `joints`: names in the order of body/joints,
   * `at(topic, array)` the newest numbers, `onchange` called after each choice.
   */
  constructor({ stage, body, list, inspector, joints, at, editable, onchange }) {
    Object.assign(this, { stage, body, list, inspector, joints, at, editable, onchange });
    this.part = null;
  }

  /** {kind: "link", name}, {kind: "muscle", m}, or null for nothing. */
  choose(part) {
    this.part = part;
    this.list?.mark(this.muscle);
    if (!part) this.inspector.hide();
    else if (part.kind === "muscle") this.inspector.show(this.body.muscles[part.m].name, "muscle");
    else this.inspector.show(part.name.replaceAll("_", " "), shapeWords(this.stage.skeleton.find(part.name).shape, this.stage.small));
    this.inspector.note(this.link ? this._pushWords() : "");
    this.onchange();
  }

  /** The number of the picked muscle, or -1. */
  get muscle() {
    return this.part?.kind === "muscle" ? this.part.m : -1;
  }

  /** The name of the picked link, or null. */
  get link() {
    return this.part?.kind === "link" ? this.part.name : null;
  }

  /** The next (1) or previous (-1) muscle. */
  next(step) {
    const count = this.body.muscles.length;
    if (!count) return;
    const now = this.muscle >= 0 ? this.muscle : step > 0 ? -1 : count;
    this.choose({ kind: "muscle", m: (now + step + count) % count });
  }

  /** The next (1) or previous (-1) link that is drawn. */
  nextLink(step) {
    const names = this.stage.skeleton.links.filter((link) => link.mesh && !link.ghost).map((link) => link.name);
    if (!names.length) return;
    const now = this.link ? names.indexOf(this.link) : step > 0 ? -1 : names.length;
    this.choose({ kind: "link", name: names[(now + step + names.length) % names.length] });
  }

  /** Refresh the numbers. */
  update() {
    if (this.muscle >= 0) this.inspector.rows(muscleRows(this.muscle, this.body.muscles[this.muscle].max_isometric_force_N, this.at));
    else if (this.link) this.inspector.rows(this.linkRows(this.body.links.findIndex((link) => link.name === this.link)));
  }

  linkRows(index) {
    const joints = this.body.joints.filter((joint) => joint.link === this.body.links[index].name);
    return linkRows(index, joints, this.joints, this.at, this.stage.small);
  }

  /** What may be pushed at (x, y): the picked link, if it is there. */
  grasp(x, y) {
    if (!this.link || !this.editable || !this.body.pushable.includes(this.link)) return null;
    const part = this.stage.pick(x, y);
    const mine = part?.kind === "link" && part.name === this.link;
    return mine ? { ...part, group: this.stage.skeleton.find(part.name).group } : null;
  }

  _pushWords() {
    if (!this.body.pushable.includes(this.link)) return "";
    return this.editable ? "Drag it to push it for 0.2 s" : "Only its owner may push it";
  }
}
