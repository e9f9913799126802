"""The page's own msgpack reader, its piles of frames, its rings."""

import base64
import json
import math

import msgpack
import numpy as np
import pytest

from reafference import codec
from reafference.frames import Stream

VALUES = [
    None, True, False, 0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53, -1, -32, -33, -128, -129,
    -32769, -(2**31), -(2**31) - 1, -(2**53), 0.5, -1e300, "", "M1", "µ" * 20, "x" * 300, "y" * 70000,
    [], list(range(20)), {"a": {"b": [1, 2, 3]}}, {str(i): i for i in range(40)},
]  # fmt: skip


@pytest.fixture
def read(screen, feed):
    """What the page makes of packed bytes."""

    def through(packed):
        body = "return JSON.stringify(m.decode(Uint8Array.from(atob(a), (c) => c.charCodeAt(0))))"
        return screen.script(feed, "link/msgpack.js", body, base64.b64encode(packed).decode())

    return through


def test_every_kind_of_value_is_read_as_it_was_written(read):
    assert msgpack.loads(msgpack.dumps(VALUES)) == VALUES
    assert json.loads(read(msgpack.dumps(VALUES))) == VALUES


def test_infinity_survives(screen, feed):
    packed = base64.b64encode(msgpack.dumps([math.inf, -math.inf])).decode()
    body = "return m.decode(Uint8Array.from(atob(a), (c) => c.charCodeAt(0))).map(String)"
    assert screen.script(feed, "link/msgpack.js", body, packed) == ["Infinity", "-Infinity"]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_bytes_that_end_too_soon_are_refused(screen, feed, cut):
    packed = base64.b64encode(msgpack.dumps({"key": list(range(30))})[:cut]).decode()
    body = (
        "try { m.decode(Uint8Array.from(atob(a), (c) => c.charCodeAt(0))); return 'read' } catch (e) { return e.name }"
    )
    assert screen.script(feed, "link/msgpack.js", body, packed) == "RangeError"


def test_frames_in_a_pile_come_out_as_they_went_in(screen, feed):
    frames = [
        Stream(
            step=step,
            t_ns=step * 20_000_000,
            arrays={
                "position": np.arange(3) + 0.25 * step,
                "cell": np.arange(step, dtype="<u4"),
                "t1_ns": np.array(2**40 + step, "<i8"),
            },
        )
        for step in range(4)
    ]
    packed = [base64.b64encode(bytes(codec.encode(f, run="r", src="body").header)).decode() for f in frames]
    body = """
      const { decode } = await import('/v/fresh/link/msgpack.js');
      const stack = new m.Stack("body/x");
      for (const text of a) {
        const header = decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
        stack.push(header.step, header.t_ns / 1e9, header.arrays, []);
      }
      return m.unpack(structuredClone(stack.pack().packed)).map((f) => ({ step: f.step, t_s: f.t_s,
        arrays: Object.fromEntries(Object.entries(f.arrays).map(([k, v]) => [k, [[...v.data], v.shape]])) }))"""
    found = screen.script(feed, "link/stacks.js", body, packed)
    for frame, step in zip(found, range(4), strict=True):
        assert frame["step"] == step
        assert frame["t_s"] == pytest.approx(step * 0.02)
        assert frame["arrays"]["position"] == [[0.25 * step, 1 + 0.25 * step, 2 + 0.25 * step], [3]]
        assert frame["arrays"]["cell"] == [list(range(step)), [step]]
        assert frame["arrays"]["t1_ns"] == [[2**40 + step], []]


def test_a_ring_keeps_its_span_and_no_more(screen, feed):
    body = """
      const ring = new m.Ring(60);
      for (let i = 0; i < 20000; i++) ring.push(i * 0.02, { q: { data: Float64Array.of(i, -i) } });
      const { t, v, n } = ring.series("q", 1);
      return [n, t[0], t[n - 1], v[0], v[n - 1], ring.t.length]"""
    n, first, last, v_first, v_last, room = screen.script(feed, "link/rings.js", body)
    assert (n, first, last) == (3001, pytest.approx(339.98), pytest.approx(399.98))
    assert (v_first, v_last) == (-16999, -19999)
    assert room <= 2 * 8192


def test_time_that_goes_back_empties_a_ring(screen, feed):
    body = """
      const ring = new m.Ring(60);
      for (const t of [1, 2, 3, 0.5]) ring.push(t, { q: { data: [t] } });
      return [...ring.series("q").v]"""
    assert screen.script(feed, "link/rings.js", body) == [0.5]
