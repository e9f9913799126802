/** Which points a brain has, and which of them the recorded cells are: typed arrays made once for each network. */

const SPACING = 0.36;
const SHAPE = 0.55; // a brain is drawn at least so wide for its height
const LEAST_MM = 0.004;
const MOST_MM = 0.16;

/**
 * From `populations` {name: {ids, positions_mm}} of the server and the brain's facts:
 * {names, places (n, 3), population, known, ids, drawn, size, wider, pointOfCell}. `size` is the diameter of a point in mm; x and y
 * in `places` are `wider` times what they are.
 */
export function pointsOf(populations, facts) {
  const fresh = once(populations);
  const names = Object.keys(fresh);
  const count = names.reduce((sum, name) => sum + fresh[name].ids.length, 0);
  const points = {
    names,
    drawn: names.map((name) => fresh[name].ids.length),
    places: new Float32Array(count * 3),
    population: new Uint16Array(count),
    known: new Uint8Array(count),
    ids: new Uint32Array(count),
  };
  const pointOfId = new Map();
  let at = 0;
  names.forEach((name, p) => {
    const { ids, positions_mm: where } = fresh[name];
    ids.forEach((id, i) => {
      points.places.set(where[i].length === 3 ? where[i] : [...where[i], 0], at * 3);
      points.population[at] = p;
      points.ids[at] = id;
      pointOfId.set(id, at);
      at += 1;
    });
  });
  points.pointOfCell = Int32Array.from(recorded(facts?.recorders ?? {}), (id) => pointOfId.get(id) ?? -1);
  for (const point of points.pointOfCell) if (point >= 0) points.known[point] = 1;
  const span = spans(points.places);
  points.wider = widthFor(span);
  for (let i = 0; i < points.places.length; i++) if (i % 3 < 2) points.places[i] *= points.wider;
  points.size = sizeFor(span.map((length, axis) => (axis < 2 ? length * points.wider : length)), count);
  return points;
}

/** The populations without neurons that another one before has too, and without those of which nothing is left. */
function once(populations) {
  const seen = new Set();
  const result = {};
  for (const [name, { ids, positions_mm }] of Object.entries(populations)) {
    const mine = ids.map((_, i) => i).filter((i) => !seen.has(ids[i]));
    for (const i of mine) seen.add(ids[i]);
    if (mine.length) result[name] = { ids: mine.map((i) => ids[i]), positions_mm: mine.map((i) => positions_mm[i]) };
  }
  return result;
}

/** Node ids in the order of `cell` in brain/raster: recorders by name, labels in their order, each neuron once. */
export function recorded(recorders) {
  const seen = new Set();
  for (const recorder of Object.keys(recorders).sort()) {
    for (const ranges of Object.values(recorders[recorder])) {
      const ids = [];
      for (const [first, last] of ranges) for (let id = first; id <= last; id++) if (!seen.has(id)) ids.push(id);
      ids.sort((a, b) => a - b).forEach((id) => seen.add(id));
    }
  }
  return [...seen];
}

/** The number of a neuron in its population, from the ranges of ids: for a name like "M1_L6_CT[12]". */
export function numberIn(ranges, id) {
  let before = 0;
  for (const [first, last] of ranges) {
    if (id >= first && id <= last) return before + id - first;
    before += last - first + 1;
  }
  return -1;
}

/** Where neurons are drawn that have no places: each population a small disc, one above the other. */
export function invented(populations) {
  const result = {};
  Object.entries(populations).forEach(([name, { ranges, size }], level) => {
    const ids = ranges.flatMap(([first, last]) => Array.from({ length: Math.min(last - first + 1, 5000) }, (_, i) => first + i));
    const turn = Math.PI * (3 - Math.sqrt(5));
    const wide = 0.02 * Math.sqrt(Math.max(size, 4));
    result[name] = {
      ids,
      positions_mm: ids.map((_, i) => {
        const r = wide * Math.sqrt((i + 0.5) / ids.length);
        return [r * Math.cos(i * turn), r * Math.sin(i * turn), -0.25 * level];
      }),
    };
  });
  return result;
}

/** How much wider a brain is drawn than it is, so that a small piece of a cortex is no needle: 1, 1.5, 2 … 4. */
function widthFor([x, y, z]) {
  return Math.min(Math.max(Math.round((2 * SHAPE * z) / Math.max(x, y)) / 2, 1), 4);
}

function spans(places) {
  return [0, 1, 2].map((axis) => {
    let [low, high] = [Infinity, -Infinity];
    for (let i = axis; i < places.length; i += 3) [low, high] = [Math.min(low, places[i]), Math.max(high, places[i])];
    return Math.max(high - low, 0.02);
  });
}

function sizeFor(span, count) {
  const spacing = Math.cbrt((span[0] * span[1] * span[2]) / Math.max(count, 1));
  return Math.min(Math.max(SPACING * spacing, LEAST_MM), MOST_MM);
}
