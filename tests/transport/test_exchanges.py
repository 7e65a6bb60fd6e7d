"""Tasks that share a connection: who may speak when, and what happens to those who wait."""

import asyncio
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTPReadTimeoutError, SMTPRecipientsRefused, SMTPServerDisconnected
from aiosmtplib._session import Dialogue
from aiosmtplib.protocol import FlowControlMixin, SMTPProtocol, normalize_message_line_endings

from ..support.actions import hold, in_turn, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, assert_closed, assert_usable, client_for, session
from ..support.scripted_server import Conversation, Peer


async def waiting(*coroutines: Any) -> list["asyncio.Task[Any]"]:
    """Start tasks, each as far as its first wait."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    return tasks


async def test_a_client_says_where_it_goes_and_whether_it_is_there() -> None:
    async with Peer() as peer:
        client = client_for(peer, username="u", password="hunter2", start_tls=False)
        assert repr(client) == f"<SMTP to 127.0.0.1 on port {peer.port}, not connected>"
        await client.connect(username=None)
        assert repr(client) == f"<SMTP to 127.0.0.1 on port {peer.port}, connected>"
        await client.quit()


async def test_tasks_take_turns() -> None:
    go = asyncio.Event()
    async with Peer({"NOOP": hold(go, "250 noop")}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        tasks = await waiting(client.noop(), client.vrfy("b"), client.sendmail(SENDER, RECIPIENTS, MESSAGE))
        await peer.seen("NOOP")
        assert peer.verbs == ["EHLO", "NOOP"]
        go.set()
        noop, vrfy, sent = await asyncio.gather(*tasks)
        assert (noop.message, vrfy.code, sent[0]) == ("noop", 252, {})
        assert peer.verbs == ["EHLO", "NOOP", "VRFY", "MAIL", "RCPT", "RCPT", "DATA"]


async def test_a_task_that_is_cancelled_in_the_queue_leaves_the_others_alone() -> None:
    go = asyncio.Event()
    async with Peer({"NOOP": hold(go, "250 noop")}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        tasks = await waiting(client.noop(), client.vrfy("b"), client.expn("b"))
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        go.set()
        assert (await tasks[0]).message == "noop"
        assert (await tasks[2]).code == 250
        assert peer.verbs == ["EHLO", "NOOP", "EXPN"]


async def test_a_loss_reaches_everyone_who_waits() -> None:
    go = asyncio.Event()
    async with Peer({"NOOP": in_turn(hold(go, "421 bye"))}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        tasks = await waiting(client.noop(), client.vrfy("b"), client.expn("b"))
        tasks[2].cancel()
        go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], aiosmtplib.SMTPResponseException)
        assert isinstance(results[1], SMTPServerDisconnected)
        assert isinstance(results[2], asyncio.CancelledError)
        assert_closed(client)


async def test_waiters_that_are_cancelled_as_the_connection_goes() -> None:
    async with Peer({"NOOP": silence}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        tasks = await waiting(client.noop(), client.vrfy("b"))
        for task in tasks:
            task.cancel()
        client.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def test_a_reply_that_asks_for_more_reserves_the_connection() -> None:
    """RFC 4954 section 4: between a 334 and the answer to it nobody else may speak."""
    async with Peer({"AUTH": "334 eA=="}, extensions=["AUTH LOGIN"]) as peer:
        peer.actions["CA=="] = "235 in"
        async with session(peer, start_tls=False) as client:
            await client.ehlo()
            assert (await client.execute_command(b"AUTH", b"LOGIN")).code == 334
            (other,) = await waiting(client.noop())
            assert not other.done()
            assert (await client.execute_command(b"*")).code != 334
            assert (await other).code == 250
            assert peer.commands[1:] == [b"AUTH LOGIN", b"*", b"NOOP"]


async def test_a_server_that_will_not_let_go_of_auth_is_left() -> None:
    async def insist(conversation: Conversation) -> str:
        await conversation.reply("334 eA==")
        assert await conversation.read_line() == b"*"
        await conversation.reply("334 eA==")
        return "334 eA=="

    async with Peer({"AUTH": insist}, extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await client.auth_plain("u", "p")
        assert_closed(client)


async def test_a_reservation_does_not_outlast_the_timeout() -> None:
    async with Peer({"AUTH": "334 eA=="}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        await client.execute_command(b"AUTH", b"LOGIN", timeout=0.5)
        (other,) = await waiting(client.noop())
        with pytest.raises(SMTPServerDisconnected, match="Timed out"):
            await other
        assert_closed(client)


async def test_no_limit_after_a_limit() -> None:
    async with Peer() as peer, session(peer, start_tls=False) as client:
        await client.noop(timeout=60)
        assert (await client.noop(timeout=None)).code == 250


async def test_a_shorter_timeout_after_a_longer_one() -> None:
    async with Peer({"NOOP": in_turn("250 ok", silence)}) as peer, session(peer, start_tls=False) as client:
        await client.noop(timeout=60)
        with pytest.raises(SMTPReadTimeoutError):
            await client.noop(timeout=0.01)


async def test_a_dialogue_that_needs_no_server() -> None:
    def nothing() -> Dialogue[str]:
        if not isinstance(MESSAGE, bytes):
            yield b"", 1
        return "nothing"

    async with Peer() as peer, session(peer, start_tls=False) as client:
        assert client.protocol is not None
        assert await client.protocol.run(nothing(), 1) == "nothing"
        assert (await client.noop()).code == 250


async def test_closed_while_it_is_being_opened() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        (task,) = await waiting(client.connect())
        assert client.protocol is not None
        client.close()
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await task
        assert_closed(client)
        await assert_usable(client, peer)


async def test_a_server_that_leaves_says_why() -> None:
    async with Peer({"NOOP": "250 ok\r\n421 too many"}) as peer, session(peer, start_tls=False) as client:
        await client.noop()
        assert_closed(client)
        with pytest.raises(SMTPServerDisconnected, match=r"^Server not connected: .*421 too many$"):
            await client.noop()
        client.close()
        with pytest.raises(SMTPServerDisconnected, match="^Server not connected$"):
            await client.noop()


def test_a_client_outlives_its_event_loop() -> None:
    """As in a program that calls ``asyncio.run`` twice and forgets to close in between."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", local_hostname="me.example", start_tls=False)

    async def forget_to_close() -> None:
        async with Peer() as peer:
            await client.connect(port=peer.port)

    async def use() -> None:
        async with Peer() as peer:
            await client.connect(port=peer.port)
            assert (await client.noop()).code == 250
            # An old connection may learn late that it is gone. The new one does not care.
            client._on_connection_lost(SMTPProtocol())
            assert (await client.noop()).code == 250
            await client.quit()

    asyncio.run(forget_to_close())
    asyncio.run(use())


def test_empty_recipients_in_words() -> None:
    with pytest.raises(SMTPRecipientsRefused, match="No recipients given") as caught:
        asyncio.run(aiosmtplib.SMTP().sendmail("a@example.com", [], b""))
    assert isinstance(caught.value, ValueError)
    assert caught.value.recipients == []


def test_line_endings_of_the_protocol_module() -> None:
    assert normalize_message_line_endings(b"a\nb\rc\r\n") == b"a\r\nb\r\nc\r\n"


def test_flow_control_without_anything_to_write() -> None:
    protocol = SMTPProtocol()
    protocol.pause_writing()
    assert protocol._paused
    protocol.resume_writing()
    assert not protocol._paused
    mixin = FlowControlMixin()
    mixin.pause_writing()
    mixin.connection_lost(None)
    assert not mixin._paused
