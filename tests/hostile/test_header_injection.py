"""Header fields, recipients and bodies in what callers make messages of: values, names, parts of messages.

What was written is split as servers and readers split it, strictly and leniently. The header section has to
end where the message says, with the fields that it has, and nobody else gets it.
"""

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import Header
from email.message import EmailMessage, Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiosmtplib
from aiosmtplib.email import extract_recipients, flatten_message

from ..support.clients import RECIPIENTS, SENDER, assert_usable, session
from ..support.scripted_server import PIPELINING, Peer

BREAKS = [
    "\r\n",
    "\n",
    "\r",
    "\r\r\n",
    "\n\r",
    "\r\n\r\n",
    "\n\n",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\0",
]
BEHIND = [
    "Bcc: evil@example.com",
    "Bcc : evil@example.com",
    "X: y",
    ".",
    "body",
    "\tfolded",
    "",
    " ",
    "--cut",
]
TEXTS = ["a", "süß", "\udce9", "x" * 80, "=?utf-8?q?=0D=0ABcc:_evil@example.com?=", ""]
NASTY = [f"{text}{end}{behind}" for text in TEXTS[:3] for end in BREAKS for behind in BEHIND[:5]]
values = st.one_of(
    st.lists(st.sampled_from([*BREAKS, *BEHIND, *TEXTS]), max_size=6).map("".join), st.text(max_size=20)
)
#: All that the standard library, or this package, may say to what cannot be a message.
REFUSALS = (ValueError, TypeError, HeaderParseError, AttributeError, IndexError, KeyError, LookupError)


def assert_contained(flat: bytes, names: set[str], body: bytes) -> None:
    """The fields of the header section are these, and this is what comes behind it."""
    for line_end in (rb"\r\n|\n", rb"\r\n|\r|\n"):
        lines = re.split(line_end, flat)
        end = lines.index(b"")
        fields = [line for line in lines[:end] if line[:1] not in (b" ", b"\t")]
        found = [
            field.partition(b":")[0].strip(b" \t").decode("utf-8", "replace").lower() for field in fields
        ]
        # A name that is not ASCII may have become an encoded word, whatever that is to mean.
        assert {each for each in found if not each.startswith("=?")} <= {name.lower() for name in names}
        assert len(found) == len(set(found))
        assert b"\n".join(lines[end + 1 :]).rstrip(b"\n") == body


def made(name: str, value: Any, kind: type[Message]) -> Message:
    message = kind()
    message["From"], message["To"] = SENDER, "b@example.com"
    message[name] = value
    message.set_payload("the body")
    return message


NAMES = {"From", "To", "Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}


def check(make: Callable[[], Message], names: set[str], body: bytes = b"the body") -> bool:
    try:
        message = make()
        flat = [
            flatten_message(message, utf8=utf8, cte_type=cte)
            for utf8 in (False, True)
            for cte in ("7bit", "8bit")
        ]
    except REFUSALS:
        return False
    for each in flat:
        assert_contained(each, names, body)
    return True


@given(values, st.sampled_from([Message, EmailMessage]))
def test_any_value(value: str, kind: type[Message]) -> None:
    check(lambda: made("Subject", value, kind), NAMES)


@pytest.mark.parametrize("kind", [Message, EmailMessage])
def test_values(kind: type[Message]) -> None:
    passed = sum(check(lambda value=value: made("Subject", value, kind), NAMES) for value in NASTY)  # type: ignore[misc]
    assert passed >= 3  # so that the test tests something: the standard library refuses most of them


@given(values)
def test_any_header_object(value: str) -> None:
    check(lambda: made("Subject", Header(value, maxlinelen=1000), Message), NAMES)


@pytest.mark.parametrize("end", BREAKS)
@pytest.mark.parametrize("kind", [Message, EmailMessage])
def test_names(end: str, kind: type[Message]) -> None:
    """A name is text of the caller's, too. Where Python lets it pass, it adds no field of another name."""
    for name in (f"X: y{end}Bcc", f"X{end}Bcc", f"X: y{end}{end}Bcc", f"{end}Bcc"):
        names = {*NAMES, "X", name.partition(":")[0].strip("\r\n")} - {"Bcc"}
        check(lambda name=name: made(name, "evil@example.com", kind), names)  # type: ignore[misc]


def test_parsed_from_bytes() -> None:
    """Whatever the parser takes for part of a value is part of a value to others, too."""
    for end in BREAKS:
        for behind in BEHIND[:5]:
            raw = f"From: a@example.com\nTo: b@example.com\nSubject: x{end}{behind}\n\nthe body"
            for how in (policy.compat32, policy.default, policy.SMTP):
                message = message_from_bytes(raw.encode(), policy=how)
                # Where it ends the header section, or begins a field, that is what was parsed.
                names, body = set(message.keys()) - {"Bcc"}, message.get_payload()
                assert isinstance(body, str)
                lines = re.split(r"\r\n|\r|\n", body)
                check(lambda message=message: message, names, "\n".join(lines).rstrip("\n").encode())  # type: ignore[misc]


def parts(value: str) -> Iterator[Callable[[], EmailMessage]]:
    """Where else than in a header value of its own text ends up in a header section."""

    def new() -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = SENDER, "b@example.com"
        message.set_content("the body")
        return message

    def charset() -> EmailMessage:
        message = new()
        message.set_param("charset", value)
        return message

    def parameter() -> EmailMessage:
        message = new()
        message.set_param(value, "x")
        return message

    def subtype() -> EmailMessage:
        message = new()
        message.set_type(f"text/{value}")
        return message

    def header_of_content() -> EmailMessage:
        message = new()
        message.set_content("the body", headers=[f"X: {value}"])
        return message

    def content_id() -> EmailMessage:
        message = new()
        message.set_content("the body", cid=value)
        return message

    def file_name() -> EmailMessage:
        message = new()
        message.set_content(b"the body", "text", "plain", cte="8bit", filename=value)
        return message

    def raw() -> EmailMessage:
        message = new()
        message.set_raw("X", value)
        return message

    yield from (charset, parameter, subtype, header_of_content, content_id, file_name, raw)


def test_parameters_of_the_content() -> None:
    names = {*NAMES, "X", "Content-ID", "Content-Disposition"}
    for value in NASTY[::7]:
        for make in parts(value):
            check(make, names)


# -- to whom it goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["From", "To", "Cc", "Bcc", "Sender", "Reply-To", "Subject", "X-Note"])
@pytest.mark.parametrize("kind", [Message, EmailMessage])
async def test_recipients(kind: type[Message], header: str) -> None:
    """A recipient who is only in a part of a value gets nothing, and no field names him."""
    async with (
        Peer(extensions=PIPELINING, strict=True) as peer,
        session(peer, start_tls=False) as client,
    ):
        sent = 0
        for end in BREAKS:
            # "Name: evil@example.com" would be a group, which whoever chooses the whole value may choose.
            for text in ("a@example.com", "<a@example.com>", "A <a@example.com>"):
                message = kind()
                for name, value in (("From", SENDER), ("To", ", ".join(RECIPIENTS))):
                    if name != header:
                        message[name] = value
                try:
                    message[header] = f"{text}{end}Bcc: evil@example.com"
                    message.set_payload("the body")
                    await client.send_message(message)
                except REFUSALS:
                    continue
                sent += 1
                accepted = peer.accepted[-1]
                assert b"evil@example.com" not in (accepted.sender, *accepted.recipients)
                names = {*NAMES, header} - {"Bcc"}
                assert_contained(accepted.content, names, b"the body")
        assert len(peer.accepted) == sent
        assert set(peer.verbs) <= {"EHLO", "MAIL", "RCPT", "DATA"}
        await assert_usable(client, peer)


async def test_a_legacy_from_with_line_ends() -> None:
    """It has always been sent, from the address that can be made out."""
    message = Message()
    message["From"] = "a@example.com\r\nBcc: evil@example.com\r\n\r\nbody"
    message["To"] = "b@example.com"
    message.set_payload("x")
    async with Peer() as peer, session(peer) as client:
        try:
            await client.send_message(message)
        except (HeaderParseError, aiosmtplib.SMTPException):
            assert peer.verbs == ["EHLO"]
        else:
            (accepted,) = peer.accepted
            assert accepted.sender == b"a@example.com"
            assert accepted.recipients == (b"b@example.com",)
            assert_contained(accepted.content, NAMES, b"x")
        await assert_usable(client, peer)


@pytest.mark.parametrize("name", ["Bcc", "bcc", "BCC", "Resent-Bcc", "resent-BCC"])
@pytest.mark.parametrize("how", [policy.compat32, policy.default])
def test_hidden_recipients_stay_hidden(name: str, how: Any) -> None:
    raw = (
        f"From: a@example.com\nResent-Date: x\nTo: b@example.com\n{name}: c@example.com,\n d@example.com\n\nx"
    )
    message = message_from_bytes(raw.encode(), policy=how)
    assert b"c@example.com" not in (flat := flatten_message(message))
    assert b"d@example.com" not in flat
    if name.lower().startswith("resent"):
        assert extract_recipients(message) == ["c@example.com", "d@example.com"]
