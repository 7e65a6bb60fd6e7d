"""Timeouts and flow control. No test measures time: a peer that never does what is awaited is enough."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP

from ..support import certs
from ..support.actions import drip, in_turn, silence, split, then
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, assert_closed, assert_usable, client_for, session
from ..support.scripted_server import PATIENCE, Conversation, Peer

LARGE = b"0123456789\r\n" * 400_000  # far more than sockets and transports buffer

Call = Callable[[SMTP], Awaitable[Any]]
SOON = 0.05


@pytest.mark.parametrize(
    ("position", "call"),
    [
        ("NOOP", lambda c: c.noop()),
        ("RSET", lambda c: c.rset()),
        ("HELP", lambda c: c.help()),
        ("VRFY", lambda c: c.vrfy("b")),
        ("EXPN", lambda c: c.expn("b")),
        ("EHLO", lambda c: c.ehlo()),
        ("HELO", lambda c: c.helo()),
        ("MAIL", lambda c: c.mail(SENDER)),
        ("RCPT", lambda c: c.rcpt(SENDER)),
        ("DATA", lambda c: c.data(MESSAGE)),
        (".", lambda c: c.data(MESSAGE)),
        ("QUIT", lambda c: c.quit()),
        ("AUTH", lambda c: c.login("u", "p")),
        ("AUTH", lambda c: c.auth_plain("u", "p")),
        ("MAIL", lambda c: c.sendmail(SENDER, RECIPIENTS, MESSAGE)),
        ("RCPT", lambda c: c.sendmail(SENDER, RECIPIENTS, MESSAGE)),
        ("DATA", lambda c: c.sendmail(SENDER, RECIPIENTS, MESSAGE)),
        (".", lambda c: c.sendmail(SENDER, RECIPIENTS, MESSAGE)),
    ],
)
async def test_silence_ends_in_a_typed_error_and_a_closed_connection(position: str, call: Call) -> None:
    async with Peer(extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer)
        await client.connect()
        peer.actions[position] = silence
        client.timeout = SOON
        with pytest.raises(
            aiosmtplib.SMTPReadTimeoutError, match=r"^Timed out waiting for server response$"
        ) as caught:
            await call(client)
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, asyncio.TimeoutError)
        assert_closed(client)
        await peer.hung_up()
        client.timeout = PATIENCE
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("timeout", [0, SOON])
async def test_timeout_of_one_call(timeout: float) -> None:
    async with Peer({"NOOP": in_turn(silence, "250 Ok")}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await client.noop(timeout=timeout)
        assert client.timeout == PATIENCE
        assert_closed(client)
        await peer.hung_up()


@pytest.mark.parametrize("timeout", [0, SOON])
async def test_timeout_of_one_sendmail(timeout: float) -> None:
    async with Peer({"RCPT": silence, "MAIL": "250 Ok"}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE, timeout=timeout)
        assert_closed(client)
        await peer.hung_up()


async def test_no_timeout_at_all() -> None:
    async with Peer() as peer, session(peer, timeout=None) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE, timeout=None) == ({}, "2.0.0 Accepted")


async def test_connect_with_timeout_zero() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        with pytest.raises(aiosmtplib.SMTPConnectTimeoutError) as caught:
            await client.connect(timeout=0)
        assert caught.value.message == f"Timed out connecting to 127.0.0.1 on port {peer.port}"
        assert client.timeout == PATIENCE
        assert_closed(client)
        await assert_usable(client, peer)


async def test_ehlo_that_is_not_answered() -> None:
    async with Peer({"EHLO": silence}) as peer:
        client = client_for(peer, timeout=SOON)
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()


async def test_tls_handshake_that_is_not_answered() -> None:
    async with Peer({"connect": silence}) as peer:
        client = client_for(peer, timeout=SOON, use_tls=True, tls_context=certs.client_context())
        with pytest.raises(aiosmtplib.SMTPConnectTimeoutError, match=r"^Timed out connecting to"):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()


async def test_starttls_handshake_that_is_not_answered() -> None:
    async with Peer({"STARTTLS": then("220 go", silence)}, tls=certs.server_context()) as peer:
        client = client_for(peer, timeout=SOON, tls_context=certs.client_context())
        with pytest.raises(aiosmtplib.SMTPTimeoutError):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()


async def test_a_reply_that_never_ends_does_not_stop_the_clock() -> None:
    async def trickle(conversation: Conversation) -> None:
        while True:
            await conversation.send(b"250-")
            await conversation.send(b"x\r\n")
            await asyncio.sleep(SOON)

    async with Peer({"NOOP": trickle}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await client.noop(timeout=4 * SOON)
        assert_closed(client)
        await peer.hung_up()


def reads_slowly(conversation: Conversation) -> Awaitable[str | None]:
    """354, and then nothing is read until the client has had every chance to fill the buffers."""

    async def action() -> str:
        await conversation.reply("354 go on")
        for _ in range(50):
            await asyncio.sleep(0)
        return "354"

    return action()


async def test_large_message_to_a_peer_that_reads_slowly() -> None:
    async with Peer({"DATA": reads_slowly}, receive_buffer=4096) as peer, session(peer) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, LARGE) == ({}, "2.0.0 Accepted")
        assert peer.accepted[0].content == LARGE
        assert (await client.noop()).code == 250


async def test_large_message_over_tls() -> None:
    async with (
        Peer({"DATA": reads_slowly}, tls=certs.server_context(), receive_buffer=4096) as peer,
        session(peer, tls_context=certs.client_context()) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, LARGE) == ({}, "2.0.0 Accepted")
        assert peer.accepted[0].content == LARGE


@pytest.mark.parametrize("ends", ["stays", "closes", "resets"])
async def test_premature_refusal_beats_the_loss_that_follows(ends: str) -> None:
    """The body is still being written when the server has had enough of it."""

    async def enough(conversation: Conversation) -> None:
        await conversation.reply("354 go on")
        await conversation.read_some(10_000)
        await conversation.reply("552 5.3.4 too much")
        if ends == "stays":
            await conversation.read_body()
            return
        if ends == "closes":
            await conversation.cut()
        # Reset only once the reply has had time to be read: RST may destroy what is in flight.
        await conversation.read_some(200_000)
        conversation.reset()

    async with Peer({"DATA": enough}, receive_buffer=4096) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, LARGE)
        assert (caught.value.code, caught.value.message) == (552, "5.3.4 too much")
        if ends != "stays":
            assert_closed(client)
            await peer.hung_up()
        peer.actions.clear()
        await assert_usable(client, peer)
        assert len(peer.accepted) == 1


async def test_write_timeout() -> None:
    never = asyncio.Event()

    async def stops_reading(conversation: Conversation) -> None:
        await conversation.reply("354 go on")
        await never.wait()

    async with Peer({"DATA": stops_reading}, receive_buffer=4096) as peer:
        client = client_for(peer)
        await client.connect()
        client.timeout = SOON
        with pytest.raises(aiosmtplib.SMTPTimeoutError):
            await client.sendmail(SENDER, RECIPIENTS, LARGE)
        assert_closed(client)
        never.set()


@pytest.mark.parametrize("how", [drip, lambda data: split(data[:2], data[2:])])
async def test_every_reply_in_pieces(how: Callable[[bytes], Any]) -> None:
    actions = {
        "connect": how(b"220-a\r\n220 b\r\n"),
        "EHLO": how(b"250-peer\r\n250-SIZE\r\n250 8BITMIME\r\n"),
        "MAIL": how(b"250 ok\r\n"),
        "RCPT": how(b"250-o\r\n250 k\r\n"),
        "DATA": how(b"354 go\r\n"),
        ".": how(b"250-kept\r\n250 indeed\r\n"),
        "QUIT": how(b"221 bye\r\n"),
    }
    async with Peer(actions) as peer:
        async with client_for(peer) as client:
            assert client.esmtp_extensions == {"size": "", "8bitmime": ""}
            assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "kept\nindeed")
        assert len(peer.accepted) == 1
        await peer.hung_up()
