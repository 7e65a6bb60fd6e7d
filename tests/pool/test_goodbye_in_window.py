"""A server that closes the connection amidst the messages of a window: none is lost, and none comes twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

import aiosmtplib
from aiosmtplib import Delivery
from aiosmtplib._pool.state import MAX_MOVES

from ..support.actions import cut, in_turn, reset, silence, then
from ..support.scripted_server import CHUNKING, PIPELINING, Action, Conversation, Peer
from .test_pool import pooled, send
from .test_send_many import collect, envelopes

MOST = 10
GOODBYE = "421 4.7.0 Too many messages"


def end_after(messages: int, position: str, end: Action) -> dict[str, Action]:
    """Actions of a server that ends each connection here, once it took so many messages on it."""

    async def act(conversation: Conversation) -> str:
        begun = sum(line.startswith(b"MAIL") for line in conversation.commands) + (position == "RSET")
        return await conversation.perform(end if begun > messages else conversation.default())

    return {position: act}


#: After a 421 a server executes nothing (RFC 5321 section 3.8): it waits, or closes at once.
leave = then(GOODBYE, silence)
leave_at_once = then(GOODBYE, cut)


PLACES = [
    *((PIPELINING, position) for position in ("MAIL", "RCPT", "DATA", ".")),
    *((CHUNKING, position) for position in ("RSET", "MAIL", "RCPT", "BDAT LAST")),
]


@pytest.mark.parametrize("window", [1, 7, 64])
@pytest.mark.parametrize(("extensions", "position"), PLACES)
async def test_421_loses_nothing(extensions: tuple[str, ...], position: str, window: int) -> None:
    async with (
        Peer(end_after(MOST, position, leave), extensions=extensions) as peer,
        pooled(peer, max_connections=2) as pool,
    ):
        results = await collect(pool.send_many(envelopes(100), window=window))
        assert [result.delivery for result in results] == [Delivery.DELIVERED] * 100
        assert len({mail.recipients for mail in peer.accepted}) == len(peer.accepted) == 100


async def by_sendmail(pool: aiosmtplib.SMTPPool) -> None:
    assert await send(pool, "last")


async def by_stream(pool: aiosmtplib.SMTPPool) -> None:
    assert await pool.sendmail(
        "a@example.com", ["last@example.com"], iter([b"Subject: x\r\n\r\n", b"Hi\r\n"])
    )


async def by_send_many(pool: aiosmtplib.SMTPPool) -> None:
    (result,) = await collect(pool.send_many(envelopes(1)))
    assert result.ok


@pytest.mark.parametrize("door", [by_sendmail, by_stream, by_send_many])
@pytest.mark.parametrize("end", [leave, cut])
async def test_connections_that_end_in_turn(
    door: Callable[[aiosmtplib.SMTPPool], Awaitable[None]], end: Action
) -> None:
    """A message meets the end of each connection that has taken enough, and comes to one that has not."""
    async with (
        Peer(end_after(1, "MAIL", end), extensions=PIPELINING) as peer,
        pooled(peer, max_connections=6) as pool,
    ):
        await asyncio.gather(*(send(pool, f"r{number}") for number in range(6)))
        assert len(peer.conversations) == 6
        await door(pool)
        assert len(peer.conversations) == len(peer.accepted) == 7


@pytest.mark.parametrize("door", [by_sendmail, by_stream, by_send_many])
async def test_a_message_that_ends_each_connection_is_given_up(
    door: Callable[[aiosmtplib.SMTPPool], Awaitable[None]],
) -> None:
    """Also where the pool has connections that have served others."""
    async with (
        Peer(end_after(0, "MAIL", leave), extensions=PIPELINING) as peer,
        pooled(peer, max_connections=2) as pool,
    ):
        with pytest.raises((aiosmtplib.SMTPException, AssertionError)):
            await door(pool)
        assert len(peer.conversations) == MAX_MOVES + 1


@pytest.mark.parametrize("connections", [1, 4])
async def test_many_by_bdat(connections: int) -> None:
    async with (
        Peer(end_after(MOST, "MAIL", leave), extensions=CHUNKING) as peer,
        pooled(peer, max_connections=connections) as pool,
    ):
        results = await collect(pool.send_many(envelopes(300)))
        assert [result.delivery for result in results] == [Delivery.DELIVERED] * 300
        assert len({mail.recipients for mail in peer.accepted}) == len(peer.accepted) == 300


@pytest.mark.parametrize("end", [leave_at_once, reset])
@pytest.mark.parametrize("window", [7, 64])
async def test_a_reset_that_swallows_replies(end: Action, window: int) -> None:
    """What was in flight may be unknown: at most a window, and then ever less."""
    async with (
        Peer(end_after(MOST, "MAIL", end), extensions=CHUNKING) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        results = await collect(pool.send_many(envelopes(300), window=window))
        verdicts = Counter(result.delivery for result in results)
        assert set(verdicts) <= {Delivery.DELIVERED, Delivery.UNKNOWN}
        assert verdicts[Delivery.UNKNOWN] <= 2 * window + len(peer.conversations)
        taken = Counter(mail.recipients[0].decode() for mail in peer.accepted)
        assert max(taken.values()) == 1
        for result in results:
            if result.ok:
                assert taken[result.item.recipients] == 1


async def test_a_message_that_may_have_been_taken_is_not_moved() -> None:
    """Though the server says that it takes no more messages, it has taken this one."""
    mail = in_turn("250 Ok", "452 4.5.3 Too many messages", "250 Ok")
    async with (
        Peer({"MAIL": mail}, extensions=CHUNKING) as peer,
        pooled(peer, max_connections=1, chunking=True) as pool,
    ):
        assert await send(pool, "one")
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await send(pool, "two")
        assert caught.value.delivery is Delivery.DELIVERED
        assert len([line for line in peer.commands if line.startswith(b"MAIL")]) == 2
