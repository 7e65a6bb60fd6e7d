"""Wrappers that keep passwords and tokens out of tracebacks and logs.

A traceback may be printed with the values of all variables; crash reporters do so by default. So each
function that gets a secret wraps it in its first statement: no frame of this package holds a secret, or a
value derived from one, in another form than these two.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import Any, Final

from .._trace.redaction import HIDDEN, described
from ..errors import SMTPException
from ..response import SMTPResponse
from ..typing import Default

_HIDDEN: Final = HIDDEN.decode()

#: How many characters of a secret are searched for in a reply: the server may have cut off the rest.
_SEARCHED = 12
#: A shorter secret is not searched for: it may occur in a text by chance.
_SHORTEST = 8


class Secret:
    """A value that only :func:`reveal` returns: its ``repr`` does not show it, and it cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return _HIDDEN

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("A secret is not pickled")


class SecretBytes(bytes):
    """Bytes for the wire that their ``repr`` does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN

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
        octets = bytes(reveal(each) or b"")
        if len(octets) >= _SHORTEST:
            kept, found, _ = text.partition(octets.decode("utf-8", "backslashreplace")[:_SEARCHED])
            text = f"{kept}{_HIDDEN}" if found else text
    return text


def reply_without(reply: SMTPResponse, secrets: list[Any]) -> SMTPResponse:
    """A reply, its text cut off where it repeats a secret."""
    return SMTPResponse(reply.code, withhold(reply.message, *secrets))


def withhold_from(error: SMTPException, secrets: list[Any]) -> None:
    """Cut off the texts of an error where they repeat a secret, as some servers do."""
    error.args = tuple(withhold(each, *secrets) if isinstance(each, str) else each for each in error.args)
    error.message = withhold(error.message, *secrets)
    error.replies = tuple(reply_without(each, secrets) for each in error.replies)


def secrets_of(args: tuple[Any, ...]) -> list[SecretBytes]:
    """The secrets in the arguments of AUTH, or of a response to its challenge, and what these encode.

    :return: the words but for AUTH and the mechanism; and of those in base64, the credential: the last field
    """
    line = b" ".join(each for each in args if isinstance(each, bytes))
    shown = described(line)[0].split()
    words = [SecretBytes(word) for word in line.split() if word not in shown]
    return words + [secret for secret in map(_encoded, words) if secret]


def _encoded(word: SecretBytes) -> SecretBytes:
    """The last field of a response: the password of PLAIN and LOGIN, the token of XOAUTH2 and OAUTHBEARER."""
    try:
        fields = re.split(rb"[\0\x01]", a2b_base64(word).rstrip(b"\0\x01"))
    except ValueError:  # no base64
        return SecretBytes()
    return SecretBytes(fields[-1].removeprefix(b"auth=Bearer "))


def reveal(value: Any) -> Any:
    """The value of a secret. Call it in an argument list, so that no variable holds the result."""
    return value._value if isinstance(value, Secret) else value
