import subprocess
import sys
from pathlib import Path

import pytest

from services.brain import memory


def test_free_memory_is_plausible() -> None:
    free = memory.free_bytes()
    assert free is not None
    assert 10**7 < free < 10**15


def test_what_a_process_takes_it_holds() -> None:
    # In a process of its own: from this one, which is large by now, the system may take cold pages at any time.
    program = (
        "from services.brain.memory import held_bytes\n"
        "before = held_bytes()\n"
        "block = bytearray(b'x') * 50_000_000\n"
        "print(held_bytes() - before)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert 40_000_000 < int(said.stdout) < 100_000_000


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
