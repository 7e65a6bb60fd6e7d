"""Addresses and message identifiers that are not ASCII, in header fields for a server without SMTPUTF8.

The releases of the standard library differ: encoded words, ``HeaderWriteError``, ``UnicodeEncodeError``, raw
bytes. Here every Python writes the same.
"""

import base64
import email
import email.policy
from email.headerregistry import Address, Group
from email.message import EmailMessage
from typing import Literal

import pytest

import aiosmtplib
from aiosmtplib._message.specs import AsciiRegistry
from aiosmtplib.email import extract_recipients, flatten_message

from ..support.clients import session
from ..support.scripted_server import Peer

LONG = "ö" * 64
IN_BASE64 = base64.b64encode(LONG.encode()).decode()

FIELDS = [
    # Domains, of which there is an ASCII form (RFC 5891).
    ("From", "bob@bücher.example", "bob@xn--bcher-kva.example"),
    ("To", "Bob <bob@bücher.example>", "Bob <bob@xn--bcher-kva.example>"),
    (
        "To",
        "Jö <b@bücher.example>, c@d.e",
        "=?{}?q?J=C3=B6?= <b@xn--bcher-kva.example>, c@d.e",
    ),
    ("Reply-To", "G: a@bücher.example, b@d.example;", "G: a@xn--bcher-kva.example, b@d.example;"),
    # Domains of which there is none, and what only looks like one.
    ("To", "b@ü.x..example", "b@=?{}?q?=C3=BC?=.x..example"),
    ("To", "b@[ö]", "b@[=?{}?q?=C3=B6?=]"),
    ("To", "b@d(ö).example", "b@d(=?{}?q?=C3=B6?=).example"),
    # Local parts.
    ("From", "jörg@example.com", "=?{}?q?j=C3=B6rg?=@example.com"),
    ("From", "Jörg <jörg@example.com>", "=?{}?q?J=C3=B6rg?= <=?{}?q?j=C3=B6rg?=@example.com>"),
    ("Cc", "x: J <jö@b.example>, c@d.example;", "x: J <=?{}?q?j=C3=B6?=@b.example>, c@d.example;"),
    ("From", "(kömm) j@x.example", "(=?{}?q?k=C3=B6mm?=) j@x.example"),
    ("From", '"jö rg"@example.com', '"=?{}?q?j=C3=B6?= rg"@example.com'),
    ("From", "jörg@bücher.example", "=?{}?q?j=C3=B6rg?=@xn--bcher-kva.example"),
    ("From", "Jo <jö>", "Jo <=?{}?q?j=C3=B6?=>"),
    ("From", f"{LONG}@example.com", f"=?{{}}?b?{IN_BASE64}?=@example.com"),
    # Message identifiers.
    ("Message-ID", "<jö@example.com>", "<=?{}?q?j=C3=B6?=@example.com>"),
]


def written(message: EmailMessage, cte_type: Literal["7bit", "8bit"] = "7bit") -> str:
    field, _, _ = flatten_message(message, cte_type=cte_type).partition(b"\r\n\r\n")
    return field.replace(b"\r\n", b"").decode("ascii").partition(":")[2].strip()


@pytest.mark.parametrize(("name", "value", "expected"), FIELDS)
def test_assigned(name: str, value: str, expected: str) -> None:
    message = EmailMessage()
    message[name] = value
    before = str(message[name])
    for cte_type in ("7bit", "8bit"):
        assert written(message, cte_type) == expected.replace("{}", "utf-8")  # type: ignore[arg-type]
    assert str(message[name]) == before, "the message has been changed"


@pytest.mark.parametrize(("name", "value", "expected"), FIELDS)
def test_parsed_from_text(name: str, value: str, expected: str) -> None:
    message = email.message_from_string(f"{name}: {value}\n\n", policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert written(message) == expected.replace("{}", "utf-8")


@pytest.mark.parametrize(("name", "value", "expected"), FIELDS)
def test_parsed_from_bytes(name: str, value: str, expected: str) -> None:
    """Domains in bytes are not known to be UTF-8."""
    message = email.message_from_bytes(f"{name}: {value}\n\n".encode(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if "xn--" in expected:
        assert "=?unknown-8bit?q?b=C3=BCcher?=.example" in written(message)
    else:
        assert written(message) == expected.replace("{}", "unknown-8bit")


def test_with_smtputf8_they_stay_what_they_are() -> None:
    message = EmailMessage()
    message["From"] = "Jörg <jörg@bücher.example>"
    assert flatten_message(message, utf8=True).startswith("From: Jörg <jörg@bücher.example>\r\n".encode())


def test_folded_text() -> None:
    message = email.message_from_string("To: Jörg\n <j@example.com>\n\n", policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert written(message) == "=?utf-8?q?J=C3=B6rg?= <j@example.com>"


@pytest.mark.parametrize("name", ["In-Reply-To", "References"])
def test_identifiers_of_other_messages(name: str) -> None:
    """Older releases take them for text, and make encoded words of all of it."""
    message = EmailMessage()
    message[name] = "<jö@example.com> <b@example.com>"
    assert "=?utf-8?" in written(message)


def test_address_objects() -> None:
    message = EmailMessage()
    message["To"] = [Group("Ä", [Address("Ö", "ü", "bücher.example")]), Address("", "a", "b.example")]
    assert written(message) == (
        "=?utf-8?q?=C3=84?=: =?utf-8?q?=C3=96?= <=?utf-8?q?=C3=BC?=@xn--bcher-kva.example>;, a@b.example"
    )
    assert extract_recipients(message) == ["ü@bücher.example", "a@b.example"]


@pytest.mark.parametrize("text", ["=?utf-8?q?j=C3=B6?=@example.com", "jö@example.com", "j@example.com"])
def test_header_objects_of_the_registry_are_ascii_in_their_addresses(text: str) -> None:
    """Long fields are folded from what it parses, and encoded words are decoded there."""
    assert str(AsciiRegistry()("To", text)._parse_tree).isascii()


async def test_it_is_sent_to_whom_the_envelope_names() -> None:
    message = EmailMessage()
    message["From"] = "Jörg <jörg@example.com>"
    message["To"] = "b@example.com"
    message.set_content("x")
    async with Peer() as peer, session(peer) as client:
        await client.send_message(message, sender="bounces@example.com")
        (accepted,) = peer.accepted
        assert accepted.sender == b"bounces@example.com"
        assert b"From: =?utf-8?q?J=C3=B6rg?= <=?utf-8?q?j=C3=B6rg?=@example.com>\r\n" in accepted.content
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="SMTPUTF8"):
            await client.send_message(message)
