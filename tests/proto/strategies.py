"""Hypothesis strategies for frames, made from their declarations."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reafference import codec
from reafference.frames import Array, Frame, Packed, Port, Stream

_texts = st.text(max_size=12)
_numbers = st.integers(-(2**63), 2**63 - 1)
_floats = st.floats(allow_nan=False)
_anything = st.recursive(
    st.none() | st.booleans() | _numbers | _floats | _texts | st.binary(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_topics = st.sampled_from([b"run/brain/sinks/", b"run/body/camera/eye/", b"7f3a/engine/inputs/brain/"])

dtypes = st.sampled_from(sorted(codec.DTYPES))
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@st.composite
def _packed(draw: st.DrawFn) -> Packed:
    stream = Stream(step=draw(_numbers), t_ns=draw(_numbers), arrays=draw(st.dictionaries(_texts, arrays, max_size=3)))
    return codec.encode(stream, run="run", src="brain", seq=draw(st.integers(0, 2**40)), topic=draw(_topics))


packed = _packed()


def frames(cls: type[Frame]) -> st.SearchStrategy[Any]:
    """Frames of one kind with any content that its declaration allows."""
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{f.name: _of(hints[f.name]) for f in dataclasses.fields(cls)})


def _of(hint: Any) -> st.SearchStrategy[Any]:
    simple = {str: _texts, int: _numbers, float: _floats, bool: st.booleans(), Any: _anything, Packed: packed}
    if hint in simple:
        return simple[hint]
    if hint in (Array, np.ndarray):
        return arrays
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if kind is type(None) else _of(kind) for kind in inner])
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(_of(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_of, inner))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(_texts, _of(inner[1]), max_size=3)
    hints = typing.get_type_hints(hint)
    given = {f.name: _of(hints[f.name]) for f in dataclasses.fields(hint)}
    return st.builds(hint, **given | ({"dtype": dtypes} if hint is Port else {}))
