"""Rasters: which cell a spike belongs to, and what is left out when there are too many."""

import numpy as np
import pytest

from services.gateway.history import History
from services.gateway.raster import Cells, Level, Raster, mixed

from .frames import opened, spikes


def test_cells_stand_in_the_order_of_recorders_and_labels_each_once():
    cells = Cells.of({"second": {"C": [[1, 2], [30, 30]]}, "first": {"B": [[7, 9]], "A": [[2, 2], [5, 5]]}})
    assert cells.labels == ("B", "A", "C")
    ids = np.array([7, 8, 9, 2, 5, 1, 30, 4, 31, -1, 10**9])
    assert cells.places(ids).tolist() == [0, 1, 2, 3, 4, 5, 6, -1, -1, -1, -1]
    assert cells.label.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_without_recorders_there_is_no_cell():
    assert Cells.of({}).places(np.array([0, 1, 5])).tolist() == [-1, -1, -1]


def test_the_hash_is_even_and_always_the_same():
    numbers = mixed(np.arange(1, 200_001)) / 2.0**32
    assert mixed(np.array([1, 2])).tolist() == mixed(np.arange(1, 3)).tolist()
    for part in (0.5, 0.25, 1 / 64):
        assert (numbers < part).mean() == pytest.approx(part, rel=0.05)


def test_a_level_falls_at_once_and_rises_after_two_seconds():
    level = Level(1000)
    assert level.follow(900, 0.0) == 1.0
    assert level.follow(3900, 0.1) == 0.25
    assert level.follow(1000, 0.2) == 0.25
    assert level.follow(1000, 1.9) == 0.25
    assert level.follow(1000, 2.3) == 0.5
    assert level.follow(1000, 9.0) == 0.5  # twice as many would be just too many


def test_a_rate_that_sways_does_not_make_the_level_sway():
    level = Level(1000)
    shown = {level.follow(1900 if tick % 2 else 2100, tick / 10) for tick in range(1, 200)}
    assert shown <= {0.5, 0.25}
    assert len({level.follow(1900 if tick % 2 else 2100, 20 + tick / 10) for tick in range(200)}) == 1


def test_thinning_leaves_whole_trains_of_some_cells_and_all_counts():
    raster, history = Raster(), History()
    raster.know({"raster": {"A": [[1, 400]], "B": [[401, 1000]]}})
    senders = np.tile(np.arange(1, 1001), 5)
    times = np.repeat(np.arange(5) * 1_000_000, 1000)
    frame = history.take(spikes(0, senders, times))
    ((_, _, shown),) = opened([raster.bound([frame], 0.25)])
    cells, counts = np.unique(shown.arrays["cell"], return_counts=True)
    assert 180 < len(cells) < 320
    assert (counts == 5).all()
    assert shown.arrays["counts"].tolist() == [2000, 3000]
    assert float(shown.arrays["shown"]) == 0.25
    ((_, _, fewer),) = opened([raster.bound([frame], 0.125)])
    assert set(fewer.arrays["cell"]) < set(cells)


def test_who_wants_the_same_gets_the_same_bytes():
    raster, history = Raster(), History()
    raster.know({"raster": {"A": [[1, 9]]}})
    frames = [history.take(spikes(seq, [1, 2], [1, 2])) for seq in range(3)]
    assert raster.bound(frames, 1.0) is raster.bound(frames, 1.0)
    assert raster.level(500) is raster.level(500)


def test_what_is_remembered_is_bounded():
    raster, history = Raster(), History()
    raster.know({"raster": {"A": [[1, 9]]}})
    for seq in range(200):
        raster.bound([history.take(spikes(seq, [1], [1]))], 1.0)
    assert len(raster._made) <= 32
    for most_per_s in range(100):
        raster.level(float(most_per_s))
    assert len(raster._levels) == 0
