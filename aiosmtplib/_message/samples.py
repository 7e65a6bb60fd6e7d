"""Sample messages that tell whether the codec writes what this interpreter's standard library does.

How messages are written, and above all how their fields are folded, differs between the releases of Python,
patch releases too. What the codec does is relied upon where it does the same as the one that runs. Each
sample has all that the codec writes of its kind, as little as shows a difference: each is written before the
first message of its kind, or the first long header field.
"""

from __future__ import annotations

from email.message import EmailMessage, Message
from typing import Any, Final

__all__ = ("eight_bit", "encoded", "folded", "modern", "old_style")

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
_LONG_TYPE: Final = "application/" + "x" * 50
# Each of them shows a difference that no other one does.
_ENCODED: Final = (
    (
        "Subject",
        f" ~ für of сообщения für  of re: {'é' * 14} {'é' * 12} aca  {'ab' * 18} the a,b  ~ 1%  🎉 語 café",
    ),
    (
        "Subject",
        "100% über don't 語語 東京都千代田区丸の内 İstanbul the end of it for today and for tomorrow",
    ),
    ("Thread-Topic", "日本本 é über  日語  x=1 \t invoice  — 🎉"),
    ("Thread-Topic", "🎉🎉 café 日本語"),
    ("Comments", "@)  é"),
    ("X", f"é{'a' * 57}   é é é"),
    ("X", f"{'w' * 80} a {'w' * 78}"),
    (f"X-{'n' * 18}", "für сообщения Donaudampfschifffahrtsgesellschaftskapitän invoice é b- für €uro"),
    (f"X-{'n' * 34}", "ééééééé invoice メール"),
    (f"X-{'n' * 34}", "сообщения ~ éé"),
    (f"X-{'n' * 60}", f"100% naïve 🎉 ! re: 東京都千代田区丸の内 a,b  {'é' * 39} "),
    (f"X-{'n' * 61}", "é é é"),
    (f"X-{'n' * 61}", "invoice über İstanbul the ! _under re: пример"),
    (f"X-{'n' * 72}", "é é é"),
    ("From", '"Müller, Zoë" <u30864@example.com>'),
    ("From", "Łukasz <u0@example.com>"),
    ("From", "Ž Äpfel <u411794@example.com>"),
    ("To", "山田  Zoë  O_Neill <u44390769@example.com>"),
    ("To", "u61@example.com, Ann\tJ.\tJürgen\tvan\tder <u5@example.com>, Петров <u86210@example.com>"),
    ("Cc", "Иван  Jürgen <u4@example.com>, Äpfel\tJ. <u3729@example.com>"),
    (
        "Cc",
        '"Ω… Zoë" <u6933275@example.com> , Петров Äpfel <u6448@example.com> , u10323179@example.com , '
        '"Müller, Zoë" <u2509499@example.com> , don\'t <u42635988@example.com>',
    ),
    ("Resent-To", '"re: a🎉a🎉aa🎉a" <u31317744@example.com>, "é (2)" <u56@example.com>'),
    (
        "Resent-To",
        '"İstanbul é" <u7@example.com>, "Jürgen  株式会社サンプル" <u17@example.com>, "é" <u893@example.com>',
    ),
    ("Content-Type", 'application/pdf; name="пример"'),
    ("Content-Type", 'application/pdf; name="! éé ééé Müller of don\'t =q?8b8 x=1.pdf"'),
    ("Content-Type", f'{_LONG_TYPE}; name="_under"'),
    ("Content-Type", f'{_LONG_TYPE}; name="don\'t"'),
    ("Content-Type", f'{_LONG_TYPE}; name="of €uro"'),
    ("Content-Type", f'{_LONG_TYPE}; name="İstanbul a,b of"'),
    ("Content-Type", f'{_LONG_TYPE}; name="aaa café сообщения"'),
    ("Content-Type", f'{_LONG_TYPE}; name="café :[ ! 88b Zoë the don\'t !.pdf"'),
    ("Content-Disposition", f'attachment; filename="{"w" * 100}"; size="1"'),
    ("Content-Disposition", 'attachment; filename="übersicht.pdf"; size="1"'),
    ("Content-Disposition", 'attachment; filename="übersicht ! don\'t.pdf"'),
    ("Content-Disposition", 'attachment; filename="пример of Müller.pdf"'),
    ("Content-Disposition", 'attachment; filename="~ 100% x=1 メール сообщения ~ éé a🎉"; creation-date=x'),
    (
        "Content-Disposition",
        'attachment; filename="пример café пример メール don\'t naïve 東京都千代田区丸 <(<.pdf"',
    ),
    (
        "Content-Disposition",
        'attachment; filename="Müller Müller 東京都千代田区丸の内 🎉 日本語 éééééé „Angebot“ пример.pdf"; '
        'size="1"',
    ),
)
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


def encoded() -> EmailMessage:
    """Fields with encoded words (RFC 2047) and encoded parameters (RFC 2231), each in a part of its own."""
    message = EmailMessage()
    parts: list[Any] = []
    for name, value in _ENCODED:
        parts.append(EmailMessage())
        parts[-1][name] = value
        parts[-1].set_payload("")
    message["Content-Type"] = 'multipart/mixed; boundary="b"'
    message.set_payload(parts)
    return message


def eight_bit(legacy: bool) -> Any:
    """Bodies with 8-bit bytes, with charsets that have them encoded in either way."""
    message: Any = Message() if legacy else EmailMessage()
    parts = []
    for charset, encoding in (("utf-8", "8bit"), ("ISO-8859-1", "8bit"), ("utf-8", None)):
        part = type(message)()
        part["Content-Type"] = f'text/plain; charset="{charset}"; format=flowed'
        part["X"] = "y"
        if encoding:
            part["Content-transfer-encoding"] = encoding
        part.set_payload(_EIGHT_BITS)
        parts.append(part)
    message["Content-Type"] = 'multipart/mixed; boundary="b"'
    message.set_payload(parts)
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
