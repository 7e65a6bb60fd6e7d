"""All workers together keep to the rate of the relay, and to those of domains."""

import asyncio
import time
from typing import Any

import pytest

from aiosmtplib import SMTPPool
from aiosmtplib.contrib._taskiq.rates import SharedRates
from aiosmtplib.contrib.taskiq import Outbox, Worker
from aiosmtplib.parameters import Recipient

from ...support.scripted_server import PIPELINING, Conversation, Peer
from .working import letter, until, working

YOU, THEM = "you@Example.COM", Recipient("Them <them@other.example>")


async def test_the_relay_has_moments_that_are_evenly_spaced(outbox: Outbox) -> None:
    rates = SharedRates(outbox, "relay:25", 50, {})
    assert rates.limited
    one = await rates.moments([[YOU]] * 4)
    two = await SharedRates(outbox, "relay:25", 50, {}).moments([[YOU]] * 10)
    together = [*one, *(each for each in two)]
    assert len(one) == 4
    assert one == pytest.approx([0, 0.02, 0.04, 0.06], abs=1e-5)
    # As many as begin within a tenth of a second; the rest have to ask again.
    assert 1 <= len(two) <= 4
    assert all(0 <= each <= 0.12 for each in together)
    assert await SharedRates(outbox, "other:25", 50, {}).moments([[YOU]]) == [0.0]


async def test_a_domain_has_its_own_and_the_others_go_on(outbox: Outbox) -> None:
    rates = SharedRates(outbox, "relay", None, {"example.com": 2})
    moments = await rates.moments([[YOU], [YOU], [THEM], [YOU], [THEM, YOU]])
    assert moments == pytest.approx([0, -0.5, 0, -1.0, -1.5], abs=1e-5)
    assert await rates.moments([[THEM]]) == [0.0]


async def test_each_of_the_other_domains(outbox: Outbox) -> None:
    rates = SharedRates(outbox, "relay", 1000, {"*": 1, "example.com": 100})
    moments = await rates.moments([[THEM], [YOU], [THEM], ["a@third.example"]])
    assert moments == pytest.approx([0, 0.001, -1, 0.002], abs=1e-4)


async def test_nobody_comes_back_later_than_that(outbox: Outbox) -> None:
    rates = SharedRates(outbox, "relay", None, {"*": 0.001})
    moments = await rates.moments([[YOU]] * 3)
    assert moments == pytest.approx([0, -300, -300], abs=1e-3)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_is_positive(rate: float) -> None:
    queue: Any = Outbox()
    with pytest.raises(ValueError, match="positive"):
        Worker(queue, SMTPPool(), rate=rate)
    with pytest.raises(ValueError, match="positive"):
        Worker(queue, SMTPPool(), domain_rates={"example.com": rate})
    with pytest.raises(ValueError, match="lease"):
        Worker(queue, SMTPPool(), lease=rate)


async def test_two_workers_share_a_rate(outbox: Outbox) -> None:
    times = []

    async def note(conversation: Conversation) -> str | None:
        times.append(time.monotonic())
        return await conversation.perform("250 Ok")

    await outbox.enqueue_many([letter(number) for number in range(40)])
    async with Peer({"MAIL": note}, extensions=PIPELINING) as peer:
        async with working(outbox, peer, rate=50) as (_, one), working(outbox, peer, rate=50) as (_, two):
            await until(outbox, lambda _: len(one.outcomes) + len(two.outcomes) == 40)
    assert len(times) == 40
    assert 0.7 <= times[-1] - times[0]


async def test_what_has_to_wait_for_its_domain_makes_room_for_others(outbox: Outbox) -> None:
    many = [letter(number) for number in range(3)] + [letter(9, "a@other.example")]
    await outbox.enqueue_many(many)
    async with Peer(extensions=PIPELINING) as peer:
        async with working(outbox, peer, domain_rates={"example.com": 10}) as (_, seen):
            await seen.until(4)
        order = [each.recipients for each in peer.accepted]
    assert order.index((b"a@other.example",)) == 1
    assert all((entry.attempts, entry.unsent) == (0, 0) for entry, _, _ in seen.outcomes)


async def test_redis_goes_while_moments_are_asked_for(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = SharedRates.moments
    calls = 0

    async def lost(self: SharedRates, messages: Any) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionResetError
        return await moments(self, messages)

    monkeypatch.setattr(SharedRates, "moments", lost)
    await outbox.enqueue(letter())
    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer, rate=100) as (_, seen):
        await seen.until(1)
        await asyncio.sleep(0)
    assert calls > 1


async def test_a_relay_that_has_no_moment_soon_is_asked_again(outbox: Outbox) -> None:
    await outbox.enqueue(letter())
    async with Peer(extensions=PIPELINING) as peer:
        key = f"{outbox.keys.rate}:relay:{peer.host}:{peer.port}"
        await outbox.redis.set(key, time.time() + 0.4)
        began = time.monotonic()
        async with working(outbox, peer, rate=100) as (_, seen):
            await seen.until(1)
        assert time.monotonic() - began > 0.25
