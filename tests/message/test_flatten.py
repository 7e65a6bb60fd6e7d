"""The bytes of a message, and that no header value becomes more than one field.

The standard library is the oracle: a message without ``Bcc`` is what its generator writes with
``policy.SMTP``, or with ``policy.compat32`` for an old-style message.
"""

import email
import email.policy
import re
from collections.abc import Callable
from email.errors import HeaderParseError
from email.generator import BytesGenerator
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import Policy
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._message.specs import AsciiRegistry
from aiosmtplib.email import flatten_message

from .test_fields import AnyMessage, both_kinds, build


def written_by_the_standard_library(message: AnyMessage, utf8: bool, cte_type: str) -> bytes:
    policy: Any = email.policy.compat32.clone(cte_type=cte_type)
    if isinstance(message, EmailMessage):
        policy = email.policy.SMTP.clone(cte_type=cte_type, utf8=utf8)
        if not utf8:
            policy = policy.clone(header_factory=AsciiRegistry())
    buffer = BytesIO()
    BytesGenerator(buffer, policy=policy).flatten(message)
    return buffer.getvalue()


TEXTS = [
    "hi\n",
    "",
    "no newline at the end",
    "é ü\n",
    "x" * 2000 + "\n",
    "é" * 2000 + "\n",
    ".\n..\nFrom me\n",
    "a\r\nb\n",
    "日本語\n" * 50,
    "tab\t \n trailing  \n",
]


def modern(text: str, policy: Policy = email.policy.default) -> EmailMessage:
    message = EmailMessage(policy=policy)  # type: ignore[arg-type]
    message["From"] = "Né <a@b>"
    message["To"] = ", ".join(f"Näme {number} <user{number}@example.com>" for number in range(30))
    message["Subject"] = "é " + "word " * 40 + "日本語" * 20
    message.set_content(text)
    return message


def with_attachments() -> EmailMessage:
    message = modern("é\n")
    message.add_alternative("<p>é</p>\n", subtype="html")
    message.add_attachment(bytes(range(256)) * 20, maintype="application", subtype="pdf", filename="ü.pdf")
    message.add_attachment("täxt\n", filename="t.txt")
    message.add_attachment(modern("inner é\n"))
    for part, boundary in zip(
        filter(Message.is_multipart, message.walk()), ("=1=", "=2=", None), strict=True
    ):
        if boundary:
            part.set_boundary(boundary)
    return message


def old_style(text: str, charset: str) -> Message:
    message = MIMEText(text, "plain", charset)
    message["From"] = "a@b"
    message["Subject"] = Header("é ü", "utf-8")
    message["X-Raw"] = "é " + "word " * 40
    return message


def old_style_nested() -> Message:
    message = MIMEMultipart("mixed", boundary="=1=")
    message["From"] = "a@b"
    message.preamble = "preamble\n"
    message.epilogue = "epilogue\n"
    message.attach(MIMEApplication(b"\0\1\xff" * 500))
    inner = MIMEMultipart("alternative", boundary="=2=")
    inner.attach(MIMEText("é", "plain", "utf-8"))
    inner.attach(MIMEText("<b>", "html"))
    message.attach(inner)
    return message


RAW = [
    b"From: a@b\r\nTo: c@d,\r\n e@f\r\nSubject: =?utf-8?b?w6k=?=\r\n folded\r\n\r\nbody\r\n.\r\n",
    b"From: \xc3\xa9 c\nSubject: \xff\xfe raw\n\nbody\n",
    b"Content-Type: multipart/mixed; boundary=x\n\npre\n--x\n\npart\n--x\nContent-Type: text/html;"
    b" charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\xc3\xa9\n--x--\nepi",
    b"Content-Type: multipart/mixed; boundary=x\n\nbroken",
    b"Content-Type: multipart/mixed; boundary=x\n\npr\xc3\xa9\n--x\n\npart\n--x--\n\xe9pi",
    b"X: " + b"y" * 2000 + b"\n\nz",
    b"X: " + b"y z " * 500 + b"\nY:\n folded\n\tonly\n\nz",
    b"\nonly a body",
    b"",
]
MESSAGES: list[Callable[[], AnyMessage]] = [
    *(lambda text=text: modern(text) for text in TEXTS),
    lambda: modern("é\n", email.policy.SMTPUTF8),
    lambda: modern("é\n", email.policy.default.clone(max_line_length=40)),
    with_attachments,
    *(lambda text=text: old_style(text, "utf-8") for text in TEXTS),
    lambda: old_style("é\n", "iso-8859-1"),
    lambda: old_style("From x\n", "us-ascii"),
    old_style_nested,
    *(lambda raw=raw: email.message_from_bytes(raw) for raw in RAW),
    *(lambda raw=raw: email.message_from_bytes(raw, policy=email.policy.default) for raw in RAW),
]


@pytest.mark.parametrize("cte_type", ["8bit", "7bit"])
@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("make", MESSAGES)
def test_same_bytes_as_the_standard_library(
    make: Callable[[], AnyMessage], utf8: bool, cte_type: str
) -> None:
    message = make()
    before = message.items()
    content = flatten_message(message, utf8=utf8, cte_type=cte_type)
    assert content == written_by_the_standard_library(make(), utf8, cte_type)
    assert message.items() == before


def test_vector() -> None:
    message = build(EmailMessage, [("From", "Né <a@b>"), ("Subject", "é"), ("Bcc", "x@y")])
    message.set_content("é\n.\n")
    rest = (
        'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n'
        "MIME-Version: 1.0\r\n\r\né\r\n.\r\n"
    ).encode()
    assert (
        flatten_message(message)
        == b"From: =?utf-8?q?N=C3=A9?= <a@b>\r\nSubject: =?utf-8?q?=C3=A9?=\r\n" + rest
    )
    assert flatten_message(message, True) == "From: Né <a@b>\r\nSubject: é\r\n".encode() + rest
    assert b"base64\r\n" in flatten_message(message, False, "7bit")


def test_vector_old_style() -> None:
    message = build(Message, [("From", "Né <a@b>"), ("bcc", "x@y"), ("To", "c@d")])
    message.set_payload("x\n")
    assert flatten_message(message) == b"From: =?utf-8?b?TsOp?= <a@b>\nTo: c@d\n\nx\n"
    assert flatten_message(message, utf8=True) == flatten_message(message)


@both_kinds
@pytest.mark.parametrize("fields", [["Bcc"], ["Resent-Bcc"], ["Bcc", "Resent-Bcc"], ["bCC", "RESENT-BCC"]])
def test_bcc_stays_here(kind: Callable[[], AnyMessage], fields: list[str]) -> None:
    message = build(
        kind, [("To", "c@d"), *((name, "secret@example.com") for name in fields), ("Subject", "s")]
    )
    message.set_payload("x\n")
    before = message.items()
    content = flatten_message(message)
    assert b"bcc" not in content.lower()
    assert b"secret" not in content
    assert [name for name, _ in email.message_from_bytes(content).items()] == ["To", "Subject"]
    assert message.items() == before


def test_message_without_bcc_is_not_copied() -> None:
    class Uncopyable(EmailMessage):
        def __copy__(self) -> "Uncopyable":
            raise AssertionError

    message = Uncopyable()
    message["To"] = "c@d"
    assert flatten_message(message) == b"To: c@d\r\n\r\n"


def test_impossible_cte_type() -> None:
    with pytest.raises(ValueError, match=r'must be "7bit" or "8bit", not \'binary\''):
        flatten_message(EmailMessage(), cte_type="binary")


# Header values that try to be more


def fields_and_body(content: bytes) -> tuple[list[bytes], bytes]:
    """Read a message as a server does that takes any line break for one."""
    head, _, body = re.sub(rb"\r\n|\r|\n", b"\n", content).partition(b"\n\n")
    unfolded = re.sub(rb"\n(?=[ \t])", b"", head)
    return [line.partition(b":")[0] for line in unfolded.split(b"\n")], body


BREAKS = ["\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\r\r\n", "\n\r", "\r\n ", "\n \n", "\r "]
BREAKS += ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
TAILS = ["X", "X: y", "Bcc: x@y", "Bcc : x@y", " X", "\tX", "", "body"]


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("line_break", BREAKS)
@pytest.mark.parametrize("head", ["a@b", "Name <a@b>", "é", "word " * 30, ""])
def test_value_with_a_line_break(head: str, line_break: str, tail: str) -> None:
    value = head + line_break + tail
    for text in (value, Header(value), Header(value, "utf-8")):
        message = Message()
        message["From"] = text
        message["To"] = "c@d"
        message.set_payload("hi\n")
        try:
            content = flatten_message(message)
        except HeaderParseError:
            # The standard library knows this one by its colon. It must not be a ValueError.
            assert ":" in tail
            continue
        assert fields_and_body(content) == ([b"From", b"To"], b"hi\n")


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("line_break", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default])
def test_parsed_value_with_an_odd_line_break(policy: Policy, line_break: str, tail: str) -> None:
    source = f"Subject: a{line_break}{tail}\nTo: c@d\n\nhi\n"
    message = email.message_from_string(source, policy=policy)  # type: ignore[arg-type]
    try:
        content = flatten_message(message)
    except HeaderParseError:
        assert ":" in tail
        return
    assert fields_and_body(content) == ([b"Subject", b"To"], b"hi\n")


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n"])
def test_value_that_ends_in_a_line_break(line_break: str) -> None:
    message = build(EmailMessage, [("Subject", f"a{line_break}"), ("To", "c@d")])
    content = flatten_message(message)
    assert fields_and_body(content) == ([b"Subject", b"To"], b"")
    assert content.count(b"\r") == content.count(b"\r\n") == 3


def test_value_that_went_around_the_policy() -> None:
    message = EmailMessage()
    message.set_raw("Subject", "a\n\n \nBcc: x@y\nbody")
    assert flatten_message(message) == b"Subject: a\r\n Bcc: x@y\r\n body\r\n\r\n"


def test_part_with_a_line_break_in_a_value() -> None:
    message = MIMEMultipart(boundary="=1=")
    part = MIMEText("x")
    part.add_header("Content-Disposition", "attachment", filename="a\n\n--=1=\nX")
    message.attach(part)
    content = flatten_message(message)
    assert b'filename="a\n --=1=\n X"\n' in content
    (inner,) = email.message_from_bytes(content).get_payload()
    assert inner.get_payload() == "x"  # type: ignore[union-attr]


@given(st.lists(st.sampled_from([*BREAKS, *TAILS, " ", "é", ":", "a@b", "w " * 20]), max_size=8).map("".join))
def test_any_value_stays_one_field(value: str) -> None:
    message = build(Message, [("From", "a@b"), ("Subject", value), ("To", "c@d")])
    message.set_payload("hi\n")
    try:
        content = flatten_message(message)
    except HeaderParseError:
        return
    assert fields_and_body(content) == ([b"From", b"Subject", b"To"], b"hi\n")
