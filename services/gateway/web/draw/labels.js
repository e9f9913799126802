/** Signs over a scene, as HTML and SVG: a tag with a leader line, an arrow with a number, a scale bar. */

const SVG = "http://www.w3.org/2000/svg";

/** A short text that belongs to a point of the scene, moved by `transform` only. */
export class Tag {
  constructor(layer) {
    this.root = layer.appendChild(element("div", "scene-tag"));
    this.line = this.root.appendChild(element("span", "scene-tag-line"));
    this.text = this.root.appendChild(element("span", "scene-tag-text"));
    this.hide();
  }

  /** Put it beside (x, y), in CSS pixels of the layer; on the left of it if `width` leaves no room on the right. */
  place(text, x, y, width) {
    if (this.text.textContent !== text) this.text.textContent = text;
    this.root.hidden = false;
    this.root.classList.toggle("left", x > width - 150);
    this.root.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
  }

  hide() {
    this.root.hidden = true;
  }
}

/** An arrow from one point to another with words at its tip. */
export class Arrow {
  constructor(layer) {
    this.root = layer.appendChild(document.createElementNS(SVG, "svg"));
    this.root.setAttribute("class", "scene-arrow");
    this.shaft = this.root.appendChild(document.createElementNS(SVG, "path"));
    this.text = layer.appendChild(element("span", "scene-arrow-text"));
    this.hide();
  }

  place(text, from, to) {
    this.root.removeAttribute("hidden");
    this.text.hidden = false;
    this.text.textContent = text;
    this.text.style.transform = `translate(${to.x + 12}px, ${to.y - 10}px)`;
    this.shaft.setAttribute("d", arrow(from, to));
  }

  hide() {
    this.root.setAttribute("hidden", "");
    this.text.hidden = true;
  }
}

/** A bar of a round length. */
export class ScaleBar {
  /** `names`: what a thousandth of a scene unit is called (null: it has no name of its own), the unit, a thousand of it. */
  constructor(layer, names) {
    this.names = names;
    this.root = layer.appendChild(element("div", "scene-scale"));
    this.text = this.root.appendChild(element("span", ""));
    this.bar = this.root.appendChild(element("i", ""));
  }

  /** `pixels` per scene unit. */
  fit(pixels) {
    const wished = 64 / pixels;
    const power = Math.pow(10, Math.floor(Math.log10(wished)));
    const length = [5, 2, 1].map((n) => n * power).find((l) => l <= wished) ?? power;
    const text = this.words(length);
    if (this.text.textContent !== text) this.text.textContent = text;
    this.bar.style.width = `${(length * pixels).toFixed(1)}px`;
  }

  words(length) {
    const [small, unit, large] = this.names;
    if (length < 0.999) return small ? `${Math.round(length * 1000)} ${small}` : `${Number(length.toPrecision(1))} ${unit}`;
    return length > 999 ? `${length / 1000} ${large}` : `${Math.round(length)} ${unit}`;
  }
}

function arrow(from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const head = Math.min(12, length * 0.5);
  const [bx, by] = [to.x - ux * head, to.y - uy * head];
  const side = head * 0.5;
  return (
    `M${from.x} ${from.y}L${bx} ${by}` +
    `M${bx - uy * side} ${by + ux * side}L${to.x} ${to.y}L${bx + uy * side} ${by - ux * side}Z`
  );
}

function element(tag, name) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  return made;
}
