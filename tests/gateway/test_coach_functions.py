"""Transfer functions that several published clients edit at the same time."""

import asyncio
from types import SimpleNamespace

import pytest

from services.gateway.coach import functions
from services.gateway.people import Person
from services.gateway.problems import Problem

OTTO = Person("otto", "owner")
FLAW = {"text": "it is wrong", "line": 2}


def source(name):
    return f"@nrp.Robot2Neuron()\ndef {name}(t):\n    pass\n"


def function(name, **more):
    return {"name": name, "source": source(name), "active": True, "priority": 0, "problem": None} | more


class Shared:
    """A simulation to which somebody else adds a function as soon as an edit is on its way."""

    status = SimpleNamespace(ended=False)

    def __init__(self, *own, **more):
        self._functions = [*own]
        self._more, self.edits = more, []

    def functions(self):
        return list(self._functions)

    async def edit(self, to, what, arguments, *, by):
        self.edits.append((what, arguments.get("name")))
        self._functions = [one for one in self._functions if one["name"] not in (arguments.get("name"), "theirs")]
        self._functions.append(function("theirs"))
        if "source" in arguments:
            name = arguments["source"].partition("def ")[2].partition("(")[0]
            made = function(name, source=arguments["source"])
            self._functions.append(made | (self._more if len(self.edits) == 1 else {}))
        return {"functions": self.functions()}


def sent(text):
    async def body():
        return text.encode()

    return SimpleNamespace(body=body)


def test_the_name_of_what_was_added_is_told():
    shared = Shared(function("drive"))
    assert asyncio.run(functions.add_function(sent(source("more")), shared, OTTO)) == {"name": "more"}


def test_the_name_of_what_was_replaced_is_told():
    shared = Shared(function("drive"))
    answer = functions.replace_function("drive", sent(source("other")), shared, OTTO)
    assert asyncio.run(answer) == {"name": "other"}


def test_what_cannot_be_called_is_taken_away_and_nothing_else():
    shared = Shared(function("drive"), problem=FLAW)
    with pytest.raises(Problem, match="it is wrong"):
        asyncio.run(functions.add_function(sent(source("more")), shared, OTTO))
    assert shared.edits == [("add_function", None), ("delete_function", "more")]
    assert {one["name"] for one in shared.functions()} == {"drive", "theirs"}


def test_a_name_that_a_decorator_gives_is_found_by_the_source():
    shared = Shared(name="renamed")
    assert asyncio.run(functions.add_function(sent(source("more")), shared, OTTO)) == {"name": "renamed"}
