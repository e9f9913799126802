"""experiments/mouse_reach/tour.ipynb: it runs as it is written, and is shown as it ran."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).parents[2] / "experiments" / "mouse_reach" / "tour.ipynb"
PNG = b"\x89PNG\r\n"
MOST_BYTES = 300_000
CELL_TIMEOUT_S = 400


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed_by(notebook):
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures_of(notebook):
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    shown = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in shown]


@pytest.fixture(scope="module")
def shown():
    return nbformat.read(TOUR, as_version=4)


@pytest.mark.timeout(900)
def test_the_tour_runs_as_it_is_written(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[cell.copy() for cell in shown.cells])
    for cell in code_of(notebook):
        cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources=resources).execute()
    assert all(len(picture) > 10_000 and picture.startswith(PNG) for picture in pictures_of(notebook))
    assert len(pictures_of(notebook)) == 2
    text = printed_by(notebook)
    assert "motor_drive does not run: unmatched ')' (motor_drive, line 5: return None))" in text
    assert "the simulation is paused and goes on: 76" in text
    assert "flawed functions: []" in text
    assert "paused at 0.0 s" in text


def test_the_tour_is_shown_as_it_ran(shown):
    counts = [cell.execution_count for cell in code_of(shown)]
    assert counts == list(range(1, len(counts) + 1))
    assert len(pictures_of(shown)) == 2
    assert not [output for cell in code_of(shown) for output in cell.outputs if output.output_type == "error"]


def test_the_tour_is_small_and_tells_nothing_of_the_machine_it_ran_on(shown):
    assert TOUR.stat().st_size < MOST_BYTES
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr)/", printed_by(shown))
