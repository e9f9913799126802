"""CSV files of published functions."""

import pytest

RECORD = """
@nrp.MapCSVRecorder("recorder", {})
@nrp.Robot2Neuron()
def {}(t, recorder):
    recorder.record_entry({})
"""


def record(arguments='filename="a.csv", headers=["t", "x"]', values="t, 1", name="record"):
    return RECORD.format(arguments, name, values)


def rows(folder):
    return (folder / "csv" / "a.csv").read_text().splitlines()


def test_rows_are_there_as_soon_as_they_were_recorded(stand, tmp_path):
    made = stand(record())
    made.script.open(tmp_path)
    assert rows(tmp_path) == ["t,x", "0.0,1"]
    made.run(1)
    assert rows(tmp_path) == ["t,x", "0.0,1", "0.02,1"]


def test_a_function_that_is_replaced_writes_on(stand, tmp_path):
    made = stand(record())
    made.script.open(tmp_path)
    made.edit("replace", "record", record(values="t, '2, or more'")).run(1)
    made.edit("add", record('filename="b.csv", headers=["y"]', "3", "other")).run(1)
    assert rows(tmp_path) == ["t,x", "0.0,1", '0.02,"2, or more"', '0.04,"2, or more"']
    assert (tmp_path / "csv" / "b.csv").read_text().splitlines() == ["y", "3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (record(values="1, 2, 3"), "a.csv has 2 columns, but 3 values were recorded"),
        (record('filename="../a.csv", headers=["t"]'), "'../a.csv' is no name of a file"),
        (record('filename=".a", headers=["t"]'), "'.a' is no name of a file"),
        (record('filename="a.csv"'), "missing 1 required positional argument: 'headers'"),
    ],
)
def test_what_cannot_be_recorded_is_told(stand, text, words):
    (message,) = stand(text).messages
    assert words in message.text
    assert message.line in (1, 4)


def test_a_file_has_the_same_columns_for_all_functions(stand):
    files = {"a.py": record(name="a"), "b.py": record('filename="a.csv", headers=["z"]', "1", "b")}
    (message,) = stand(files).messages
    assert "the file 'a.csv' has other columns already: t, x" in message.text
