"""What the standard library writes, to hold the serialiser against; and what a message holds.

The oracle is its generator, driven here and not by the package. What the package does on purpose is repeated:
``Bcc`` and ``Resent-Bcc`` of the message itself stay out, and a line break in a value folds. In the address
fields of old-style messages only display names are encoded: ``test_phrases.py`` has that rule. Without
SMTPUTF8 a parsed field that is not ASCII is written as by Python 3.13.6 and later, and addresses in ASCII:
``test_ascii_specs.py`` has these.
"""

import email.policy
import random
import re
from collections.abc import Callable, Mapping
from email.charset import Charset
from email.generator import BytesGenerator
from email.header import Header
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message
from io import BytesIO
from typing import Any

from aiosmtplib._message.phrases import has_bytes, repeated, with_addresses
from aiosmtplib._message.specs import AsciiRegistry, ascii_specs

__all__ = ("FORMS", "SETTINGS", "Outcome", "differences", "outcome", "snapshot", "written")

#: utf8 and cte_type
SETTINGS = [(utf8, cte_type) for utf8 in (False, True) for cte_type in ("8bit", "7bit")]
#: The characters of what a parser took from octets: ASCII, and surrogates for 8-bit bytes.
_RECEIVED = {*map(chr, range(0x80)), *map(chr, range(0xDC80, 0xDD00))}
#: What was returned, or the type of what was raised; and the state of the source of boundaries after it.
Outcome = tuple[Any, int]


def _contained(field: bytes, linesep: bytes) -> bytes:
    lines = re.split(rb"\r\n|\r|\n", field[: -len(linesep)])
    if all(line[:1] in (b" ", b"\t") and line for line in lines[1:]):
        return field
    return re.sub(rb"[\r\n][\r\n \t]*", linesep + b" ", field.rstrip(b"\r\n")) + linesep


class _Modern(email.policy.EmailPolicy):
    def fold_binary(self, name: str, value: Any) -> bytes:
        if not self.utf8:
            if type(value) is str and not set(value) <= _RECEIVED:
                value = self.header_factory(name, re.sub(r"[\r\n]+", "", value))
            value = ascii_specs(value)
        return _contained(super().fold_binary(name, value), b"\r\n")


class _Legacy(email.policy.Compat32):
    repeated: frozenset[str] = frozenset()

    def fold_binary(self, name: str, value: Any) -> bytes:
        raw = self.cte_type != "7bit" and isinstance(value, str) and has_bytes(value)
        if not raw and name.lower() not in self.repeated:
            value = with_addresses(name, value)
        return _contained(super().fold_binary(name, value), b"\n")


def written(message: Message, utf8: bool, cte_type: str) -> bytes:
    """What the standard library writes. It may set boundaries in the message."""
    policy: Any = _Legacy(cte_type=cte_type, repeated=repeated(message))  # type: ignore[call-arg]
    if isinstance(message, EmailMessage) or isinstance(message.policy, email.policy.EmailPolicy):
        registry = HeaderRegistry() if utf8 else AsciiRegistry()
        policy = _Modern(linesep="\r\n", utf8=utf8, cte_type=cte_type, header_factory=registry)
    del message["Bcc"]
    del message["Resent-Bcc"]
    buffer = BytesIO()
    BytesGenerator(buffer, policy=policy).flatten(message)
    return buffer.getvalue()


def outcome(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """What comes of a call. Boundaries are drawn from a source that starts alike each time."""
    random.seed(20261126)
    try:
        result: Any = function(*arguments)
    except Exception as error:
        # What was drawn before an error comes to nothing.
        return type(error), 0
    return result, hash(random.getstate())


def _on_the_wire(content: bytes) -> bytes:
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def _by_data(content: bytes) -> tuple[bytes, int]:
    lines = _on_the_wire(content)
    return re.sub(rb"^\.", b"..", lines, flags=re.MULTILINE) + b".\r\n", len(lines)


def _by_bdat(content: bytes) -> tuple[bytes, int]:
    lines = _on_the_wire(content)
    return lines, len(lines)


#: What becomes of the content: nothing; what follows DATA (RFC 5321 section 4.5.2), and its size without the
#: dots; what follows BDAT (RFC 3030), and its size.
FORMS: Mapping[str, Callable[[bytes], Any]] = {
    "plain": lambda content: content,
    "DATA": _by_data,
    "BDAT": _by_bdat,
}


def differences(
    build: Callable[[], Message], flattens: Mapping[str, tuple[Callable[..., Any], str]]
) -> list[str]:
    """In what each of the functions differs from the standard library for a message: nothing, one hopes.

    :param build: gives the same message each time
    :param flattens: by name, with the form that it gives. They have one message, one after the other and with
        each of the :data:`SETTINGS`: what one left behind shows in the next
    """
    message = build()
    before = snapshot(message)
    found = []
    for utf8, cte_type in SETTINGS:
        expected, drawn = outcome(written, build(), utf8, cte_type)
        for name, (flatten, form) in flattens.items():
            got = outcome(flatten, message, utf8, cte_type)
            wanted = FORMS[form](expected) if isinstance(expected, bytes) else expected
            if got[0] != wanted:
                found.append(f"{name}, {utf8=}, {cte_type=}: {_apart(got[0], wanted)}")
            elif got[1] != drawn:
                found.append(f"{name}, {utf8=}, {cte_type=}: boundaries were drawn otherwise")
    if snapshot(message) != before:
        found.append(f"the message changed: {before} became {snapshot(message)}")
    return found


def _apart(got: Any, expected: Any) -> str:
    if isinstance(got, tuple) and isinstance(expected, tuple) and got[0] != expected[0]:
        got, expected = got[0], expected[0]
    if not isinstance(got, bytes) or not isinstance(expected, bytes):
        return f"{got!r} instead of {expected!r}"
    at = next((i for i, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), None)  # noqa: B905
    at = min(len(got), len(expected)) if at is None else at
    start = max(0, at - 60)
    return f"at {at}: ...{got[start : at + 60]!r} instead of ...{expected[start : at + 60]!r}"


def snapshot(thing: Any) -> Any:
    """All that a message holds, down to the objects, as something to compare."""
    if isinstance(thing, Message):
        return type(thing), {name: snapshot(value) for name, value in vars(thing).items()}
    if isinstance(thing, (list, tuple)):
        return type(thing), id(thing) if type(thing) is list else 0, [snapshot(one) for one in thing]
    if isinstance(thing, Charset):
        return id(thing), {name: snapshot(value) for name, value in vars(thing).items()}
    if isinstance(thing, Header):
        # Its chunks are joined by whoever looks at it, and mean the same.
        return id(thing), str(thing)
    if isinstance(thing, str) and type(thing) is not str:
        return id(thing), str(thing), getattr(thing, "name", None)
    if isinstance(thing, Exception):
        return type(thing), str(thing)
    return thing if isinstance(thing, (str, bytes, int, type(None))) else id(thing)
