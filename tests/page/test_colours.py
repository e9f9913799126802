"""The colours of the page can be read, and told apart by people who see fewer of them."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

TOKENS = Path(__file__).resolve().parents[2] / "services" / "gateway" / "web" / "tokens.css"
THEMES = ("light", "dark")
POPULATIONS = [f"pop{n}" for n in range(1, 8)]
# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
SEEN = {
    "everybody": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}


def tokens(theme: str) -> dict[str, str]:
    """Colours by name."""
    text = TOKENS.read_text(encoding="utf-8")
    block = text.split(f'html[data-theme="{theme}"] {{', 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([\w-]+): #([0-9A-Fa-f]{6})", block))


def linear(colour: str) -> np.ndarray:
    """Linear RGB in 0..1, shape (3,)."""
    part = np.array([int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Of WCAG 2: 1 to 21."""
    light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Björn Ottosson's OKLab of a linear RGB colour, shape (3,)."""
    to_lms = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                       [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    to_lab = np.array([[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
                       [0.0259040371, 0.7827717662, -0.808675766]])  # fmt: skip
    return to_lab @ np.cbrt(np.clip(to_lms @ rgb, 0, None))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["panel", "raised", "sunken"])
@pytest.mark.parametrize(
    "text", ["ink", "ink2", "ink3", "live", "err", "code-key", "code-text", "code-number", "code-note"]
)
def test_text_has_a_contrast_of_4_5(theme, ground, text):
    known = tokens(theme)
    assert contrast(known[text], known[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["live", "warn", "err"])
def test_a_chip_can_be_read_on_its_own_ground(theme, name):
    known = tokens(theme)
    assert contrast(known[name], known[f"{name}-bg"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_on_ink_can_be_read(theme):
    known = tokens(theme)
    assert contrast(known["on-ink"], known["ink"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("mark", [*POPULATIONS, "field", "rb-brain", "rb-body", "rb-transfer", "rb-exchange"])
def test_what_matters_in_a_graphic_has_a_contrast_of_3(theme, mark):
    known = tokens(theme)
    ground = "sunken" if mark.startswith("pop") else "panel"
    assert contrast(known[mark], known[ground]) >= 3.0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("seen", SEEN)
def test_no_two_populations_look_the_same(theme, seen):
    known = tokens(theme)
    places = [oklab(np.clip(SEEN[seen] @ linear(known[name]), 0, 1)) for name in POPULATIONS]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(places, 2)) >= 0.1
