"""Dataclasses as plain maps and back: one declaration serves the wire and the experiment file.

`dump` turns a dataclass into maps, lists and scalars; `load` builds it again and says, for the first
thing that does not fit, where it stands, what was expected there and what was found.
"""

import dataclasses
import difflib
import enum
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_Loader = Callable[[Any, bool], Any]
_Dumper = Callable[[Any], Any]


class Misfit(ValueError):
    """A value that does not fit its declaration.

    `key` is its dotted place ("" for the whole), `expected` and `found` are phrases.
    """

    def __init__(self, key: str, expected: str, found: str, hint: str = "") -> None:
        self.key, self.expected, self.found, self.hint = key, expected, found, hint
        place = f"{key}: " if key else ""
        super().__init__(f"{place}expected {expected}, found {found}{hint}")

    def within(self, outer: str) -> "Misfit":
        """The same, seen from a table or list that holds the value under `outer`."""
        joint = "." if self.key and not self.key.startswith("[") else ""
        return Misfit(f"{outer}{joint}{self.key}", self.expected, self.found, self.hint)


def dump(value: Any) -> Any:
    """`value` as maps, lists and scalars; arrays become `[dtype, shape, bytes]`."""
    return _dumper(type(value))(value)  # type: ignore[arg-type]


def load(cls: type[T], data: Any, *, strict: bool = True) -> T:
    """Build `cls` from a plain map.

    Raises Misfit for a missing key or a value of another type; for an unknown key too when `strict`.
    """
    built: T = _loader(cls)(data, strict)  # type: ignore[arg-type]
    return built


def with_arrays(value: Any) -> Any:
    """The same with every `[dtype, shape, bytes]` in it as the array that it was before it was dumped, read-only."""
    if isinstance(value, Mapping):
        return {key: with_arrays(item) for key, item in value.items()}
    match value:
        case [str(), [*_], bytes()]:
            try:
                return _load_array(value, True)
            except Misfit:
                return value
        case list():
            return [with_arrays(item) for item in value]
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as " (did you mean 'delay_ms'?)", or nothing if no known word comes near."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:
        folded = {name.casefold(): name for name in names}
        close = [folded[word.casefold()]] if word.casefold() in folded else []
    return f" (did you mean {close[0]!r}?)" if close else ""


def describe(value: Any) -> str:
    """What was found, in words short enough for one sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    return repr(value)[:60]


# --- dumping ---------------------------------------------------------------------------------------


@cache
def _dumper(cls: type) -> _Dumper:
    if dataclasses.is_dataclass(cls):
        names = tuple(f.name for f in dataclasses.fields(cls))
        return lambda v: {name: dump(getattr(v, name)) for name in names}
    if issubclass(cls, enum.Enum):
        return lambda v: v.value
    if issubclass(cls, np.ndarray):
        return _dump_array
    if issubclass(cls, np.generic):
        return lambda v: v.item()
    if issubclass(cls, Mapping):
        return lambda v: {key: dump(item) for key, item in v.items()}
    if issubclass(cls, (list, tuple, set, frozenset)):
        return lambda v: [dump(item) for item in v]
    return lambda v: v


def _dump_array(array: np.ndarray[Any, Any]) -> list[Any]:
    contiguous = np.ascontiguousarray(array)
    return [contiguous.dtype.str, list(array.shape), contiguous.tobytes()]


# --- loading ---------------------------------------------------------------------------------------


@cache
def _loader(kind: Any) -> _Loader:
    origin = typing.get_origin(kind)
    if kind is Any:
        return _load_anything
    if origin in (typing.Union, types.UnionType):
        return _union_loader(typing.get_args(kind))
    if origin is typing.Literal:
        return _choice_loader(typing.get_args(kind))
    if origin is tuple:
        return _tuple_loader(typing.get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_loader(typing.get_args(kind)[1])
    if origin is np.ndarray or kind is np.ndarray:
        return _load_array
    if dataclasses.is_dataclass(kind):
        return _dataclass_loader(typing.cast("type", kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum_loader(kind)
    return _scalar_loader(kind)


_LEAST, _MOST = -(2**63), 2**64 - 1

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    bytes: "bytes",
    type(None): "nothing",
}


# A place is added to a Misfit on its way out, so that values that fit pay nothing for it.


def _load_anything(value: Any, strict: bool) -> Any:
    """Whatever both TOML and the wire can hold, which leaves out dates and very large numbers."""
    if isinstance(value, Mapping):
        return _load_items(value, _load_anything, strict)
    if isinstance(value, (list, tuple)):
        return list(_load_rows(value, _load_anything, strict))
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise Misfit("", "a whole number of at most 64 bits", describe(value))
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    raise Misfit("", "a number, a text, a list or a table", describe(value))


def _load_items(value: Mapping[Any, Any], loader: _Loader, strict: bool) -> dict[str, Any]:
    loaded = {}
    for name, item in value.items():
        if not isinstance(name, str):
            raise Misfit("", "texts as the keys of a table", describe(name))
        try:
            loaded[name] = loader(item, strict)
        except Misfit as misfit:
            raise misfit.within(name) from None
    return loaded


def _load_rows(value: Iterable[Any], loader: _Loader, strict: bool) -> Iterator[Any]:
    for index, item in enumerate(value):
        try:
            yield loader(item, strict)
        except Misfit as misfit:
            raise misfit.within(f"[{index}]") from None


def _scalar_loader(kind: type) -> _Loader:
    expected = _WORDS.get(kind, kind.__name__)

    def load_scalar(value: Any, strict: bool) -> Any:
        if type(value) is kind:
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        raise Misfit("", expected, describe(value))

    return load_scalar


def _choice_loader(choices: tuple[Any, ...]) -> _Loader:
    words = " or ".join(repr(c) if isinstance(c, str) else str(c) for c in choices)

    def load_choice(value: Any, strict: bool) -> Any:
        if value in choices:
            return value
        hint = nearest(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
        raise Misfit("", words, describe(value), hint)

    return load_choice


def _enum_loader(kind: type[enum.Enum]) -> _Loader:
    choice = _choice_loader(tuple(member.value for member in kind))
    return lambda v, strict: kind(choice(v, strict))


def _union_loader(kinds: tuple[Any, ...]) -> _Loader:
    loaders = [_loader(kind) for kind in kinds]

    def load_union(value: Any, strict: bool) -> Any:
        misfits = []
        for loader in loaders:
            try:
                return loader(value, strict)
            except Misfit as misfit:
                misfits.append(misfit)
        # A misfit deeper inside says more than "none of these kinds".
        deepest = max(misfits, key=lambda m: len(m.key))
        if deepest.key:
            raise deepest
        expected = " or ".join(m.expected for m in misfits if m.expected != "nothing")
        raise Misfit("", expected, describe(value), deepest.hint)

    return load_union


def _tuple_loader(kinds: tuple[Any, ...]) -> _Loader:
    many = len(kinds) == 2 and kinds[1] is Ellipsis
    loaders = [_loader(kind) for kind in kinds if kind is not Ellipsis]

    def load_tuple(value: Any, strict: bool) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise Misfit("", "a list", describe(value))
        if many:
            return tuple(_load_rows(value, loaders[0], strict))
        if len(value) != len(loaders):
            raise Misfit("", f"a list of {len(loaders)}", describe(value))
        pairs = zip(loaders, value, strict=True)
        return tuple(_load_rows(pairs, lambda pair, strict: pair[0](pair[1], strict), strict))

    return load_tuple


def _mapping_loader(kind: Any) -> _Loader:
    loader = _loader(kind)

    def load_mapping(value: Any, strict: bool) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Misfit("", "a table", describe(value))
        return _load_items(value, loader, strict)

    return load_mapping


def _dataclass_loader(cls: type) -> _Loader:
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    loaders = {f.name: _loader(hints[f.name]) for f in fields}
    required = {
        f.name: _expected_of(hints[f.name])
        for f in fields
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }

    def load_dataclass(value: Any, strict: bool) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise Misfit("", "a table", describe(value))
        if strict:
            for name in value:
                if name not in loaders:
                    known = ", ".join(sorted(loaders))
                    raise Misfit(
                        str(name), f"one of the keys {known}", f"the key {name!r}", nearest(str(name), loaders)
                    )
        for name, expected in required.items():
            if name not in value:
                raise Misfit(name, expected, "nothing: the key is missing")
        made = {}
        for name, item in value.items():
            loader = loaders.get(name)
            if loader is not None:
                try:
                    made[name] = loader(item, strict)
                except Misfit as misfit:
                    raise misfit.within(name) from None
        return cls(**made)

    return load_dataclass


def _expected_of(kind: Any) -> str:
    """What a missing key should have held, in words."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_expected_of(k) for k in typing.get_args(kind) if k is not type(None))
    if origin is typing.Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    if origin is tuple:
        return "a list"
    if dataclasses.is_dataclass(kind) or (origin is not None and issubclass(origin, Mapping)):
        return "a table"
    return _WORDS.get(kind, "a value")


def _load_array(value: Any, strict: bool) -> np.ndarray[Any, Any]:
    try:
        dtype, shape, raw = value
        kind = np.dtype(dtype)
        if kind.kind not in "biuf" or any(n < 0 for n in shape):
            raise ValueError
        return np.frombuffer(raw, kind).reshape(shape)
    except (ValueError, TypeError, SyntaxError):  # the last one is numpy's for some texts that are no dtype
        raise Misfit("", "an array of numbers as [dtype, shape, bytes]", describe(value)) from None
