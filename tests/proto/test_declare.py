"""reafference.declare: how an experiment declares its transfer functions."""

import pytest

from reafference import transfer
from reafference.declare import collecting


def test_a_declared_function_stays_an_ordinary_function():
    @transfer(reads="brain.x", writes="body.y")
    def double(x):
        return 2 * x

    assert double(3) == 6


def test_what_is_declared_in_a_block_is_collected_in_order():
    with collecting() as found:

        @transfer(reads=["brain.a", "brain.b"], writes="body.c", priority=2, active=False)
        def first(a, b): ...

        @transfer(writes=["body.c", "body.d"])
        def second(): ...

    assert [d.name for d in found] == ["first", "second"]
    assert (found[0].reads, found[0].writes) == (("brain.a", "brain.b"), ("body.c",))
    assert (found[0].priority, found[0].active, found[0].function) == (2, False, first)
    assert (found[1].reads, found[1].writes) == ((), ("body.c", "body.d"))
    assert (found[1].priority, found[1].active) == (0, True)


def test_blocks_do_not_mix_and_outside_nothing_is_collected():
    with collecting() as outer:
        with collecting() as inner:

            @transfer()
            def within(): ...

        @transfer()
        def around(): ...

    @transfer()
    def outside(): ...

    assert [d.name for d in inner] == ["within"]
    assert [d.name for d in outer] == ["around"]


def test_a_block_ends_with_an_exception_too():
    with pytest.raises(RuntimeError), collecting() as found:
        raise RuntimeError

    @transfer()
    def later(): ...

    assert found == []
