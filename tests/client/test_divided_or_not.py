"""Recipients that are too many for one transaction: not divided, divided by LMTP, and amidst others."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, CommandEvent, Delivery, Envelope
from aiosmtplib._transport.limit import Limit

from ..support.actions import in_turn
from ..support.clients import MESSAGE, SENDER, client_for, email_message, options_for
from ..support.scripted_server import PATIENCE, PIPELINING, Action, Conversation, Limits, Peer
from .test_divided import TO, TOO_MANY, Result, groups, outcome, pool_for

# -- by option ---------------------------------------------------------------------------------------


async def test_not_unless_wanted() -> None:
    expected = dict.fromkeys(TO[2:], TOO_MANY), "2.0.0 Accepted"
    async with Peer(extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        async with client_for(peer) as client:
            assert await client.sendmail(SENDER, TO, MESSAGE) == expected
            assert await client.sendmail(SENDER, TO, io.BytesIO(MESSAGE)) == expected
            assert await client.send_message(email_message(", ".join(TO))) == expected
        assert await aiosmtplib.send(MESSAGE, SENDER, TO, **options_for(peer, start_tls=False)) == expected
        async with pool_for(peer) as pool:
            assert await pool.sendmail(SENDER, TO, MESSAGE, divide_recipients=False) == expected
            assert await pool.send(email_message(", ".join(TO)), divide_recipients=False) == expected
        assert len(peer.accepted) == 6


async def test_the_option_is_no_text() -> None:
    no: Any = "no"
    with pytest.raises(TypeError, match="divide_recipients must be a bool, not str"):
        await aiosmtplib.send(MESSAGE, SENDER, TO, hostname="unused.example", divide_recipients=no)
    async with Peer() as peer, pool_for(peer) as pool:
        async with client_for(peer) as client:
            for sender in (client, pool):
                with pytest.raises(TypeError, match="divide_recipients"):
                    await sender.sendmail(SENDER, TO, MESSAGE, divide_recipients=no)
                with pytest.raises(TypeError, match="divide_recipients"):
                    await sender.send_message(email_message(), divide_recipients=no)
        assert "MAIL" not in peer.verbs


async def pieces() -> AsyncIterator[bytes]:
    yield MESSAGE


async def test_what_can_be_read_once_is_not_divided() -> None:
    expected = dict.fromkeys(TO[2:], TOO_MANY), "2.0.0 Accepted"
    async with Peer(extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        async with client_for(peer) as client, pool_for(peer) as pool:
            assert await client.sendmail(SENDER, TO, pieces(), divide_recipients=True) == expected
            assert await pool.sendmail(SENDER, TO, pieces()) == expected
            for sender in (client, pool):
                (result,) = [each async for each in sender.send_many([Envelope(SENDER, TO, pieces())])]
                assert outcome(result) == expected
        assert [mail.recipients for mail in peer.accepted] == [(b"r0@example.com", b"r1@example.com")] * 4


async def test_a_file_that_cannot_be_read_again_after_all() -> None:
    class Broken(io.BytesIO):
        sought = 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.sought += 1
            if self.sought > 1:  # the first is that of who measured it
                raise OSError("gone")
            return super().seek(offset, whence)

    async with Peer(extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer, client_for(peer) as client:
        refused, text = await client.sendmail(SENDER, TO, Broken(MESSAGE), divide_recipients=True)
        assert (refused, text) == (dict.fromkeys(TO[2:], (-1, "gone")), "2.0.0 Accepted")


async def test_a_sendmail_of_a_program() -> None:
    """In a pool it is called as ever; by ``send_message`` it is told what was asked for."""
    calls: list[dict[str, Any]] = []

    class Own(SMTP):
        async def sendmail(self, *args: Any, **kwargs: Any) -> Result:
            calls.append(kwargs)
            return await super().sendmail(*args, **kwargs)

    async with Peer(extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        async with pool_for(peer, client_class=Own) as pool:
            await pool.sendmail(SENDER, TO, MESSAGE)
            await pool.send_message(email_message(", ".join(TO)))
        async with Own(**options_for(peer)) as client:
            await client.send_message(email_message(", ".join(TO)), divide_recipients=True)
        assert [kwargs.get("divide_recipients") for kwargs in calls] == [None, None, True]
        assert len(peer.accepted) == 5


# -- LMTP --------------------------------------------------------------------------------------------


async def test_lmtp_divides_by_the_replies_to_rcpt_alone() -> None:
    """A final 452 is about the mailbox of one recipient."""
    finals = in_turn("250 first", "452 4.3.1 no room", "250 third")
    async with (
        Peer({".": finals}, lmtp=True, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer,
        LMTP(**options_for(peer)) as client,
    ):
        refused, _ = await client.sendmail(SENDER, TO[:3], MESSAGE, divide_recipients=True)
        assert refused == {TO[1]: (452, "4.3.1 no room")}
        assert groups(peer) == [TO[:1], TO[2:3]]


async def test_pools_of_lmtp() -> None:
    async with Peer(lmtp=True, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        async with pool_for(peer, client_class=LMTP) as pool:
            refused, _ = await pool.sendmail(SENDER, TO, MESSAGE)
            (result,) = [each async for each in pool.send_many([Envelope(SENDER, TO, MESSAGE)])]
        assert refused == result.refused == {}
        assert groups(peer) == [TO[:2], TO[2:4], TO[4:]] * 2


# -- amidst others -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["client", "pool"])
async def test_others_in_between(kind: str) -> None:
    envelopes = [Envelope(SENDER, [f"{name}{to}" for to in TO], MESSAGE) for name in "abcdef"]
    async with Peer(extensions=PIPELINING, limits=Limits(rcptmax=2), strict=True) as peer:
        async with client_for(peer) as client, pool_for(peer) as pool:
            sender = client if kind == "client" else pool
            results = [result async for result in sender.send_many(envelopes)]
        assert all(result.ok and not result.refused for result in results)
        assert sorted(result.index for result in results) == list(range(6))
        if kind == "client":
            assert [result.index for result in results] == list(range(6))
        served = [who for mail in peer.accepted for who in mail.recipients]
        assert sorted(served) == sorted(to.encode() for each in envelopes for to in each.recipients or ())


def accept_when_told(asked: asyncio.Event, go_on: asyncio.Event) -> Action:
    """Say that the end of a message is there, and take it when told."""

    async def action(conversation: Conversation) -> str:
        asked.set()
        await go_on.wait()
        return await conversation.perform("250 Ok")

    return action


@pytest.mark.parametrize("kind", ["client", "pool"])
async def test_who_leaves_gets_what_is_known(kind: str) -> None:
    """After the caller has left, no further transaction begins: its recipients are still those refused."""
    asked, go_on = asyncio.Event(), asyncio.Event()
    async with Peer(
        {".": accept_when_told(asked, go_on)}, extensions=PIPELINING, limits=Limits(rcptmax=2)
    ) as peer:
        async with client_for(peer) as client, pool_for(peer) as pool:
            sender = client if kind == "client" else pool
            results = sender.send_many([Envelope(SENDER, TO, MESSAGE)])
            waiting = asyncio.ensure_future(anext(results))
            await asked.wait()
            leaving = asyncio.ensure_future(results.aclose())
            await asyncio.sleep(0)
            go_on.set()
            (result,) = await leaving
            with pytest.raises(StopAsyncIteration):
                await waiting
        assert (result.refused, result.delivery) == (dict.fromkeys(TO[2:], TOO_MANY), Delivery.DELIVERED)
        assert groups(peer) == [TO[:2]]


async def test_a_pool_that_is_being_closed_sends_the_rest() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    async with Peer(
        {".": accept_when_told(asked, go_on)}, extensions=PIPELINING, limits=Limits(rcptmax=2)
    ) as peer:
        pool = pool_for(peer)
        results = pool.send_many([Envelope(SENDER, TO, MESSAGE)])
        waiting = asyncio.ensure_future(anext(results))
        await asked.wait()
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        go_on.set()
        result = await waiting
        await results.aclose()
        await closing
        assert outcome(result) == ({}, "Ok")
        assert groups(peer) == [TO[:2], TO[2:4], TO[4:]]


@pytest.mark.parametrize("kind", [bytes, io.BytesIO])
async def test_a_deadline_that_passes_between_two_transactions(kind: Any) -> None:
    """The second one does not begin, though there is none that it could end."""
    limit = Limit(PATIENCE, "the server")
    limit.watch(lambda: None)  # as a call that is bounded does

    def passes(event: CommandEvent) -> None:
        if event.verb == "content":
            limit.passed = True

    async with (
        Peer(extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer,
        client_for(peer, on_command=passes) as client,
    ):
        refused, text = await client.sendmail(
            SENDER, TO, kind(MESSAGE), deadline=limit, divide_recipients=True
        )
        assert (sorted(refused), text) == (sorted(TO[2:]), "2.0.0 Accepted")
        assert {reply.code for reply in refused.values()} == {-1}
        assert groups(peer) == [TO[:2]]
