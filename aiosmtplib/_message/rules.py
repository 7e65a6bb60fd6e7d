"""Rules of the standard library for a serialiser of messages: policies, headers and content types.

The serialisers themselves (in ``_codec/pure/`` and ``_speedups/``) know the format and nothing of
:mod:`email`, which is slow to import. They are handed :class:`Rules`. Whatever is not described here they
leave to the generator of the standard library, a header field or a whole message at a time.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from email import _header_value_parser as parser
from email import headerregistry as registry
from email.message import Message
from email.policy import Compat32, EmailPolicy
from functools import lru_cache
from typing import Final, TypeAlias

from .._codec.constants import (
    ADDRESSES,
    BODY,
    DATE,
    DELIVERY_STATUS,
    MESSAGE,
    MULTIPART,
    PARAMETERS,
    SIGNED,
    TEXT,
)
from .recoding import recoded

__all__ = ("Rules",)

_Policy: TypeAlias = "EmailPolicy | Compat32"

_KINDS: Final[dict[type, int]] = {
    registry.UnstructuredHeader: TEXT,
    registry.UniqueUnstructuredHeader: TEXT,
    registry.MIMEVersionHeader: TEXT,
    registry.ContentTransferEncodingHeader: TEXT,
    registry.MessageIDHeader: TEXT,
    registry.DateHeader: DATE,
    registry.UniqueDateHeader: DATE,
    registry.AddressHeader: ADDRESSES,
    registry.UniqueAddressHeader: ADDRESSES,
    registry.SingleAddressHeader: ADDRESSES,
    registry.UniqueSingleAddressHeader: ADDRESSES,
    registry.ContentTypeHeader: PARAMETERS,
    registry.ContentDispositionHeader: PARAMETERS,
}

#: Methods that the generator calls on a message. A subclass that overrides one is left to the generator.
_METHODS = (
    *("__contains__", "__getattribute__", "__getitem__", "__iter__", "__len__", "_get_params_preserve"),
    *("get", "get_all", "get_boundary", "get_content_charset", "get_content_maintype", "get_content_subtype"),
    *("get_content_type", "get_default_type", "get_param", "get_params", "get_payload", "is_multipart"),
    *("items", "raw_items", "replace_header", "set_boundary"),
)
_ATTRIBUTES = (
    "__getattr__",
    "_default_type",
    "_headers",
    "_payload",
    "_write_headers",
    "epilogue",
    "preamble",
)

# A plain content type: no comment, no escape, nothing encoded, so that every parser reads the same.
_PARAMETER = (
    r""";[ \t]*(?:\r?\n[ \t]+)?([A-Za-z0-9-]+)=(?:"([^"\\\x00-\x1f\x7f-\U0010ffff]*)"|([A-Za-z0-9._+-]+))"""
)
_match_type = re.compile(r"([A-Za-z0-9]+)/([A-Za-z0-9.+-]+)(?:;|\Z)").match
_match_content_type = re.compile(
    rf"([A-Za-z0-9]+/[A-Za-z0-9.+-]+)((?:{_PARAMETER})*)(?P<end>;?[ \t]*)\Z"
).match
_find_parameters = re.compile(_PARAMETER).findall
# Not what is written as an address or a quoted string: it would be taken out of its brackets.
_match_boundary = re.compile(r"(?=[^< ])(?:[ -~](?<![\"\\])){0,199}[!-~](?<![\"\\])\Z").match

_BOUNDARY_FORMAT = f"%0{len(repr(sys.maxsize - 1))}d"


class Rules:
    """Rules by which the running interpreter's generator writes messages with one policy.

    :ivar policy: folds the fields that the serialiser does not
    :ivar generating: the same policy for a generator, which writes by the codec the fields that it can
    :ivar legacy: whether it is the policy of old-style messages
    :ivar utf8: whether header fields may hold UTF-8 (RFC 6532)
    :ivar eight_bit: whether bodies may hold 8-bit bytes
    :ivar newline: the line end
    :ivar limit: the longest line of a header field, in characters
    :ivar folds: whether long fields are folded as this interpreter does it; see ``_message/flatten.py``
    :ivar words: the rules for encoded words that it follows, as ``_codec/constants.py`` names them
    :ivar decodes: whether it decodes a body before it encodes it anew; None if that is not known
    :ivar base: the class that all header objects of the standard library derive from
    :ivar fold: how they fold themselves, if they do not know better
    :ivar kinds: what is known of their classes
    :ivar structured: the lower-case names of the fields that are parsed before they are folded
    :ivar terminals: the classes of tokens that are their own text
    :ivar lists: the classes of tokens whose text is that of their parts
    :ivar quoted: the classes of other tokens that do not change how a list is folded
    :ivar in_quotes: the class of what is between quotation marks
    :ivar quoted_string: the class of the token around it
    :ivar nested: the classes of tokens around a mailbox, which is alone in each
    :ivar named: the classes of the tokens of a mailbox with a display name
    :ivar unstructured: the class of the tokens of unstructured text
    :ivar signed: the rules within a multipart/signed: nothing is folded there (RFC 1847 section 2.1)
    """

    folds = True
    words: int
    generating: _Policy
    decodes: bool | None = None
    base = registry.BaseHeader
    fold = staticmethod(registry.BaseHeader.fold)
    kinds = _KINDS
    structured = frozenset(registry.HeaderRegistry().registry) - {"subject"}
    unstructured = parser.UnstructuredTokenList
    terminals = frozenset({parser.ValueTerminal, parser.WhiteSpaceTerminal})
    lists = frozenset(
        found
        for found in vars(parser).values()
        if isinstance(found, type)
        and issubclass(found, parser.TokenList)
        and found.__str__ is parser.TokenList.__str__
    ) - {parser.EncodedWord}
    quoted = frozenset({parser.BareQuotedString, parser.Comment})
    in_quotes = parser.BareQuotedString
    quoted_string = parser.QuotedString
    nested = (parser.Address, parser.Mailbox)
    named = (parser.DisplayName, parser.AngleAddr)

    def __init__(self, policy: _Policy) -> None:
        self.policy = policy
        self.legacy = isinstance(policy, Compat32)
        self.utf8 = bool(getattr(policy, "utf8", False))
        self.eight_bit = policy.cte_type == "8bit"
        self.newline = policy.linesep.encode()
        self.limit = policy.max_line_length or sys.maxsize
        self.signed = type(self)(policy.clone(max_line_length=0)) if policy.max_line_length else self

    accepts: Callable[[type], bool]
    content_type: Callable[[str], tuple[int, str | None] | None]

    def recoded(self, message: Message) -> Message | None:
        """A part whose 8-bit body has been encoded, for a policy that allows none; or None."""
        if self.decodes is None:
            return None
        found: Message | None = recoded(message, self.policy, self.decodes)
        return found

    @staticmethod
    def new_boundary() -> str:
        """A boundary (RFC 2046 section 5.1.1) of the standard library's form, from its source of chance."""
        return "=" * 15 + _BOUNDARY_FORMAT % random.randrange(sys.maxsize) + "=="  # noqa: S311 # as there

    def with_boundary(self, name: str, value: str, boundary: str) -> bytes:
        """The Content-Type field with the boundary that it lacks."""
        found = _match_content_type(value)
        assert found is not None, "content_type() has read it"
        parameters = [(key, quoted or bare) for key, quoted, bare in _find_parameters(found[2])]
        parameters.append(("boundary", boundary))
        text = "; ".join([found[1], *(f'{key}="{content}"' for key, content in parameters)])
        if len(name) + 2 + len(text) <= self.limit:
            return f"{name}: {text}".encode() + self.newline
        folded = self.fold_parameters(name, text) if self.folds and not self.legacy else None
        if folded is not None:
            return folded
        return self.policy.fold_binary(name, self.policy.header_store_parse(name, text)[1])

    def fold_parameters(self, name: str, text: str) -> bytes | None:
        """A field that is longer than a line, or not of ASCII, folded between parameters; or None."""
        head, *parameters = text.split("; ")
        line = f"{name}: {head}"
        if len(line) >= self.limit or not head.isascii() or head.endswith(";"):
            return None
        lines = []
        for text in parameters:
            found = _match_parameter(text)
            if found is None or (not self.words and not text.isascii()):
                return None
            parameter = text if text.isascii() else f"{found[1]}*=utf-8''{_percent_encoded(found[2])}"
            line += ";"
            if len(line) + len(parameter) + 1 < self.limit:
                line += " " + parameter
            elif len(parameter) + 2 <= self.limit:
                lines.append(line)
                line = " " + parameter
            elif self.words:
                lines.append(line)
                *whole, line = self._sections(
                    found[1], found[2], "us-ascii" if text.isascii() and not self.utf8 else "utf-8"
                )
                lines += whole
            else:
                return None
        lines += (line, "")
        return "\r\n".join(lines).encode()

    def _sections(self, name: str, value: str, charset: str) -> list[str]:
        """The lines of a parameter that is longer than one (RFC 2231 section 3)."""
        lines: list[str] = []
        charset += "''"
        while value:
            before = f" {name}*{len(lines)}*={charset}"
            room = self.limit - len(before) - 1  # for the semicolon
            count = 0
            for character in value:
                room -= len(_percent_encoded(character))
                if room < 0:
                    break
                count += 1
            lines.append(f"{before}{_percent_encoded(value[:count])};")
            charset = ""
            value = value[count:]
        lines[-1] = lines[-1][:-1]
        return lines


#: A plain parameter: no escape, no control character, no raw byte.
_match_parameter = re.compile(r'([A-Za-z0-9-]{1,40})="([^"\\\x00-\x1f\x7f-\x9f\ud800-\udfff]+)"\Z').match


@lru_cache(maxsize=256)
def _percent_encoded(text: str) -> str:
    """A value of a parameter in the alphabet of RFC 2231 section 7."""
    return "".join(map(_PERCENT.__getitem__, text.encode()))


_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_PERCENT: Final = [chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in range(256)]


@lru_cache(maxsize=256)
def _content_type(text: str) -> tuple[int, str | None] | None:
    """The kind of the body and its boundary, from a Content-Type value; None where that is not clear."""
    bare = _match_type(text)
    if bare is None:
        return None
    main, sub = bare[1].lower(), bare[2].lower()
    if main not in ("message", "multipart"):
        return BODY, None
    found = _match_content_type(text)
    if found is None or "=?" in text:
        return None
    parameters = [(key.lower(), quoted or bare) for key, quoted, bare in _find_parameters(found[2])]
    names = [key for key, _ in parameters]
    if len(set(names)) < len(names) or not all(content for _, content in parameters):
        return None
    if main == "message":
        return DELIVERY_STATUS if sub == "delivery-status" else MESSAGE, None
    boundary = dict(parameters).get("boundary")
    if found["end"] if boundary is None else not _match_boundary(boundary):
        return None  # a semicolon at the end is no place for a boundary of ours
    return SIGNED if sub == "signed" else MULTIPART, boundary


@lru_cache(maxsize=64)
def _accepts(kind: type) -> bool:
    """Whether a class of messages overrides nothing that the serialiser relies on."""
    return (
        issubclass(kind, Message)
        and all(getattr(kind, name) is getattr(Message, name) for name in _METHODS)
        and not any(name in vars(base) for base in kind.__mro__ for name in _ATTRIBUTES)
    )


Rules.accepts = staticmethod(_accepts)
Rules.content_type = staticmethod(_content_type)
