"""Addresses as programs write them by mistake: who gets the mail, by every way into a message."""

import email
import email.policy
from collections.abc import Callable
from email.header import Header
from email.headerregistry import Address, Group
from email.message import EmailMessage, Message
from email.mime.text import MIMEText
from typing import Any

import pytest

from aiosmtplib._envelope.arguments import envelope_path
from aiosmtplib._envelope.recipient import Recipient
from aiosmtplib._message.fields import extract_addresses, extract_recipients, extract_sender
from aiosmtplib.email import parse_address, quote_address


def assigned(kind: Callable[[], EmailMessage | Message]) -> Callable[[str, Any], EmailMessage | Message]:
    def make(name: str, value: Any) -> EmailMessage | Message:
        message = kind()
        message[name] = value
        return message

    return make


def received(policy: Any) -> Callable[[str, Any], EmailMessage | Message]:
    return lambda name, value: email.message_from_bytes(f"{name}: {value}\n\n".encode(), policy=policy)


WAYS: dict[str, Callable[[str, Any], EmailMessage | Message]] = {
    "old-style": assigned(Message),
    "MIMEText": assigned(lambda: MIMEText("x")),
    "MIMEText of SMTP": assigned(lambda: MIMEText("x", policy=email.policy.SMTP)),
    "EmailMessage": assigned(EmailMessage),
    "received old-style": received(email.policy.compat32),
    "received": received(email.policy.default),
    "Header": lambda name, value: assigned(Message)(name, Header(value)),
}
every_way = pytest.mark.parametrize("way", WAYS)

#: One address each, for parse_address too.
ONE = [
    ('"bob@example.com"', "bob@example.com"),
    ('Bob "bob@example.com"', "bob@example.com"),
    ('"Bob" "bob@example.com"', "bob@example.com"),
    ('"Bob <bob@example.com>"', "bob@example.com"),
    ('"<bob@example.com>"', "bob@example.com"),
    ('Bob <"bob@example.com">', "bob@example.com"),
    ('"bob@example.com" <"bob@example.com">', "bob@example.com"),
    ("BOB@EXAMPLE.COM <bob@example.com>", "bob@example.com"),
    ("bob@example.com <BOB@example.com>", "BOB@example.com"),
    ("Bob@Example.com<bob@example.com>", "bob@example.com"),
]

#: Header fields only.
FIELDS = [
    ("Doe Jr, John <john@example.com>", ["john@example.com"]),
    ("Müller, Jörg <a@b.example>", ["a@b.example"]),
    ("Döe, Jane <a@example.com>", ["a@example.com"]),
    ("=?utf-8?q?D=C3=B6e?=, Jane <a@b.example>", ["a@b.example"]),
    ('"Doe", Jane <a@b.example>', ["a@b.example"]),
    ("bob@example.com>", ["bob@example.com"]),
    ("bob@example.com>, c@d.example", ["bob@example.com", "c@d.example"]),
    ("<<bob@example.com>>", ["bob@example.com"]),
    ("Bob <bob@example.com>>", ["bob@example.com"]),
    ("a@b.example<mailto:a@b.example>", ["a@b.example"]),
    ("A@B.example <MAILTO:a@b.example>", ["a@b.example"]),
    ("Bob <mailto:a@b.example>", ["a@b.example"]),
    ("<@x.example,@y.example:a@c.example>", ["a@c.example"]),
    ("Bob <a@b.example> work", ["a@b.example"]),
    ("<a@b.example> Bob, c@d.example", ["a@b.example", "c@d.example"]),
    ("Bob <a@b.example>.", ["a@b.example"]),
    ("Bob [work] <a@b.example>", ["a@b.example"]),
    ("a@b.example (work", ["a@b.example"]),
    ("a@b.example (a (b) c)", ["a@b.example"]),
    ("a@b.example; c@d.example", ["a@b.example", "c@d.example"]),
    ('a@b.example, "c@d.example"', ["a@b.example", "c@d.example"]),
    ("a..b@c.example", ["a..b@c.example"]),
    ("postmaster, a@b.example", ["postmaster", "a@b.example"]),
    ("Doe, Jane <a@b.example>", ["Doe", "a@b.example"]),
    ("(only a comment)", []),
]


@every_way
@pytest.mark.parametrize(("value", "address"), ONE)
def test_one_address(way: str, value: str, address: str) -> None:
    assert extract_recipients(WAYS[way]("To", value)) == [address]
    assert extract_sender(WAYS[way]("From", value)) == address
    assert parse_address(value) == address
    assert quote_address(value) == f"<{address}>"
    assert envelope_path(value, "ascii") == address.encode()


@every_way
@pytest.mark.parametrize(("value", "addresses"), FIELDS)
def test_field(way: str, value: str, addresses: list[str]) -> None:
    for name in ("To", "Cc", "Bcc"):
        assert extract_recipients(WAYS[way](name, value)) == addresses
    for name in ("From", "Sender"):
        assert extract_sender(WAYS[way](name, value)) == (addresses[0] if addresses else None)
    if way != "Header":
        for name, extract in (("Resent-To", extract_recipients), ("Resent-From", extract_sender)):
            message = WAYS[way](name, value)
            message["Resent-Date"] = "Mon, 20 Nov 2017 21:04:27 -0000"
            assert extract(message) in (addresses, addresses[0] if addresses else None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Bob Smith", "it has blanks"),
        ("Doe Jr, Bob Smith", "it has blanks"),
        ("Doe Jr, a@b.example", "it has blanks"),
        ("a@b.example c@d.example", "it has blanks"),
        ("Bob a@b.example>", "it has blanks"),
        ("a@b.example <c@d.example>", 'it has an "@" before "<"'),
        ("'a@b.example' <a@b.example>", 'it has an "@" before "<"'),
        ("a@b.example <", 'it has an "@" before "<"'),
        ("a@b@c.example", 'it has more than one "@"'),
        ("<a@b.example> <c@d.example>", 'it has more than one "<"'),
        ("Bob <a@b.example> for C <c@d.example>", 'it has more than one "<"'),
        ("a@b.example> <c@d.example>", 'it has more than one "<"'),
        ("a@b.example> AUTH=<c", 'it goes on after ">"'),
        ("Bob <a@b.example> c@d.example", 'it goes on after ">"'),
        ("a@b.example, Bob>", 'it has a ">" without "<"'),
        ('Bob "x <a@b.example>', "a quoted string has no end"),
        ("a@b.example (x, c@d.example", "a comment has no end"),
        ("<a@b.example, c@d.example>", "it has blanks or other characters"),
        ("=?utf-8?q?a?=@b.example", "it has an encoded word"),
        ("a@=?utf-8?q?b.example?=", "it has an encoded word"),
        ("a@b.example=?utf-8?q?x?=", "it has an encoded word"),
        ("=?utf-8?q?J=C3=B6rg_=3Ca=40b.example=3E?=", "it has an encoded word"),
        ('"=?utf-8?q?a=40b.example?="', "it has an encoded word"),
    ],
)
@every_way
def test_ambiguous_in_the_same_words(way: str, value: str, reason: str) -> None:
    message = WAYS[way]("To", value)
    with pytest.raises(ValueError, match="^Not an address for SMTP: ") as caught:
        extract_recipients(message)
    # An assigned EmailMessage does not know whether there was an encoded word or a blank.
    assert reason in str(caught.value) or "an encoded word, or blanks" in str(caught.value)


@pytest.mark.parametrize("fold", ["\r\n ", "\n ", "\n\t", "\r\n\t "])
def test_folded(fold: str) -> None:
    """As an old-style message hands out its fields."""
    value = f"A B{fold}<a@example.com>"
    for text in (value, f"{fold}a@example.com", f"A,{fold}B <a@example.com>".replace("A,", '"A,"')):
        assert parse_address(text) == "a@example.com"
        assert quote_address(text) == "<a@example.com>"
        assert envelope_path(text, "ascii") == b"a@example.com"
        assert Recipient(text) == text
    source = email.message_from_string(f"From: {value}\nTo: {value},{fold}b@example.com\n\n")
    assert parse_address(source["From"]) == "a@example.com"
    assert extract_recipients(source) == ["a@example.com", "b@example.com"]


def test_a_comment_in_quotes_is_none() -> None:
    """It is a part of a local part; without the comment a program has put all of an address into quotes."""
    assert parse_address('"a@example.com (A)"') == '"a@example.com (A)"'
    assert parse_address('"a@example.com"') == "a@example.com"


@pytest.mark.parametrize(
    "value",
    [
        "A\n<a@example.com>",
        "A\r <a@example.com>",
        "A\r\n\r\n <a@example.com>",
        "A\n\n <a@example.com>",
        "a@example.com\r\n RCPT TO:<x@example.com>",
        "a@example\r\n .com DATA",
        "<a@example.com>\r\n AUTH=<>",
        '"a\r\n b"@example.com',
    ],
)
def test_line_breaks_that_are_no_folding(value: str) -> None:
    with pytest.raises(ValueError, match="^Not an address for SMTP"):
        parse_address(value)


@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default])
def test_name_in_another_charset(policy: Any) -> None:
    source = (
        'From: J\xf6rg <a@b.example>\nTo: "J\xf6rg" <a@b.example>, M\xfcller, J <c@d.example> (\xe9), j\n\n'
    )
    message = email.message_from_bytes(source.encode("latin-1"), policy=policy)
    assert extract_sender(message) == "a@b.example"
    assert extract_recipients(message) == ["a@b.example", "c@d.example", "j"]


@pytest.mark.parametrize("bad", ["\xa0", "\x85", "\u2028"])
def test_octets_that_become_white_space(bad: str) -> None:
    message = email.message_from_bytes(f"To: é <a{bad}@b.example>\n\n".encode())
    with pytest.raises(ValueError, match="^Not an address for SMTP"):
        extract_recipients(message)


def test_list_of_addresses() -> None:
    message = EmailMessage()
    message["To"] = ("me@example.com", "you")
    message["Cc"] = (Address("A, B", "a", "b.example"), "Bob <bob@example.com>", "c@d, e@f")
    message["Bcc"] = (Group("g", (Address("", "h", "i.example"),)), Header("Jörg <j@k.example>"))
    message["From"] = Address("Jörg", "f", "g.example")
    assert extract_recipients(message) == [
        *("me@example.com", "you"),
        *("a@b.example", "bob@example.com", "c@d", "e@f"),
        *("h@i.example", "j@k.example"),
    ]
    assert extract_sender(message) == "f@g.example"
    assert extract_addresses(Group("g", (Address("", "h", "i.example"),))) == ["h@i.example"]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["a@b> AUTH=<c", "a@b\r\nBcc: x@y", "x@y <a@b>", "=?utf-8?q?a?=@b"])
def test_list_with_what_is_no_address(value: str) -> None:
    message = EmailMessage()
    message["To"] = ("me@example.com", value)
    with pytest.raises(ValueError, match="^Not an address for SMTP"):
        extract_recipients(message)


@pytest.mark.parametrize("value", [None, 5, 5.0, True, b"a@b.example", (None,), (5,)])
@pytest.mark.parametrize("kind", [Message, EmailMessage])
def test_values_of_other_types(kind: Callable[[], EmailMessage | Message], value: Any) -> None:
    for name, extract in (("Cc", extract_recipients), ("From", extract_sender), ("Sender", extract_sender)):
        message = kind()
        message["To"] = "a@b.example"
        message[name] = value
        with pytest.raises(TypeError, match="^A header field must be a str or a Header, not "):
            extract(message)


def test_policy_of_a_program() -> None:
    class Policy(email.policy.EmailPolicy):
        def header_fetch_parse(self, name: str, value: str) -> Any:
            return super().header_fetch_parse(name, value.replace(" AT ", "@"))

    message = email.message_from_string("To: Bob <a AT b.example>\n\n", policy=Policy())
    assert extract_recipients(message) == ["a@b.example"]


def test_policy_that_fails() -> None:
    class Policy(email.policy.EmailPolicy):
        def header_fetch_parse(self, name: str, value: str) -> Any:
            raise RecursionError("too deep")

    message = email.message_from_string("To: (a) a@b.example\n\n", policy=Policy())
    with pytest.raises(ValueError, match="^The to header field cannot be read: RecursionError: too deep$"):
        extract_recipients(message)


def test_blanks_and_dots_in_an_assigned_local_part() -> None:
    """The parser of the standard library reads an encoded word before such a local part as part of it."""
    for value in ("=?utf-8?q?evil=2E=2E?= a@b.example", "a b@c.example", "a..b c@d.example"):
        message = EmailMessage()
        message["To"] = value
        with pytest.raises(ValueError, match="^Not an address for SMTP"):
            extract_recipients(message)
