import sys
from pathlib import Path
from textwrap import dedent

import pytest

from reafference.errors import BadExperiment, ScriptError
from services.brain.kernel import KernelSetup, nest
from services.brain.script import Script

SETUP = KernelSetup(resolution_ns=50_000, seed=9, threads=1)


def build(text: str, folder: Path, /, **parameters: object) -> dict[str, list[int]]:
    SETUP.apply()
    _, populations = Script("brain.py", dedent(text), folder).build(parameters, SETUP)
    return {name: p.ids.tolist() for name, p in populations.items()}


def failure(text: str, folder: Path, /, **parameters: object) -> ScriptError:
    with pytest.raises(ScriptError) as error:
        build(text, folder, **parameters)
    assert error.value.detail["file"] == "brain.py"
    return error.value


def test_build_makes_the_populations_from_its_parameters(tmp_path: Path) -> None:
    text = """
        import nest
        def build(cells, first=0):
            return {"some": nest.Create("parrot_neuron", cells)[first:]}
    """
    assert build(text, tmp_path, cells=4) == {"some": [1, 2, 3, 4]}
    assert build(text, tmp_path, cells=4, first=2) == {"some": [3, 4]}


def test_a_network_tells_more(tmp_path: Path) -> None:
    text = """
        import nest
        from services.brain.network import Network
        def build():
            return Network(populations={"a": nest.Create("parrot_neuron", 2)}, full_sizes={"a": 8})
    """
    SETUP.apply()
    network, populations = Script("brain.py", dedent(text), tmp_path).build({}, SETUP)
    assert populations["a"].full_size == 8
    assert network.full_sizes == {"a": 8}


def test_a_reset_at_the_top_of_a_script_is_harmless(tmp_path: Path) -> None:
    text = """
        import nest
        nest.ResetKernel()
        def build():
            nest.ResetKernel()
            return {"a": nest.Create("parrot_neuron")}
    """
    assert build(text, tmp_path) == {"a": [1]}
    assert (nest.rng_seed, nest.local_num_threads, nest.resolution) == (9, 1, 0.05)


def test_a_script_may_declare_dataclasses(tmp_path: Path) -> None:
    text = """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar
        import nest
        @dataclass
        class Layer:
            cells: int
            model: ClassVar[str] = "parrot_neuron"
        def build():
            return {"a": nest.Create(Layer.model, Layer(3).cells)}
    """
    assert build(text, tmp_path) == {"a": [1, 2, 3]}
    assert "brain_script" not in sys.modules


def test_modules_beside_the_script_are_read_anew_each_time(tmp_path: Path) -> None:
    text = """
        import nest
        from wiring_of_mine import CELLS
        def build():
            return {"a": nest.Create("parrot_neuron", CELLS)}
    """
    beside = tmp_path / "wiring_of_mine.py"
    beside.write_text("CELLS = 2\n")
    assert len(build(text, tmp_path)["a"]) == 2
    beside.write_text("CELLS = 3\n")
    assert len(build(text, tmp_path)["a"]) == 3


def test_a_syntax_error_is_shown_with_its_line(tmp_path: Path) -> None:
    error = failure("import nest\ndef build(:\n    return {}\n", tmp_path)
    assert error.text == "brain.py, line 2: SyntaxError: invalid syntax in `def build(:`"
    assert error.detail["line"] == 2
    assert error.detail["column"] == 11
    assert error.detail["line_text"] == "def build(:"


def test_an_exception_is_shown_with_the_users_line(tmp_path: Path) -> None:
    error = failure(
        """\
        import nest
        def neurons(n):
            return nest.Create("iaf_cond_alphaa", n)
        def build(cells=3):
            return {"a": neurons(cells)}
        """,
        tmp_path,
    )
    assert error.detail["line"] == 3
    assert error.detail["line_text"].strip() == 'return nest.Create("iaf_cond_alphaa", n)'
    assert error.detail["function"] == "neurons"
    assert "iaf_cond_alphaa" in error.detail["message"]
    assert error.text.startswith("brain.py, line 3: ")


def test_an_error_at_the_top_level_is_shown_too(tmp_path: Path) -> None:
    error = failure("x = 1\ny = x / 0\n", tmp_path)
    assert error.detail["line"] == 2
    assert error.detail["message"] == "ZeroDivisionError: division by zero"


def test_a_script_that_exits_is_an_error(tmp_path: Path) -> None:
    assert failure("import sys\nsys.exit(3)\n", tmp_path).detail["line"] == 2


def test_an_error_in_a_module_beside_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "broken_of_mine.py").write_text("a = 1\nb = c\n")
    with pytest.raises(ScriptError) as error:
        build("import broken_of_mine\ndef build():\n    return {}\n", tmp_path)
    assert (error.value.detail["file"], error.value.detail["line"]) == ("broken_of_mine.py", 2)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("None", "returns nothing from build()"),
        ("[1, 2]", "returns a list from build()"),
        ("{'a': 'b'}", "population 'a' is str 'b'"),
        ("{'a': [99]}", "has the node id 99"),
        ("{'a b': [1]}", "'a b' cannot name a population"),
    ],
)
def test_a_script_that_returns_nonsense_is_refused(result: str, words: str, tmp_path: Path) -> None:
    text = f"import nest\ndef build():\n    nest.Create('parrot_neuron')\n    return {result}\n"
    assert words in failure(text, tmp_path).text


def test_a_script_without_build_is_refused(tmp_path: Path) -> None:
    assert "defines no function build()" in failure("import nest\n", tmp_path).text


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({"cels": 3}, "brain.parameters.cels", "did you mean 'cells'?"),
        ({"zzz": 3}, "brain.parameters.zzz", "it takes cells"),
        ({}, "brain.parameters.cells", "missing"),
    ],
)
def test_parameters_must_be_those_of_build(parameters: dict[str, int], key: str, words: str, tmp_path: Path) -> None:
    text = "import nest\ndef build(cells):\n    return {'a': nest.Create('parrot_neuron', cells)}\n"
    with pytest.raises(BadExperiment) as error:
        build(text, tmp_path, **parameters)
    assert error.value.detail["key"] == key
    assert words in error.value.text


def test_a_script_may_take_any_parameters(tmp_path: Path) -> None:
    text = "import nest\ndef build(**all):\n    return {'a': nest.Create('parrot_neuron', all['n'])}\n"
    assert build(text, tmp_path, n=2) == {"a": [1, 2]}


@pytest.mark.parametrize("line", ["nest.Simulate(5.0)", "nest.Prepare()", "nest.rng_seed = 12"])
def test_a_script_leaves_the_kernel_as_it_was_set_up(line: str, tmp_path: Path) -> None:
    text = f"import nest\ndef build():\n    a = nest.Create('parrot_neuron')\n    {line}\n    return {{'a': a}}\n"
    with pytest.raises(BadExperiment, match=r"brain\.py (simulates by itself|sets rng_seed)"):
        build(text, tmp_path)
