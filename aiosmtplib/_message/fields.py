"""Sender and recipients of a message object, from its header fields (RFC 5322 sections 3.6.2 to 3.6.6)."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from .._codec import pick_fields, plain_addresses
from .addresses import _invalid, _mailboxes

if TYPE_CHECKING:
    from email.header import Header
    from email.headerregistry import AddressHeader
    from email.message import EmailMessage, Message

_LIKELY_ADDRESS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+"


def extract_addresses(header: str | AddressHeader | Header) -> list[str]:
    """The addresses in the value of one header field, in order, those of groups included, ``""`` for ``<>``.

    :raises ValueError: if the value is not a list of addresses, or is ambiguous
    :raises TypeError: if it is neither a ``str`` nor an object of the ``email`` package
    """
    parsed = getattr(header, "addresses", None)
    if parsed is not None:
        _check_unambiguous(header)
        specs = [address.addr_spec for address in parsed]
        return ["" if spec == "<>" else _decode_surrogates(spec) for spec in specs]
    text = _header_text(header)
    found = plain_addresses(text)
    return _mailboxes(text) if found is None else found


def extract_sender(message: EmailMessage | Message) -> str | None:
    """The sender of a message: the address in ``Sender``, else the first in ``From``, or None.

    RFC 5322 section 3.6.2. Where the message was resent, that of ``Resent-Sender`` or ``Resent-From``
    (section 3.6.6).

    :raises ValueError: for more than one Resent block, or a header field that is not a list of addresses
    :raises TypeError: if ``message`` is not a message object
    """
    return sender_in(message, address_fields(message))


def extract_recipients(message: EmailMessage | Message) -> list[str]:
    """All addresses in ``To``, ``Cc`` and ``Bcc``, in this order, duplicates included.

    Where the message was resent, those of ``Resent-To``, ``Resent-Cc`` and ``Resent-Bcc`` (RFC 5322 section
    3.6.6).

    :raises ValueError: as :func:`extract_sender` does
    :raises TypeError: as :func:`extract_sender` does
    """
    return recipients_in(message, address_fields(message))


_FIELDS = ("sender", "from", "to", "cc", "bcc")
_RESENT = ("resent-sender", "resent-from", "resent-to", "resent-cc", "resent-bcc")
_ALL_FIELDS = ("resent-date", *_FIELDS, *_RESENT)


def address_fields(message: EmailMessage | Message) -> list[list[Any]]:
    """The values of ``Sender``, ``From``, ``To``, ``Cc`` and ``Bcc``, or of their Resent forms, as stored.

    :return: for each of the five fields the list of its values
    :raises ValueError: for more than one Resent block
    :raises TypeError: if ``message`` is not a message object
    """
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
    raise ValueError(
        "The message has more than one block of Resent- header fields: pass sender and recipients"
    )


@functools.lru_cache(maxsize=64)
def _is_stored(kind: type) -> bool:
    """Whether ``raw_items`` of this class returns the values as stored, without parsing by the policy."""
    from .rules import Rules  # a slow import, not needed before the first message

    return Rules.accepts(kind)


def sender_in(message: EmailMessage | Message, fields: list[list[Any]]) -> str | None:
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


def recipients_in(message: EmailMessage | Message, fields: list[list[Any]]) -> list[str]:
    """:func:`extract_recipients`, for the result of :func:`address_fields`."""
    found = []
    for place in (2, 3, 4):
        for value in fields[place]:
            found += _addresses_in(message, _FIELDS[place], value)
    return [address for address in found if address]


def _addresses_in(message: EmailMessage | Message, name: str, value: Any) -> list[str]:
    """The addresses in the value of a field as the message stores it."""
    # The text of a header object of the standard library is its parsed value in normal form.
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


def _check_unambiguous(header: Any) -> None:
    """Refuse a value of which the parser of the standard library reads more or fewer addresses than it holds.

    Of ``a@b <c@d>`` that parser takes the first address; ``a@b@c`` it skips. An encoded word in an address,
    which RFC 2047 section 5 forbids, it decodes and parses again, so that a comma in it makes two addresses
    of one. The mail would go to other recipients than a reader sees. So where the parser reports defects, an
    encoded word in an address is refused, and :func:`_mailboxes` has to find the same addresses.

    :raises ValueError: if the value is refused, or the addresses differ
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
    """Whether a parse tree has a part of one of these kinds, at any depth below a part of kind ``within``."""
    for part in token:
        if isinstance(part, list):  # a token with parts
            kind = getattr(part, "token_type", None)
            if kind in kinds and not within:
                return True
            if _holds(part, *kinds, within="" if kind == within else within):
                return True
    return False


def _header_text(header: object) -> str:
    """The text of a header field that the policy of the message did not parse.

    :raises ValueError: if it is not UTF-8
    :raises TypeError: if it is neither a ``str`` nor a :class:`~email.header.Header`
    """
    if isinstance(header, str):
        return _decode_surrogates(header)
    from email.header import Header, decode_header

    if not isinstance(header, Header):
        raise TypeError(f"A header field must be a str or a Header, not {type(header).__name__}")
    try:
        # A field with raw 8-bit bytes is a Header in "unknown-8bit", for which there is no codec.
        return " ".join(
            chunk.decode("utf-8" if charset == "unknown-8bit" else charset)
            for chunk, charset in decode_header(header)
        )
    except UnicodeError as error:
        raise _invalid(str(header), "it is not UTF-8") from error


def _decode_surrogates(text: str) -> str:
    """Decode the surrogates by which the parsers of the standard library represent 8-bit bytes.

    :raises ValueError: if the bytes are not UTF-8
    """
    if text.isascii() or not re.search(r"[\ud800-\udfff]", text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        raise _invalid(text, "it is not UTF-8") from error
