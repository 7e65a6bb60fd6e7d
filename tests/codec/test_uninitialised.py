"""Classes of the codec that are used without ``__init__``, or with steps that are none, raise exceptions."""

import itertools
from types import ModuleType
from typing import Any

import pytest

from ..support.random_calls import call_at_random


class Steps:
    """A dialogue of any values."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)

    def send(self, replies: Any) -> Any:
        if not self.steps:
            raise StopIteration
        return self.steps.pop(0)

    def throw(self, error: BaseException) -> Any:
        raise error

    def close(self) -> None:
        pass


STEPS: list[Any] = [
    (),
    None,
    (b"", 0, 0),
    (b"", 1, 0),
    (b"", 1, 2),
    ((), 1, 0),
    ([], 1, 3),
    (b"x", 10**30, 0),
]
VALUES: list[Any] = [None, [], [None], [3], [()], [(1,)], b"", b"250 ok\r\n", 1, RuntimeError("x")]


def classes_of(module: ModuleType) -> list[Any]:
    return [each for each in vars(module).values() if isinstance(each, type)]


def made(kind: Any) -> list[Any]:
    """Objects of a class, as far as they can be made without anything."""
    found = []
    for make in (lambda: kind.__new__(kind), kind):
        try:
            found.append(make())
        except TypeError:
            pass
    return found


def test_every_method_of_every_class_raises_at_most(codec: ModuleType) -> None:
    calls = 0
    exchanges = [codec.Exchange(Steps(step, step)) for step in STEPS] + [
        codec.Exchange.__new__(codec.Exchange)
    ]
    arguments = [*exchanges, *VALUES]
    for kind in classes_of(codec):
        names = [name for name in dir(kind) if not name.startswith("_") or name == "__contains__"]
        for name, count in itertools.product(names, range(4)):
            for first in arguments if count else [None]:
                for other in VALUES[:3] if count > 1 else [None]:
                    rest = [0] * max(0, count - 2)
                    given = [first, other, *rest][:count]
                    for instance in made(kind):
                        calls += 1
                        try:
                            attribute = getattr(instance, name)
                            if callable(attribute):
                                attribute(*given)
                        except Exception:
                            continue
    assert calls > 100


@pytest.mark.parametrize("step", STEPS)
def test_steps_that_are_none(codec: ModuleType, step: Any) -> None:
    for replies in VALUES[1:6]:
        session = codec.Session()
        exchange = codec.Exchange(Steps(step, step, step))
        try:
            session.start(exchange)
            session.step(exchange, replies, 0)
            session.receive(b"250 ok\r\n250 ok\r\n", 100, 100, 0)
        except Exception:
            continue


def test_an_exchange_without_replies(compiled: ModuleType) -> None:
    session = compiled.Session()
    exchange = compiled.Exchange(Steps((b"NOOP\r\n", 1, 0)))
    session.start(exchange)
    exchange.replies = None
    with pytest.raises(TypeError):
        session.receive(b"250 ok\r\n", 100, 100, 6)
    for call, given in (
        (session.step, (None, [], 0)),
        (session.keep, (None, [])),
        (session.keep, (exchange, None)),
    ):
        with pytest.raises(TypeError):
            call(*given)


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_raise_at_most(compiled: ModuleType, seed: int) -> None:
    """``make sanitize`` makes a million of them."""
    found = call_at_random(compiled, 1500, seed)
    assert found["TypeError"] > 100
    assert found["returned"] > 100
