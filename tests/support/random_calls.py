"""Random calls to every name of a codec twin, private ones too, with values of any type: no crash.

``python -m tests.support.random_calls 1000000 [SEED]`` does so with the compiled twin. Whatever is raised is
right, as long as it is an exception. ``make sanitize`` does it where every access to memory is watched.
"""

import importlib
import random
import sys
from collections import Counter
from collections.abc import Callable
from email.message import Message
from types import ModuleType
from typing import Any

__all__ = ("call_at_random",)

#: Names that would end the process, take all memory (a deque times two thousand million), or make an object
#: that is never freed, by what Python promises.
LEFT_OUT = {
    "__class__",
    "__del__",
    "__imul__",
    "__init_subclass__",
    "__mul__",
    "__reduce__",
    "__reduce_ex__",
    "__rmul__",
    "__subclasshook__",
}


NUMBERS = (0, 1, 2, 3, -1, 7, 250, 354, 421, 1 << 16, 1 << 31, 1 << 63, -(1 << 63), 10**30)


class Steps:
    """A dialogue of any values."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps

    def send(self, replies: Any) -> Any:
        if not self.steps:
            raise StopIteration
        return self.steps.pop()

    def throw(self, error: BaseException) -> Any:
        raise error

    def close(self) -> None:
        pass


class Random:
    """Random values, among them objects of the classes of a twin, in any state."""

    def __init__(self, codec: ModuleType, seed: int) -> None:
        self.dice = random.Random(seed)
        self.codec = codec
        self.names = sorted(vars(codec))
        self.classes = [each for each in vars(codec).values() if isinstance(each, type)]
        # Objects are used again, by whatever calls come next.
        self.kept: list[Any] = []

    def value(self, depth: int = 0) -> Any:
        """A value of any type."""
        dice = self.dice
        kind = dice.randrange(22 if depth < 3 else 14)
        if kind < 3:
            return self._octets()
        if kind == 3:
            return self._octets().decode("latin-1")
        if kind == 4:
            return dice.choice(NUMBERS)
        if kind < 7:
            return dice.choice((None, True, 0.5, float("nan"), object(), Message(), int, Exception("x")))
        if kind == 7:
            return bytearray(self._octets())
        if kind == 8:
            return memoryview(self._octets())[:: dice.choice((1, 2, -1))]
        if kind < 12:
            return self.instance()
        if kind < 14:
            return dice.choice("é\ud800\x00\r\n\U0001f600") * dice.randrange(4)
        values = [self.value(depth + 1) for _ in range(dice.randrange(4))]
        if kind < 17:
            return values
        if kind < 20:
            return tuple(values)
        if kind == 20:
            return {str(place): each for place, each in enumerate(values)}
        return Steps(values)

    def _octets(self) -> bytes:
        dice = self.dice
        known = (b"250 Ok\r\n", b"250-a\r\n250 b\r\n", b"354 go\r\n", b"421 bye\r\n", b"a@b.c", b".\r\n", b"")
        if dice.random() < 0.7:
            return dice.choice(known) * dice.randrange(3)
        return dice.randbytes(dice.choice((1, 15, 16, 17, 64, 300)))

    def instance(self) -> Any:
        """An object of one of the classes: a new one, with or without ``__init__``, or one that is in use."""
        dice = self.dice
        if self.kept and dice.random() < 0.6:
            return dice.choice(self.kept)
        kind = dice.choice(self.classes)
        arguments = [self.value(2) for _ in range(dice.randrange(4))]
        try:
            made = kind.__new__(kind, *arguments) if dice.random() < 0.4 else kind(*arguments)
        except Exception:
            return None
        self.kept.append(made)
        if len(self.kept) > 50:
            del self.kept[dice.randrange(50)]
        return made

    def call(self) -> str:
        """Call something, or get or set an attribute.

        :return: what came of it: the name of an exception, or ``"returned"``
        """
        dice = self.dice
        try:
            owner = self.codec if dice.random() < 0.4 else self.instance()
            name = dice.choice(self.names if owner is self.codec else dir(owner))
            while name in LEFT_OUT:
                name = dice.choice(dir(owner))
            if owner is not self.codec and dice.random() < 0.15:
                setattr(owner, name, self.value())
                return "set"
            attribute: Callable[..., Any] = getattr(owner, name)
            if callable(attribute):
                attribute(*(self.value() for _ in range(dice.randrange(5))))
        except Exception as error:
            return type(error).__name__
        return "returned"


def call_at_random(codec: ModuleType, count: int, seed: int) -> Counter[str]:
    """Make so many calls, and count what came of them."""
    source = Random(codec, seed)
    return Counter(source.call() for _ in range(count))


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    found = call_at_random(importlib.import_module("aiosmtplib._speedups"), count, seed)
    counts = ", ".join(f"{number:,} {name}" for name, number in found.most_common(6))
    print(f"{sum(found.values()):,} random calls, seed {seed}: {counts}")


if __name__ == "__main__":
    main()
