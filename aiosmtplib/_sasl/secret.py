"""Wrappers that keep passwords and tokens out of tracebacks and logs.

A traceback may be printed with the values of all variables; crash reporters do so by default. So each
function that gets a secret wraps it in its first statement: no frame of this package holds a secret, or a
value derived from one, in another form than these two.
"""

from __future__ import annotations

from typing import Any

from ..typing import Default

#: How many octets of a secret are searched for in a reply: the server may have cut off the rest.
_SEARCHED = 12
#: A shorter secret is not searched for: it may occur in a text by chance.
_SHORTEST = 8


class Secret:
    """A value that only :func:`reveal` returns: its ``repr`` does not show it, and it cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("A secret is not pickled")


class SecretBytes(bytes):
    """Bytes for the wire that their ``repr`` does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__


def conceal_arguments(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a command that holds a secret, concealed. Any that is not ``bytes`` is unchanged."""
    return tuple(SecretBytes(each) if isinstance(each, bytes) else each for each in args)


def conceal(value: Any) -> Any:
    """Wrap a secret. ``None``, "not given" and a wrapped secret are returned as they are."""
    return value if value is None or isinstance(value, Default | Secret) else Secret(value)


def withhold(text: str, *secrets: Any) -> str:
    """The text of a reply, cut off where it repeats a secret.

    :param secrets: as ``bytes``, or concealed; one of less than 8 octets is not searched for
    """
    for each in secrets:
        beginning = bytes(reveal(each) or b"")[:_SEARCHED]
        if len(beginning) >= _SHORTEST:
            kept, found, _ = text.partition(beginning.decode("utf-8", "surrogateescape"))
            text = f"{kept}<secret>" if found else text
    return text


def reveal(value: Any) -> Any:
    """The value of a secret. Call it in an argument list, so that no variable holds the result."""
    return value._value if isinstance(value, Secret) else value
