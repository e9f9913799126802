"""services.engine.script: the file of transfer functions, and sources beside it."""

import linecache

import pytest

from services.engine import script
from services.engine.script import Flaw, Source
from tests.engine.toys import loaded

FILE = """
from reafference import transfer

SCALE = 2.0

def helper(x):
    return SCALE * x

@transfer(
    reads="brain.M1_L1",
    writes="body.Foot2",
)
def forth(v):
    # a comment of its own

    return helper(v)

@transfer(writes="brain.bias")
def one(): return 1.0

def made(name):
    @transfer(writes="brain.drive")
    def inner():
        return [0, 0, 0]
    return inner

made("x")
@transfer(writes="body.gain")
def last(): return 1"""


def flaw_of(text):
    with pytest.raises(Flaw) as caught:
        loaded(FILE).define(Source(text, "<f>"))
    return caught.value


def test_each_function_has_its_text_from_its_first_decorator_to_its_end():
    sources = loaded(FILE).sources
    assert list(sources) == ["forth", "one", "inner", "last"]
    rows = FILE.split("\n")
    assert sources["forth"].line == 9
    assert sources["forth"].text == "\n".join(rows[8:16]) + "\n"
    assert sources["one"] == Source('@transfer(writes="brain.bias")\ndef one(): return 1.0\n', sources["one"].file, 18)
    assert sources["inner"].line == 22
    assert sources["last"].text == '@transfer(writes="body.gain")\ndef last(): return 1\n'


def test_strange_line_ends_do_not_move_the_sources():
    text = 'x = "\x0c"\r\n# \x1c\r\n@transfer()\r\ndef f():\r\n    return 1\r\ny = 2\r\n'
    source = script.load("transfer.py", text, loaded(FILE).folder).sources["f"]
    assert (source.text, source.line) == ("@transfer()\ndef f():\n    return 1\n", 3)


def test_lines_are_counted_in_the_source_and_in_its_file():
    source = Source("@transfer()\ndef f():\n    return 1\n", "/e/transfer.py", 31)
    assert [source.own(line) for line in (30, 31, 33, 40)] == [0, 1, 3, 0]
    assert source.line_text(3) == "return 1"
    assert source.line_text(9) == source.line_text(0) == ""
    assert source.place_of("return") == (3, 5)
    assert source.place_of("nowhere") == (1, 0)


def test_another_source_sees_the_names_of_the_file_and_is_seen_there():
    file = loaded(FILE)
    declaration = file.define(Source('@transfer(writes="body.Foot2")\ndef forth():\n    return helper(3)\n', "<forth>"))
    assert declaration.function() == 6.0
    assert declaration.function.__globals__ is file.namespace
    assert file.namespace["forth"] is declaration.function
    assert linecache.getline("<forth>", 3).strip() == "return helper(3)"
    script.forget("<forth>")
    assert linecache.getline("<forth>", 3) == ""


@pytest.mark.parametrize(
    ("text", "kind", "line", "column", "words"),
    [
        ("@transfer()\ndef f(:\n    pass\n", "compile", 2, 7, "invalid syntax"),
        ("@transfer()\ndef f():\nreturn 1\n", "compile", 3, 1, "expected an indented block"),
        ("x = 1\0", "compile", 0, 0, "null bytes"),
        ("(" * 500 + ")" * 500, "compile", 1, 201, "nested parentheses"),
        ("@transfer(red='x')\ndef f(): ...\n", "loading", 1, 2, "unexpected keyword argument 'red'"),
        ("@transfer(reads=[5])\ndef f(x): ...\n", "loading", 1, 2, "reads takes addresses such as 'body.Foot2', not 5"),
        (
            "@transfer(priority='high')\ndef f(x): ...\n",
            "loading",
            1,
            2,
            "priority is a number, and not too large: 'high'",
        ),
        ("@transfr()\ndef f(x): ...\n", "loading", 1, 2, "'transfr' is not defined (did you mean 'transfer'?)"),
        ("x = 1\nimport nowhere_at_all\n", "loading", 2, 1, "No module named 'nowhere_at_all'"),
        ("raise SystemExit(3)\n", "loading", 1, 1, "SystemExit: 3"),
        ("def f(): ...\n", "loading", 1, 0, "nothing in it has the decorator @transfer"),
        ("@transfer()\ndef f(): ...\n@transfer()\ndef g(): ...\n", "loading", 1, 0, "'f' and 'g' have the decorator"),
        ("#" * 1_000_001, "compile", 0, 0, "at most 1,000,000"),
    ],
)
def test_what_is_wrong_with_a_source_is_told_with_its_line(text, kind, line, column, words):
    flaw = flaw_of(text)
    assert (flaw.kind, flaw.line, flaw.column) == (kind, line, column)
    assert words in flaw.text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("@transfer()\ndef f(): ...\n", "f"),
        ("def helper(): ...\n\n@transfer()\ndef f(): ...\n", "f"),
        ("def helper(): ...\n", "helper"),
        ("def helper(): ...\n@transfer(reads=[\n 'x'])\ndef f(:\n", "f"),
        ("def f(:\n", "f"),
        ("1 +", ""),
        ("x = 1", ""),
        ("", ""),
        ("\0", ""),
    ],
)
def test_a_source_is_kept_under_the_name_that_stands_in_it(text, name):
    assert script.name_in(text) == name


def test_an_experiment_without_a_file_has_names_to_begin_with(tmp_path):
    nothing = script.of(None, tmp_path)
    assert nothing.declarations == ()
    assert nothing.define(Source("@transfer()\ndef f(): return 5\n", "<f>")).function() == 5
