"""Header fields in pure Python (RFC 5322 section 2.2): the twin of ``_speedups/fields.pxi``.

They fit on their line, are folded at white space, or have encoded words in unstructured text. For all others
each function answers None: the policy of the standard library folds them then.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ..constants import ADDRESSES, DATE, OTHER_WORDS, PARAMETERS
from .addresses import address_field, text_of, utf8_field
from .words import fold_words

__all__ = ("serialize_field",)
_CRLF = "\r\n"

_PRINTABLE = b"\t\n\r" + bytes(range(0x20, 0x7F))
# A line of header that the old way of folding leaves alone: no white space at its end, and not that alone.
_match_legacy_source = re.compile(r"[!-~](?:[\t -~]*[!-~])?(?:\r?\n[\t ]+[!-~](?:[\t -~]*[!-~])?)*\Z").match
# One line of text, without what newer releases take for the beginning of an encoded word anywhere in it.
_match_line = re.compile(r"(?!.*=\?)[!-~][\t -~]*\Z").match
_split_lines = re.compile(r"\r?\n").split


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    return name.isascii() and name.isprintable() and " " not in name and ":" not in name and name != ""


def serialize_field(name: str, value: Any, rules: Any) -> bytes | None:
    """Write a header field, with its line end, as the standard library's policy folds it.

    :param rules: of the policy to write it with
    :return: None if it is for the policy
    """
    if rules.legacy:
        return _legacy_field(name, value, rules)
    return _source_field(name, value, rules) if type(value) is str else _header_field(value, rules)


def _legacy_field(name: str, value: Any, rules: Any) -> bytes | None:
    """A field of an old-style message; None if it has to be folded."""
    if type(value) is not str or not _is_name(name) or not _match_legacy_source(value):
        return None
    lines = _split_lines(f"{name}: {value}")
    return "\n".join([*lines, ""]).encode() if max(map(len, lines)) <= rules.limit else None


def _source_field(name: str, value: str, rules: Any) -> bytes | None:
    """A field that a parser took as it was, and that may be folded already."""
    if not _is_name(name) or not value.isascii() or value.encode().translate(None, _PRINTABLE):
        return None
    if "\r" in value:
        if value.count("\r") != value.count("\r\n"):
            return None
        value = value.replace("\r\n", "\n")
    # Each line of what is folded already starts with white space.
    if value.count("\n") != value.count("\n ") + value.count("\n\t"):
        return None
    lines = value.split("\n")
    if len(name) + 2 + len(lines[0]) <= rules.limit and max(map(len, lines)) <= rules.limit:
        return f"{name}: {_CRLF.join(lines)}\r\n".encode()
    value = "".join(lines)
    if not rules.folds or name.lower() in rules.structured or "=?" in value:
        return None
    return _folded_text(name, value, rules)


def _header_field(value: Any, rules: Any) -> bytes | None:
    """A field whose value is a header object of :mod:`email.headerregistry`."""
    bases = type(value).__bases__
    if len(bases) != 2 or bases[1] is not rules.base or type(value).fold is not rules.fold:
        return None
    kind = rules.kinds.get(bases[0])
    name: str = value._name
    if kind is None or not _is_name(name):
        return None
    tree = value._parse_tree
    if kind == ADDRESSES:
        return address_field(name, tree, rules)
    text = str.__str__(value)
    if not text or "\n" in text or "\r" in text or (kind == DATE and not tree):
        return None
    if not text.isascii() and rules.utf8:
        return utf8_field(name, text_of(tree, rules), rules)  # in the value, raw bytes are decoded
    if text.isascii() and len(name) + 2 + len(text) <= rules.limit:
        return f"{name}: {text}\r\n".encode()
    if not rules.folds:
        return None
    if kind == PARAMETERS:
        written: bytes | None = rules.fold_parameters(name, text if text.isascii() else str(tree))
        return written
    if type(tree) is not rules.unstructured or any(type(token) not in rules.terminals for token in tree):
        return None
    return _folded_text(name, text if text.isascii() else "".join(tree), rules)


def _folded_text(name: str, text: str, rules: Any) -> bytes | None:
    """Unstructured text in lines, with encoded words where need be."""
    head = f"{name}: "
    lines = None
    if text.isascii():
        if len(text) < rules.limit:
            # Where the first line has no room for all of it, the next one has.
            return f"{name}:\r\n {text}\r\n".encode() if _match_line(text) else None
        lines = fold_words(head, text, rules.limit, OTHER_WORDS, False)
    if lines is None and rules.words:
        lines = fold_words(head, text, rules.limit, rules.words, False)
    return None if lines is None else _CRLF.join([*lines, ""]).encode()
