"""Secrets that do not show.

A traceback may be printed with the values of all variables, and crash reporters do that by default. So the
frames of this package hold passwords, tokens and what is made of them only in these two forms, from the first
statement of each function that is given one.
"""

from typing import Any

from ..typing import Default

#: What a server repeats may be cut off: so many octets of it are enough to know it by.
_TELLING = 12
_CHANCE = 8


class Secret:
    """A value that has to be asked for."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("A secret is not pickled")


class SecretBytes(bytes):
    """Bytes for the wire that do not show in a ``repr``, be it their own or that of a tuple of them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__


def conceal_arguments(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts of a command that holds a secret. What is no bytes is for others to object to."""
    return tuple(SecretBytes(each) if isinstance(each, bytes) else each for each in args)


def conceal(value: Any) -> Any:
    """Wrap a secret. What stands for none, and what is wrapped already, comes back as it is."""
    return value if value is None or isinstance(value, Default | Secret) else Secret(value)


def withhold(text: str, *secrets: Any) -> str:
    """What a server said, up to where it repeats one of these.

    :param secrets: as bytes, or concealed. What is shorter than a password should be comes up by chance.
    """
    for each in secrets:
        beginning = bytes(reveal(each) or b"")[:_TELLING]
        if len(beginning) >= _CHANCE:
            kept, found, _ = text.partition(beginning.decode("utf-8", "surrogateescape"))
            text = f"{kept}<secret>" if found else text
    return text


def reveal(value: Any) -> Any:
    """What :func:`conceal` was given. To be called in an argument list, so that no variable holds it."""
    return value._value if isinstance(value, Secret) else value
