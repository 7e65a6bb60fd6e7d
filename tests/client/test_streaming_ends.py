"""Content that comes in pieces: chunks that wait for their replies, and sources that are cancelled."""

import asyncio
import io
import sys
import threading
from collections.abc import AsyncIterator

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope

from ..support.actions import at_nth, cut, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, assert_closed, assert_usable, client_for, session
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Conversation, Peer

ALONE = ("CHUNKING",)
TELLS = pytest.mark.skipif(sys.version_info < (3, 11), reason="a task does not tell who cancelled it")


async def unhurried(conversation: Conversation) -> str:
    """Take a chunk; the next one must not have come before the reply."""
    await asyncio.sleep(0)
    assert not conversation.unread
    return await conversation.perform("250 ok")


@pytest.mark.parametrize(("extensions", "pipelining"), [(ALONE, True), (CHUNKING, False)])
async def test_chunks_wait_for_their_replies(extensions: tuple[str, ...], pipelining: bool) -> None:
    actions = {"BDAT": unhurried, "RCPT": unhurried, "MAIL": unhurried}
    async with (
        Peer(actions, extensions=extensions, strict=True) as peer,
        session(peer, chunking=True, pipelining=pipelining) as client,
    ):
        for _ in range(2):
            pieces = [MESSAGE[:5], MESSAGE[5:9], MESSAGE[9:]]
            assert await client.sendmail(SENDER, RECIPIENTS, pieces) == ({}, "2.0.0 Accepted")
        assert len(peer.accepted) == 2


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_chunk_that_is_refused_while_it_is_waited_for(nth: int) -> None:
    async with (
        Peer({"BDAT": at_nth(nth, "452 4.3.1 full")}, extensions=ALONE, strict=True) as peer,
        session(peer, chunking=True) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, [b"a", b"b", b"c", b"d"])
        assert (caught.value.code, caught.value.delivery) == (452, Delivery.REJECTED)
        assert peer.verbs.count("BDAT") == nth
        await assert_usable(client, peer)


@pytest.mark.parametrize("action", [silence, cut])
async def test_a_chunk_without_a_reply(action: object) -> None:
    async with Peer({"BDAT": action}, extensions=ALONE) as peer:  # type: ignore[dict-item]
        client = client_for(peer, chunking=True)
        await client.connect()
        client.timeout = 0.1 if action is silence else client.timeout
        with pytest.raises((aiosmtplib.SMTPReadTimeoutError, aiosmtplib.SMTPServerDisconnected)) as caught:
            await client.sendmail(SENDER, RECIPIENTS, [b"a", b"b"])
        assert caught.value.delivery is Delivery.NOT_SENT
        await peer.hung_up()


async def test_cancelled_while_a_chunk_is_waited_for() -> None:
    async with Peer({"BDAT": silence}, extensions=ALONE) as peer:
        client = client_for(peer, chunking=True)
        await client.connect()
        task = asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, [b"a", b"b"]))
        await peer.seen("BDAT")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not client.is_connected
        await peer.hung_up()


async def broken() -> AsyncIterator[bytes]:
    """A source that waits for something which is cancelled."""
    yield b"a"
    raise asyncio.CancelledError


@TELLS
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_a_source_that_is_cancelled(extensions: tuple[str, ...]) -> None:
    async with Peer(extensions=extensions, strict=True) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPException, match="could not be read: CancelledError") as caught:
            await client.sendmail(SENDER, RECIPIENTS, broken())
        assert (caught.value.delivery, caught.value.phase) == (Delivery.NOT_SENT, "body")
        assert peer.accepted == []
        client.close()
        await peer.hung_up()


@TELLS
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_a_source_that_is_cancelled_among_many(extensions: tuple[str, ...]) -> None:
    async with Peer(extensions=extensions, strict=True) as peer:
        pool = aiosmtplib.SMTPPool(hostname=peer.host, port=peer.port, start_tls=False)
        items = [Envelope(SENDER, RECIPIENTS, broken()), Envelope(SENDER, RECIPIENTS, MESSAGE)]
        results = {result.index: result async for result in pool.send_many(items)}
        assert [results[0].delivery, results[1].delivery] == [Delivery.NOT_SENT, Delivery.DELIVERED]
        await pool.aclose()


class EndError(BaseException):
    """What no source should raise, and what is no error of this package either."""


async def test_a_source_that_ends_all() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield MESSAGE
        raise EndError

    async with Peer(extensions=PIPELINING) as peer, session(peer) as client:
        with pytest.raises(EndError):
            await client.sendmail(SENDER, RECIPIENTS, pieces())
        assert_closed(client)
        await peer.hung_up()
    assert not peer.accepted


async def test_cancelled_while_a_file_is_measured() -> None:
    reading, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            loop.call_soon_threadsafe(reading.set)
            assert go.wait(PATIENCE)
            return super().read(size)

    async with Peer(extensions=PIPELINING) as peer, session(peer) as client:
        task = asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, Slow(MESSAGE)))
        await asyncio.wait_for(reading.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await client.noop()
    assert "MAIL" not in peer.verbs
