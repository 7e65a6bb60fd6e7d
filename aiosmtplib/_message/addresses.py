"""A parser of addresses and address lists, with or without display names (RFC 5322 section 3.4).

It takes the place of :mod:`email.utils`, whose parser became strict within several Python series, and where
it is lenient reads ``a@b> AUTH=<c`` as ``a@b``. This one gives the same results on every Python: it reads a
well-formed address as :mod:`email.utils` does, and refuses a text that could hold a second address or inject
a parameter. It also saves the import of :mod:`email.utils`, which loads sockets and dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._codec import plain_address

#: How many characters of a malformed address an error quotes.
_ECHOED = 200
_WHITE_SPACE = " \t\r\n"

# The patterns are texts, which ``re`` compiles and caches on first use: plain addresses do not need them.

# RFC 5322 section 3.2: quoted-string, domain-literal, atoms with their dots and at-signs, white space, and
# any other single character.
_LEXEME = r"""(?xs)
      "[^"\\]*(?:\\.[^"\\]*)*"
    | \[[^][<>()"\\]*\]
    | [^][<>()",:;\\\ \t\r\n]+
    | (?P<space>[\ \t\r\n]+)
    | .
    """

_SEPARATORS = frozenset(",;")

# A path on the wire, without < and >. It allows more than the Mailbox of RFC 5321 section 4.1.2: the server
# judges dots in odd places or a missing domain. Nothing that matches can end the path or the line.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_QUOTED = rf'"(?:[^"\\{_CONTROL}]|\\[^{_CONTROL}])*"'
_WORD = rf'[^][<>()",:;\\\s{_CONTROL}]+'
_LITERAL = rf'\[[^][<>()",;\\\s{_CONTROL}]*\]'
_PATH = rf"{_QUOTED}(?:@(?:{_WORD}|{_LITERAL})?)?|{_WORD}(?:(?<=@){_LITERAL})?"


def parse_address(address: str) -> str:
    """The address in a text, without display name and angle brackets (RFC 5321 section 4.1.2).

    An empty text gives ``""``, the null reverse-path (RFC 5321 section 4.5.5). A ``>`` at the end may be
    missing.

    :param address: one address, with or without a display name
    :raises ValueError: if there is no address or more than one, or it could inject a parameter or a command
    :raises TypeError: if it is not a ``str``
    """
    if not isinstance(address, str):
        raise TypeError(f"An address must be a str, not {type(address).__name__}")
    plain = plain_address(address)
    if plain is not None:
        return plain
    address = address.strip(_WHITE_SPACE)
    if not address:
        return ""
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", address):
        raise _invalid(address, "it holds a control character")
    found = _mailboxes(address)
    if len(found) != 1:
        raise _invalid(address, f"it holds {len(found) or 'no'} addresses instead of one")
    if not found[0]:
        raise _invalid(address, 'nothing stands between "<" and ">"; the null reverse-path is ""')
    return found[0]


def quote_address(address: str) -> str:
    """The path of an address: ``"<local@domain>"``, and ``"<>"`` for ``""`` (RFC 5321 section 4.1.2).

    :param address: one address, with or without a display name
    :raises ValueError: as :func:`parse_address` does
    :raises TypeError: if it is not a ``str``
    """
    return f"<{parse_address(address)}>"


def _mailboxes(text: str) -> list[str]:
    """The addresses of an address-list (RFC 5322 section 3.4), ``""`` for ``<>``.

    :raises ValueError: if it is malformed
    """
    found: list[str] = []
    words: list[str] = []  # of the address, or of the display name before <
    has_at = False  # whether the words have an at-sign outside of quotes
    path: list[str] | None = None  # after <
    closed = False  # whether the > was read
    for piece in _pieces(text):
        if piece == "<":
            if path is not None:
                raise _invalid(text, 'it has more than one "<"')
            path = []
        elif piece == ">":
            if path is None or closed:
                raise _invalid(text, 'it has a ">" without "<"')
            closed = True
        elif piece in _SEPARATORS and (path is None or closed):
            found += _mailbox(text, words, has_at, path)
            words, has_at, path, closed = [], False, None, False
        elif closed:
            if piece != " ":
                raise _invalid(text, 'it goes on after ">"')
        elif path is not None:
            path.append(piece)
        elif piece == ":" and not has_at:
            words = []  # the name of a group
        else:
            words.append(piece)
            has_at = has_at or ("@" in piece and piece[0] != '"')
    return found + _mailbox(text, words, has_at, path)


def _mailbox(text: str, words: list[str], has_at: bool, path: list[str] | None) -> list[str]:
    """The address of one element of an address-list; an empty list for an empty element."""
    if path is None:
        return [_path(text, words)] if words not in ([], [" "]) else []
    address = _path(text, path) if path not in ([], [" "]) else ""
    # Of "x@y <a@b>", one reader takes the first address and another the second.
    if has_at and "".join(words).strip() != address:
        raise _invalid(text, 'it has an "@" before "<"')
    return [address]


def _path(text: str, pieces: list[str]) -> str:
    local = ""
    rest = pieces[1:] if pieces[0] == " " else pieces
    if rest[0][0] == '"':
        local, *rest = rest
    path = local + re.sub(r" ?([.@]) ?", r"\1", "".join(rest)).rstrip(" ")
    if not re.fullmatch(_PATH, path):
        raise _invalid(text, "it has blanks or other characters where an SMTP mailbox must not have them")
    return path


def _pieces(text: str) -> Iterator[str]:
    """The lexical tokens of a header field; a run of white space and comments is one blank."""
    next_piece = re.compile(_LEXEME).match
    position = 0
    after_blank = False
    while match := next_piece(text, position):
        piece, position = match[0], match.end()
        if piece == '"':
            raise _invalid(text, "a quoted string has no end")
        if piece == "(":
            position = _end_of_comment(text, position)
        blank = piece == "(" or match.lastgroup == "space"
        if not blank:
            yield piece
        elif not after_blank:
            yield " "
        after_blank = blank


def _end_of_comment(text: str, position: int) -> int:
    # Comments nest, and a quotation mark has no meaning in one (RFC 5322 section 3.2.2).
    next_mark = re.compile(r"(?s)\\.|[()]").search
    depth = 1
    while depth:
        match = next_mark(text, position)
        if match is None:
            raise _invalid(text, "a comment has no end")
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        position = match.end()
    return position


def _invalid(text: str, reason: str) -> ValueError:
    return ValueError(f"Not an address for SMTP: {text[:_ECHOED]!a}: {reason}")
