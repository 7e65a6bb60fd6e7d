"""The end of a pool, and the even pace of ``rate``."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery
from aiosmtplib._pool.states import State

from ..support.actions import cut, hold, in_turn, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER
from ..support.scripted_server import PATIENCE, PIPELINING, Action, Conversation, Peer
from .test_pool import pool_for, pooled, send, until


def holding(place: str = ".") -> tuple[asyncio.Event, dict[str, Action]]:
    """A server that waits for the event at the first of these places."""
    event = asyncio.Event()
    reply = {".": "250 Ok", "connect": "220 Hello"}[place]
    return event, {place: in_turn(hold(event, reply), reply)}


# -- closing -----------------------------------------------------------------------------------------


async def test_what_was_given_to_the_pool_is_finished() -> None:
    event, actions = holding()
    async with Peer(actions, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1)
        sending = [asyncio.ensure_future(send(pool)) for _ in range(3)]
        await peer.seen(".")
        closing = asyncio.ensure_future(pool.aclose())
        again = asyncio.ensure_future(pool.aclose(PATIENCE))
        await asyncio.sleep(0)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="pool is closed"):
            await send(pool)
        assert not closing.done()
        event.set()
        await closing
        await again
        assert [task.result() for task in sending] == ["Ok"] * 3
        assert peer.verbs[-1] == "QUIT"
        await pool.aclose()
        await peer.hung_up()


async def test_who_waits_for_the_pace_is_served_too() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer, rate=50.0)
        sending = [asyncio.ensure_future(send(pool, f"r{number}")) for number in range(5)]
        await peer.seen(".")
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="pool is closed"):
            await send(pool)
        await closing
        assert [await task for task in sending] == ["2.0.0 Accepted"] * 5
        assert [mail.recipients[0] for mail in peer.accepted] == [
            b"r%d@example.com" % number for number in range(5)
        ]
        await peer.hung_up()


async def test_who_waits_for_the_pace_outlasts_a_connection_that_fails() -> None:
    event = asyncio.Event()
    greeting = in_turn(hold(event, "554 Closed"), "220 Hello")
    async with Peer({"connect": greeting}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, rate=50.0)
        sending = [asyncio.ensure_future(send(pool, f"r{number}")) for number in range(3)]
        await until(lambda: bool(peer.conversations))
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        event.set()
        await closing
        assert len(peer.accepted) == 2
        results: list[Any] = await asyncio.gather(*sending, return_exceptions=True)
        assert [getattr(result, "code", result) for result in results] == [554, *["2.0.0 Accepted"] * 2]
        await peer.hung_up()


async def test_who_waits_in_line_is_waited_for_also_while_there_is_no_connection() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer, rate=50.0)
        turnstile = pool._manager._turnstile
        await turnstile.acquire()  # as one whose connection has just failed
        sending = asyncio.ensure_future(send(pool))
        closing = asyncio.ensure_future(pool.aclose())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
        turnstile.release()
        await closing
        assert sending.result() == "2.0.0 Accepted"
        await peer.hung_up()


async def test_a_message_that_was_begun_is_finished() -> None:
    event, actions = holding()
    extensions = (*PIPELINING, "LIMITS RCPTMAX=1")
    async with Peer(actions, extensions=extensions) as peer:
        pool = pool_for(peer, max_connections=1)
        sending = asyncio.ensure_future(pool.sendmail(SENDER, RECIPIENTS, MESSAGE))
        await peer.seen(".")
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        event.set()
        assert await sending == ({}, "Ok")
        await closing
        assert [mail.recipients[0].decode() for mail in peer.accepted] == RECIPIENTS
        await peer.hung_up()


async def test_a_source_that_gives_nothing_more_holds_up_nobody() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield MESSAGE
        asked.set()
        await asyncio.Event().wait()

    asked = asyncio.Event()
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer)
        sending = asyncio.ensure_future(pool.sendmail(SENDER, RECIPIENTS, endless()))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        await asyncio.wait_for(pool.aclose(0), PATIENCE)
        await peer.hung_up()
        with pytest.raises(
            aiosmtplib.SMTPServerDisconnected
        ):  # the wait for the source ends with the connection
            await asyncio.wait_for(sending, PATIENCE)
        assert pool.stats().busy == 0
        assert peer.accepted == []


@pytest.mark.parametrize("goodbye", [cut, "500 What?", "421 Bye"])
async def test_the_answer_to_quit_is_of_no_interest(goodbye: Action) -> None:
    async with Peer({"QUIT": goodbye}) as peer:
        pool = pool_for(peer)
        await send(pool)
        await pool.aclose()
        assert pool.stats().closing == 0
        await peer.hung_up()


async def test_a_pool_that_was_never_used_is_closed() -> None:
    async with Peer() as peer, pooled(peer):
        pass
    assert peer.conversations == []


async def test_after_its_time_it_is_closed_at_once() -> None:
    finals = in_turn("250 Ok", silence)
    async with Peer({".": finals, "QUIT": silence}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=2, max_messages=1)
        await send(pool)  # its connection waits for the answer to QUIT
        sending = [asyncio.ensure_future(send(pool)) for _ in range(2)]
        await until(
            lambda: sum(conversation.commands.count(b"DATA") for conversation in peer.conversations) == 2
        )
        await pool.aclose(0.01)
        errors: list[Any] = await asyncio.gather(*sending, return_exceptions=True)
        assert [error.delivery for error in errors] == [Delivery.UNKNOWN, Delivery.NOT_SENT]
        assert "pool was closed" in str(errors[1])
        stats = pool.stats()
        assert (stats.idle, stats.busy, stats.opening, stats.closing, stats.unknown) == (0, 0, 0, 0, 1)
        await peer.hung_up()


@pytest.mark.parametrize("begun", [False, True])
async def test_closed_at_once_while_it_opens(begun: bool) -> None:
    async with Peer({"connect": silence}) as peer:
        pool = pool_for(peer)
        sending = asyncio.ensure_future(send(pool))
        if begun:
            await until(lambda: bool(peer.conversations))
        else:
            await asyncio.sleep(0)  # the task that is to connect has not run
        await pool.aclose(0)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="pool was closed") as caught:
            await sending
        assert caught.value.delivery is Delivery.NOT_SENT
        assert pool.stats().opening == 0
        await peer.hung_up()


async def test_closed_at_once_while_it_logs_in() -> None:
    async def token() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    asked = asyncio.Event()
    async with Peer(extensions=(*PIPELINING, "AUTH XOAUTH2")) as peer:
        pool = pool_for(peer, username="me", oauth_token_generator=token)
        sending = asyncio.ensure_future(send(pool))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        await pool.aclose(0)
        assert pool.stats().opening == 0
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="pool was closed"):
            await sending
        await peer.hung_up()


async def test_closed_at_once_with_a_server_that_reads_nothing() -> None:
    """It would take as long as it likes to be given what is buffered."""
    closed = asyncio.Event()

    async def ignore(conversation: Conversation) -> None:
        await conversation.reply("354 Go on")
        await closed.wait()
        while True:  # ends when nobody is there
            await conversation.reply("250 Hello?")
            await asyncio.sleep(0)

    async with Peer({"DATA": ignore}, receive_buffer=4096) as peer:
        pool = pool_for(peer, timeout=None)
        sending = asyncio.ensure_future(pool.sendmail(SENDER, RECIPIENTS, b"x" * (1 << 23)))
        await peer.seen("DATA")
        transport = pool._manager.state.connections(State.BUSY)[0].client.transport
        assert transport is not None
        await until(lambda: transport.get_write_buffer_size() > 0)
        await pool.aclose(0)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await sending
        assert caught.value.delivery in (Delivery.NOT_SENT, Delivery.UNKNOWN)
        closed.set()
        await peer.hung_up()


async def test_a_closed_pool_is_forgotten() -> None:
    async with Peer() as peer:
        pool = pool_for(peer)
        await send(pool)
        await pool.aclose(1000)
        await peer.hung_up()
        gone = weakref.ref(pool._manager)
        del pool
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None


async def test_closed_at_once_a_message_is_not_moved() -> None:
    async with Peer({"MAIL": silence}, extensions=PIPELINING) as peer:
        pool = pool_for(peer)
        sending = asyncio.ensure_future(send(pool))
        await peer.seen("MAIL")
        await pool.aclose(0)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await sending
        assert caught.value.delivery is Delivery.NOT_SENT
        assert len(peer.conversations) == 1
        await peer.hung_up()


async def test_who_is_cancelled_does_not_wait_for_the_pool() -> None:
    async with Peer({".": silence}) as peer:
        sending: list[asyncio.Future[str]] = []

        async def work() -> None:
            async with pool_for(peer, timeout=None) as pool:
                sending.append(asyncio.ensure_future(send(pool)))
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await peer.seen(".")
        task.cancel()
        await asyncio.wait([task, *sending], timeout=PATIENCE)
        assert task.cancelled()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await sending[0]
        assert caught.value.delivery is Delivery.UNKNOWN
        await peer.hung_up()


async def test_closing_can_be_cancelled() -> None:
    async with Peer({".": silence}) as peer:
        pool = pool_for(peer)
        sending = asyncio.ensure_future(send(pool))
        await peer.seen(".")
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await sending
        await peer.hung_up()


# -- evenly ------------------------------------------------------------------------------------------


async def test_messages_come_at_the_pace_that_was_asked_for() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def note(conversation: Any) -> str:
        times.append(loop.time())
        await conversation.reply("250 Ok")
        return "250 Ok"

    async with Peer({"MAIL": note}, extensions=PIPELINING) as peer, pooled(peer, rate=50.0) as pool:
        began = loop.time()
        await asyncio.gather(*(send(pool) for _ in range(6)))
        # Never faster; how much slower depends on the machine.
        assert [time - began >= number / 50 - 0.001 for number, time in enumerate(times)] == [True] * 6
        assert len(peer.conversations) <= 3


async def test_who_gives_up_gives_the_permission_back() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer, rate=0.01, max_connections=2)
        await send(pool)
        waiting = asyncio.ensure_future(send(pool))
        await until(lambda: pool.stats().busy == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.stats().idle == 1
        waiting = asyncio.ensure_future(send(pool))
        await until(lambda: pool.stats().busy == 1)
        await pool.aclose(0)  # does not wait for the hundred seconds
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await waiting
        await peer.hung_up()
