"""Doors through which a message is sent with a deadline, to a server that does not let it be over in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SMTPPool, SMTPTimeoutError

from .clients import MESSAGE, RECIPIENTS, SENDER, email_message, options_for, session
from .scripted_server import PATIENCE, Peer

__all__ = (
    "ADVICE",
    "DOORS",
    "SOON",
    "Door",
    "by_many",
    "by_pool",
    "by_pool_of_many",
    "by_send",
    "by_sendmail",
    "fails",
    "fails_in",
    "no_timeouts",
    "pieces",
    "pool_for",
)

#: Seconds that pass soon.
SOON = 0.05

#: What the error of each verdict says.
ADVICE = {Delivery.NOT_SENT: "can be sent again", Delivery.UNKNOWN: "may have been delivered"}

Door = Callable[[Peer, float], Awaitable[Any]]


def no_timeouts(peer: Peer) -> dict[str, Any]:
    """Nothing but the deadline is to end a call."""
    return options_for(peer, timeout=None)


async def pieces() -> AsyncIterator[bytes]:
    yield MESSAGE


async def by_send(peer: Peer, deadline: float, message: Any = MESSAGE) -> Any:
    return await aiosmtplib.send(message, SENDER, RECIPIENTS, **no_timeouts(peer), deadline=deadline)


async def by_send_object(peer: Peer, deadline: float) -> Any:
    return await aiosmtplib.send(email_message(), **no_timeouts(peer), deadline=deadline)


async def by_sendmail(peer: Peer, deadline: float, message: Any = MESSAGE) -> Any:
    async with session(peer, timeout=None, start_tls=False) as client:
        return await client.sendmail(SENDER, RECIPIENTS, message, deadline=deadline)


async def by_send_message(peer: Peer, deadline: float) -> Any:
    async with session(peer, timeout=None, start_tls=False) as client:
        return await client.send_message(email_message(), deadline=deadline)


def pool_for(peer: Peer, **options: Any) -> SMTPPool:
    """A pool whose end waits for nothing that a server holds up, but for what is sent."""
    return SMTPPool(**no_timeouts(peer), **options)


async def by_pool(peer: Peer, deadline: float, message: Any = MESSAGE) -> Any:
    async with pool_for(peer) as pool:
        return await pool.send(message, SENDER, RECIPIENTS, deadline=deadline)


async def by_pool_object(peer: Peer, deadline: float) -> Any:
    async with pool_for(peer) as pool:
        return await pool.send(email_message(), deadline=deadline)


async def by_many(peer: Peer, deadline: float, message: Any = MESSAGE) -> Any:
    mails = [Envelope(SENDER, RECIPIENTS, message)]
    async with session(peer, timeout=None, start_tls=False) as client:
        (result,) = [each async for each in client.send_many(mails, deadline=deadline)]
        return result.raise_for_status()


async def by_pool_of_many(peer: Peer, deadline: float, message: Any = MESSAGE) -> Any:
    mails = [Envelope(SENDER, RECIPIENTS, message)]
    async with pool_for(peer) as pool:
        (result,) = [each async for each in pool.send_many(mails, deadline=deadline)]
        return result.raise_for_status()


async def by_send_many(peer: Peer, deadline: float) -> Any:
    mails = [email_message()]
    (result,) = [each async for each in aiosmtplib.send_many(mails, deadline=deadline, **no_timeouts(peer))]
    return result.raise_for_status()


def streamed(door: Callable[[Peer, float, Any], Awaitable[Any]]) -> Door:
    return lambda peer, deadline: door(peer, deadline, pieces())


DOORS: dict[str, Door] = {
    "send": by_send,
    "send object": by_send_object,
    "send stream": streamed(by_send),
    "sendmail": by_sendmail,
    "sendmail stream": streamed(by_sendmail),
    "send_message": by_send_message,
    "pool": by_pool,
    "pool object": by_pool_object,
    "pool stream": streamed(by_pool),
    "send_many": by_many,
    "send_many stream": streamed(by_many),
    "pool of many": by_pool_of_many,
    "pool of many, stream": streamed(by_pool_of_many),
    "function of many": by_send_many,
}


async def fails(call: Awaitable[Any]) -> SMTPTimeoutError:
    with pytest.raises(SMTPTimeoutError) as caught:
        await asyncio.wait_for(call, PATIENCE)
    return caught.value


async def fails_in(phase: str, door: Door, peer: Peer) -> tuple[SMTPTimeoutError, float]:
    """The error of a call whose deadline passes in this phase, and the deadline.

    A busy machine may not come as far in the least time.
    """
    deadline = SOON
    error = await fails(door(peer, deadline))
    while error.phase != phase and deadline < PATIENCE / 8:
        deadline *= 4
        error = await fails(door(peer, deadline))
    assert error.phase == phase
    return error, deadline
