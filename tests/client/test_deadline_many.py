"""The deadline of each of many messages, and of one that a pool moves: others go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import (
    Delivery,
    Envelope,
    SendResult,
    SMTPConnectTimeoutError,
    SMTPReadTimeoutError,
    SMTPTimeoutError,
)

from ..support.actions import cut, in_turn, silence
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    session,
)
from ..support.deadlines import (
    SOON,
    Door,
    by_pool,
    by_pool_of_many,
    by_send_many,
    fails,
    fails_in,
    pieces,
    pool_for,
)
from ..support.scripted_server import PATIENCE, PIPELINING, Conversation, Peer


async def test_many_over_one_connection_end_with_it() -> None:
    """Those in flight have their own verdicts, and what had not begun is not sent."""
    async with Peer({".": in_turn("250 Ok", silence)}, extensions=PIPELINING) as peer:
        async with session(peer, timeout=None) as client:
            mails = [Envelope(SENDER, RECIPIENTS, MESSAGE) for _ in range(5)]
            results = [each async for each in client.send_many(mails, deadline=SOON * 8)]
        assert [each.delivery for each in results] == [
            Delivery.DELIVERED,
            Delivery.UNKNOWN,
            *[Delivery.NOT_SENT] * 3,
        ]
        assert isinstance(results[1].error, SMTPReadTimeoutError)
        assert all(isinstance(each.error, aiosmtplib.SMTPException) for each in results[2:])


async def test_each_of_many_has_its_own_time_from_its_begin() -> None:
    """All of them together take longer than one may."""

    async def late(conversation: Conversation) -> str:
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, SOON)
        return await conversation.perform("250 Ok")

    async with Peer({".": late}, extensions=("SIZE",)) as peer, session(peer, timeout=None) as client:
        mails = [Envelope(SENDER, RECIPIENTS, MESSAGE) for _ in range(8)]
        mails.append(Envelope(SENDER, RECIPIENTS, pieces()))
        results = [each async for each in client.send_many(mails, deadline=SOON * 8)]
        assert [each.delivery for each in results] == [Delivery.DELIVERED] * 9


async def four_behind_a_late_one(peer: Peer, deadline: float, first: Any) -> list[SendResult[Any]]:
    """The results by index. The four come while the first one, whose MAIL is not answered, has time left."""

    async def messages() -> AsyncIterator[Envelope]:
        yield Envelope(SENDER, RECIPIENTS, first)
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, deadline / 2)
        for _ in range(4):
            yield Envelope(SENDER, RECIPIENTS, MESSAGE)

    async with pool_for(peer, max_connections=1) as pool:
        results = [each async for each in pool.send_many(messages(), deadline=deadline)]
        return sorted(results, key=lambda each: each.index)


@pytest.mark.parametrize("stream", [False, True])
async def test_others_go_on_over_new_connections(stream: bool) -> None:
    for deadline in (SOON * 2, SOON * 10, PATIENCE / 3):  # a busy machine may be late with the others, too
        async with Peer({"MAIL": in_turn(silence, "250 Ok")}, extensions=PIPELINING) as peer:
            first, *others = await four_behind_a_late_one(peer, deadline, pieces() if stream else MESSAGE)
            delivered = [each for each in others if each.delivery is Delivery.DELIVERED]
            assert len(peer.accepted) >= len(delivered)
        if isinstance(first.error, SMTPReadTimeoutError) and len(delivered) == 4:
            assert (first.delivery, first.error.phase) == (Delivery.NOT_SENT, "mail")
            return
    pytest.fail(f"{len(delivered)} of 4 have been delivered")


class Pieces:
    """A source that is no generator: there is nothing to close."""

    def __init__(self) -> None:
        self._left = [MESSAGE]

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


async def test_what_is_over_before_its_transaction_begins() -> None:
    async with Peer() as peer, session(peer, timeout=None) as client:
        mails = [
            Envelope("h\xe9@example.com", RECIPIENTS, pieces(), mail_options=["SMTPUTF8"]),
            Envelope(SENDER, RECIPIENTS, Pieces()),
        ]
        first, second = [each async for each in client.send_many(mails, deadline=PATIENCE)]
        assert isinstance(first.error, aiosmtplib.SMTPNotSupported)
        assert second.ok


@pytest.mark.parametrize("door", [by_pool, by_pool_of_many])
@pytest.mark.parametrize("stream", [False, True])
async def test_waiting_for_a_connection_is_a_part_of_it(
    door: Callable[[Peer, float, Any], Awaitable[Any]], stream: bool
) -> None:
    async with Peer({"connect": silence}) as peer:
        error = await fails(door(peer, SOON, pieces() if stream else MESSAGE))
        assert (error.delivery, error.phase) == (Delivery.NOT_SENT, "connect")
        assert type(error) is SMTPConnectTimeoutError


async def test_moves_share_the_deadline() -> None:
    """Two connections are cut at MAIL, and the third says nothing: no fourth is tried."""
    async with Peer({"MAIL": in_turn(cut, cut, silence)}) as peer:
        error = await fails(by_pool(peer, 4 * SOON))
        await peer.hung_up()
        assert len(peer.conversations) <= 3
        assert error.delivery is Delivery.NOT_SENT


@pytest.mark.parametrize("door", [by_pool, by_pool_of_many])
async def test_a_message_in_several_transactions_has_one_deadline(door: Door) -> None:
    extensions = (*PIPELINING, "LIMITS RCPTMAX=1")
    async with Peer({".": silence}, extensions=extensions) as peer:
        error, _ = await fails_in("final", door, peer)
        assert error.delivery is Delivery.UNKNOWN


async def test_those_that_wait_for_a_caller_who_is_away() -> None:
    """What had not begun when the caller left the loop is not sent once its time is over."""
    async with Peer(extensions=("SIZE",)) as peer, pool_for(peer, max_connections=1) as pool:
        mails = [Envelope(SENDER, RECIPIENTS, MESSAGE) for _ in range(4)]
        results = pool.send_many(mails, deadline=SOON * 8)
        found = [await anext(results)]
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, SOON * 10)
        found += [each async for each in results]
        assert found[0].delivery is Delivery.DELIVERED
        assert found[-1].delivery is Delivery.NOT_SENT
        assert isinstance(found[-1].error, SMTPTimeoutError)
        delivered = [each for each in found if each.delivery is Delivery.DELIVERED]
        assert len(peer.accepted) == len(delivered)


@pytest.mark.parametrize("door", [by_pool, by_pool_of_many, by_send_many])
async def test_a_pool_that_is_closed_does_not_wait_for_a_connection_for_nobody(door: Door) -> None:
    """A server that never greets cannot keep a program, whose message has long been over."""
    async with Peer({"connect": silence}) as peer:
        begin = time.monotonic()
        await fails(door(peer, SOON))
        assert time.monotonic() - begin < PATIENCE
