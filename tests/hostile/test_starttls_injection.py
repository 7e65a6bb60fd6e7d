"""Bytes that are sent in the clear and would be believed once there is TLS (RFC 3207 section 6).

Whoever sits between client and server can write into the plaintext phase: behind the 220 in its segment, as
a fragment of a reply, a millisecond later, in the middle of the handshake. The handshakes are real ones.
Nothing of it may become the reply to a command that is sent over TLS, and no command may be sent in the
clear that TLS was meant for.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from ..support import certs
from ..support.actions import hold, split, then
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
    client_for,
    options_for,
    session,
)
from ..support.scripted_server import PATIENCE, Conversation, Hangup, Peer

LOGIN: dict[str, Any] = {"username": "user", "password": "pass word"}
#: A reply to the EHLO after TLS, as an attacker would like it: with AUTH, and without an end to the list.
EHLO = b"250-injected.example\r\n250 AUTH PLAIN LOGIN\r\n"
SAYS_WHY = "Server sent data between its reply to STARTTLS and the TLS handshake"

Injection = Callable[[Conversation], Awaitable[str]]


async def in_a_segment_of_its_own(conversation: Conversation) -> str:
    await conversation.reply("220 go")
    await asyncio.sleep(0)
    await conversation.send(EHLO)
    return "220 go"


async def a_millisecond_later(conversation: Conversation) -> str:
    """When the client has, on a machine that is not very slow, begun with the handshake."""
    await conversation.reply("220 go")
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    loop.call_later(0.001, later.set_result, None)
    await later
    await conversation.send(EHLO)
    return "220 go"


async def after_the_client_hello(conversation: Conversation) -> str:
    await conversation.reply("220 go")
    await conversation.ahead(b"\x16\x03")  # the header of a handshake record (RFC 8446 section 5.1)
    await conversation.send(EHLO)
    return "220 go"


async def before_every_record(conversation: Conversation) -> str:
    """Byte by byte, so that the TLS layer has to wait for the rest of a record that is none."""
    await conversation.reply("220 go")
    await conversation.ahead(b"\x16\x03")
    for byte in EHLO:
        await conversation.send(bytes([byte]))
        await asyncio.sleep(0)
    return "220 go"


#: What comes with the 220 or shortly after it. Whether the client notices it itself or its TLS layer does
#: depends on when it comes.
AT_ONCE: dict[str, Any] = {
    "one reply": b"220 go\r\n250 injected\r\n",
    "EHLO": b"220 go\r\n" + EHLO,
    "another 220": b"220 go\r\n220 go\r\n",
    "a goodbye": b"220 go\r\n421 bye\r\n",
    "a fragment": b"220 go\r\n250-fragment",
    "a letter": b"220 go\r\nx",
    "a line end": b"220 go\r\n\n",
    "NUL": b"220 go\r\n\0",
    "a TLS alert": b"220 go\r\n\x15\x03\x01\x00\x02\x02\x28",
    "in two": split(b"220 g", b"o\r\n2"),
    "many lines": b"220-one\r\n220-two\r\n220 go\r\n250-",
}
LATER: dict[str, Injection] = {
    "own segment": in_a_segment_of_its_own,
    "a millisecond": a_millisecond_later,
    "ClientHello": after_the_client_hello,
    "dripped": before_every_record,
}


async def assert_nothing_was_given_away(peer: Peer) -> None:
    await peer.hung_up()
    assert set(peer.verbs) <= {"EHLO", "STARTTLS"}
    assert not any(conversation.encrypted for conversation in peer.conversations)
    for secret in (b"AUTH", b"cGFzcyB3b3Jk", b"MAIL"):
        assert secret not in peer.received


@pytest.mark.parametrize("injection", [*AT_ONCE, *LATER])
@pytest.mark.parametrize("start_tls", [None, True, False])
@pytest.mark.usefixtures("uvloop_may_complain")
async def test_between_220_and_the_handshake(
    trusting: ssl.SSLContext, injection: str, start_tls: bool | None
) -> None:
    async with Peer({"STARTTLS": {**AT_ONCE, **LATER}[injection]}, tls=certs.server_context()) as peer:
        login = LOGIN if start_tls is not False else {}
        client = client_for(peer, tls_context=trusting, start_tls=start_tls, **login)
        with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)) as caught:
            await client.connect()
            await client.starttls()
        assert "injected" not in str(caught.value)
        if injection in AT_ONCE:
            assert isinstance(caught.value, aiosmtplib.SMTPResponseException)
            assert (caught.value.code, caught.value.message) == (-1, SAYS_WHY)
        assert_closed(client)
        assert client.tls is None
        await assert_nothing_was_given_away(peer)
        peer.actions.clear()
        peer.extensions = ("AUTH PLAIN",)
        await assert_usable(client, peer)


@pytest.mark.parametrize("injection", ["EHLO", "a fragment", "a millisecond", "ClientHello"])
@pytest.mark.parametrize("door", ["send", "send_many", "pool", "LMTP", "protocol"])
@pytest.mark.usefixtures("uvloop_may_complain")
async def test_every_door_notices(trusting: ssl.SSLContext, door: str, injection: str) -> None:
    actions = {"STARTTLS": {**AT_ONCE, **LATER}[injection]}
    async with Peer(actions, tls=certs.server_context(), lmtp=door == "LMTP") as peer:
        options = options_for(peer, tls_context=trusting, **LOGIN)
        if door == "send_many":
            envelope = aiosmtplib.Envelope(SENDER, RECIPIENTS, MESSAGE)
            (result,) = [each async for each in aiosmtplib.send_many([envelope], **options)]
            assert result.delivery is aiosmtplib.Delivery.NOT_SENT
        else:
            with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
                if door == "send":
                    await aiosmtplib.send(MESSAGE, sender=SENDER, recipients=RECIPIENTS, **options)
                elif door == "pool":
                    async with aiosmtplib.SMTPPool(**options) as pool:
                        await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
                elif door == "LMTP":
                    await aiosmtplib.LMTP(**options).connect()
                else:
                    await by_hand(peer, trusting)
        await peer.hung_up()
        assert set(peer.verbs) <= {"EHLO", "LHLO", "STARTTLS"}
        assert peer.accepted == []


async def by_hand(peer: Peer, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(SMTPProtocol, peer.host, peer.port)
    try:
        await protocol.read_response(PATIENCE)
        await protocol.start_tls(context, "localhost", PATIENCE)
    finally:
        assert not protocol.is_connected
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await protocol.execute_command(b"EHLO", b"me", timeout=PATIENCE)


# -- earlier than the 220 ----------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [b"220 go\r\n", b"220 go\r\n" + EHLO, b"220 go\r\n250-injec"])
async def test_a_220_that_was_not_asked_for(trusting: ssl.SSLContext, ahead: bytes) -> None:
    """With the reply to EHLO: it would pair with STARTTLS, and the real 220 would count as TLS."""
    ehlo = b"250-peer.example\r\n250 STARTTLS\r\n" + ahead
    async with Peer({"EHLO": ehlo}, tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=trusting, **LOGIN)
        with pytest.raises(aiosmtplib.SMTPException):
            await client.connect()
        assert_closed(client)
        await assert_nothing_was_given_away(peer)
        assert "STARTTLS" not in peer.verbs


async def test_an_ehlo_that_was_not_asked_for(trusting: ssl.SSLContext) -> None:
    """With the greeting: an offer without STARTTLS, before the real one can come."""
    async with Peer({"connect": b"220 hello\r\n" + EHLO}, tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=trusting, **LOGIN)
        with pytest.raises(aiosmtplib.SMTPException):
            await client.connect()
        assert_closed(client)
        await assert_nothing_was_given_away(peer)


# -- in the middle of the handshake, and right after it ----------------------------------------------


async def plaintext_in_the_handshake(conversation: Conversation) -> str:
    """Behind the server's half of the handshake, in the segment that ends it for the client."""
    await conversation.reply("220 go")
    context = conversation.peer.tls
    assert context is not None
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, to_send, server_side=True)
    while True:
        received.write(conversation._read(len(conversation.unread)))
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            if flight := to_send.read():
                await conversation.send(flight + EHLO)
        else:
            break
        try:
            await conversation._fill()
        except Hangup:
            return ""
    await conversation.drain()
    return ""


async def encrypted_before_ehlo(conversation: Conversation) -> str:
    """By the server itself, or by whoever made it say this: still nothing that was asked for."""
    await conversation.reply("220 go")
    await conversation.start_tls()
    await conversation.send(EHLO)
    return ""


@pytest.mark.parametrize("injection", [plaintext_in_the_handshake, encrypted_before_ehlo])
@pytest.mark.parametrize("start_tls", [True, False])
async def test_never_the_reply_to_ehlo(
    trusting: ssl.SSLContext, injection: Injection, start_tls: bool
) -> None:
    actions: dict[str, Any] = {"STARTTLS": injection}
    async with Peer(actions, tls=certs.server_context(), extensions=["AUTH PLAIN"]) as peer:
        minimum = ssl.TLSVersion.TLSv1_2 if start_tls else None
        client = client_for(peer, tls_context=trusting, start_tls=start_tls, minimum_tls_version=minimum)
        with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
            await client.connect()
            if not start_tls:
                await client.starttls()
            await conversation_goes_on(peer)
            await client.login("user", "pass word")
        assert client.server_auth_methods == []
        assert not client.is_connected
        await peer.hung_up()
        assert "AUTH" not in peer.verbs
        assert "MAIL" not in peer.verbs
        peer.actions.clear()
        await assert_usable(client, peer)


async def conversation_goes_on(peer: Peer) -> None:
    """Let what was sent arrive."""
    for _ in range(20):
        await asyncio.sleep(0)


# -- what the client sends ---------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["220 go", "454 no", "injected"])
async def test_commands_wait_for_tls(trusting: ssl.SSLContext, reply: str) -> None:
    """Other tasks may want to talk meanwhile. Not in the clear: a server that reads ahead would take their
    commands for some that were sent over TLS, and an attacker reads them in any case.
    """
    go = asyncio.Event()
    answer: Any = hold(go, reply) if reply != "injected" else then(hold(go, "220 go"), EHLO)
    async with Peer({"STARTTLS": answer}, tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=trusting, start_tls=False)
        await client.connect()
        await client.ehlo()
        upgrading = asyncio.ensure_future(client.starttls())
        await peer.seen("STARTTLS")
        others = [
            asyncio.ensure_future(client.execute_command(b"NOOP")),
            asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, MESSAGE)),
        ]
        await conversation_goes_on(peer)
        assert bytes(peer.conversations[0].received) == b"EHLO %b\r\nSTARTTLS\r\n" % HOST.encode()
        in_the_clear = len(peer.conversations[0].received)
        go.set()
        results = await asyncio.gather(upgrading, *others, return_exceptions=True)
        if reply == "220 go":
            # What they had to say was made by what the server announced in the clear, so it is not said.
            assert results[0] == (220, "go")
            for result in results[1:]:
                assert isinstance(result, aiosmtplib.SMTPServerDisconnected)
                assert result.delivery is aiosmtplib.Delivery.NOT_SENT
            assert client.tls is not None
            assert len(peer.conversations[0].received) == in_the_clear
            await assert_usable(client, peer)
        elif reply == "454 no":
            assert isinstance(results[0], aiosmtplib.SMTPResponseException)
            assert results[1:] == [(250, "2.0.0 Ok"), ({}, "2.0.0 Accepted")]
        else:
            assert all(isinstance(each, aiosmtplib.SMTPException) for each in results)
            await peer.hung_up()
            assert len(peer.conversations[0].received) == in_the_clear or not peer.accepted
            assert peer.verbs == ["EHLO", "STARTTLS"]
        client.close()


async def test_nothing_is_remembered_from_before(trusting: ssl.SSLContext) -> None:
    """A mail transaction that was begun in the clear does not go on over TLS."""
    async with Peer(tls=certs.server_context()) as peer, session(peer, start_tls=False) as client:
        await client.mail("attacker@example.com")
        await client.rcpt("attacker@example.com")
        await client.starttls(tls_context=trusting)
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        (accepted,) = peer.accepted
        assert accepted.sender == SENDER.encode()
        assert [who.decode() for who in accepted.recipients] == RECIPIENTS
