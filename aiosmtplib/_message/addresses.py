"""A parser of addresses and address lists, with or without display names (RFC 5322 section 3.4).

It takes the place of :mod:`email.utils`, whose parser became strict within several Python series, and where
it is lenient reads ``a@b> AUTH=<c`` as ``a@b``. This one gives the same results on every Python: it reads a
well-formed address as :mod:`email.utils` does, and refuses a text that could hold a second address or inject
a parameter. It also saves the import of :mod:`email.utils`, which loads sockets and dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

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

# Control characters, but for tabs and for line ends before white space, which is folding.
_NOT_IN_LINE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\n(?![ \t])"

# RFC 2047 section 2.
_ENCODED_WORD = r"=\?[^? ]+\?[BbQq]\?"

_SEPARATORS = frozenset(",;")

# A path on the wire, without < and >. It allows more than the Mailbox of RFC 5321 section 4.1.2: the server
# judges dots in odd places or a missing domain. Nothing that matches can end the path or the line.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_QUOTED = rf'"(?:[^"\\{_CONTROL}]|\\[^{_CONTROL}])*"'
_NO_WORD = rf'][<>()",:;\\\s{_CONTROL}'
_WORD = rf"[^{_NO_WORD}]+"
_LITERAL = rf'\[[^][<>()",;\\\s{_CONTROL}]*\]'
_WHOLE = rf"[^@{_NO_WORD}]+@[^@{_NO_WORD}]+"
_PATH = rf"{_QUOTED}(?:@(?:{_WORD}|{_LITERAL})?)?|{_WORD}(?:(?<=@){_LITERAL})?"


def parse_address(address: str) -> str:
    """The address in a text, without display name and angle brackets (RFC 5321 section 4.1.2).

    An empty text gives ``""``, the null reverse-path (RFC 5321 section 4.5.5). A ``>`` at the end may be
    missing. The text may be folded (RFC 5322 section 2.2.3), and an address may be in quotes as a whole.

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
    if re.search(_NOT_IN_LINE, address):
        raise _invalid(address, "it holds a control character")
    found = _addresses(_elements(address))
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


def addresses_in_field(text: str) -> list[str]:
    """The addresses of the address-list in a header field, ``""`` for ``<>``.

    Besides what RFC 5322 section 3.4 allows, it takes what programs write by mistake and all readers read
    alike: a display name that has a comma and no quotes, ``>`` without ``<``, ``<<`` and ``>>``, words after
    ``>``, ``<mailto:a@b>``, a comment without an end. A source route is left out (RFC 5321 section 4.1.1.3).

    :raises ValueError: if it is malformed or ambiguous, or has an encoded word in an address, where none may
        be (RFC 2047 section 5)
    """
    found: list[str] = []
    names: list[_Element] = []
    for element in _elements(text, lenient=True):
        if element.is_name():
            names.append(element)
            continue
        if element.path is None:
            found += _addresses(names)  # no display name came after them
        names = []
        found += element.addresses()
    found += _addresses(names)
    if any(re.search(_ENCODED_WORD, address) for address in found):
        raise _invalid(text, "it has an encoded word in an address")
    return found


class _Element:
    """One element of an address-list, token by token.

    :param text: the whole list, for the error text
    :param lenient: whether it is read as :func:`addresses_in_field` does
    :ivar words: the tokens of its address, or of the display name before ``<``
    :ivar has_at: whether these have an at-sign outside of quotes
    :ivar path: the tokens after ``<``, or ``None``
    :ivar closed: whether the ``>`` was read
    """

    __slots__ = ("closed", "has_at", "lenient", "path", "text", "words")

    def __init__(self, text: str, lenient: bool) -> None:
        self.text = text
        self.lenient = lenient
        self.words: list[str] = []
        self.has_at = False
        self.path: list[str] | None = None
        self.closed = False

    def add(self, piece: str) -> None:
        """Read a token.

        :raises ValueError: if it cannot stand here
        """
        if piece == "<":
            if self.closed or (self.path is not None and (self.path or not self.lenient)):
                raise _invalid(self.text, 'it has more than one "<"')
            self.path = []
        elif piece == ">":
            if (self.path is None or self.closed) and not (self.lenient and (self.has_at or self.closed)):
                raise _invalid(self.text, 'it has a ">" without "<"')
            self.closed = True
        elif self.closed:
            if piece != " " and (not self.lenient or self.path is None or "@" in piece):
                raise _invalid(self.text, 'it goes on after ">"')
        elif self.path is not None:
            self.path.append(piece)
        elif piece == ":" and not self.has_at:
            self.words = []  # the name of a group
        else:
            self.words.append(piece)
            self.has_at = self.has_at or ("@" in piece and piece[0] != '"')

    def is_name(self) -> bool:
        """Whether it is what stands before a comma in a display name, if a display name comes next.

        A single word of ASCII is none: it can be a mailbox of the server, as ``postmaster`` is.
        """
        text = "".join(self.words).strip(" ")
        if self.path is not None or not text or "@" in text:
            return False
        return not text.isascii() or not re.fullmatch(_WORD, text) or bool(re.search(_ENCODED_WORD, text))

    def addresses(self) -> list[str]:
        """Its address as a list; an empty list for an empty element.

        :raises ValueError: if it is malformed or ambiguous
        """
        if self.path is None:
            return [self._read(self.words)] if self.words not in ([], [" "]) else []
        path = self._without_route(self.path)
        address = self._read(path) if path not in ([], [" "]) else ""
        # Of "x@y <a@b>", one reader takes the first address and another the second.
        if self.has_at and "".join(self.words).strip(" ").lower() != address.lower():
            raise _invalid(self.text, 'it has an "@" before "<"')
        return [address]

    def _read(self, pieces: list[str]) -> str:
        address = _in_quotes(pieces, named=self.path is None) or _path(self.text, pieces)
        # The server would judge that, but the parser of the standard library reads no address in it.
        if self.lenient and address[0] != '"' and address.count("@") > 1:
            raise _invalid(self.text, 'it has more than one "@"')
        return address

    def _without_route(self, path: list[str]) -> list[str]:
        if not self.lenient or ":" not in path:
            return path
        end = path.index(":")
        before = "".join(path[:end]).strip(" ").lower()
        return path[end + 1 :] if before == "mailto" or before.startswith("@") else path


def _elements(text: str, lenient: bool = False) -> Iterator[_Element]:
    element = _Element(text, lenient)
    for piece in _pieces(text, lenient):
        if piece in _SEPARATORS and (element.path is None or element.closed):
            yield element
            element = _Element(text, lenient)
        else:
            element.add(piece)
    yield element


def _addresses(elements: Iterable[_Element]) -> list[str]:
    return [address for element in elements for address in element.addresses()]


def _in_quotes(pieces: list[str], named: bool) -> str | None:
    """The address that a program put into quotes as a whole; ``None`` if there is none.

    :param named: whether there may be a display name before it
    """
    *name, last = [piece for piece in pieces if piece != " "]
    if last[0] != '"' or (name and not named) or any("@" in word for word in name):
        return None
    text = last[1:-1]
    if text.endswith(")"):
        return None  # no mailbox, and with a comment it is none that anybody has meant
    return plain_address(text) or (text if re.fullmatch(_WHOLE, text) else None)


def _path(text: str, pieces: list[str]) -> str:
    local = ""
    rest = pieces[1:] if pieces[0] == " " else pieces
    if rest[0][0] == '"':
        local, *rest = rest
    path = local + re.sub(r" ?([.@]) ?", r"\1", "".join(rest)).rstrip(" ")
    if not re.fullmatch(_PATH, path):
        raise _invalid(text, "it has blanks or other characters where an SMTP mailbox must not have them")
    return path


def _pieces(text: str, lenient: bool) -> Iterator[str]:
    """The lexical tokens of a header field; a run of white space and comments is one blank."""
    next_piece = re.compile(_LEXEME).match
    position = 0
    after_blank = False
    while match := next_piece(text, position):
        piece, position = match[0], match.end()
        if piece == '"':
            raise _invalid(text, "a quoted string has no end")
        if piece == "(":
            position = _end_of_comment(text, position, lenient)
        blank = piece == "(" or match.lastgroup == "space"
        if not blank:
            yield piece
        elif not after_blank:
            yield " "
        after_blank = blank


def _end_of_comment(text: str, start: int, lenient: bool) -> int:
    # Comments nest, and a quotation mark has no meaning in one (RFC 5322 section 3.2.2).
    next_mark = re.compile(r"(?s)\\.|[()]").search
    depth, position = 1, start
    while depth:
        match = next_mark(text, position)
        if match is None:
            if lenient and depth == 1 and "@" not in text[start:]:
                return len(text)
            raise _invalid(text, "a comment has no end")
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        position = match.end()
    return position


def _invalid(text: str, reason: str) -> ValueError:
    return ValueError(f"Not an address for SMTP: {text[:_ECHOED]!a}: {reason}")
