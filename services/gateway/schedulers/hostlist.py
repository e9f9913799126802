"""Lists of nodes as Slurm writes them: `n[1-3,7],login` for n1, n2, n3, n7 and login."""

import re
from collections.abc import Iterator

MOST = 10_000
_PIECE = re.compile(r"[^,\[\]]*(?:\[[^\[\]]*\][^,\[\]]*)*")
_RANGE = re.compile(r"\[([0-9,-]+)\]")


def expanded(text: str) -> tuple[str, ...]:
    """The names in a list, in its order, at most MOST; what is no list stays as it is."""
    names: list[str] = []
    for piece in _PIECE.findall(text):
        for name in _of_piece(piece):
            if len(names) == MOST:
                return tuple(names)
            names.append(name)
    return tuple(names)


def _of_piece(piece: str) -> Iterator[str]:
    found = _RANGE.search(piece)
    if not found:
        if piece and piece not in ("(null)", "None assigned"):
            yield piece
        return
    before, after = piece[: found.start()], piece[found.end() :]
    for number in _numbers(found[1]):
        yield from _of_piece(f"{before}{number}{after}")


def _numbers(text: str) -> Iterator[str]:
    """`08-10,12` as 08, 09, 10, 12: numbers keep their zeros."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            continue
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))
