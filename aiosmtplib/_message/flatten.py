"""Flattening of messages, with each header field kept in its place: by the codec or the standard library.

What the codec leaves to the standard library is written by its generator. This is a module of its own because
the generator and the policies are slow to import; ``email.py`` asks for it when the first message comes.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Callable
from copy import copy
from email.errors import HeaderParseError
from email.generator import BytesGenerator
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message
from email.policy import Compat32, EmailPolicy
from io import BytesIO
from typing import Any, Final

from .._codec import (
    encode_message,
    normalize_newlines,
    plain_addresses,
    serialize_field,
    serialize_message,
)
from .._codec.constants import CHUNK, DATA, NEWER_WORDS, OLDER_WORDS, OTHER_WORDS, PLAIN
from .._codec.types import Data
from . import samples
from .phrases import has_bytes, repeated, with_addresses
from .rules import Rules
from .specs import AsciiRegistry, ascii_specs

__all__ = ("flatten", "flatten_for", "generate", "rules_for", "serialize")

# A line break that does not fold (RFC 5322 section 2.2.3): what follows it would be a header field of its
# own, or the body. A lone CR counts, since it becomes CRLF on the wire.
_breaks_out = re.compile(rb"\r(?![ \t\n])|\n(?![ \t])").search
_fold_properly = re.compile(rb"[\r\n][\r\n \t]*").sub


#: Characters of the longest source field that is parsed to be folded, if it is no plain list of addresses.
_PARSED: Final = 2000

# A name of a parameter that is too long: after "type;", and not after "=".
_quoted_strings = re.compile(r'"(?:[^"\\]|\\.)*"').sub
_unfold = re.compile(r"[\r\n]+").sub
_has_long_name = re.compile(r"(?:\A|[;)\s])[^\s;=\"()]{41}").search


class _SMTPPolicy(EmailPolicy):
    #: For a generator: the rules by which the codec writes the fields that it can.
    rules: Rules | None = None

    def fold_binary(self, name: str, value: Any) -> bytes:
        if self.rules is not None and (field := _by_codec(self, self.rules, name, value)) is not None:
            return field
        if isinstance(value, str) and name.lower() in ("content-type", "content-disposition"):
            _check_parameters(name, value)
        if type(value) is str and len(value) > _PARSED and self._is_slow(name, value):
            # Encoded and folded as in an old-style message: in linear time, and the addresses stay readable.
            return _LegacyPolicy(linesep=self.linesep, cte_type=self.cte_type).fold_binary(name, value)
        if not self.utf8:
            if type(value) is str and not _is_received(value):
                # As newer Pythons do it by themselves; older ones fail on it.
                value = self.header_factory(name, _unfold("", value))
            value = ascii_specs(value)
        return _contain(super().fold_binary(name, value), b"\r\n")

    def _is_slow(self, name: str, value: str) -> bool:
        """Whether the standard library would parse a source field, to fold it, in quadratic time."""
        return (
            name.lower() in Rules.structured
            and not (self.utf8 and not value.isascii())
            and plain_addresses(value) is None
        )


def _by_codec(policy: EmailPolicy | Compat32, rules: Rules, name: str, value: Any) -> bytes | None:
    """A header field written by the codec; None where it is for the policy."""
    try:
        # A generator takes the limit away where nothing may be folded.
        return serialize_field(name, value, rules if policy.max_line_length else rules.signed)
    except Exception:
        return None  # of several errors the policy's comes first


def _is_received(text: str) -> bool:
    """Whether a field is of ASCII and of 8-bit bytes, which the parsers represent by surrogates."""
    try:
        text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


class _LegacyPolicy(Compat32):
    #: Fields that are there more often than RFC 5322 section 3.6 allows. There is no right way to write them:
    #: they go out as the standard library writes them, and as they always have.
    repeated: frozenset[str] = frozenset()
    rules: Rules | None = None

    def fold_binary(self, name: str, value: Any) -> bytes:
        if self.rules is not None and (field := _by_codec(self, self.rules, name, value)) is not None:
            return field
        if isinstance(value, str) and len(value) > _PARSED:
            value = _contain_long(value)
        raw = self.cte_type != "7bit" and isinstance(value, str) and has_bytes(value)
        if not raw and name.lower() not in self.repeated:
            value = with_addresses(name, value)
        return _contain(super().fold_binary(name, value), self.linesep.encode())


#: How many fields with encoded words are left to the standard library before it is checked how it folds them,
#: which takes as long as it takes to fold some dozens: a program that sends one message does not do it.
_UNCHECKED: Final = 16
_left_unchecked = itertools.count()


class _CheckedRules(Rules):
    """Rules that fold where the running interpreter is seen to fold so."""

    @functools.cached_property
    def folds(self) -> bool:  # type: ignore[override]
        return _folds()

    @functools.cached_property
    def decodes(self) -> bool | None:  # type: ignore[override]
        return _decodes(self.legacy)

    @functools.cached_property
    def generating(self) -> EmailPolicy | Compat32:  # type: ignore[override]
        if not _is_known(self.legacy):
            return self.policy
        return self.policy.clone(rules=self)  # type: ignore[call-arg] # an attribute

    def __getattr__(self, name: str) -> int:
        if name != "words":
            raise AttributeError(name)
        if next(_left_unchecked) < _UNCHECKED:
            return OTHER_WORDS
        self.words = _words()
        return self.words


#: Rules by (old-style, utf8, cte_type).
_RULES: Final = {
    **{
        (False, utf8, cte_type): _CheckedRules(
            _SMTPPolicy(
                linesep="\r\n",
                utf8=utf8,
                cte_type=cte_type,
                header_factory=HeaderRegistry() if utf8 else AsciiRegistry(),
            )
        )
        for utf8 in (False, True)
        for cte_type in ("7bit", "8bit")
    },
    **{
        (True, False, cte_type): _CheckedRules(_LegacyPolicy(cte_type=cte_type))
        for cte_type in ("7bit", "8bit")
    },
}


def rules_for(message: object, utf8: bool, cte_type: str) -> Rules:
    """The rules to write a message by.

    :raises TypeError: if it is none
    :raises ValueError: for another ``cte_type`` than ``"7bit"`` and ``"8bit"``
    """
    if not isinstance(message, Message):
        raise TypeError(f"Expected an email.message.EmailMessage or Message, not {type(message).__name__}")
    # The classes of email.mime take a policy; its kind says what the message holds.
    legacy = not isinstance(message, EmailMessage) and not isinstance(message.policy, EmailPolicy)
    if legacy:
        utf8 = False
    found = _RULES.get((legacy, bool(utf8), cte_type))
    if found is None:
        raise ValueError(f'cte_type must be "7bit" or "8bit", not {cte_type!r}')
    if legacy and (names := repeated(message)):
        return _rules_repeating(names, cte_type)
    return found


@functools.lru_cache(maxsize=8)
def _rules_repeating(names: frozenset[str], cte_type: str) -> Rules:
    return _CheckedRules(_LegacyPolicy(cte_type=cte_type, repeated=names))  # type: ignore[call-arg] # an attribute


def flatten(message: EmailMessage | Message, utf8: bool, cte_type: str) -> bytes:
    """The octets of a message; see :func:`aiosmtplib.email.flatten_message`."""
    rules = rules_for(message, utf8, cte_type)
    written = serialize(message, rules, PLAIN)
    return written[0] if written is not None else generate(message, rules.generating)


def flatten_for(message: EmailMessage | Message, utf8: bool, cte_type: str, chunk: bool) -> tuple[Data, int]:
    """A message encoded for DATA or BDAT, and its number of octets as SIZE counts them (RFC 1870 section 3).

    :param chunk: by BDAT, not by DATA
    """
    rules = rules_for(message, utf8, cte_type)
    written = serialize(message, rules, CHUNK if chunk else DATA)
    if written is not None:
        return written
    content = generate(message, rules.generating)
    if not chunk:
        return encode_message(content)
    content = normalize_newlines(content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return content, len(content)


def serialize(message: EmailMessage | Message, rules: Rules, form: int) -> tuple[bytes, int] | None:
    """A message as the codec writes it, and its size; None where the generator has to write it.

    :param form: see :func:`aiosmtplib._codec.pure.serializer.serialize_message`
    """
    try:
        return serialize_message(message, rules, form) if _is_known(rules.legacy) else None
    except Exception:
        return None  # of several errors the generator's comes first


def generate(message: EmailMessage | Message, policy: EmailPolicy | Compat32) -> bytes:
    """A message as the standard library's generator writes it, without Bcc and Resent-Bcc."""
    # The generator leaves boundaries behind, and for a while its policy: in copies that nobody else sees.
    message = _copied(message)
    del message["Bcc"]
    del message["Resent-Bcc"]
    buffer = BytesIO()
    BytesGenerator(buffer, policy=policy).flatten(message)
    return buffer.getvalue()


@functools.cache
def _is_known(legacy: bool) -> bool:
    """Whether this interpreter writes messages of a kind as the codec does; asked before the first one."""
    return _agrees(samples.old_style if legacy else samples.modern)


@functools.cache
def _folds() -> bool:
    """Whether it also folds header fields so; asked before the first that is longer than a line."""
    return _is_known(False) and _agrees(samples.folded)


@functools.cache
def _words() -> int:
    """The rules for encoded words that it follows; asked when there have been some."""
    known = (NEWER_WORDS, OLDER_WORDS) if sys.version_info >= (3, 13) else (OLDER_WORDS, NEWER_WORDS)
    return next((words for words in known if _folds() and _agrees(samples.encoded, words)), OTHER_WORDS)


@functools.cache
def _decodes(legacy: bool) -> bool | None:
    """Whether it decodes a body with 8-bit bytes before it encodes it anew; asked before the first one."""
    return next((decodes for decodes in (False, True) if _agrees_on_bytes(legacy, decodes)), None)


def _agrees_on_bytes(legacy: bool, decodes: bool) -> bool:
    try:
        message = samples.eight_bit(legacy)
        rules = Rules(rules_for(message, False, "7bit").policy)
        rules.decodes = decodes
        written = serialize_message(message, rules, PLAIN)
        return written is not None and written[0] == generate(message, rules.policy)
    except Exception:  # of any kind: it is not the library that the codec knows
        return False


def _agrees(sample: Callable[[], EmailMessage | Message], words: int = OTHER_WORDS) -> bool:
    """Whether this interpreter's generator writes the sample as the codec does, but for what is by chance.

    :param words: the rules for encoded words; without any, the sample is written with UTF-8
    """
    try:
        message = sample()
        rules = Rules(rules_for(message, not words, "8bit").policy)
        rules.words = words
        written = serialize_message(message, rules, PLAIN)
        expected = generate(message, rules.policy)
        if written is None or words:  # with them, nothing is by chance
            return written is not None and written[0] == expected
        return _without_digits(written[0]) == _without_digits(expected)
    except Exception:  # of any kind: it is not the library that the codec knows
        return False


def _without_digits(content: bytes) -> bytes:
    # Not by seeding the source of chance, from which other threads may draw.
    return content.translate(_DIGITS)


def _copied(message: Any) -> Any:
    """A copy of a message and of all its parts. The header fields are shared until one is deleted."""
    kind = type(message)
    if kind is EmailMessage or kind is Message:
        copied: Any = object.__new__(kind)  # as copy does, in a third of the time
        copied.__dict__.update(message.__dict__)
    else:
        copied = copy(message)
    payload = copied._payload
    if isinstance(payload, list):
        copied._payload = [_copied(part) if isinstance(part, Message) else part for part in payload]
    elif isinstance(payload, Message):
        copied._payload = _copied(payload)
    return copied


def _check_parameters(name: str, value: str) -> None:
    """Refuse what the standard library folds for ever: no room for a value is left on a line.

    :raises ValueError: for the name of a parameter that is longer than 40 characters
    """
    if _has_long_name(_quoted_strings('""', str(value).partition(";")[2])):
        raise ValueError(f"A parameter of the {name} field has a name of more than 40 characters")


def _contain(field: bytes, linesep: bytes) -> bytes:
    """Fold a header field at the line breaks that its value, or a lenient parser, has put in.

    Old-style messages take any text for a value, and the generator writes it as it is, on every Python
    up to at least 3.13. Older ones do so with what an :class:`~email.message.EmailMessage` parsed, too.
    """
    if not _breaks_out(field, 0, len(field) - len(linesep)):
        return field
    if field[:1] in (b"\r", b"\n"):  # folded, it would still be behind an empty line
        raise ValueError("The name of a header field must not begin with a line break")
    return _fold_properly(linesep + b" ", field.rstrip(b"\r\n")) + linesep


def _contain_long(value: str) -> str:
    """The same for the value of a field, before the standard library looks for header fields in it.

    It does so in quadratic time where line breaks are followed by no white space.

    :raises email.errors.HeaderParseError: if the value holds a header field, as there
    """
    octets = value.encode("utf-8", "surrogatepass")
    if not _breaks_out(octets):
        return value
    if any(0 <= run.find(b"\n") < run.rfind(b":") - 1 for run in re.split(rb"[ \t]", octets)):
        raise HeaderParseError("A header value of an old-style message holds a header field")
    return _fold_properly(b"\n ", octets.rstrip(b"\r\n")).decode("utf-8", "surrogatepass")


_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
