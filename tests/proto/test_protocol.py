"""proto/PROTOCOL.md: the words say what the declarations say."""

import dataclasses
import re
from pathlib import Path

import pytest

from reafference import codec, pulse
from reafference.errors import ReafferenceError
from reafference.frames import KINDS, PROTOCOL, Plan, Port, Ports

TEXT = (Path(__file__).parents[2] / "proto" / "PROTOCOL.md").read_text(encoding="utf-8")
PROSE = " ".join(TEXT.split())
MAPS = {cls.__name__: cls for cls in (Plan, Ports, Port)}


def section(name):
    """What stands under the heading of this kind."""
    found = re.search(rf"^#### `{name}`$(.*?)(?=^#)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"{name} has no section"
    return found[1]


def table(text):
    """The rows of the first table: first cell without backquotes → the other cells."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in rows}


def has_default(field):
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def test_it_is_about_the_version_that_is_spoken():
    assert TEXT.startswith("# The wire, version {}.{}\n".format(*PROTOCOL))


@pytest.mark.parametrize("name", [*KINDS, *MAPS])
def test_every_field_of_every_frame_is_named_and_no_other(name):
    fields = {field.name: field for field in dataclasses.fields({**KINDS, **MAPS}[name])}
    rows = table(section(name))
    assert set(rows) == set(fields)
    required = {field for field, (_, default, _) in rows.items() if default == "required"}
    assert required == {name for name, field in fields.items() if not has_default(field)}


@pytest.mark.parametrize("name", [*KINDS, *MAPS])
def test_every_default_is_the_one_that_is_declared(name):
    words = {"true": True, "false": False, "null": None, "{}": {}, "[]": ()}
    rows = table(section(name))
    for field in dataclasses.fields({**KINDS, **MAPS}[name]):
        if has_default(field):
            said = rows[field.name][1]
            value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            expected = words[said] if said in words else eval(said, {})
            assert value == (tuple(expected) if isinstance(expected, list) else expected), field.name


def test_no_section_is_about_a_kind_that_is_gone():
    assert set(re.findall(r"^#### `(\w+)`$", TEXT, re.MULTILINE)) == {*KINDS, *MAPS}


def test_every_error_has_its_code_and_exit_status():
    def family(base):
        return [base, *(member for child in base.__subclasses__() for member in family(child))]

    errors = TEXT[TEXT.index("## 10. Errors") : TEXT.index("## 11. Versions")]
    said = {code: int(status) for code, (status, _) in table(errors).items()}
    assert said == {cls.code: cls.exit_status for cls in family(ReafferenceError)}


def test_the_limits_are_those_of_the_codec():
    limits = PROSE[PROSE.index("### Limits") : PROSE.index("## 3.")]
    assert f"header has at most {codec.MAX_HEADER >> 20} MiB" in limits
    assert f"part at most {codec.MAX_PART >> 20} MiB" in limits
    assert f"at most {codec.MAX_PARTS} parts" in limits
    assert f"fewer than {codec.INLINE_BELOW} bytes" in PROSE
    line = next(line for line in TEXT.splitlines() if line.startswith("- `dtype` is one of"))
    assert set(re.findall(r"`([<|]\w\d)`", line)) == set(codec.DTYPES)


def test_the_pulse_beats_as_it_is_said_to():
    assert f"a beat every {pulse.BEAT_NS // 10**6} ms" in PROSE
    assert f"misses {pulse.LOST_AFTER_BEATS} beats is lost" in PROSE


def test_links_inside_the_document_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
