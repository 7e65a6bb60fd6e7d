"""Sample messages that tell whether the codec writes what this interpreter's standard library does.

How messages are written, and above all how their fields are folded, differs between the releases of Python,
patch releases too. What the codec does is relied upon where it does the same as the one that runs. Each
sample has all that the codec writes of its kind, as little as shows a difference: each is written before the
first message of its kind, or the first long header field.
"""

from __future__ import annotations

from email.message import EmailMessage, Message
from typing import Any, Final

__all__ = ("folded", "modern", "old_style")

_AT_THE_LIMIT: Final = "w" * 61 + " fills a line"
_OVER_THE_LIMIT: Final = "w" * 61 + " fills a line and more"
_FOR_THE_POLICY: Final = "w" * 61 + "  fills a line and more"
_FIELDS: Final = (
    ("From", "Ann Example <ann@example.com>"),
    ("To", 'g: "B, B." <b@example.com>, c@example.com;, (d) d@example.com'),
    ("Subject", "Words, and (more) <words>"),
    ("X", _AT_THE_LIMIT),
    ("Date", "Thu, 26 Nov 2026 09:00:00 +0000"),
    ("Message-ID", "<1@example.com>"),
    ("MIME-Version", "1.0"),
)
_WORDS: Final = f"{'word ' * 13}word: {'w' * 76} {'w' * 77} end, {'w' * 60} <{'w' * 15}> (w)\tlast"
_NAMES: Final = ("ann", "bob", *"abcdef")
_LONG: Final = (
    ("Subject", "seventy characters and no room for them behind the name of the field"),
    ("X-Words", _WORDS),
    (
        "To",
        ", ".join(
            f'"{name}, B." <{name}@example.com>, {name}@example.org' for name in ("ann", "bob", *"abcdef")
        ),
    ),
    ("Content-Type", f'multipart/alternative; boundary="=_f"; name="{"n" * 60}.pdf"'),
    ("Content-Disposition", f'attachment; filename="{"n" * 50}.pdf"; size="1"'),
)
_LONG_SOURCE: Final = (("Subject", f"{'word ' * 20}end"), ("X", _WORDS), ("Y", f"a\n {'word ' * 20}end"))
_EIGHT_BITS: Final = "\udcc3\udca9\nFrom here\r\nno end"


def modern() -> EmailMessage:
    """Fields that fit on their lines, parts of all kinds, preamble and epilogue."""
    message = EmailMessage()
    for name, value in _FIELDS:
        message[name] = value
    message["X-Text"] = "é"
    _fill(message)
    return message


def old_style() -> Message:
    """The same as an old-style message."""
    message = Message()
    for name, value in _FIELDS:
        message[name] = value
    _fill(message)
    return message


def folded() -> EmailMessage:
    """Fields that are longer than a line, as header objects and as a parser leaves them."""
    message = EmailMessage()
    for name, value in _LONG:
        message[name] = value
    message._headers += _LONG_SOURCE  # type: ignore[attr-defined]
    message.set_payload([])
    return message


def _fill(message: Any) -> None:
    text = _part(message, "text/plain", _EIGHT_BITS, ("X", f"a\n b\r\n\t{'w' * 70}"), ("y", ".z"))
    over = _part(message, 'text/html; charset="utf-8"', ".\nFrom here\r\nno end", ("X", _OVER_THE_LIMIT))
    signed = _part(message, 'multipart/signed; boundary="=_s"', [over, text], ("X", _FOR_THE_POLICY))
    signed.epilogue = ""
    blocks = [_part(message, None, ""), _part(message, None, "", ("A", "b")), _part(message, None, "c")]
    message["Content-Type"] = "multipart/mixed"
    message.set_payload(
        [
            text,
            signed,
            _part(message, "message/rfc822", [text]),
            _part(message, "message/delivery-status", blocks),
            _part(message, "multipart/mixed;\n\tboundary=b", []),
            _part(message, "application/pdf", None),
        ]
    )
    message.preamble, message.epilogue = "pre\nFrom here\n", ".\nFrom here"


def _part(message: Any, content_type: str | None, payload: Any, *fields: tuple[str, str]) -> Any:
    part = type(message)()
    part._headers += fields
    if content_type is not None:
        # Parsed once, where the generator would parse it each time that it asks.
        if "\n" not in content_type:
            _, content_type = part.policy.header_store_parse("Content-Type", content_type)
        part._headers.append(("Content-Type", content_type))
    part.set_payload(payload)
    return part
