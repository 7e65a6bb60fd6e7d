"""Whole messages one by one: two on a connection where no more are allowed, cancelled anywhere, moved."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope
from aiosmtplib._pool.state import MAX_MOVES

from ..support.actions import at_nth, cut, hold, in_turn, then, when_received
from ..support.clients import MESSAGE, SENDER, email_message
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Action, Conversation, Limits, Peer
from .test_cancel import assert_nothing_left, copies
from .test_pool import connections, pool_for, pooled, send, until

PLACES = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "."]


def begin(pool: aiosmtplib.SMTPPool, *names: str) -> Iterator["asyncio.Task[str]"]:
    for name in names:
        yield asyncio.ensure_future(send(pool, name))


def accepted(peer: Peer) -> list[str]:
    return [mail.recipients[0].decode().partition("@")[0] for mail in peer.accepted]


# -- two on a connection -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["octets", "objects"])
async def test_content_leaves_with_the_commands_of_the_next(kind: str) -> None:
    proof = when_received(b"MAIL FROM")
    finals = in_turn(proof, proof, proof, "250 last")
    async with (
        Peer({".": finals}, extensions=PIPELINING, strict=True) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        if kind == "octets":
            await asyncio.gather(*begin(pool, "a", "b", "c", "d"))
        else:
            await asyncio.gather(
                *(pool.send_message(email_message(f"{name}@example.com")) for name in "abcd")
            )
        assert accepted(peer) == ["a", "b", "c", "d"]
        assert pool.stats().sent == 4


async def test_not_as_long_as_another_connection_may_be_opened() -> None:
    event = asyncio.Event()
    async with (
        Peer({".": hold(event, "250 Ok")}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=3) as pool,
    ):
        sending = list(begin(pool, "a", "b", "c"))
        await until(lambda: peer.verbs.count("DATA") == 3)
        assert [conversation.commands.count(b"DATA") for conversation in peer.conversations] == [1, 1, 1]
        event.set()
        await asyncio.gather(*sending)


@pytest.mark.parametrize("why", ["no PIPELINING", "size", "two already", "the turn of a stream"])
async def test_others_wait_for_the_end(why: str) -> None:
    event = asyncio.Event()
    extensions = () if why == "no PIPELINING" else PIPELINING
    finals = in_turn(hold(event, "250 Ok"), "250 Ok")
    async with (
        Peer({".": finals}, extensions=extensions) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        content = b"x" * (1 << 20) if why == "size" else MESSAGE
        first = asyncio.ensure_future(pool.sendmail(SENDER, "a@example.com", content))
        await peer.seen(".")
        if why == "two already":
            second: Any = asyncio.ensure_future(send(pool, "second"))
        elif why == "the turn of a stream":
            second = asyncio.ensure_future(pool.sendmail(SENDER, "second@example.com", iter([MESSAGE])))
        else:
            second = asyncio.sleep(0)
        await asyncio.sleep(0)
        other = asyncio.ensure_future(send(pool, "b"))
        await asyncio.sleep(0)
        assert pool.stats().waiting == 1 + (why == "the turn of a stream")
        event.set()
        await asyncio.gather(first, second, other)
        assert accepted(peer)[-1] == "b"


async def test_a_used_up_connection_takes_no_second() -> None:
    async with (
        Peer(extensions=PIPELINING, strict=True) as peer,
        pooled(peer, max_connections=1, max_messages=3) as pool,
    ):
        await asyncio.gather(*begin(pool, *"abcdefg"))
        assert connections(peer) == [3, 3, 1]
        assert accepted(peer) == list("abcdefg")


async def test_a_server_that_hangs_up_after_each_message() -> None:
    """Who was the second there is the first on the next one: nobody is moved until it is given up."""
    async with (
        Peer({".": then("250 Ok", cut)}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        await asyncio.gather(*begin(pool, *"abcdefg"))
        assert accepted(peer) == list("abcdefg")


async def test_a_server_that_loses_what_comes_behind_content() -> None:
    """The first may have arrived, and is not sent again. From then on, none has a second behind it."""

    async def lose(conversation: Conversation) -> None:
        await conversation.ahead(b"MAIL FROM")
        await conversation.cut()

    actions: dict[str, Action] = {".": in_turn(lose, "250 Ok")}
    async with Peer(actions, extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        first, *others = begin(pool, *"abcd")
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await first
        assert caught.value.delivery is Delivery.UNKNOWN
        await asyncio.gather(*others)
        assert accepted(peer) == ["b", "c", "d"]
        assert all(("ahead", b"MAIL FROM") not in each.log for each in peer.conversations[1:])
        stats = pool.stats()
        assert (stats.sent, stats.unknown) == (3, 1)


@pytest.mark.parametrize("options", [{"max_connections": 1}, {"max_messages": 1}])
async def test_one_that_takes_several_transactions_lets_others_in_between(options: dict[str, Any]) -> None:
    extensions = (*PIPELINING, "LIMITS RCPTMAX=1")
    async with Peer(extensions=extensions, strict=True) as peer, pooled(peer, **options) as pool:
        to = [f"r{number}@example.com" for number in range(3)]
        large = asyncio.ensure_future(pool.sendmail(SENDER, to, MESSAGE))
        await asyncio.sleep(0)
        await asyncio.gather(large, *begin(pool, "a", "b"))
        assert sorted(accepted(peer)) == ["a", "b", "r0", "r1", "r2"]
        if "max_connections" in options:
            assert accepted(peer).index("r2") > accepted(peer).index("a")


# -- cancelled ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_one_of_several(place: str, late: bool, extensions: tuple[str, ...]) -> None:
    """Cancelled when the server is at a place, before or after it replies. The others arrive, once."""

    async def giving_up(conversation: Conversation) -> str:
        usual = conversation.default()
        if late:
            text = await conversation.perform(usual)
            tasks[0].cancel()
            return text
        tasks[0].cancel()
        await asyncio.sleep(0)
        return await conversation.perform(usual)

    position = "BDAT LAST" if place == "." and extensions is CHUNKING else place
    async with Peer({position: at_nth(1, giving_up)}, extensions=extensions, strict=True) as peer:
        pool = pool_for(peer, max_connections=1, chunking=extensions is CHUNKING)
        tasks = list(begin(pool, *"abcd"))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        first, *others = results
        assert others == ["2.0.0 Accepted"] * 3
        assert isinstance(first, asyncio.CancelledError) or first == "2.0.0 Accepted"
        await assert_nothing_left(pool, peer)
        ledger = copies(peer)
        assert ledger.pop("a", 0) <= 1
        assert ledger == {"b": 1, "c": 1, "d": 1, "last": 1}


async def test_a_neighbour_is_moved_and_not_blamed() -> None:
    """That the first was cancelled counts for nothing: the second may be moved as often as any other."""

    async def cancel(conversation: Conversation) -> None:
        first.cancel()
        await conversation.drain()

    actions: dict[str, Action] = {
        "DATA": at_nth(1, cancel),
        "MAIL": in_turn("250 Ok", *[cut] * MAX_MOVES, "250 Ok"),
    }
    async with Peer(actions, extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        first, second, third = begin(pool, *"abc")
        assert await asyncio.gather(second, third) == ["2.0.0 Accepted"] * 2
        assert first.cancelled()
        assert accepted(peer) == ["b", "c"]
        assert len(peer.conversations) == 2 + MAX_MOVES


async def test_the_second_that_is_on_its_way_lets_the_first_have_its_verdict() -> None:
    go_on = asyncio.Event()

    async def final(conversation: Conversation) -> str:
        await conversation.ahead(b"DATA\r\n")
        tasks[1].cancel()
        await go_on.wait()
        return await conversation.perform("250 first")

    actions: dict[str, Action] = {".": in_turn(final, "250 2.0.0 Accepted")}
    async with Peer(actions, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1)
        tasks = list(begin(pool, "a", "b", "c"))
        await asyncio.wait([tasks[1]])
        assert tasks[1].cancelled() and not tasks[0].done()
        go_on.set()
        assert await tasks[0] == "first"
        assert await tasks[2] == "2.0.0 Accepted"
        await assert_nothing_left(pool, peer)
        assert copies(peer) == {"a": 1, "c": 1, "last": 1}


async def test_the_second_that_has_not_begun_leaves_the_connection_as_it_is() -> None:
    go_on = asyncio.Event()
    async with Peer({"MAIL": hold(go_on, "250 Ok")}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1, max_messages=3)
        first, second, third = begin(pool, "a", "b", "c")
        await peer.seen("MAIL")
        second.cancel()
        await asyncio.wait([second])
        go_on.set()
        await asyncio.gather(first, third)
        await assert_nothing_left(pool, peer)
        assert copies(peer) == {"a": 1, "c": 1, "last": 1}
        assert connections(peer) == [3]


async def test_whole_transactions_on_their_way_both_arrive() -> None:
    """By BDAT the second has left too: to close the connection would take its verdict."""
    go_on = asyncio.Event()
    finals = in_turn(hold(go_on, "250 first"), "250 2.0.0 Accepted")
    async with Peer({"BDAT LAST": finals}, extensions=CHUNKING) as peer:
        pool = pool_for(peer, max_connections=1, chunking=True)
        first, second = begin(pool, "a", "b")
        await peer.seen("BDAT")
        first.cancel()
        await asyncio.wait([first])
        go_on.set()
        assert await second == "2.0.0 Accepted"
        await assert_nothing_left(pool, peer)
        assert copies(peer) == {"a": 1, "b": 1, "last": 1}
        assert len(peer.conversations) == 1


async def test_one_that_is_granted_a_connection_as_it_is_cancelled() -> None:
    go_on = asyncio.Event()
    async with Peer({"connect": hold(go_on, "220 Hello")}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1)
        manager = pool._manager
        opened = manager._opened

        def cancelling(*args: Any) -> None:
            first.cancel()
            opened(*args)

        manager._opened = cancelling  # type: ignore[method-assign]
        first, second = begin(pool, "a", "b")
        await until(lambda: pool.stats().waiting == 2)
        go_on.set()
        assert await second == "2.0.0 Accepted"
        await assert_nothing_left(pool, peer)
        assert copies(peer)["a"] == 0


@pytest.mark.parametrize("place", PLACES[2:])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_one_that_takes_several_transactions(place: str, count: int) -> None:
    async def giving_up(conversation: Conversation) -> str:
        task.cancel()
        await asyncio.sleep(0)
        return await conversation.perform(conversation.default())

    extensions = (*PIPELINING, "LIMITS RCPTMAX=1")
    to = [f"r{number}@example.com" for number in range(3)]
    async with Peer({place: at_nth(count, giving_up)}, extensions=extensions, strict=True) as peer:
        pool = pool_for(peer, max_connections=1)
        task = asyncio.ensure_future(pool.sendmail(SENDER, to, MESSAGE))
        await asyncio.wait([task])
        assert task.cancelled()
        await assert_nothing_left(pool, peer)
        ledger = copies(peer)
        assert [ledger[f"r{number}"] for number in range(count - 1)] == [1] * (count - 1)
        assert sum(ledger.values()) <= count + 1


# -- the end -----------------------------------------------------------------------------------------


async def test_closing_at_once_with_several_on_their_way() -> None:
    async def silent(conversation: Conversation) -> str:
        await conversation.drain()
        return ""

    async with Peer({".": silent}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1)
        sending = list(begin(pool, *"abcd"))
        await peer.seen(".")
        await asyncio.wait_for(pool.aclose(0), PATIENCE)
        results = await asyncio.gather(*sending, return_exceptions=True)
        verdicts = [getattr(result, "delivery", None) for result in results]
        assert verdicts == [Delivery.UNKNOWN, *[Delivery.NOT_SENT] * 3]
        await assert_nothing_left(pool, peer, usable=False)


@pytest.mark.parametrize("timeout", [None, 0])
async def test_closing_amidst_the_transactions_of_one_message(timeout: float | None) -> None:
    """Patiently closed, it is sent to all; at once, those whose transaction did not begin are refused."""

    async def close(conversation: Conversation) -> str:
        text = await conversation.perform("250 Ok")
        closing.append(asyncio.ensure_future(pool.aclose(timeout)))
        return text

    closing: list[Any] = []
    extensions = (*PIPELINING, "LIMITS RCPTMAX=1")
    async with Peer({".": at_nth(1, close)}, extensions=extensions, limits=Limits(rcptmax=1)) as peer:
        pool = pool_for(peer, max_connections=1)
        to = [f"r{number}@example.com" for number in range(4)]
        refused, _ = await pool.sendmail(SENDER, to, MESSAGE)
        await closing[0]
        assert set(refused) <= set(to[1:])
        assert bool(refused) is (timeout == 0)
        assert len(peer.accepted) == 4 - len(refused)


async def test_beside_send_many_both_go_on() -> None:
    async with Peer(extensions=PIPELINING, strict=True) as peer, pooled(peer, max_connections=2) as pool:
        many = [Envelope(SENDER, [f"m{number}@example.com"], MESSAGE) for number in range(60)]

        async def drain() -> int:
            return len([result async for result in pool.send_many(many) if result.ok])

        draining = asyncio.ensure_future(drain())
        await until(lambda: len(peer.accepted) > 2)
        await asyncio.gather(*begin(pool, *(f"s{number}" for number in range(20))))
        assert await draining == 60
        assert max(copies(peer).values()) == 1
        assert len(copies(peer)) == 80
