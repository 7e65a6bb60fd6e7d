"""The pool against a server that fails at random: nothing is lost, nothing comes twice, nobody waits forever.

What a run does depends on its number alone, but for the order in which the event loop sees things.
"""

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SMTPPool

from ..support.actions import cut, cut_after, reset, silence, then
from ..support.clients import MESSAGE, SENDER, options_for
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Action, Conversation, Limits, Peer

#: The rest is for those who have time.
QUICK, RUNS = 12, 60

#: What goes wrong, and how often it is silence: that costs a timeout.
FAULTS: list[Action] = [
    "450 4.2.0 Later",
    "550 5.7.1 No",
    then("421 4.3.2 Closing", silence),  # after it, a server executes nothing (RFC 5321 section 3.8)
    "452 4.5.3 Too many messages",
    b"garbage\r\n",
    cut,
    reset,
    cut_after(b"250"),
]
PLACES = ("connect", "EHLO", "MAIL", "RCPT", "DATA", ".", "BDAT LAST", "RSET")


def sometimes(dice: random.Random, share: float) -> Action:
    async def action(conversation: Conversation) -> str | None:
        if dice.random() > share:
            return await conversation.perform(conversation.default())
        if dice.random() < 0.02:
            return await conversation.perform(silence)
        return await conversation.perform(dice.choice(FAULTS))

    return action


def subject_of(content: bytes) -> str:
    return content.split(b"\n", 1)[0].strip().decode()


def copies(peer: Peer) -> "collections.Counter[tuple[str, str]]":
    """How often each recipient has each message."""
    return collections.Counter(
        (subject_of(mail.content), who.decode()) for mail in peer.accepted for who in mail.recipients
    )


def check(delivery: Delivery, refused: Any, name: str, recipients: list[str], ledger: Any) -> None:
    if delivery is Delivery.DELIVERED and refused is None:
        # A server that refused MAIL, or RSET, and then took the content by BDAT: an error that says so.
        assert any(ledger[f"Subject: {name}", recipient] == 1 for recipient in recipients)
        return
    for recipient in recipients:
        count = ledger[f"Subject: {name}", recipient]
        if delivery is Delivery.UNKNOWN:
            assert count <= 1
        elif delivery is Delivery.DELIVERED:
            assert count == (recipient not in refused), (name, recipient, refused)
        else:
            assert count == 0, (name, delivery)


class Storm:
    """Some senders on one pool."""

    def __init__(self, pool: SMTPPool, dice: random.Random) -> None:
        self.pool = pool
        self.dice = dice
        self.verdicts: list[tuple[Delivery, Any, str, list[str]]] = []

    def envelope(self, name: str) -> Envelope:
        recipients = [f"{name}-{number}@example.com" for number in range(self.dice.choice((1, 1, 2, 5)))]
        return Envelope(SENDER, recipients, f"Subject: {name}\n".encode() + MESSAGE)

    async def one_by_one(self, sender: str, count: int) -> None:
        for number in range(count):
            envelope: Any = self.envelope(f"{sender}.{number}")
            try:
                refused, _ = await self.pool.sendmail(SENDER, envelope.recipients, envelope.message)
            except aiosmtplib.SMTPException as error:
                self.note(error.delivery, None, envelope)
            else:
                self.note(Delivery.DELIVERED, refused, envelope)

    async def many(self, sender: str, count: int) -> None:
        envelopes = [self.envelope(f"{sender}.{number}") for number in range(count)]
        source: Any = iter(envelopes) if self.dice.random() < 0.5 else self.slowly(iter(envelopes))
        seen = set()
        async for result in self.pool.send_many(source, window=self.dice.choice((1, 3, 20))):
            assert result.item is envelopes[result.index]
            assert result.index not in seen
            seen.add(result.index)
            self.note(result.delivery, None if result.error else result.refused, result.item)
        assert len(seen) == count

    async def slowly(self, envelopes: Iterator[Envelope]) -> AsyncIterator[Envelope]:
        for envelope in envelopes:
            for _ in range(self.dice.randrange(3)):
                await asyncio.sleep(0)
            yield envelope

    def note(self, delivery: Delivery, refused: Any, envelope: Any) -> None:
        name = envelope.message.split(b"\n", 1)[0].decode().removeprefix("Subject: ")
        self.verdicts.append((delivery, refused, name, list(envelope.recipients)))


@pytest.mark.parametrize(
    "run", [*range(QUICK), *(pytest.param(run, marks=pytest.mark.slow) for run in range(QUICK, RUNS))]
)
async def test_no_message_is_lost_or_doubled(run: int) -> None:
    dice = random.Random(run)
    share = dice.choice((0.005, 0.03, 0.1))
    limits = Limits(mailmax=dice.choice((None, 3, 20)), rcptmax=dice.choice((None, 2)))
    said = [f"{name.upper()}={value}" for name, value in limits._asdict().items() if value is not None]
    extensions = (*dice.choice(((), PIPELINING, CHUNKING)), *(["LIMITS " + " ".join(said)] if said else []))
    actions = {place: sometimes(dice, share) for place in PLACES}
    async with Peer(actions, extensions=extensions, strict=True, limits=limits) as peer:
        options = options_for(peer, timeout=0.25, start_tls=False, max_connections=dice.choice((1, 2, 5)))
        pool = SMTPPool(**options, max_messages=dice.choice((None, 7)))
        storm = Storm(pool, dice)
        work = [storm.one_by_one(f"one{number}", 10) for number in range(dice.randrange(5))]
        work += [storm.many(f"many{number}", 40) for number in range(dice.choice((1, 2)))]
        await asyncio.wait_for(asyncio.gather(*work), 2 * PATIENCE)
        stats = pool.stats()
        assert (stats.busy, stats.waiting) == (0, 0)
        await asyncio.wait_for(pool.aclose(), PATIENCE)
        await peer.hung_up()
        ledger = copies(peer)
        for delivery, refused, name, recipients in storm.verdicts:
            check(delivery, refused, name, recipients, ledger)
        counted = collections.Counter(verdict[0] for verdict in storm.verdicts)
        assert (stats.sent, stats.unknown) == (counted[Delivery.DELIVERED], counted[Delivery.UNKNOWN])
