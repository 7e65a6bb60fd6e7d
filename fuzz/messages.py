"""The serialiser: both twins against each other, and what they write against the generator of Python."""

import email
import random
from collections.abc import Callable
from email import policy
from email.message import EmailMessage, Message
from typing import Any

from aiosmtplib import _speedups
from aiosmtplib._codec import encode_data, normalize_newlines
from aiosmtplib._codec.constants import CHUNK, DATA, PLAIN
from aiosmtplib._codec.pure import serializer
from aiosmtplib._message.flatten import rules_for
from tests.support.serializing import Tally, by_generator, counted_rules

from .source import Source, outcome, same, sealed

_POLICIES: list[Any] = [
    policy.default,
    policy.SMTP,
    policy.SMTPUTF8,
    policy.compat32,
    policy.default.clone(max_line_length=40),
]
_NAMES = [
    *(
        "Subject",
        "From",
        "To",
        "Cc",
        "Bcc",
        "Date",
        "Message-ID",
        "X-Long",
        "List-Unsubscribe",
        "DKIM-Signature",
    ),
    *(
        "Received",
        "References",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
        "MIME-Version",
    ),
    *("Resent-Bcc", "Reply-To", "Sender", "Comments", "subject", "In-Reply-To"),
]
_WORDS = [
    *(
        "word",
        " ",
        "  ",
        ",",
        "Ann <ann@example.com>",
        "b@example.org",
        "é",
        "\t",
        "a" * 30,
        "b" * 76,
        "日本語",
    ),
    *('"quoted, B." <q@example.com>', "=?utf-8?q?=C3=A9?=", "text/plain; charset=utf-8", "multipart/mixed"),
    *(
        "; boundary=xyz",
        '; name="file.pdf"',
        "<1@example.com>",
        "Thu, 26 Nov 2026 09:00:00 +0000",
        "(comment)",
    ),
    *(
        "8bit",
        "base64",
        "quoted-printable",
        "attachment",
        "\r\n ",
        "\n\t",
        "\udcff",
        ";",
        ":",
        "message/rfc822",
    ),
    *(
        "c" * 60 + " ",
        ".",
        "multipart/alternative",
        "application/pdf",
        "7bit",
        "From ",
        "1.0",
        "--xyz",
        "\x85",
        "\x00",
    ),
]
_LINES = [
    *(
        "",
        "Hello",
        ".",
        "..",
        "From here",
        "--xyz",
        "--xyz--",
        "é",
        "\udcff",
        "x" * 100,
        "x" * 1000,
        "=20",
        "word " * 20,
    ),
    *("Subject: in the body", "\r", "\x0c", "日本"),
]
_ENDS = ["\n", "\n", "\r\n", "\r", ""]


def _check(make: Callable[[], Message], utf8: bool, cte_type: str, form: int) -> None:
    made = outcome(make)
    if isinstance(made, tuple):
        return  # the standard library does not take it
    rules = rules_for(made, utf8, cte_type)
    results = []
    for twin, message in ((_speedups, made), (serializer, make())):
        tally = Tally()
        random.seed(1)
        result = outcome(twin.serialize_message, message, counted_rules(rules, tally), form)
        if isinstance(result, tuple) and isinstance(result[0], type):
            result = None  # whatever goes wrong, the generator has its say
        results.append((result, tally.folded) if result is not None else None)
    same("serialize_message of the twins", *results)
    if results[0] is None:
        return
    written, size = results[0][0]
    sealed(written)
    random.seed(1)
    # The same message once more: it must not have been changed.
    content = outcome(by_generator, made, utf8, cte_type)
    if form != PLAIN and isinstance(content, bytes):
        normal = normalize_newlines(content)
        normal += b"" if normal.endswith(b"\r\n") else b"\r\n"
        same("the number of octets", size, len(normal))
        content = encode_data(content) if form == DATA else normal
    same(f"serialize_message and the generator, form {form}", written, content)


def parsed(data: bytes) -> None:
    """Messages that the parser of the standard library has made of anything."""
    source = Source(data)
    rules, utf8, cte_type = source.pick(_POLICIES), source.flag(), source.pick(["8bit", "7bit"])
    form = source.pick([PLAIN, PLAIN, DATA, CHUNK])
    text = source.rest()
    _check(lambda: email.message_from_bytes(text, policy=rules), utf8, cte_type, form)


def _words(source: Source) -> str:
    return "".join([source.pick(_WORDS) for _ in range(source.below(8))])


def _body(source: Source) -> str:
    return "".join([source.pick(_LINES) + source.pick(_ENDS) for _ in range(source.below(6))])


def _built(source: Source, depth: int) -> Message:
    kind: Any = source.pick([EmailMessage, EmailMessage, Message])
    message: Any = kind(policy=source.pick(_POLICIES)) if source.below(8) == 0 else kind()
    for _ in range(source.below(6)):
        name, value = source.pick(_NAMES), _words(source)
        try:
            message[name] = value
        except Exception:
            continue  # what the standard library refuses is not to be had
    what = source.below(9)
    if what < 3 or depth > 3:
        message.set_payload(_body(source))
    elif what == 3 and kind is EmailMessage:
        message.set_content(_body(source), cte=source.pick([None, "8bit", "base64", "quoted-printable"]))
    elif what == 4 and kind is EmailMessage:
        message.set_content(_body(source))
        if source.flag():
            message.add_alternative(_body(source), subtype="html")
        if source.flag():
            message.add_attachment(source.take(40), maintype="application", subtype="pdf", filename="f.pdf")
    elif what < 8:
        if source.flag() and "content-type" not in message:
            subtype, boundary = (
                source.pick(["mixed", "signed", "digest"]),
                source.pick(["", "; boundary=xyz"]),
            )
            message["Content-Type"] = f"multipart/{subtype}{boundary}"
        message.set_payload([_built(source, depth + 1) for _ in range(source.below(3))])
        if source.below(4) == 0:
            message.preamble, message.epilogue = _body(source), source.pick([None, "", "end\n"])
    elif "content-type" not in message:
        message["Content-Type"] = "message/rfc822"
        message.set_payload([_built(source, depth + 1)])
    return message


def built(data: bytes) -> None:
    """Messages that a program has made by the interface of the standard library."""
    source = Source(data)
    utf8, cte_type = source.flag(), source.pick(["8bit", "7bit"])
    form = source.pick([PLAIN, PLAIN, DATA, CHUNK])
    rest = source.rest()

    def make() -> Message:
        random.seed(2)
        return _built(Source(rest), 0)

    _check(make, utf8, cte_type, form)
