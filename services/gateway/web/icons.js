// Icons of 16 px with a stroke of 1.6 px, as inline SVG that takes the colour of its text.

const PATHS = {
  play: '<path d="M5 3.2v9.6l7.6-4.8z" fill="currentColor"/>',
  pause: '<path d="M5.3 3.5v9M10.7 3.5v9" stroke-width="2.6"/>',
  stop: '<rect x="3.8" y="3.8" width="8.4" height="8.4" rx="0.8" fill="currentColor" stroke="none"/>',
  step: '<path d="M3.4 3.4v9.2L9.8 8z" fill="currentColor"/><path d="M12.4 3.2v9.6"/>',
  reset: '<path d="M3 8a5 5 0 1 0 1.6-3.7M4.4 1.8v2.8h2.8"/>',
  down: '<path d="M4 6.2 8 10.2l4-4"/>',
  right: '<path d="M6.2 4l4 4-4 4"/>',
  left: '<path d="M9.8 4l-4 4 4 4"/>',
  eye: '<path d="M1.6 8s2.3-4.2 6.4-4.2S14.4 8 14.4 8 12.1 12.2 8 12.2 1.6 8 1.6 8z"/><circle cx="8" cy="8" r="1.9"/>',
  sliders: '<path d="M2 5h7M13 5h1M2 11h1M7 11h7"/><circle cx="11" cy="5" r="1.7"/><circle cx="5" cy="11" r="1.7"/>',
  sun: '<circle cx="8" cy="8" r="2.8"/><path d="M8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M12.7 3.3l-1 1M4.3 11.7l-1 1"/>',
  moon: '<path d="M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z"/>',
  expand: '<path d="M9.4 2.6h4v4M13.2 2.8 9.4 6.6M6.6 13.4h-4v-4M2.8 13.2l3.8-3.8"/>',
  shrink: '<path d="M13.4 6.6h-4v-4M9.6 6.4l3.8-3.8M2.6 9.4h4v4M6.4 9.6l-3.8 3.8"/>',
  plus: '<path d="M8 3v10M3 8h10"/>',
  minus: '<path d="M3 8h10"/>',
  close: '<path d="M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4"/>',
  check: '<path d="M3 8.6l3.2 3.2L13 4.8"/>',
  none: "",
  dots: '<g fill="currentColor" stroke="none"><circle cx="3.4" cy="8" r="1.3"/><circle cx="8" cy="8" r="1.3"/><circle cx="12.6" cy="8" r="1.3"/></g>',
  search: '<circle cx="7" cy="7" r="4.2"/><path d="M10.2 10.2 14 14"/>',
  upload: '<path d="M8 10.4V2.6M4.8 5.6 8 2.4l3.2 3.2M2.6 10.6v2.8h10.8v-2.8"/>',
  download: '<path d="M8 2.4v7.8M4.8 7.2 8 10.4l3.2-3.2M2.6 11v2.4h10.8V11"/>',
  experiments: '<rect x="2.2" y="2.2" width="4.8" height="4.8" rx="0.8"/><rect x="9" y="2.2" width="4.8" height="4.8" rx="0.8"/><rect x="2.2" y="9" width="4.8" height="4.8" rx="0.8"/><rect x="9" y="9" width="4.8" height="4.8" rx="0.8"/>',
  pulse: '<path d="M1.4 8.4h3L6.4 3l3.4 10 2-4.6h2.8"/>',
  server: '<rect x="2" y="3" width="12" height="4" rx="0.8"/><rect x="2" y="9" width="12" height="4" rx="0.8"/><path d="M4.4 5h.1M4.4 11h.1M7 5h4.4M7 11h4.4"/>',
  warning: '<path d="M8 2.2 14.6 13.4H1.4zM8 6.6v3.2"/><path d="M8 11.5v.1" stroke-width="1.9"/>',
  info: '<circle cx="8" cy="8" r="5.8"/><path d="M8 7.4v3.6M8 5v.1"/>',
  alert: '<circle cx="8" cy="8" r="5.8"/><path d="M8 4.8v3.8M8 11v.1"/>',
  dot: '<circle cx="8" cy="8" r="2"/>',
  file: '<path d="M4 1.8h5l3.2 3.2v9.2H4zM8.8 2v3.2H12"/>',
  folder: '<path d="M1.8 12.8V3.4h4.4l1.4 1.8h6.6v7.6z"/>',
  pencil: '<path d="M2.8 13.2l.7-3L10.7 3l2.3 2.3-7.2 7.2zM9.2 4.6l2.2 2.2"/>',
  copy: '<rect x="5.4" y="5.4" width="8" height="8" rx="1"/><path d="M10.6 2.6h-7a1 1 0 0 0-1 1v7"/>',
  trash: '<path d="M2.6 4.2h10.8M6 4V2.4h4V4M4 4.4l.6 9.2h6.8l.6-9.2"/>',
  up: '<path d="M8 13V3.4M4 7.2l4-4 4 4"/>',
  downward: '<path d="M8 3v9.6M4 8.8l4 4 4-4"/>',
  camera: '<rect x="1.8" y="4" width="8.8" height="8" rx="1"/><path d="M10.6 7l3.6-2v6l-3.6-2"/>',
  push: '<path d="M2 8h10M8.6 4.4 12.2 8l-3.6 3.6"/>',
  people: '<circle cx="8" cy="5.2" r="2.6"/><path d="M2.8 13.6c.5-2.8 2.6-4.2 5.2-4.2s4.7 1.4 5.2 4.2"/>',
};

/** An icon as an SVG element, hidden from screen readers: the control that holds it has the name. */
export function icon(name, size = 16) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const attributes = {
    viewBox: "0 0 16 16", width: size, height: size, fill: "none", stroke: "currentColor",
    "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", class: "icon",
  };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  svg.innerHTML = PATHS[name] ?? PATHS.dot;
  return svg;
}

/** The mark of the house: two arrows that close a loop around a live point. */
export function mark(size = 24) {
  const svg = icon("dot", size);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("stroke-width", 2.2);
  svg.innerHTML =
    '<path d="M3.8 9.2A9 9 0 0 1 19.6 7M20.2 14.8A9 9 0 0 1 4.4 17M19.9 2.9V7h-4.1M4.1 21.1V17h4.1"/>' +
    '<circle cx="12" cy="12" r="2.6" fill="var(--live)" stroke="none"/>';
  return svg;
}
