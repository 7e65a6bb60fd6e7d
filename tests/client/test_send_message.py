"""send_message: envelope from headers, MAIL options, Bcc, Resent-*, and addresses that are not ASCII."""

import email.message
import email.policy
from email.message import EmailMessage, Message

import pytest

import aiosmtplib
from aiosmtplib.email import flatten_message

from ..support.clients import HOST, RECIPIENTS, SENDER, assert_usable, email_message, session
from ..support.scripted_server import BINARYMIME, PATIENCE, Peer
from ..support.server_fixtures import Mailbox, Start


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


async def test_send_message() -> None:
    async with Peer() as peer, session(peer) as client:
        assert await client.send_message(email_message()) == ({}, "2.0.0 Accepted")
        (accepted,) = peer.accepted
        assert accepted.sender == SENDER.encode()
        assert [who.decode() for who in accepted.recipients] == RECIPIENTS
        assert parsed(accepted.content).get_content() == "hello\r\n"
        assert peer.commands[1] == b"MAIL FROM:<a@example.com> size=%d BODY=8BITMIME" % len(accepted.content)


async def test_against_aiosmtpd(smtpd: Start) -> None:
    mailbox = await smtpd(enable_SMTPUTF8=True)
    message = email_message("ö@example.com", body="höllo\n")
    async with aiosmtplib.SMTP(
        hostname="127.0.0.1", port=mailbox.port, local_hostname=HOST, timeout=PATIENCE
    ) as client:
        assert await client.send_message(message) == ({}, "2.0.0 Kept")
    (envelope,) = mailbox.envelopes
    assert envelope.rcpt_tos == ["ö@example.com"]
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(envelope.mail_options)
    assert isinstance(envelope.content, bytes)
    assert envelope.content.endswith("\r\n\r\nhöllo\r\n".encode())


async def test_binary() -> None:
    """What is declared to be binary goes out as it is (RFC 3030 section 3)."""
    message = email_message(body="a\n")
    async with Peer(extensions=BINARYMIME) as peer, session(peer) as client:
        await client.send_message(message, mail_options=["BODY=BINARYMIME"])
        (accepted,) = peer.accepted
        assert accepted.content == flatten_message(message)
        assert peer.commands[1].endswith(b" size=%d BODY=BINARYMIME" % len(accepted.content))
        assert "BDAT" in peer.verbs


async def test_envelope_given_wins_over_headers() -> None:
    async with Peer() as peer, session(peer) as client:
        await client.send_message(email_message(), sender="x@example.com", recipients=["y@example.com"])
        await client.send_message(email_message(), sender="", recipients="y@example.com")
        assert [accepted.sender for accepted in peer.accepted] == [b"x@example.com", b""]
        assert [accepted.recipients for accepted in peer.accepted] == [(b"y@example.com",)] * 2
        assert parsed(peer.accepted[0].content)["From"] == SENDER


async def test_sender_header_and_all_kinds_of_recipients() -> None:
    message = email_message("B <b@example.com>")
    message["Cc"] = "c@example.com, c2@example.com"
    message["Bcc"] = "d@example.com"
    message["Sender"] = "s@example.com"
    async with Peer() as peer, session(peer) as client:
        await client.send_message(message)
        (accepted,) = peer.accepted
        assert accepted.sender == b"s@example.com"
        assert accepted.recipients == (
            b"b@example.com",
            b"c@example.com",
            b"c2@example.com",
            b"d@example.com",
        )
        assert b"bcc" not in accepted.content.lower()
        assert b"d@example.com" not in accepted.content
    assert message["Bcc"] == "d@example.com"


def resent() -> Message:
    message = Message()
    message["From"] = SENDER
    message["To"] = "b@example.com"
    message["Bcc"] = "hidden@example.com"
    message["Resent-Date"] = "Mon, 20 Nov 2017 21:04:27 -0000"
    message["Resent-From"] = "r@example.com"
    message["Resent-To"] = "rt@example.com"
    message["Resent-Bcc"] = "rb@example.com"
    message.set_payload("x")
    return message


async def test_resent() -> None:
    async with Peer() as peer, session(peer) as client:
        await client.send_message(resent())
        (accepted,) = peer.accepted
        assert accepted.sender == b"r@example.com"
        assert accepted.recipients == (b"rt@example.com", b"rb@example.com")
        assert b"bcc" not in accepted.content.lower()


async def test_resent_twice() -> None:
    message = resent()
    message["Resent-Date"] = "Mon, 20 Nov 2017 21:04:28 -0000"
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(ValueError, match="Resent-"):
            await client.send_message(message)
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


@pytest.mark.parametrize("missing", ["From", "To"])
async def test_headers_that_are_missing(missing: str) -> None:
    message = email_message()
    del message[missing]
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(ValueError, match=r"."):
            await client.send_message(message)
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    ("extensions", "body", "options", "encoding"),
    [
        (["8BITMIME"], "hä\n", b" X=Y BODY=8BITMIME", "8bit"),
        (["8BITMIME"], "ha\n", b" X=Y BODY=8BITMIME", "7bit"),
        ([], "ha\n", b" X=Y", "7bit"),
        ([], "hä\n", b" X=Y", "base64"),
    ],
)
async def test_8bitmime(extensions: list[str], body: str, options: bytes, encoding: str) -> None:
    async with Peer(extensions=extensions) as peer, session(peer) as client:
        await client.send_message(email_message(body=body), mail_options=["X=Y"])
        assert peer.commands[1] == b"MAIL FROM:<a@example.com>" + options
        message = parsed(peer.accepted[0].content)
        assert message["Content-Transfer-Encoding"] == encoding
        assert message.get_content().replace("\r\n", "\n") == body


async def test_smtputf8() -> None:
    async with Peer(extensions=["SMTPUTF8", "8BITMIME", "SIZE"]) as peer, session(peer) as client:
        await client.send_message(email_message("ö@example.com"), mail_options=["X=Y"])
        (accepted,) = peer.accepted
        size = len(accepted.content)
        assert peer.commands[1:3] == [
            b"MAIL FROM:<a@example.com> size=%d X=Y SMTPUTF8 BODY=8BITMIME" % size,
            "RCPT TO:<ö@example.com>".encode(),
        ]
        assert "To: ö@example.com\r\n".encode() in accepted.content


async def test_smtputf8_is_not_asked_for_without_need() -> None:
    message = email_message()
    message.replace_header("Subject", "süß")
    async with Peer(extensions=["SMTPUTF8"]) as peer, session(peer) as client:
        await client.send_message(message)
        assert peer.commands[1] == b"MAIL FROM:<a@example.com>"
        peer.accepted[0].content.decode("ascii")


async def test_idn_goes_out_as_a_labels_where_smtputf8_is_missing() -> None:
    message = email_message("b@bücher.example", sender="a@straße.example")
    async with Peer() as peer, session(peer) as client:
        assert await client.send_message(message) == ({}, "2.0.0 Accepted")
        (accepted,) = peer.accepted
        assert accepted.recipients == (b"b@xn--bcher-kva.example",)
        assert accepted.sender in (
            b"a@xn--strae-oqa.example",
            b"a@strasse.example",
        )  # idna, or the standard codec
        accepted.content.decode("ascii")
        assert b"SMTPUTF8" not in peer.received


@pytest.mark.parametrize(
    ("to", "recipients"),
    [("ö@example.com", None), ("ö@bücher.example", None), ("b@example.com", ["ö@example.com"])],
)
async def test_local_part_that_needs_smtputf8(to: str, recipients: list[str] | None) -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="SMTPUTF8"):
            await client.send_message(email_message(to), recipients=recipients)
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


async def test_legacy_message() -> None:
    message = Message()
    message["From"] = "A <a@example.com>, a2@example.com"
    message["To"] = "b@example.com, b@example.com"
    message.set_payload("x")
    async with Peer() as peer, session(peer) as client:
        await client.send_message(message)
        assert peer.accepted[0].sender == b"a@example.com"
        assert peer.accepted[0].recipients == (b"b@example.com", b"b@example.com")


@pytest.mark.parametrize("message", ["From: a@example.com\n\nhi", b"x", None, 3])
async def test_what_is_no_message(message: object) -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises((TypeError, AttributeError)):
            await client.send_message(message)  # type: ignore[arg-type]
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


def test_send_message_sync(threaded_smtpd: Mailbox) -> None:
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=threaded_smtpd.port, local_hostname=HOST, timeout=PATIENCE
    )
    assert client.send_message_sync(email_message()) == ({}, "2.0.0 Kept")
    assert client.send_message_sync(email_message(), recipients=RECIPIENTS[:1]) == ({}, "2.0.0 Kept")
    assert [envelope.rcpt_tos for envelope in threaded_smtpd.envelopes] == [RECIPIENTS, RECIPIENTS[:1]]


async def test_sync_form_inside_a_running_loop() -> None:
    with pytest.raises(RuntimeError):
        aiosmtplib.SMTP(local_hostname=HOST).send_message_sync(email_message())
