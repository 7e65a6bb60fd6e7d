"""Address lists in pure Python (RFC 5322 section 3.4): the twin of ``_speedups/addresses.pxi``.

Display names are encoded where need be. Each function answers None where the policy of the standard library
has to fold the field.
"""

from __future__ import annotations

import re
from typing import Any

from .words import fold_words

__all__ = ("address_field", "folded", "text_of", "utf8_field")
_CRLF = "\r\n"

# A word that the parser of the standard library has taken apart: there are dots in it, or a comment.
_is_divided = re.compile(r'["(]|[^\t -~][^\t ]*\.|\.[^\t ]*[^\t -~]').search


def utf8_field(name: str, text: str, rules: Any) -> bytes | None:
    if len(name) + 2 + len(text) > rules.limit or "\n" in text or "\r" in text:
        return None
    try:
        return f"{name}: {text}\r\n".encode()
    except UnicodeEncodeError:
        return None


def text_of(tree: Any, rules: Any) -> str:
    """The text of a parse tree, or of a leaf."""
    leaves: list[str] = []
    _collect(tree, leaves, rules)
    return "".join(leaves)


def _collect(tree: Any, leaves: list[str], rules: Any) -> bool:
    """Add the texts of the leaves of a parse tree.

    :return: whether none of them was encoded, which would have a say in where it is folded
    """
    terminals, lists = rules.terminals, rules.lists
    plain = True
    for token in tree:
        kind = type(token)
        if kind in terminals:
            leaves.append(token)
        elif kind in lists:
            plain = _collect(token, leaves, rules) and plain
        else:
            leaves.append(str(token))
            plain = plain and kind in rules.quoted
    return plain


def address_field(name: str, tree: Any, rules: Any) -> bytes | None:
    if type(tree) not in rules.lists:
        return None
    words: list[str] = []
    plain = True
    for token in tree:
        if type(token) in rules.terminals:
            words.append(token)
            continue
        leaves: list[str] = []
        plain = _collect((token,), leaves, rules) and plain
        words.append("".join(leaves))
    text = "".join(words)
    if not plain or not text or "\n" in text or "\r" in text:
        return None
    if not text.isascii() and rules.utf8:
        return utf8_field(name, text, rules)
    encoded = [not word.isascii() for word in words]
    if True not in encoded and len(name) + 2 + len(text) <= rules.limit:
        return f"{name}: {text}\r\n".encode()
    if not rules.folds:
        return None
    if True in encoded:
        if not rules.words:
            return None
        for place, token in enumerate(tree):
            if encoded[place]:
                address = _encoded_address(token, rules)
                if address is None:
                    return None
                words[place] = address
        text = "".join(words)
        if len(text) <= rules.limit:
            fold = " " if len(name) + 2 + len(text) <= rules.limit else "\r\n "
            return f"{name}:{fold}{text}\r\n".encode()
    elif len(text) < rules.limit:
        return f"{name}:\r\n {text}\r\n".encode()
    return folded(f"{name}: ", words, encoded, rules)


def _encoded_address(token: Any, rules: Any) -> str | None:
    """An address whose display name has to be encoded (RFC 2047 section 5 (3)); None if it fills a line."""
    for kind in rules.nested:
        if type(token) is not kind or len(token) != 1:
            return None
        token = token[0]
    if tuple(map(type, token)) != rules.named:
        return None
    path = text_of(token[1], rules)
    name = token[0]
    quoted = len(name) == 1 and type(name[0]) is rules.quoted_string
    if quoted:
        parts = []
        for part in name[0]:
            if type(part) is not rules.in_quotes:
                parts.append(text_of(part, rules))
                if parts[-1].strip(" \t"):
                    return None  # a comment
            elif all(isinstance(text, str) for text in part):
                parts.append("".join(part))
                if parts[-1] != parts[-1].strip(" \t"):
                    return None
            else:
                return None  # the parser found an encoded word
        text = "".join(parts)
    else:
        text = text_of(name, rules)
        if _is_divided(text):
            return None
    if not path.isascii() or "@" not in path:
        return None
    lines = fold_words("", text, rules.limit, rules.words, quoted)
    if lines is None or len(lines) > 1 or len(lines[0]) + len(path) > rules.limit:
        return None
    return lines[0] + path


def folded(line: str, words: list[str], encoded: list[bool], rules: Any) -> bytes | None:
    """The field in lines, each as long as can be; None where a word is longer than a line.

    :param line: its name, as the first line begins
    """
    limit = rules.limit
    lines = []
    for word, whole in zip(words, encoded, strict=True):
        if len(line) + len(word) <= limit:
            line += word
            continue
        if len(word) >= limit and not whole:
            return None
        # The blank before the fold goes to the next line.
        blank = line[-1] if line[-1] in " \t" else ""
        if not blank and word[0] not in " \t":
            return None
        lines.append(line[:-1] if blank else line)
        line = blank + word
    lines += (line, "")
    return _CRLF.join(lines).encode()
