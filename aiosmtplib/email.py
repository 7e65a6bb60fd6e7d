"""Messages and addresses: who sends, who receives, and the bytes of the message (RFC 5322, RFC 5321).

Addresses are read by a parser of our own. That of :mod:`email.utils` has become strict in the middle of
several Python series, and where it is lenient it takes ``a@b> AUTH=<c`` for ``a@b``. This one gives the same
on every Python: what is well-formed reads as it always did, what could be a second address or an injected
parameter is refused. It also keeps :mod:`email.utils`, and with it sockets and dates, out of the import.
"""

import functools
import re
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._codec import pick_fields, plain_address, plain_addresses
from ._steps import Data

if TYPE_CHECKING:
    from email.header import Header
    from email.headerregistry import AddressHeader
    from email.message import EmailMessage, Message

__all__ = (
    "extract_recipients",
    "extract_sender",
    "flatten_message",
    "parse_address",
    "quote_address",
)

_ECHOED = 200
_WHITE_SPACE = " \t\r\n"

# The patterns are for what is not plain: they are compiled by ``re``, and kept by it, when that comes first.

# RFC 5322 section 3.2: quoted-string, domain-literal, atoms with their dots and at-signs, white space, and
# what remains, one by one.
_PIECE = r"""(?xs)
      "[^"\\]*(?:\\.[^"\\]*)*"
    | \[[^][<>()"\\]*\]
    | [^][<>()",:;\\\ \t\r\n]+
    | (?P<space>[\ \t\r\n]+)
    | .
    """
_SEPARATORS = frozenset(",;")

# What may stand between < and > on the wire. More than the Mailbox of RFC 5321 section 4.1.2 allows: dots in
# odd places or a missing domain are for the server to judge. Nothing in it can end the path or the line.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_QUOTED = rf'"(?:[^"\\{_CONTROL}]|\\[^{_CONTROL}])*"'
_WORD = rf'[^][<>()",:;\\\s{_CONTROL}]+'
_LITERAL = rf'\[[^][<>()",;\\\s{_CONTROL}]*\]'
_PATH = rf"{_QUOTED}(?:@(?:{_WORD}|{_LITERAL})?)?|{_WORD}(?:(?<=@){_LITERAL})?"

_LIKELY_ADDRESS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+"


def parse_address(address: str) -> str:
    """The one address in ``address``, with or without a display name, as it goes between ``<`` and ``>``.

    An empty string stays one: it is the null reverse-path (RFC 5321 section 4.5.5). The ``>`` may be missing
    at the end.

    :raises ValueError: if there is no address or more than one, or if it holds what could inject a parameter
        or a command
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

    :raises ValueError: as :func:`parse_address` does
    """
    return f"<{parse_address(address)}>"


def extract_addresses(header: "str | AddressHeader | Header") -> list[str]:
    """The addresses in the value of one header field, in their order, groups dissolved, ``""`` for ``<>``.

    :raises ValueError: if the value is not a list of addresses, or reads as different ones
    """
    parsed = getattr(header, "addresses", None)
    if parsed is not None:
        _check_unambiguous(header)
        specs = [address.addr_spec for address in parsed]
        return ["" if spec == "<>" else _decode_surrogates(spec) for spec in specs]
    text = _header_text(header)
    found = plain_addresses(text)
    return _mailboxes(text) if found is None else found


def extract_sender(message: "EmailMessage | Message") -> str | None:
    """The address that the message comes from: ``Sender``, else the first in ``From``, or None.

    RFC 5322 section 3.6.2. Where the message was resent, that of ``Resent-Sender`` or ``Resent-From``
    (section 3.6.6).

    :raises ValueError: for more than one Resent block, or a header field that is not a list of addresses
    """
    return sender_in(message, address_fields(message))


def extract_recipients(message: "EmailMessage | Message") -> list[str]:
    """All addresses in ``To``, ``Cc`` and ``Bcc``, in this order, repeated ones repeated.

    Where the message was resent, those of ``Resent-To``, ``Resent-Cc`` and ``Resent-Bcc`` (RFC 5322 section
    3.6.6).

    :raises ValueError: as :func:`extract_sender` does
    """
    return recipients_in(message, address_fields(message))


def flatten_message(message: "EmailMessage | Message", utf8: bool = False, cte_type: str = "8bit") -> bytes:
    """The bytes of a message, without ``Bcc`` and ``Resent-Bcc``. The message itself is not changed.

    An ``EmailMessage`` is written with CRLF, an old-style ``Message`` with LF, whatever their policies say:
    those are for reading and building a message. Line breaks in a header value become folding white space.

    :param utf8: write the header fields of an ``EmailMessage`` as UTF-8 (RFC 6532), not encoded (RFC 2047)
    :param cte_type: ``"8bit"``, or ``"7bit"`` to have 8-bit parts encoded
    :raises ValueError: for another ``cte_type``; or for a content type whose parameters have names of more
        than 40 characters, which cannot be folded
    :raises TypeError: if ``message`` is no message
    :raises email.errors.HeaderParseError: if a value in an old-style message holds a whole header field
    """
    content: bytes = _flattening().flatten(message, utf8, cte_type)
    return content


def flatten_for(
    message: "EmailMessage | Message", utf8: bool, cte_type: str, chunk: bool
) -> tuple[Data, int]:
    """The same as it goes out, and its number of octets as SIZE counts it (RFC 1870 section 3).

    :param chunk: by BDAT, not by DATA
    """
    ready: tuple[Data, int] = _flattening().flatten_for(message, utf8, cte_type, chunk)
    return ready


@functools.cache
def _flattening() -> ModuleType:
    from . import _flatten  # slow to import

    return _flatten


_FIELDS = ("sender", "from", "to", "cc", "bcc")
_RESENT = ("resent-sender", "resent-from", "resent-to", "resent-cc", "resent-bcc")
_ALL_FIELDS = ("resent-date", *_FIELDS, *_RESENT)


def address_fields(message: "EmailMessage | Message") -> list[list[Any]]:
    """The values of ``Sender``, ``From``, ``To``, ``Cc`` and ``Bcc``, or of their Resent forms, as stored."""
    kind: type = type(message)
    if _is_stored(kind):
        all_found: list[list[Any]] = pick_fields(message.raw_items(), _ALL_FIELDS)
    elif hasattr(message, "get_all"):
        all_found = [message.get_all(name, []) for name in _ALL_FIELDS]
    else:
        raise TypeError(f"Expected an email.message.EmailMessage or Message, not {type(message).__name__}")
    dates = len(all_found[0])
    if dates == 0:
        return all_found[1:6]
    if dates == 1:
        return all_found[6:]
    raise ValueError("The message has more than one block of Resent- header fields: which one counts?")


@functools.lru_cache(maxsize=64)
def _is_stored(kind: type) -> bool:
    """Whether messages of this class give away what they store, which the policy need not have parsed."""
    from ._message_rules import Rules  # slow to import, and needed for the first message anyway

    return Rules.accepts(kind)


def sender_in(message: "EmailMessage | Message", fields: list[list[Any]]) -> str | None:
    """What :func:`extract_sender` finds in them."""
    for place in (0, 1):
        for value in fields[place][:1]:
            try:
                found = _addresses_in(message, _FIELDS[place], value)
            except ValueError:
                # Old-style messages take any text for a header field. One with a line break in it has always
                # been sent, from the address that can be made out; flatten_message keeps the rest harmless.
                text = str(value)
                likely = re.search(_LIKELY_ADDRESS, text)
                if likely is None or ("\n" not in text and "\r" not in text):
                    raise
                return likely[0]
            if found:
                return found[0]
    return None


def recipients_in(message: "EmailMessage | Message", fields: list[list[Any]]) -> list[str]:
    """What :func:`extract_recipients` finds in them."""
    found = []
    for place in (2, 3, 4):
        for value in fields[place]:
            found += _addresses_in(message, _FIELDS[place], value)
    return [address for address in found if address]


def _addresses_in(message: "EmailMessage | Message", name: str, value: Any) -> list[str]:
    """The addresses in the value of a field as the message stores it."""
    # The text of a header object of the standard library is what it has parsed, written in the one way.
    if type(value) is str or (
        isinstance(value, str)
        and _is_of_the_registry(type(value).__bases__)
        and not getattr(value, "defects", ())
    ):
        plain = plain_addresses(value)
        if plain is not None:
            return plain
    return extract_addresses(_parsed(message, name, value))


@functools.lru_cache(maxsize=64)  # of the bases, since each object has a class of its own
def _is_of_the_registry(bases: tuple[type, ...]) -> bool:
    return all(base.__module__ == "email.headerregistry" for base in bases)


def _parsed(message: "EmailMessage | Message", name: str, value: Any) -> Any:
    """:raises ValueError: where the parser fails: on hostile text it raises whatever comes to it"""
    try:
        return message.policy.header_fetch_parse(name, value)
    except Exception as error:
        raise ValueError(
            f"The {name} header field cannot be read: {type(error).__name__}: {error}"
        ) from error


def _check_unambiguous(header: Any) -> None:
    """Refuse what the parser of the standard library gave up on, or read as more or less than is there.

    Where something follows an address, as in ``a@b <c@d>``, it takes the first and goes on; where it finds
    none, as in ``a@b@c``, it leaves one out. An encoded word in an address (RFC 2047 section 5 forbids it) it
    decodes and reads again, so that a comma in it makes two addresses of one. The mail would go to others
    than are read. Our own reader has the last word: that the same address is there twice is no harm.
    """
    if not header.defects:
        return
    tree = getattr(header, "_parse_tree", ())
    if _holds(tree, "obs-local-part", "encoded-word", within="addr-spec"):
        raise _invalid(str(tree), "it has an encoded word, or blanks, in an address")
    for token in getattr(tree, "all_mailboxes", ()):
        if token.token_type == "invalid-mailbox":  # noqa: S105
            read = "" if token.local_part is None else token.addr_spec
            if _mailboxes(_decode_surrogates(str(token))) != [read]:
                raise _invalid(str(token), "readers disagree on the address")


def _holds(token: Any, *kinds: str, within: str = "") -> bool:
    """Whether there is a part of one of these kinds, somewhere in a part of the kind ``within``."""
    for part in token:
        if isinstance(part, list):  # as every part is that has parts
            kind = getattr(part, "token_type", None)
            if kind in kinds and not within:
                return True
            if _holds(part, *kinds, within="" if kind == within else within):
                return True
    return False


def _header_text(header: object) -> str:
    """The text of a header field that the message's policy did not parse."""
    if isinstance(header, str):
        return _decode_surrogates(header)
    from email.header import Header, decode_header

    if not isinstance(header, Header):
        raise TypeError(f"A header field must be a str or a Header, not {type(header).__name__}")
    try:
        # A field with raw 8-bit bytes comes as a Header in "unknown-8bit", for which there is no codec.
        return " ".join(
            chunk.decode("utf-8" if charset == "unknown-8bit" else charset)
            for chunk, charset in decode_header(header)
        )
    except UnicodeError as error:
        raise _invalid(str(header), "it is not UTF-8") from error


def _decode_surrogates(text: str) -> str:
    """Undo what the parsers of the standard library do to 8-bit bytes in a header field."""
    if text.isascii() or not re.search(r"[\ud800-\udfff]", text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        raise _invalid(text, "it is not UTF-8") from error


def _mailboxes(text: str) -> list[str]:
    """The addresses of an address-list (RFC 5322 section 3.4), ``""`` for a ``<>``."""
    found: list[str] = []
    words: list[str] = []  # of the address, or of the display name before <
    has_at = False  # in those words, outside of quotes
    path: list[str] | None = None  # what comes after <
    closed = False
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
    """The address of one element of a list, as a list: an element may be empty."""
    if path is None:
        return [_path(text, words)] if words not in ([], [" "]) else []
    address = _path(text, path) if path not in ([], [" "]) else ""
    # "x@y <a@b>" reads as either address, depending on who reads.
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
    """The pieces of a header field, a run of white space and comments as one blank."""
    next_piece = re.compile(_PIECE).match
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
    # Comments nest (RFC 5322 section 3.2.2), and quotes mean nothing in them.
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
