"""Colours that published models name instead of giving them."""

Rgb = tuple[float, float, float]

NAMED: dict[str, Rgb] = {
    "black": (0.05, 0.05, 0.05),
    "blue": (0.0, 0.0, 1.0),
    "brown": (0.4, 0.26, 0.13),
    "darkgray": (0.3, 0.3, 0.3),
    "darkgrey": (0.3, 0.3, 0.3),
    "gold": (0.8, 0.65, 0.15),
    "gray": (0.6, 0.6, 0.6),
    "green": (0.0, 1.0, 0.0),
    "grey": (0.6, 0.6, 0.6),
    "orange": (1.0, 0.5, 0.1),
    "purple": (0.6, 0.0, 0.8),
    "red": (1.0, 0.0, 0.0),
    "turquoise": (0.0, 0.8, 0.8),
    "white": (1.0, 1.0, 1.0),
    "wood": (0.6, 0.45, 0.3),
    "yellow": (1.0, 1.0, 0.0),
}


def named(name: str) -> Rgb | None:
    """The colour of a material such as `Gazebo/Red` or `blue_glow`, if the name begins with one."""
    word = name.rpartition("/")[2].replace("_", "").lower()
    known = sorted((colour for colour in NAMED if word.startswith(colour)), key=len)
    return NAMED[known[-1]] if known else None
