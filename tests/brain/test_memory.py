from pathlib import Path

import pytest

from services.brain import memory


def test_free_and_held_memory_are_plausible() -> None:
    free = memory.free_bytes()
    assert free is not None
    assert 10**7 < free < 10**15
    before = memory.held_bytes()
    block = bytearray(50_000_000)
    assert memory.held_bytes() - before > 40_000_000
    del block


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 150000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_bytes() == 450_000
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    assert memory.free_bytes() == 2048 * 1024


def test_where_nothing_is_known_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_STATM", tmp_path / "statm")
    assert memory.free_bytes() is None
    assert memory.held_bytes() == 0


def test_sizes_are_said_in_words() -> None:
    assert memory.in_words(3.24e9) == "3.2 GB"
    assert memory.in_words(1.2e8) == "120 MB"
