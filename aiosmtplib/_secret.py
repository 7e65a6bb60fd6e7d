"""Secrets that do not show.

A traceback may be printed with the values of all variables, and crash reporters do that by default. So the
frames of this package hold passwords, tokens and what is made of them only in these two forms, from the first
statement of each function that is given one.
"""

from typing import Any


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


def conceal(value: Any) -> Any:
    """Wrap a secret. ``None``, and what is wrapped already, come back as they are."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


def reveal(value: Any) -> Any:
    """What :func:`conceal` was given. To be called in an argument list, so that no variable holds it."""
    return value._value if isinstance(value, Secret) else value
