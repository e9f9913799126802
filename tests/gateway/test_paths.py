"""Paths that people give."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import paths
from services.gateway.problems import Problem

GOOD = ["experiment.toml", "a/b/c.py", "Zürich.md", "with space.txt", "a-b_c.1", "my recordings/x", "..x"[2:]]
BAD = {
    "": "empty",
    "/etc/passwd": "absolute",
    "../x": "out of",
    "a/../../x": "out of",
    "a//b": "empty part",
    "a/": "empty part",
    ".hidden": "hidden",
    "a/.git/config": "hidden",
    "./a": "hidden",
    "a\\b": "sign",
    "a\x00b": "sign",
    "a\nb": "sign",
    "C:x": "sign",
    "a\u202eb.py": "cannot be seen",
    "\ud800": "cannot be seen",
    "recordings/x": "of the server",
    "Recordings": "of the server",
    "__pycache__/x": "of the server",
    "con": "device",
    "a/NUL.txt": "device",
    "a ": "space",
    "a.": "dot",
    "x" * 201: "longer",
    "a/" * 8 + "b": "deeper",
}


@pytest.mark.parametrize("path", GOOD)
def test_a_plain_relative_path_is_taken(path):
    assert str(paths.checked(path)) == path


@pytest.mark.parametrize("path", BAD, ids=ascii)
def test_what_is_not_one_is_refused_with_the_reason(path):
    with pytest.raises(Problem, match=BAD[path]) as refused:
        paths.checked(path)
    assert refused.value.status == 422
    assert len(refused.value.detail) < 300


@given(st.text(max_size=40))
def test_no_path_that_is_taken_leaves_the_folder(text):
    if not paths.flaw_of(text):
        assert os.path.normpath(os.path.join("/home/here", text)).startswith("/home/here/")


def test_links_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "file").touch()
    with pytest.raises(Problem, match="link"):
        paths.inside(tmp_path / "in", paths.checked("link/x"))
    with pytest.raises(Problem, match="no folder"):
        paths.inside(tmp_path / "in", paths.checked("file/x"))
    assert paths.inside(tmp_path / "in", paths.checked("new/x")) == tmp_path / "in" / "new" / "x"
