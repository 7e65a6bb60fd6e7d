"""Cancellation at every await: afterwards a client is usable and in step, or closed and can connect again.

Each test cancels the same operation at its first suspension, its second, and so on until it completes, each
time also in the moment when what it awaits is already there. The peer's ledger shows what the server was made
to see.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aiosmtplib

from ..support import certs
from ..support.actions import hold
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    WIRE,
    assert_usable,
    client_for,
    each_cancellation,
    email_message,
    options_for,
)
from ..support.scripted_server import Conversation, Peer

Run = Callable[[Awaitable[Any]], Awaitable[Any]]

LARGE = b"0123456789" * 200_000
LARGE_WIRE = LARGE + b"\r\n.\r\n"


@asynccontextmanager
async def watched(expected: bytes = WIRE, **options: Any) -> AsyncIterator[Peer]:
    """A peer whose ledger must show no message text but ``expected`` and beginnings of it, in the end."""
    async with Peer(**options) as peer:
        yield peer
        await peer.hung_up()
        for conversation in peer.conversations:
            for body in conversation.bodies:
                assert body in (expected, WIRE), f"{body[-80:]!r} was sent as message text"
            if conversation.partial is not None:
                assert expected.startswith(conversation.partial), (
                    f"{conversation.partial[-80:]!r} was sent as text"
                )
            assert all(base64.b64decode(answer, validate=True) for answer in conversation.answers)
        verbs = set(peer.verbs) - {
            line.decode().upper() for each in peer.conversations for line in each.answers
        }
        assert verbs <= {
            "EHLO",
            "NOOP",
            "VRFY",
            "EXPN",
            "MAIL",
            "RCPT",
            "DATA",
            "RSET",
            "QUIT",
            "STARTTLS",
            "AUTH",
        }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"local_hostname": None},
        {"username": "u", "password": "p"},
    ],
)
async def test_connect(options: dict[str, Any]) -> None:
    async def attempt(run: Run) -> None:
        async with watched(extensions=["AUTH PLAIN"]) as peer:
            client = client_for(peer, **options)
            await run(client.connect())
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


@pytest.mark.parametrize("implicit", [True, False])
async def test_connect_with_tls(implicit: bool) -> None:
    async def attempt(run: Run) -> None:
        async with watched(tls=certs.server_context(), implicit_tls=implicit) as peer:
            client = client_for(peer, tls_context=certs.client_context(), use_tls=implicit)
            await run(client.connect())
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_starttls() -> None:
    async def attempt(run: Run) -> None:
        async with watched(tls=certs.server_context()) as peer:
            client = client_for(peer, tls_context=certs.client_context(), start_tls=False)
            await client.connect()
            await run(client.starttls())
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def auth(conversation: Conversation) -> str:
    """AUTH LOGIN takes a turn more than AUTH PLAIN."""
    reply = "334 UGFzc3dvcmQ6" if b"LOGIN" in conversation.line else "235 Welcome"
    await conversation.reply(reply)
    return reply


@pytest.mark.parametrize(
    "operation",
    [
        lambda client: client.noop(),
        lambda client: client.ehlo(),
        lambda client: client.mail(SENDER),
        lambda client: client.execute_command(b"NOOP"),
        lambda client: client.quit(),
        lambda client: client.login("u", "p"),
        lambda client: client.auth_login("u", "p"),
    ],
)
async def test_command(operation: Callable[[aiosmtplib.SMTP], Awaitable[Any]]) -> None:
    async def attempt(run: Run) -> None:
        async with watched(extensions=["AUTH PLAIN"], actions={"AUTH": auth}) as peer:
            client = client_for(peer, start_tls=False)
            await client.connect()
            await run(operation(client))
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


@pytest.mark.parametrize("connected", [True, False], ids=["after-ehlo", "before-ehlo"])
async def test_sendmail(connected: bool) -> None:
    async def attempt(run: Run) -> None:
        async with watched() as peer:
            client = client_for(peer, start_tls=None if connected else False)
            await client.connect()
            await run(client.sendmail(SENDER, RECIPIENTS, MESSAGE))
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_send_message() -> None:
    async def attempt(run: Run) -> None:
        async with Peer() as peer:
            client = client_for(peer)
            await client.connect()
            await run(client.send_message(email_message()))
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_sendmail_that_is_refused() -> None:
    async def attempt(run: Run) -> None:
        async with watched(actions={"RCPT": "550 no"}) as peer:
            client = client_for(peer)
            await client.connect()
            try:
                await run(client.sendmail(SENDER, RECIPIENTS, MESSAGE))
            except aiosmtplib.SMTPRecipientsRefused:
                pass
            peer.actions.clear()
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_data() -> None:
    async def attempt(run: Run) -> None:
        async with watched() as peer:
            client = client_for(peer)
            await client.connect()
            await client.mail(SENDER)
            await client.rcpt(RECIPIENTS[0])
            await run(client.data(MESSAGE))
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_large_message() -> None:
    async def attempt(run: Run) -> None:
        async with watched(LARGE_WIRE, receive_buffer=4096) as peer:
            client = client_for(peer)
            await client.connect()
            await run(client.sendmail(SENDER, RECIPIENTS, LARGE))
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_context_manager() -> None:
    async def attempt(run: Run) -> None:
        async with watched() as peer:
            client = client_for(peer)

            async def use() -> None:
                async with client:
                    await client.sendmail(SENDER, RECIPIENTS, MESSAGE)

            await run(use())
            assert not client.is_connected
            await assert_usable(client, peer)

    assert await each_cancellation(attempt) > 0


async def test_send() -> None:
    async def attempt(run: Run) -> None:
        async with watched(tls=certs.server_context()) as peer:
            options = options_for(peer, tls_context=certs.client_context())
            await run(aiosmtplib.send(MESSAGE, sender=SENDER, recipients=RECIPIENTS, **options))
            await peer.hung_up()

    assert await each_cancellation(attempt) > 0


@pytest.mark.parametrize("position", ["EHLO", "MAIL", "RCPT", "DATA", "."])
async def test_while_a_reply_is_held_back(position: str) -> None:
    go = asyncio.Event()
    async with watched() as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        if position == "EHLO":
            peer.actions["EHLO"] = hold(go, "250 peer.example")
        else:
            peer.actions[position] = hold(go, "354 go" if position == "DATA" else "250 yes")
        task = asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, MESSAGE))
        await peer.seen(position)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        peer.actions.clear()
        if not client.is_connected:
            await peer.hung_up()
        await assert_usable(client, peer)


async def test_a_waiting_task_is_cancelled_and_the_running_one_is_not() -> None:
    go = asyncio.Event()
    async with Peer({"NOOP": hold(go, "250 yes")}) as peer:
        client = client_for(peer)
        await client.connect()
        running = asyncio.ensure_future(client.noop())
        await peer.seen("NOOP")
        waiting = asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, MESSAGE))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        assert await running == (250, "yes")
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_a_task_that_waits_to_enter_is_cancelled() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        first, second = (asyncio.ensure_future(client.__aenter__()) for _ in range(2))
        await first
        await client.noop()
        assert not second.done()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await client.noop()
        await client.__aexit__(None, None, None)
        await assert_usable(client, peer)
