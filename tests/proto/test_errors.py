"""reafference.errors: the family and its codes."""

import pytest

from reafference import errors
from reafference.errors import ReafferenceError, from_code


def family(base=ReafferenceError):
    return [base, *(member for child in base.__subclasses__() for member in family(child))]


@pytest.mark.parametrize("cls", family(), ids=lambda cls: cls.__name__)
def test_an_error_comes_back_from_its_code_as_what_it_was(cls):
    back = from_code(cls.code, "what happened", {"line": 3})
    assert type(back) is cls
    assert (str(back), back.text, back.detail) == ("what happened", "what happened", {"line": 3})


def test_no_two_errors_share_a_code():
    codes = [cls.code for cls in family()]
    assert len(set(codes)) == len(codes)


def test_a_code_of_a_newer_version_becomes_the_base_class():
    back = from_code("heat_death", "it is cold")
    assert type(back) is ReafferenceError
    assert (back.text, back.exit_status, back.detail) == ("it is cold", 1, {})


@pytest.mark.parametrize(
    ("cls", "status"),
    [
        (errors.ScriptError, 2),
        (errors.PortMismatch, 2),
        (errors.TransferFailed, 3),
        (errors.DiskFull, 4),
        (errors.PeerLost, 5),
        (errors.SequenceGap, 5),
        (errors.Interrupted, 130),
    ],
)
def test_the_shell_sees_what_kind_of_error_it_was(cls, status):
    assert cls("x").exit_status == status


def test_detail_is_a_copy():
    given = {"line": 1}
    error = ReafferenceError("x", detail=given)
    given["line"] = 2
    assert error.detail == {"line": 1}
