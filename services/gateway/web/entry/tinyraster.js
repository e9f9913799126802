// A small live raster of a running simulation, for its card.

import { h } from "../element.js";
import { bandsOf, placesOf, rowsOf } from "../draw/bands.js";
import { populationColour, variable } from "../draw/colours.js";
import { Raster } from "../draw/raster.js";
import { Loop } from "../frame/loop.js";
import { Data } from "../link/data.js";
import { Store } from "../link/status.js";

const MOST_PER_S = 4000;
const WINDOW_S = 4;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** `{element, close}`; `onlive()` is called when the first spikes are drawn. */
export function makeTinyRaster({ app, sim, onlive }) {
  const element = h("canvas", { class: "tiny-raster", role: "img", "aria-label": "Spikes of the last 4 s" });
  const url = new URL(`${app.api.base}/simulations/${encodeURIComponent(sim)}/stream`, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const [loop, store] = [new Loop(), new Store()];
  const data = new Data({ url: url.href, token: app.api.token, store, loop });
  const raster = new Raster(element);
  const view = loop.add({ name: "tiny raster", hz: 12, draw });
  let laid = "";
  let live = false;
  raster.window_s = WINDOW_S;

  function draw() {
    const facts = store.ports.brain?.facts;
    const { clientWidth: width, clientHeight: height } = element;
    const key = `${width} ${height} ${app.theme.now} ${Object.keys(facts?.recorders ?? {}).length}`;
    if (!facts || width < 20) return;
    if (key !== laid) layOut(facts, width, height);
    laid = key;
    raster.draw(still.matches);
  }

  function layOut(facts, width, height) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const brain = bandsOf(facts);
    const { rows } = rowsOf(brain.groups, Math.round(height * ratio), { opened: new Set(), hidden: new Set() });
    raster.layout({
      ...placesOf(brain.cells, rows), width: Math.round(width * ratio), height: Math.round(height * ratio), column: 1,
      rows: rows.map(({ y, h: tall, colour }) => ({ y, h: tall, colour: populationColour(colour) })),
      panel: variable("--panel"), band: variable("--sunken"), line: variable("--line2"),
    });
  }

  data.want("tiny raster", "brain/raster", { most_per_s: MOST_PER_S });
  const offs = [
    data.on("brain/raster", (frames) => {
      for (const { arrays } of frames) raster.push(Number(arrays.t0_ns.data[0]) / 1e9, Number(arrays.t1_ns.data[0]) / 1e9, arrays.cell.data, arrays.dt_us.data);
      if (!live) onlive();
      live = true;
      view.dirty();
    }),
    store.on("run", () => raster.clear()),
    store.on("ports", () => { laid = ""; view.dirty(); }),
    app.theme.on(() => view.dirty()),
  ];
  return { element, close() { for (const off of offs) off(); data.close(); loop.close(); } };
}
