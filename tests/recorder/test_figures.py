import pytest

from services.recorder import figures, tools
from services.recorder.reader import Run
from tests.recorder import tape

WANTED = {
    "figures": ["overview", "resting_state"],
    "settled_s": 0.1,
    "spectra": {"layer 1": ["M1_L1"], "all": ["*"]},
}


def recorded(folder, wanted=None, steps=40):
    tape.record(folder, steps, wanted=wanted)
    return Run(folder)


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 20_000


def test_without_a_wish_there_is_the_overview(tmp_path):
    made, problems = figures.make(recorded(tmp_path))
    assert ([path.name for path in made], problems) == (["overview.png"], [])
    assert is_png(made[0])


def test_each_figure_that_is_wanted_is_drawn_into_the_run_folder(tmp_path):
    made, problems = figures.make(recorded(tmp_path, WANTED))
    assert problems == []
    assert made == [tmp_path / name for name in ("overview.png", "resting_state.png", "rates.csv")]
    assert is_png(made[0])
    assert is_png(made[1])


def test_a_figure_that_cannot_be_drawn_does_not_prevent_the_others(tmp_path):
    made, problems = figures.make(recorded(tmp_path, WANTED, steps=4))
    assert [path.name for path in made] == ["overview.png"]
    assert len(problems) == 1
    assert problems[0].startswith("no resting_state: the run ends at 0.08 s")


def test_the_table_of_rates_is_printed(tmp_path, capsys):
    recorded(tmp_path, WANTED)
    assert tools.main(["rates", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for words in ("mean rates from 0.1 to 0.8 s", "M1_L1", "M1_L23", "spikes/s", "all, common rate of 7 cells"):
        assert words in said


@pytest.mark.parametrize(("wanted", "status"), [(WANTED, 0), ({**WANTED, "settled_s": 5.0}, 1)])
def test_the_tool_says_what_it_made_and_what_not(tmp_path, capsys, wanted, status):
    recorded(tmp_path, wanted)
    assert tools.main(["figures", str(tmp_path)]) == status
    out, err = capsys.readouterr()
    assert str(tmp_path / "overview.png") in out.splitlines()
    assert ("no resting_state" in err) == bool(status)
