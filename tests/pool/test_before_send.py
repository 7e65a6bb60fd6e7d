"""``before_send`` in a pool: called once for a message, wherever that goes."""

import asyncio
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SMTPPool
from aiosmtplib._pool.rate import TokenBucket

from ..support.actions import at_nth, cut, in_turn
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, email_message
from ..support.hooks import MARK, Hook, Later, Odd, Stuck, letter
from ..support.scripted_server import CHUNKING, PIPELINING, Action, Limits, Peer
from .test_pool import pooled, until

SEVEN_BITS = "250-peer.example\r\n250 PIPELINING"


async def one(pool: SMTPPool, message: Any, **options: Any) -> None:
    await pool.send(message, SENDER, RECIPIENTS, **options)


async def many(pool: SMTPPool, message: Any, **options: Any) -> None:
    async for result in pool.send_many([Envelope(SENDER, RECIPIENTS, message)], **options):
        result.raise_for_status()


BOTH = pytest.mark.parametrize("door", [one, many])


@BOTH
@pytest.mark.parametrize("message", [letter(body="Grüße\n"), MESSAGE], ids=["object", "octets"])
@pytest.mark.parametrize("fault", [cut, "421 4.3.2 Bye"])
async def test_a_message_that_is_moved_is_the_same(door: Any, message: Any, fault: Action) -> None:
    hook = Hook()
    async with (
        Peer({"MAIL": at_nth(1, fault)}, extensions=PIPELINING) as peer,
        pooled(peer, before_send=hook) as pool,
    ):
        await door(pool, message)
        assert pool.stats().sent == 1
        if door is one:
            assert pool.stats().bytes == len(peer.accepted[0].content)
    assert [MARK + seen for seen in hook.seen] == [each.content for each in peer.accepted]
    assert len(peer.conversations) == 2


@BOTH
async def test_a_message_that_is_moved_to_a_server_which_takes_it_in_another_form(door: Any) -> None:
    hook = Hook()
    actions = {"MAIL": at_nth(1, cut), "EHLO": at_nth(2, SEVEN_BITS)}
    async with Peer(actions, extensions=PIPELINING) as peer, pooled(peer, before_send=hook) as pool:
        await door(pool, letter(body="Grüße\n"))
    eight, seven = hook.seen
    assert not eight.isascii()
    assert seven.isascii()
    assert peer.accepted[0].content == MARK + seven


@BOTH
@pytest.mark.parametrize("message", [letter(body="Grüße\n"), MESSAGE], ids=["object", "octets"])
async def test_recipients_that_are_divided_get_the_same(door: Any, message: Any) -> None:
    announced = Peer(extensions=[*CHUNKING, "LIMITS RCPTMAX=1"])
    refusing = Peer(extensions=CHUNKING, limits=Limits(rcptmax=1))
    for peer in (announced, refusing):
        hook = Hook()
        async with peer, pooled(peer, before_send=hook) as pool:
            await door(pool, message)
        assert [each.recipients for each in peer.accepted] == [(who.encode(),) for who in RECIPIENTS]
        assert [each.content for each in peer.accepted] == [MARK + hook.seen[0]] * 2
        assert len(hook.seen) == 1


@BOTH
async def test_one_form_for_all_recipients(door: Any) -> None:
    """Also for those who would not need SMTPUTF8 alone: it is one message."""
    hook = Hook()
    async with (
        Peer(extensions=[*PIPELINING, "SMTPUTF8", "LIMITS RCPTMAX=1"]) as peer,
        pooled(peer, before_send=hook) as pool,
    ):
        to = ["b@example.com", "ä@example.com"]
        if door is one:
            await pool.send_message(letter(), SENDER, to)
        else:
            async for result in pool.send_many([Envelope(SENDER, to, letter())]):
                result.raise_for_status()
    assert len(hook.seen) == 1
    assert "Subject: Grüße\r\n".encode() in hook.seen[0]
    assert [each.content for each in peer.accepted] == [MARK + hook.seen[0]] * 2


@BOTH
async def test_a_deadline_ends_it(door: Any) -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, before_send=hook) as pool:
        with pytest.raises(aiosmtplib.SMTPTimeoutError) as caught:
            await door(pool, letter(), deadline=0.02)
        assert caught.value.delivery is Delivery.NOT_SENT
        hook.released.set()
        await door(pool, letter(), deadline=10)
        assert peer.verbs.count("EHLO") == 1
    assert len(peer.accepted) == 1


@BOTH
async def test_cancelled_while_it_runs(door: Any) -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, before_send=hook) as pool:
        task = asyncio.ensure_future(door(pool, letter()))
        await hook.called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not pool.stats().busy)
        hook.released.set()
        await one(pool, letter())
        assert peer.verbs.count("EHLO") == peer.verbs.count("MAIL") == 1


@BOTH
async def test_the_pool_finishes_what_waits_for_it(door: Any) -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, before_send=hook) as pool:
        task = asyncio.ensure_future(door(pool, letter()))
        await hook.called.wait()
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        hook.released.set()
        await closing
        await task
    assert len(peer.accepted) == 1


async def test_many_go_on_while_it_runs() -> None:
    """Each as soon as the hook has returned; those for which it raises fail alone."""
    first = Stuck()

    async def hook(content: bytes) -> bytes:
        if b"bad" in content:
            raise Odd
        return await first(content) if b"first" in content else content

    async with Peer(extensions=CHUNKING) as peer, pooled(peer, before_send=hook) as pool:
        bodies = ["first", *["good", "bad"] * 20]
        results = pool.send_many([email_message(body=f"{body}\n") for body in bodies])
        found = [await anext(results) for _ in range(40)]
        first.released.set()
        found.append(await anext(results))
        assert found[-1].index == 0
        assert sorted(each.index for each in found if each.error is None) == [0, *range(1, 41, 2)]
        assert {type(each.error) for each in found if not each.ok} == {Odd}
        assert [each async for each in results] == []
        assert (pool.stats().sent, pool.stats().busy) == (21, 0)


@BOTH
async def test_a_connection_that_is_lost_while_it_runs(door: Any) -> None:
    hook = Stuck()
    clients = []

    class Kept(aiosmtplib.SMTP):
        async def connect(self, **options: Any) -> Any:
            clients.append(self)
            return await super().connect(**options)

    async with (
        Peer({"NOOP": cut}, extensions=PIPELINING) as peer,
        pooled(peer, before_send=hook, max_connections=1, client_class=Kept) as pool,
    ):
        task = asyncio.ensure_future(door(pool, letter()))
        await hook.called.wait()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await clients[0].noop()
        hook.released.set()
        await task
    assert hook.calls == len(peer.accepted) == 1
    assert len(peer.conversations) == 2


async def test_a_caller_that_is_away_when_it_returns() -> None:
    """The message waits for the caller, and keeps no connection meanwhile."""
    hook = Stuck()

    async def selective(content: bytes) -> bytes:
        return await hook(content) if b"late" in content else content

    async with Peer(extensions=PIPELINING) as peer, pooled(peer, before_send=selective) as pool:
        results = pool.send_many([email_message(body="soon\n"), email_message(body="late\n")])
        assert (await anext(results)).index == 0
        await hook.called.wait()
        hook.released.set()
        await until(lambda: not pool.stats().busy)
        assert len(peer.accepted) == 1
        assert (await anext(results)).index == 1
        assert [each async for each in results] == []


async def test_leaving_ends_it() -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, before_send=hook) as pool:
        results = pool.send_many([letter()] * 3)
        task = asyncio.ensure_future(anext(results))
        await hook.called.wait()
        left = await results.aclose()
        with pytest.raises(StopAsyncIteration):
            await task
        assert [each.delivery for each in left] == [Delivery.NOT_SENT] * 3
        assert "MAIL" not in peer.verbs


async def test_a_rate_counts_what_is_sent_and_not_what_it_is_called_with() -> None:
    reserved = []

    class Counted(TokenBucket):
        def reserve(self, now: float) -> float:
            reserved.append(now)
            return super().reserve(now)

    hook = Later()
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, before_send=hook, rate=1) as pool:
        pool._manager.rate = Counted(20)
        async for result in pool.send_many([letter()] * 4):
            result.raise_for_status()
    assert len(peer.accepted) == len(hook.seen) == 4
    assert len(reserved) < 8  # one each; more only where the machine is so slow that a turn is missed


async def test_moved_again_and_again() -> None:
    hook = Hook()
    async with (
        Peer({"MAIL": in_turn(cut, cut, "250 Ok")}, extensions=PIPELINING) as peer,
        pooled(peer, before_send=hook, max_connections=1) as pool,
    ):
        async for result in pool.send_many([letter() for _ in range(5)]):
            result.raise_for_status()
    assert len(hook.seen) == len(peer.accepted) == 5
