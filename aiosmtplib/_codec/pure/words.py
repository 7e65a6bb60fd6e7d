"""Folded text and encoded words (RFC 2047) in pure Python: the twin of ``_speedups/words.pxi``.

The lines are those that the standard library folds, which joins a word to the encoded word before it: it
takes from the line all that follows the place where it believes that one to begin, decodes it, and encodes it
anew with the new word. Two generations of these rules are in use, which differ in what becomes of white
space.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

from ..constants import NEWER_WORDS, OTHER_WORDS

__all__ = ("fold_words",)

#: The shortest encoded word in UTF-8: ``=?utf-8?q??=``.
_EMPTY: Final = 12
#: Characters of the longest line that is folded here.
_LONGEST_LINE: Final = 998

#: What the standard library reads otherwise than as words with white space between them: the beginning of an
#: encoded word, control characters, raw bytes, other white space behind a blank. More than three blanks are
#: folded in further ways.
_is_unusual = re.compile(r"=\?|[\x00-\x08\n-\x1f\x7f\ud800-\udfff]|[ \t](?:[^\S \t]|[ \t]{3})").search
# What matters where no words are encoded.
_is_no_plain_text = re.compile(r"=\?|[^\t -~]").search
_find_tokens = re.compile(r"[ \t]+|[^ \t]+").findall
#: Characters that make the standard library encode a word of a quoted string (RFC 5322 section 3.2.3).
_has_specials = re.compile(r'[()<>@,:;.\\"\[\]]').search

#: RFC 2047 section 4.2 and 5 (3): what stands for itself, and the blank, which becomes an underscore.
_SAFE: Final = b"-!*+/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 "
_Q: Final = [
    "_" if octet == 0x20 else chr(octet) if octet in _SAFE else f"={octet:02X}" for octet in range(256)
]


def fold_words(head: str, text: str, limit: int, words: int, quoted: bool) -> list[str] | None:
    """Lines of text, each as long as can be, with encoded words where need be.

    :param head: what stands on the first line before it
    :param limit: the longest line, in characters
    :param words: ``OLDER_WORDS`` or ``NEWER_WORDS``, the rules to do it by; ``OTHER_WORDS`` to encode none
    :param quoted: whether it is the content of a quoted string
    :return: None where the standard library has to do it
    """
    is_unusual = _is_unusual if words else _is_no_plain_text
    if is_unusual(text) or not len(head) <= limit <= _LONGEST_LINE:
        return None
    newer = words == NEWER_WORDS
    lines: list[str] = []
    line = head
    # Where the library believes that the encoded word of this line begins, if it will
    # join others to it; where it does begin; where in the text that is.
    believed, begins, held = -1, 0, 0
    after_word = False  # nothing but white space since the last encoded word
    position = 0
    for token in _find_tokens(text):
        start = position
        position += len(token)
        blank = token[0] in " \t"
        if token.isascii() and not (quoted and _has_specials(token)):
            if len(line) + len(token) <= limit:
                line += token
                after_word = after_word and blank
                continue
            if len(token) < limit and (blank or line[-1:] in (" ", "\t")):
                line, stolen = _without_blank(line)
                lines.append(line)
                line = stolen + token
                after_word = after_word and blank
                believed = -1
                continue
        if words == OTHER_WORDS:
            return None
        if believed < 0:
            if newer and after_word:
                bare = line.rstrip(" \t")
                start -= len(line) - len(bare)
                line = bare + " "
        elif believed == begins:
            start = held
            line = line[:believed]
        elif believed < len(line):
            return None
        begins, held = len(line), start
        if not newer and text[start] in " \t":
            line += text[start]
            start += 1
        if believed < 0:
            believed = len(line)
        while start < position:
            room = limit - len(line) - _EMPTY
            if room <= 0:
                if newer:
                    line, stolen = _without_blank(line)
                    lines.append(line)
                    line = stolen or " "
                    believed = len(line)
                else:
                    lines.append(line)
                    line = " "
                begins, held = len(line), start
                continue
            count, word = _encoded(text[start:position], room)
            line += word
            start += count
            if start < position:
                lines.append(line)
                line = " "
                believed, begins, held = 1, 1, start
        after_word = True
    lines.append(line)
    return lines


def _without_blank(line: str) -> tuple[str, str]:
    """A line without the blank at its end, and that."""
    return (line[:-1], line[-1]) if line[-1:] in (" ", "\t") else (line, "")


def _encoded(text: str, room: int) -> tuple[int, str]:
    """The longest beginning of a text that fits as an encoded word, as its length and that word.

    :param room: for what is encoded, without charset and delimiters
    """
    raw = text.encode()
    if len(text) <= room:
        readable, short = len(raw) + 2 * len(raw.translate(None, _SAFE)), (len(raw) + 2) // 3 * 4
        if readable - short < 5:
            if readable <= room:
                return len(text), f"=?utf-8?q?{''.join([_Q[octet] for octet in raw])}?="
        elif short <= room:
            return len(text), f"=?utf-8?b?{b64encode(raw).decode()}?="
    count = readable = octets = end = 0
    in_base64 = False
    for number, character in enumerate(text[:room], 1):
        encoded = character.encode()
        octets += len(encoded)
        readable += 3 * len(encoded) if encoded not in _SAFE else 1
        short = (octets + 2) // 3 * 4
        if readable - short < 5:
            if readable <= room:
                count, end, in_base64 = number, octets, False
        elif short <= room:
            count, end, in_base64 = number, octets, True
    raw = raw[:end]
    if in_base64:
        return count, f"=?utf-8?b?{b64encode(raw).decode()}?="
    return count, f"=?utf-8?q?{''.join([_Q[octet] for octet in raw])}?="
