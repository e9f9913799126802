"""Published scripts as Python takes them."""

import textwrap


def unindented(text: str) -> str:
    """The text with what all of its lines begin with taken away: some functions were published indented as a whole."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return textwrap.dedent(text) if first[:1].isspace() else text
