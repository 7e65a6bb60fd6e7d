"""Whatever a caller cancels ends at once, also where the server says nothing and nothing limits the wait."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, Delivery, Envelope, SMTPPool
from aiosmtplib._pool import manager

from ..support.actions import hold, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, each_cancellation, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Peer
from .test_pool import until

#: What is below any limit on a wait: there is none but that on callers that do not notice the end of a pool.
SOON = 5.0


@pytest.fixture(autouse=True)
def _no_other_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "ABORT_TIMEOUT", 10 * SOON)


ENVELOPES = [Envelope(SENDER, RECIPIENTS, MESSAGE)] * 3
EVERYWHERE = ("connect", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT")


def silent_at(position: str) -> Peer:
    return Peer({position: silence}, extensions=PIPELINING)


def unlimited(peer: Peer) -> dict[str, Any]:
    return options_for(peer, timeout=None)


async def from_the_call(peer: Peer) -> None:
    async for _ in aiosmtplib.send_many(ENVELOPES, **unlimited(peer)):
        pass


async def from_the_call_closed(peer: Peer) -> None:
    async with contextlib.aclosing(aiosmtplib.send_many(ENVELOPES, **unlimited(peer))) as results:
        async for _ in results:
            pass


async def from_a_pool(peer: Peer) -> None:
    async with SMTPPool(**unlimited(peer)) as pool, pool.send_many(ENVELOPES) as results:
        async for _ in results:
            pass


async def from_a_source(peer: Peer) -> None:
    async def source() -> AsyncIterator[Envelope]:
        for each in ENVELOPES:
            yield each

    async with SMTPPool(**unlimited(peer)) as pool, pool.send_many(source()) as results:
        async for _ in results:
            pass


async def over_a_client(peer: Peer) -> None:
    async with SMTP(**unlimited(peer)) as client, client.send_many(ENVELOPES) as results:
        async for _ in results:
            pass


async def by_send(peer: Peer) -> None:
    await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **unlimited(peer))


async def by_a_client(peer: Peer) -> None:
    async with SMTP(**unlimited(peer)) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)


async def by_a_pool(peer: Peer) -> None:
    async with SMTPPool(**unlimited(peer)) as pool:
        await pool.send(MESSAGE, SENDER, RECIPIENTS)


async def by_hand(peer: Peer) -> None:
    client = SMTP(**unlimited(peer))
    try:
        await client.connect()
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.quit()
    finally:
        client.close()


async def closing_a_pool(peer: Peer) -> None:
    pool = SMTPPool(**unlimited(peer))
    try:
        await pool.send(MESSAGE, SENDER, RECIPIENTS)
    except asyncio.CancelledError:
        await pool.aclose(0)
        raise
    await pool.aclose()


Act = Callable[[Peer], Any]
ACTS: list[Act] = [
    from_the_call,
    from_the_call_closed,
    from_a_pool,
    from_a_source,
    over_a_client,
    by_send,
    by_a_client,
    by_a_pool,
    by_hand,
    closing_a_pool,
]


async def ends_soon(task: "asyncio.Task[Any]") -> None:
    await asyncio.wait([task], timeout=SOON)
    assert task.done(), "it waits for the server"


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("position", EVERYWHERE)
async def test_a_task_that_is_cancelled(act: Act, position: str) -> None:
    async with silent_at(position) as peer:
        task = asyncio.ensure_future(act(peer))
        await (until(lambda: bool(peer.conversations)) if position == "connect" else peer.seen(position))
        task.cancel()
        await ends_soon(task)
        assert task.cancelled()
        await peer.hung_up()


@pytest.mark.parametrize("act", ACTS)
async def test_a_timeout_of_the_caller(act: Act) -> None:
    async with silent_at(".") as peer:
        task = asyncio.ensure_future(asyncio.wait_for(act(peer), 0.1))
        await ends_soon(task)
        assert isinstance(task.exception(), asyncio.TimeoutError)
        await peer.hung_up()


@pytest.mark.parametrize("act", ACTS)
async def test_at_every_await(act: Act) -> None:
    async def attempt(run: Any) -> None:
        async with Peer(extensions=CHUNKING) as peer:
            await run(act(peer))
            await peer.hung_up()

    assert await each_cancellation(attempt) > 0


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("position", ["EHLO", ".", "QUIT"])
def test_ctrl_c(act: Act, position: str) -> None:
    """The whole program ends, with its event loop."""

    async def program() -> None:
        async with silent_at(position) as peer:
            loop = asyncio.get_running_loop()
            seen = asyncio.ensure_future(peer.seen(position))
            seen.add_done_callback(lambda _: loop.call_soon(signal.raise_signal, signal.SIGINT))
            await act(peer)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(program())


# -- amidst the loop over the results ----------------------------------------------------------------


class Amidst:
    """A caller that has the first of two results when it is cancelled; the other never comes."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.has_one = asyncio.Event()

    async def wait(self) -> None:
        self.has_one.set()
        await asyncio.Event().wait()

    async def call(self) -> None:
        async for _ in aiosmtplib.send_many(ENVELOPES, **unlimited(self.peer)):
            await self.wait()

    async def closed_call(self) -> None:
        async with contextlib.aclosing(aiosmtplib.send_many(ENVELOPES, **unlimited(self.peer))) as results:
            async for _ in results:
                await self.wait()

    async def pool(self) -> None:
        async with SMTPPool(**unlimited(self.peer)) as pool, pool.send_many(ENVELOPES) as results:
            async for _ in results:
                await self.wait()

    async def client(self) -> None:
        async with SMTP(**unlimited(self.peer)) as client, client.send_many(ENVELOPES) as results:
            async for _ in results:
                await self.wait()


def first_of_two() -> Peer:
    left = ["250 2.0.0 Accepted"]

    async def final(conversation: Any) -> Any:
        return await conversation.perform(left.pop() if left else silence)

    return Peer({".": final}, extensions=PIPELINING)


@pytest.mark.parametrize("how", ["call", "closed_call", "pool", "client"])
async def test_amidst_the_loop(how: str) -> None:
    if how == "closed_call" and not hasattr(asyncio.Task, "cancelling"):
        pytest.skip("Python 3.10 does not tell that a task is being cancelled")
    async with first_of_two() as peer:
        caller = Amidst(peer)
        task = asyncio.ensure_future(getattr(caller, how)())
        await asyncio.wait(
            [task, asyncio.ensure_future(caller.has_one.wait())], return_when="FIRST_COMPLETED"
        )
        task.cancel()
        await ends_soon(task)
        assert task.cancelled()
        del task, caller
        await peer.hung_up()


@pytest.mark.parametrize("how", ["call", "closed_call", "pool", "client"])
def test_ctrl_c_amidst_the_loop(how: str) -> None:
    if how == "closed_call" and not hasattr(asyncio.Task, "cancelling"):
        pytest.skip("Python 3.10 does not tell that a task is being cancelled")

    async def program() -> None:
        async with first_of_two() as peer:
            caller = Amidst(peer)
            loop = asyncio.get_running_loop()
            has_one = asyncio.ensure_future(caller.has_one.wait())
            has_one.add_done_callback(lambda _: loop.call_soon(signal.raise_signal, signal.SIGINT))
            await getattr(caller, how)()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(program())


async def test_who_closes_the_generator_waits_for_what_is_in_flight() -> None:
    go = asyncio.Event()
    async with Peer({"QUIT": hold(go, "221 bye")}, extensions=PIPELINING) as peer:
        results = aiosmtplib.send_many(ENVELOPES, **unlimited(peer))
        await anext(results)
        closing = asyncio.ensure_future(results.aclose())
        await peer.seen("QUIT")
        assert not closing.done()
        go.set()
        await closing


# -- what is left ------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["client", "pool"])
async def test_a_stream_is_read_no_further(door: str) -> None:
    """It is the caller's. The whole messages that are in flight are the server's already."""
    ended = asyncio.Event()

    async def stream() -> AsyncIterator[bytes]:
        try:
            yield b"Subject: one\r\n\r\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Peer(extensions=CHUNKING) as peer:
        options = options_for(peer, timeout=None)
        owner: Any = SMTP(**options) if door == "client" else SMTPPool(**options)
        if door == "client":
            await owner.connect()
        results = owner.send_many([Envelope(SENDER, RECIPIENTS, stream())])

        async def use() -> None:
            async with results:
                async for _ in results:
                    pass

        task = asyncio.ensure_future(use())
        await peer.seen("BDAT")
        task.cancel()
        await ends_soon(task)
        await asyncio.wait_for(ended.wait(), SOON)
        left = await asyncio.wait_for(results.aclose(), SOON)
        assert [result.delivery for result in left] == [Delivery.UNKNOWN]
        if door == "client":
            owner.close()
        else:
            await owner.aclose()
        await peer.hung_up()


async def test_closing_the_results_is_cancelled() -> None:
    async with silent_at(".") as peer, SMTP(**options_for(peer, timeout=None)) as client:
        results = client.send_many(ENVELOPES)
        waiting = asyncio.ensure_future(anext(results))
        await peer.seen(".")
        waiting.cancel()
        await ends_soon(waiting)
        closing = asyncio.ensure_future(results.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await ends_soon(closing)
        assert closing.cancelled()
        client.close()
        assert {each.delivery for each in await results.aclose()} == {Delivery.UNKNOWN, Delivery.NOT_SENT}
        await peer.hung_up()


async def test_leaving_a_client_that_another_task_uses() -> None:
    """QUIT waits for the other command; whoever is cancelled meanwhile closes the connection."""
    async with silent_at("NOOP") as peer:
        client = SMTP(**unlimited(peer))
        leave = asyncio.Event()

        async def use() -> None:
            async with client:
                leave.set()
                await peer.seen("NOOP")

        using = asyncio.ensure_future(use())
        await leave.wait()
        other = asyncio.ensure_future(client.noop())
        await peer.seen("NOOP")
        for _ in range(3):
            await asyncio.sleep(0)
        using.cancel()
        await ends_soon(using)
        await ends_soon(other)
        assert isinstance(other.exception(), aiosmtplib.SMTPServerDisconnected)
        await peer.hung_up()
