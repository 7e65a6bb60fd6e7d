"""Messages: who sends and who receives, by their header fields."""

import email
import email.message
import email.policy
import email.utils
from collections.abc import Callable
from email.header import Header
from email.message import EmailMessage, Message
from email.policy import Policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._message.fields import extract_addresses, extract_recipients, extract_sender
from aiosmtplib.email import flatten_message

DATE = "Mon, 20 Nov 2017 21:04:27 -0000"
AnyMessage = EmailMessage | Message
Fields = list[tuple[str, str]]
both_kinds = pytest.mark.parametrize("kind", [EmailMessage, Message])


def build(kind: Callable[[], AnyMessage], fields: Fields) -> AnyMessage:
    message = kind()
    for name, value in fields:
        message[name] = value
    return message


SENDERS: list[tuple[Fields, str | None]] = [
    ([], None),
    ([("From", "a@b")], "a@b"),
    ([("From", "Name <a@b>")], "a@b"),
    ([("From", "a@b, x@y")], "a@b"),
    ([("From", "a@b, x@y"), ("Sender", "s@t")], "s@t"),
    ([("Sender", "s@t")], "s@t"),
    ([("From", "")], None),
    ([("Sender", ""), ("From", "a@b")], "a@b"),
    ([("From", "<>")], ""),
    ([("From", '"Last, First" <a@b>')], "a@b"),
    ([("From", '"a b"@c')], '"a b"@c'),
    ([("From", "Né <a@b>")], "a@b"),
    ([("From", "é@ö.example")], "é@ö.example"),
    ([("From", "=?utf-8?q?N=C3=A9=2C?= <a@b>")], "a@b"),
    ([("From", "a@[127.0.0.1]")], "a@[127.0.0.1]"),
    ([("From", "B. Smith <b@example.com")], "b@example.com"),
    ([("From", "root")], "root"),
    # RFC 5322 section 3.6.6
    ([("Resent-Date", DATE), ("Resent-From", "r@s"), ("From", "a@b")], "r@s"),
    ([("Resent-Date", DATE), ("Resent-From", "r@s"), ("Resent-Sender", "q@s"), ("Sender", "a@b")], "q@s"),
    ([("Resent-Date", DATE), ("From", "a@b")], None),
    ([("Resent-From", "r@s"), ("From", "a@b")], "a@b"),
]


class Reading(EmailMessage):
    """A program's own class, which reads header fields in its own way."""

    def get_all(self, name: str, failobj: Any = None) -> Any:
        return [f"{name.lower()}@example.com"] if name.lower() in ("from", "cc") else failobj


def test_a_class_that_reads_differently() -> None:
    message = build(Reading, [("From", "a@b"), ("To", "c@d")])
    assert extract_sender(message) == "from@example.com"
    assert extract_recipients(message) == ["cc@example.com"]


class Named(str):
    """A header value with a name, and of no class of the standard library."""

    name = "To"


def test_header_object_of_another_class() -> None:
    message = EmailMessage()
    message["To"] = Named("A <a@b>, c@d")
    assert extract_recipients(message) == ["a@b", "c@d"]


def test_stored_as_it_was_received() -> None:
    """What is plain is not parsed, and reads the same."""
    source = "From: A <a@b>\nTo: a@b,\n  C <c@d>\nCc: =?utf-8?q?x?= <e@f>, g: h@i;\n\n"
    for policy in (email.policy.default, email.policy.compat32):
        message = email.message_from_string(source, policy=policy)
        assert extract_sender(message) == "a@b"
        assert extract_recipients(message) == ["a@b", "c@d", "e@f", "h@i"]


@both_kinds
@pytest.mark.parametrize(("fields", "sender"), SENDERS)
def test_extract_sender(kind: Callable[[], AnyMessage], fields: Fields, sender: str | None) -> None:
    assert extract_sender(build(kind, fields)) == sender


RECIPIENTS: list[tuple[Fields, list[str]]] = [
    ([], []),
    ([("To", "c@d")], ["c@d"]),
    ([("To", "")], []),
    ([("To", "<>")], []),
    ([("To", "c@d, e@f")], ["c@d", "e@f"]),
    ([("To", "c@d,e@f,\tg@h")], ["c@d", "e@f", "g@h"]),
    ([("Bcc", "i@j"), ("Cc", "g@h"), ("To", "C <c@d>, e@f")], ["c@d", "e@f", "g@h", "i@j"]),
    ([("To", "c@d, c@d"), ("Cc", "c@d, C@d"), ("Bcc", "c@d")], ["c@d", "c@d", "c@d", "C@d", "c@d"]),
    ([("To", "grp: x@y, Z <z@w>;, k@l")], ["x@y", "z@w", "k@l"]),
    ([("To", "undisclosed-recipients:;"), ("Bcc", "i@j")], ["i@j"]),
    ([("To", '"x, y"@d, z@d')], ['"x, y"@d', "z@d"]),
    ([("To", '"Last, First" <a@b>, (c, d) e@f')], ["a@b", "e@f"]),
    ([("To", "Ü <a@b>, é@d")], ["a@b", "é@d"]),
    ([("To", "=?utf-8?q?N=C3=A9=2C?= <a@b>, c@d")], ["a@b", "c@d"]),
    ([("To", "postmaster"), ("Cc", "0"), ("Bcc", "é")], ["postmaster", "0", "é"]),
    ([("To", "a@[IPv6:::1], postmaster")], ["a@[IPv6:::1]", "postmaster"]),
    (
        [
            ("Resent-Date", DATE),
            ("Resent-To", "rt@s"),
            ("Resent-Cc", "rc@s"),
            ("Resent-Bcc", "rb@s"),
            ("To", "c@d"),
            ("Bcc", "i@j"),
        ],
        ["rt@s", "rc@s", "rb@s"],
    ),
    ([("Resent-Date", DATE), ("To", "c@d")], []),
    ([("Resent-To", "rt@s"), ("To", "c@d")], ["c@d"]),
]


@both_kinds
@pytest.mark.parametrize(("fields", "recipients"), RECIPIENTS)
def test_extract_recipients(kind: Callable[[], AnyMessage], fields: Fields, recipients: list[str]) -> None:
    assert extract_recipients(build(kind, fields)) == recipients


def test_field_that_comes_twice() -> None:
    message = build(Message, [("To", "a@b"), ("To", "c@d, e@f"), ("From", "g@h"), ("From", "i@j")])
    assert extract_recipients(message) == ["a@b", "c@d", "e@f"]
    assert extract_sender(message) == "g@h"


@both_kinds
def test_two_resent_blocks(kind: Callable[[], AnyMessage]) -> None:
    message = build(kind, [("Resent-Date", DATE), ("Resent-From", "a@b"), ("Resent-Date", DATE)])
    for extract in (extract_sender, extract_recipients):
        with pytest.raises(ValueError, match="more than one block of Resent-"):
            extract(message)


@pytest.mark.parametrize(
    "value",
    ["no address", "a@b> AUTH=<c", "a@b\0", "x@y <a@b>", '"a', "a@b (c@d", "a@b, <c@d> e@f", "a@b c@d"],
)
def test_malformed_field_of_an_old_style_message(value: str) -> None:
    message = build(Message, [("From", value), ("To", f"z@z, {value}")])
    for extract in (extract_sender, extract_recipients):
        with pytest.raises(ValueError, match="Not an address for SMTP"):
            extract(message)


@pytest.mark.parametrize(
    ("raw", "sender", "recipients"),
    [
        (b"From: a@b\nTo: c@d,\n e@f\n", "a@b", ["c@d", "e@f"]),
        (b'From: "A,\r\n\tB" <a@b>\r\nTo: C\r\n <c@d>\r\n', "a@b", ["c@d"]),
        ("From: é <a@b>\nTo: é@d, f@g\n".encode(), "a@b", ["é@d", "f@g"]),
    ],
)
@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default, email.policy.SMTPUTF8])
def test_parsed_message(raw: bytes, sender: str, recipients: list[str], policy: Policy) -> None:
    message = email.message_from_bytes(raw + b"\nx", policy=policy)  # type: ignore[arg-type]
    assert extract_sender(message) == sender
    assert extract_recipients(message) == recipients


@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default])
def test_bytes_that_are_no_text(policy: Policy) -> None:
    message = email.message_from_bytes(b"From: \xff@b\nTo: a@b, \xe9@d\n\nx", policy=policy)  # type: ignore[arg-type]
    for extract in (extract_sender, extract_recipients):
        with pytest.raises(ValueError, match="not UTF-8"):
            extract(message)


def test_headers_as_objects() -> None:
    two_charsets = Header("Né", "utf-8")
    two_charsets.append("Ü <a@b>, c@d", "iso-8859-1")
    assert extract_addresses(two_charsets) == ["a@b", "c@d"]
    assert extract_addresses(Header("é@b", "utf-8")) == ["é@b"]
    two_charsets = Header("é@b", "utf-8")
    two_charsets.append("ü@d", "iso-8859-1")
    with pytest.raises(ValueError, match="Not an address"):
        extract_addresses(two_charsets)
    assert extract_addresses(EmailMessage()["To"] or "a@b, c@d") == ["a@b", "c@d"]
    assert extract_addresses(build(EmailMessage, [("To", "é <a@b>, c@d")])["To"]) == ["a@b", "c@d"]
    assert extract_addresses("") == []
    assert extract_addresses("<>") == [""]


@pytest.mark.parametrize("value", [None, b"a@b", 7, ["a@b"]])
def test_wrong_types(value: Any) -> None:
    with pytest.raises(TypeError, match="header field must be"):
        extract_addresses(value)
    for door in (extract_sender, extract_recipients, flatten_message):
        with pytest.raises(TypeError, match=r"Expected an email\.message\.EmailMessage"):
            door(value)


atoms = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=8)
addresses = st.builds("{}@{}.example".format, atoms, st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
mailboxes = (
    addresses
    | st.builds("{} <{}>".format, atoms, addresses)
    | st.builds('"{},@<" <{}>'.format, atoms, addresses)
)


@given(st.lists(mailboxes, min_size=1))
def test_email_utils_agrees(values: list[str]) -> None:
    value = ", ".join(values)
    assert extract_addresses(value) == [address for _, address in email.utils.getaddresses([value])]


@pytest.mark.parametrize(
    ("value", "sender"),
    [
        ("a@b\r\nBcc: x@y", "a@b"),
        ("a@b\nX", "a@b"),
        ("a@b\rX", "a@b"),
        ("Na\r\nme <a@b>", "a@b"),
        ("Na\rme <a@b>", "a@b"),
        ("a@b\r\n RCPT TO:<x>", "a@b"),
        ("a@b>\r\nRCPT TO:<x@y", "a@b"),
        ("Name\r\nX-Field: y <a@b>", "a@b"),
        ("a@b\n\nbody", "a@b"),
        ("\na@b\r\n", "a@b"),
    ],
)
def test_old_style_from_with_a_line_break_still_sends(value: str, sender: str) -> None:
    for text in (value, Header(value)):
        message = Message()
        message["From"] = text
        assert extract_sender(message) == sender


def test_old_style_from_with_a_line_break_and_no_address() -> None:
    message = build(Message, [("From", "no\naddress")])
    with pytest.raises(ValueError, match="Not an address"):
        extract_sender(message)


@pytest.mark.parametrize("value", ["a@b\r\nBcc: x@y", "a@b\nX", "a@b\r\n RCPT TO:<x>", "a@b\r\n\r\nx@y"])
def test_recipients_with_a_line_break_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="Not an address"):
        extract_recipients(build(Message, [("To", value)]))
