"""A drawing of an experiment that has not run yet: as many dots and lines as it has populations, functions, muscles."""

import math

from .cards import Card

_WIDTH, _HEIGHT = 640, 360
# Between the colours that the page has for these on light and on dark.
_BRAIN, _FUNCTION, _BODY, _MUSCLE = "#8271cc", "#27a089", "#cb8629", "#5c7fc4"


def draw(card: Card) -> bytes:
    """An SVG picture, 16 to 9, on no ground, so that it stands on a light page and on a dark one."""
    brain = _places(card.populations or 0, 0.24)
    body = _places(card.muscles or 0, 0.76)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{_escaped(card.title or 'An experiment')}</title>",
        *_threads(card.functions or 0),
        *(_dot(x, y, r, _BRAIN) for x, y, r in brain),
        *(_dot(x, y, r, _MUSCLE) for x, y, r in body),
        *([] if brain else [_ring(0.24, _BRAIN)] if "brain" in card.settings else []),
        *([] if body else [_ring(0.76, _BODY)] if "body" in card.settings else []),
        *([_eye()] if card.camera else []),
        "</svg>",
    ]
    return "".join(parts).encode("utf-8")


def _places(number: int, across: float) -> list[tuple[float, float, float]]:
    """Centre and radius of so many dots, laid out as a sunflower lays out its seeds."""
    shown = min(number, 200)
    reach = 96.0
    radius = min(16.0, 0.62 * reach / math.sqrt(max(shown, 1)))
    turn = math.pi * (3 - math.sqrt(5))
    spots = []
    for index in range(shown):
        away, angle = reach * math.sqrt((index + 0.5) / max(shown, 6)), index * turn
        spots.append((away * math.cos(angle), away * math.sin(angle)))
    left, up = (sum(axis) / max(shown, 1) for axis in zip(*spots, strict=True)) if spots else (0.0, 0.0)
    return [(across * _WIDTH + x - left, _HEIGHT / 2 + y - up, radius) for x, y in spots]


def _threads(number: int) -> list[str]:
    """One line between the two for each function."""
    shown = min(number, 24)
    left, right = 0.24 * _WIDTH + 112, 0.76 * _WIDTH - 112
    gap = min(26.0, 180.0 / max(shown, 1))
    lines = []
    for index in range(shown):
        y = _HEIGHT / 2 + (index - (shown - 1) / 2) * gap
        bend = (y - _HEIGHT / 2) * 1.5
        lines.append(
            f'<path d="M{left:.1f} {y:.1f}C{left + 40:.1f} {y + bend:.1f} {right - 40:.1f} {y + bend:.1f} '
            f'{right:.1f} {y:.1f}" fill="none" stroke="{_FUNCTION}" stroke-width="1.5"/>'
        )
    return lines


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>'


def _ring(across: float, colour: str) -> str:
    """A brain or a body of which nothing is known in numbers."""
    x, y = across * _WIDTH, _HEIGHT / 2
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="84" fill="none" stroke="{colour}" stroke-width="2"/>'


def _eye() -> str:
    """The body has a camera."""
    x, y = 0.76 * _WIDTH, _HEIGHT / 2
    return (
        f'<path d="M{x - 44} {y}Q{x} {y - 44} {x + 44} {y}Q{x} {y + 44} {x - 44} {y}Z" fill="none" stroke="{_BODY}" '
        f'stroke-width="2"/><circle cx="{x}" cy="{y}" r="12" fill="{_BODY}"/>'
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
