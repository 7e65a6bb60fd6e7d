"""Sender and recipients of a message object, from its header fields (RFC 5322 sections 3.6.2 to 3.6.6)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._codec import pick_fields, plain_addresses
from .addresses import _invalid, addresses_in_field, parse_address

if TYPE_CHECKING:
    from email.header import Header
    from email.headerregistry import AddressHeader
    from email.message import EmailMessage, Message

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
# From the start of a word only: a search that starts at each of its characters takes quadratic time.
_LIKELY_ADDRESS = rf"(?<!{_ATOM}){_ATOM}+@[A-Za-z0-9.-]+"


def extract_addresses(header: str | AddressHeader | Header) -> list[str]:
    """The addresses in the value of one header field, in order, those of groups included, ``""`` for ``<>``.

    :raises ValueError: if the value is not a list of addresses, or is ambiguous
    :raises TypeError: if it is neither a ``str`` nor an object of the ``email`` package
    """
    parsed = getattr(header, "addresses", None)
    if parsed is None:
        return _addresses_in_text(_header_text(header))
    tree = getattr(header, "_parse_tree", None)
    if _has_defects(header, tree):
        found = _addresses_in_text(_source(tree))
        _check_not_decoded(tree, found)
        return found
    found = []
    for address in parsed:
        spec = getattr(address, "addr_spec", None)
        if spec is None:  # a header field can be assigned a list of any objects
            found += extract_addresses(address)
        else:
            found.append("" if spec == "<>" else _decode_surrogates(spec))
    return found


def extract_sender(message: EmailMessage | Message) -> str | None:
    """The sender of a message: the address in ``Sender``, else the first in ``From``, or None.

    RFC 5322 section 3.6.2. Where the message was resent, that of ``Resent-Sender`` or ``Resent-From``
    (section 3.6.6).

    :param message: the message object
    :raises ValueError: for more than one Resent block, or a header field that is not a list of addresses
    :raises TypeError: if ``message`` is not a message object
    """
    return sender_in(message, address_fields(message))


def extract_recipients(message: EmailMessage | Message) -> list[str]:
    """All addresses in ``To``, ``Cc`` and ``Bcc``, in this order, duplicates included.

    Where the message was resent, those of ``Resent-To``, ``Resent-Cc`` and ``Resent-Bcc`` (RFC 5322 section
    3.6.6).

    :param message: the message object
    :raises ValueError: as :func:`extract_sender` does
    :raises TypeError: as :func:`extract_sender` does
    """
    return recipients_in(message, address_fields(message))


_FIELDS = ("sender", "from", "to", "cc", "bcc")
_RESENT = ("resent-sender", "resent-from", "resent-to", "resent-cc", "resent-bcc")
_ALL_FIELDS = ("resent-date", *_FIELDS, *_RESENT)
_NOTHING: list[Sequence[Any]] = [()] * len(_FIELDS)


def address_fields(message: EmailMessage | Message) -> list[Sequence[Any]]:
    """The values of ``Sender``, ``From``, ``To``, ``Cc`` and ``Bcc``, or of their Resent forms, as stored.

    :return: for each of the five fields its values
    :raises ValueError: for more than one Resent block
    :raises TypeError: if ``message`` is not a message object
    """
    kind: type = type(message)
    if _is_stored(kind):
        stored = message._headers  # type: ignore[union-attr]  # raw_items copies it
        if not stored:
            return _NOTHING
        all_found: list[Sequence[Any]] = pick_fields(stored, _ALL_FIELDS)
    elif hasattr(message, "get_all"):
        all_found = [message.get_all(name, []) for name in _ALL_FIELDS]
    else:
        raise TypeError(f"Expected an email.message.EmailMessage or Message, not {type(message).__name__}")
    dates = len(all_found[0])
    if dates == 0:
        return all_found[1:6]
    if dates == 1:
        return all_found[6:]
    raise ValueError(
        "The message has more than one block of Resent- header fields: pass sender and recipients"
    )


@functools.lru_cache(maxsize=64)
def _is_stored(kind: type) -> bool:
    """Whether ``raw_items`` of this class returns the values as stored, without parsing by the policy."""
    from .rules import Rules  # a slow import, not needed before the first message

    return Rules.accepts(kind)


def sender_in(message: EmailMessage | Message, fields: list[Sequence[Any]]) -> str | None:
    """:func:`extract_sender`, for the result of :func:`address_fields`."""
    for place in (0, 1):
        for value in fields[place][:1]:
            try:
                found = _addresses_in(message, _FIELDS[place], value)
            except ValueError:
                # Old-style messages accept any text as a header field. One with a line break has always been
                # sent, from the first text that looks like an address; flatten_message folds the line break.
                text = str(value)
                likely = re.search(_LIKELY_ADDRESS, text)
                if likely is None or ("\n" not in text and "\r" not in text):
                    raise
                return likely[0]
            if found:
                return found[0]
    return None


def recipients_in(message: EmailMessage | Message, fields: list[Sequence[Any]]) -> list[str]:
    """:func:`extract_recipients`, for the result of :func:`address_fields`."""
    found = []
    for place in (2, 3, 4):
        for value in fields[place]:
            found += _addresses_in(message, _FIELDS[place], value)
    return [address for address in found if address]


def _addresses_in(message: EmailMessage | Message, name: str, value: Any) -> list[str]:
    """The addresses in the value of a field as the message stores it."""
    if type(value) is str:
        # What a parser took, or what was assigned to an old-style message. The parser of the standard library
        # reads it in quadratic time, and not as it reads the same text when it is assigned.
        plain = _plain(value)
        if plain is not None:
            return plain
        if type(message.policy).__module__ in _POLICIES:
            return _addresses_in_text(value)
    elif (
        isinstance(value, str)
        and _is_of_the_registry(type(value).__bases__)
        and not _has_defects(value, getattr(value, "_parse_tree", None))
    ):
        # The text of a header object of the standard library is its parsed value in normal form.
        plain = plain_addresses(value)
        if plain is not None:
            return plain
    return extract_addresses(_parsed(message, name, value))


#: Where the policies of the standard library are defined.
_POLICIES = ("email.policy", "email._policybase")


@functools.lru_cache(maxsize=64)  # of the bases, since each object has a class of its own
def _is_of_the_registry(bases: tuple[type, ...]) -> bool:
    return all(base.__module__ == "email.headerregistry" for base in bases)


def _parsed(message: EmailMessage | Message, name: str, value: Any) -> Any:
    """The value of a field as the policy of the message parses it.

    :raises ValueError: where that fails: on malformed text the parser raises errors of any type
    """
    try:
        return message.policy.header_fetch_parse(name, value)
    except Exception as error:
        raise ValueError(
            f"The {name} header field cannot be read: {type(error).__name__}: {error}"
        ) from error


def _plain(text: str) -> list[str] | None:
    """The addresses of a list of plain ones; ``None`` where it has to be looked at more closely."""
    if text.isalnum() and text.isascii():
        return [text]  # a local name, such as root
    return None if "=?" in text else plain_addresses(text)


def _addresses_in_text(text: str) -> list[str]:
    """The addresses in the text of a field, which may have surrogates for 8-bit bytes.

    :raises ValueError: if it is not a list of addresses, or is ambiguous, or an address is not UTF-8
    """
    plain = _plain(text)
    if plain is not None:
        return plain
    # Only the addresses have to be UTF-8: a display name in another charset stays what it is.
    return [_decode_surrogates(address) for address in addresses_in_field(text)]


def _has_defects(header: Any, tree: Any) -> bool:
    """Whether the parser of the standard library may have read other addresses than the text has.

    It reports defects where it has read more of them or fewer: of ``a@b <c@d>`` it takes the first. Encoded
    words it decodes anywhere but after an atom, and reports none in a domain.
    """
    if getattr(header, "defects", ()) or "=?" in str(header):
        return True
    tokens = [] if tree is None else [tree]
    for token in tokens:  # a list that grows
        if token.token_type == "encoded-word":  # noqa: S105
            return True
        for part in token:
            if not isinstance(part, str):
                tokens.append(part)
    return False


def _check_not_decoded(tree: Any, found: list[str]) -> None:
    """Refuse a parse tree of the standard library in which an encoded word may have become syntax.

    Where more follows on a local part, that parser decodes the encoded words before and parses their text
    again, so that a comma in one makes two addresses of one. What remains of it looks as if there had been
    blanks in the local part. It is harmless where the only at-sign is that of another address, and the only
    one: nothing but a display name was decoded, as in ``Doe Jr, John <john@example.com>``.

    :param found: the addresses in the tree
    :raises ValueError: if it is refused
    """
    text = str(tree)
    one = len(found) == 1 and text.count("@") == 1
    for spec in _parts(tree, "addr-spec"):
        again = any(_parts(spec, "obs-local-part"))
        odd = any(_parts(spec, "invalid-obs-local-part"))  # blanks, or dots as in "a..b@c"
        if spec.domain is None:
            refused = (again or odd) and not one
        else:
            refused = again or (odd and " " in str(spec[0]).strip())
        if refused:
            raise _invalid(text, "it has an encoded word, or blanks, in an address")


def _parts(token: Any, kind: str) -> Iterator[Any]:
    """The parts of a parse tree of one kind, at any depth."""
    for part in token:
        if isinstance(part, list):  # a token with parts
            if part.token_type == kind:  # type: ignore[attr-defined]
                yield part
            else:
                yield from _parts(part, kind)


# The defects of quoted-string, comment, domain-literal and angle-addr.
_NO_END = "end of (?:header|input) inside|missing trailing '>'"

# Characters that have a backslash before them in what they are in (RFC 5322 section 3.2.1).
_TO_BE_QUOTED = {"bare-quoted-string": r'["\\]', "comment": r"[()\\]"}


def _source(token: Any) -> str:
    """The text from which the parser of the standard library made a parse tree.

    The tree has encoded words decoded: an empty one stands for each, since what was in them is not syntax. It
    also has the ends of what had none.
    """
    if isinstance(token, str):
        return token
    kind = token.token_type
    if kind == "encoded-word":
        return "=?utf-8?q??="
    special = _TO_BE_QUOTED.get(kind)
    text = "".join(
        re.sub(special, r"\\\g<0>", part) if special and isinstance(part, str) else _source(part)
        for part in token
    )
    has_end = not any(re.match(_NO_END, str(defect)) for defect in token.defects)
    if kind in ("angle-addr", "domain-literal"):
        return text if has_end else text.rstrip().removesuffix(">" if kind == "angle-addr" else "]")
    if kind == "bare-quoted-string":
        return f'"{text}"' if has_end else f'"{text}'
    if kind == "comment":
        return f"({text})" if has_end else f"({text}"
    return text


def _header_text(header: object) -> str:
    """The text of a header field that the policy of the message did not parse.

    :raises TypeError: if it is neither a ``str`` nor a :class:`~email.header.Header`
    """
    if isinstance(header, str):
        return header
    from email.header import Header, decode_header

    if not isinstance(header, Header):
        raise TypeError(f"A header field must be a str or a Header, not {type(header).__name__}")
    # A field with raw 8-bit bytes is a Header in "unknown-8bit", for which there is no codec.
    return " ".join(
        chunk.decode("ascii" if charset == "unknown-8bit" else charset, "surrogateescape")
        for chunk, charset in decode_header(header)
    )


def _decode_surrogates(address: str) -> str:
    """Decode the surrogates by which the parsers of the standard library represent 8-bit bytes.

    :raises ValueError: if the bytes are not UTF-8, or what they are cannot be in an address
    """
    if address.isascii() or not re.search(r"[\ud800-\udfff]", address):
        return address
    try:
        return parse_address(address.encode("utf-8", "surrogateescape").decode("utf-8"))
    except UnicodeError as error:
        raise _invalid(address, "it is not UTF-8") from error
