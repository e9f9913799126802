"""Bands and dots of the raster: where each spike stands, what a gap looks like."""

import json

import numpy as np

from services.gateway.raster import Cells

FACTS = {
    "populations": {
        "M1_L1_ENGC": {"region": "M1", "layer": "L1", "cell": "ENGC", "sign": "I", "kind": "neuron", "size": 8},
        "M1_L23_CC": {"region": "M1", "layer": "L23", "cell": "CC", "sign": "E", "kind": "neuron", "size": 275},
    },
    "recorders": {
        "raster": {"M1_L1_ENGC": [[1, 8]], "M1_L23_CC": [[38, 38], [46, 60]]},
        "rhythm": {"M1_L23_CC": [[40, 70]]},
    },
}

# A raster 400 x 200 pixels with a window of 4 s, so 100 columns a second.
DRAWN = """
  const { bandsOf, rowsOf, placesOf } = await import('/v/fresh/draw/bands.js');
  const brain = bandsOf(a.facts);
  const { rows } = rowsOf(brain.groups, 200);
  const canvas = document.createElement('canvas');
  const raster = new m.Raster(canvas);
  raster.window_s = 4;
  const places = placesOf(brain.cells, rows);
  raster.layout({ ...places, width: 400, height: 200, column: 1, panel: '#000000', band: '#101010', line: '#ffffff',
    rows: rows.map((row, i) => ({ ...row, colour: i ? '#00ff00' : '#0000ff' })) });
  const at = (x, y) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
  const bright = ([, g, b]) => g > 100 || b > 100;
  const lit = (x) => [...Array(200).keys()].filter((y) => bright(at(x, y)));
"""


def drawn(screen, feed, body, **argument):
    return screen.script(feed, "draw/raster.js", DRAWN + body, {"facts": FACTS, **argument})


def test_cells_are_counted_as_the_gateway_counts_them(screen, feed):
    body = "return m.bandsOf(a).bands.map((b) => [b.label, b.parts.map((p) => [p.first, p.cells]), b.places])"
    bands = screen.script(feed, "draw/bands.js", body, FACTS)
    cells = Cells.of(FACTS["recorders"])
    for label, parts, places in bands:
        for (first, many), place in zip(parts, places, strict=True):
            assert np.array_equal(np.flatnonzero(cells.label == place), np.arange(first, first + many)), label
            assert cells.labels[place] == label
    assert sum(many for _, parts, _ in bands for _, many in parts) == len(cells.label)


def test_a_spike_is_one_column_in_the_row_of_its_cell(screen, feed):
    body = """
      raster.push(0, 1, Uint32Array.of(0), Uint32Array.of(505000));
      raster.draw();
      return [lit(349), lit(348), lit(350), places.y[0], places.mark]"""
    hit, before, after, y, mark = drawn(screen, feed, body)
    assert hit == list(range(y, y + mark))
    assert before == after == []


def test_the_right_edge_is_now(screen, feed):
    body = """
      for (let i = 1; i <= 500; i++) {
        raster.push((i - 1) * 0.02, i * 0.02, Uint32Array.of(3), Uint32Array.of(15000));
        raster.draw();
      }
      const columns = []; for (let x = 0; x < 400; x++) if (lit(x).length) columns.push(x);
      return columns"""
    columns = drawn(screen, feed, body)
    assert columns[-1] in (397, 398)
    assert len(columns) == 200
    assert set(np.diff(columns)) == {2}


def test_scrolling_and_painting_anew_give_the_same_picture(screen, feed):
    body = """
      let seed = 1; const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
      for (let i = 1; i <= 300; i++) {
        const cell = new Uint32Array(40), dt = new Uint32Array(40);
        for (let k = 0; k < 40; k++) { cell[k] = random() * brain.cells; dt[k] = random() * 20000; }
        raster.push((i - 1) * 0.02, i * 0.02, cell, dt);
        if (i % 3) raster.draw();
      }
      raster.draw();
      const picture = () => [...new Uint32Array(canvas.getContext('2d').getImageData(1, 0, 399, 200).data.buffer)];
      const scrolled = picture();
      raster.replay();
      const anew = picture();
      return [scrolled.filter((pixel, i) => pixel !== anew[i]).length, new Set(anew).size]"""
    different, colours = drawn(screen, feed, body)
    assert different == 0
    assert colours > 4


def test_time_that_was_missed_is_hatched_and_not_left_out(screen, feed):
    body = """
      raster.push(0, 1, Uint32Array.of(0), Uint32Array.of(500000));
      raster.draw();
      raster.push(2, 3, Uint32Array.of(0), Uint32Array.of(500000));
      raster.draw();
      const white = (x) => { let n = 0; for (let y = 0; y < 200; y++) if (at(x, y)[0] > 200) n++; return n; };
      return [white(149), white(250), white(349), lit(149).length > 0, lit(349).length > 0]"""
    before, gap, after, first, second = drawn(screen, feed, body)
    assert before == after == 0
    assert 80 < gap < 120
    assert (first, second) == (True, True)


def test_seventy_four_populations_are_folded_by_region(screen, feed):
    regions = {"S1": 22, "M1": 19, "TH": 12, "CB_S1": 6, "CB_M1": 6, "BG": 9}
    populations, recorder, at = {}, {}, 1
    for region, many in regions.items():
        for i in range(many):
            label = f"{region}_{i}"
            populations[label] = {"region": region, "layer": f"P{i}", "cell": "X", "sign": "E", "size": 50}
            recorder[label] = [[at, at + 49]]
            at += 50
    facts = {"populations": populations, "recorders": {"raster": recorder}}
    body = """
      const { groups } = m.bandsOf(a);
      const rows = (opened) => m.rowsOf(groups, 500, { opened: new Set(opened) }).rows;
      const shown = (opened) => rows(opened).map((r) => [r.group.name, r.folded, r.h, r.y]);
      return JSON.stringify([shown([]), shown(["M1"])])"""
    folded, opened = json.loads(screen.script(feed, "draw/bands.js", body, facts))
    assert [name for name, *_ in folded] == ["S1", "M1", "TH", "CB S1", "CB M1", "BG"]
    assert len(opened) == 5 + 19
    assert min(h for _, _, h, _ in opened) >= 9
    assert max(y + h for _, _, h, y in opened) <= 500


def test_rates_are_counted_over_the_last_second_of_all_spikes(screen, feed):
    body = """
      const rates = new m.Rates();
      for (let i = 1; i <= 200; i++) rates.push((i - 1) * 0.02, i * 0.02, Uint32Array.of(i <= 100 ? 8 : 4, 1));
      return [rates.of([0], 20), rates.of([0, 1], 10), rates.total()]"""
    assert screen.script(feed, "panels/rates.js", body) == [10.0, 25.0, 250.0]
