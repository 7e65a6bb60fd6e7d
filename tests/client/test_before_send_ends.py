"""``before_send`` that raises, or does not return: nothing of its message is written, and others go on."""

import asyncio
import io
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, Delivery, Envelope, SMTPPool, blocking_hook

from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_usable,
    client_for,
    each_cancellation,
    email_message,
    options_for,
    session,
)
from ..support.hooks import DOORS, Blocking, Door, Hook, Later, Odd, Stuck, fail, letter
from ..support.scripted_server import CHUNKING, PIPELINING, Peer

# -- what fails --------------------------------------------------------------------------------------


async def not_bytes_later(content: bytes) -> Any:
    return bytearray(content)


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (fail(Odd("no key")), Odd),
        (blocking_hook(fail(Odd("no key"))), Odd),
        (fail(aiosmtplib.SMTPDataError(550, "no")), aiosmtplib.SMTPDataError),
        (lambda content: content.decode(), TypeError),
        (lambda content: None, TypeError),
        (not_bytes_later, TypeError),
    ],
)
@pytest.mark.parametrize("door", DOORS)
async def test_what_it_raises_comes_out_and_nothing_is_written(
    hook: Any, error: type[Exception], door: Door
) -> None:
    async with Peer(extensions=PIPELINING) as peer:
        for message in (letter(), MESSAGE):
            with pytest.raises(error):
                await door(options_for(peer, before_send=hook), SENDER, message)
    assert set(peer.verbs) == {"EHLO", "QUIT"}


@pytest.mark.parametrize("door", DOORS)
async def test_what_is_streamed_is_refused(door: Door) -> None:
    async with Peer(extensions=CHUNKING) as peer:
        for stream in (io.BytesIO(MESSAGE), [MESSAGE]):
            with pytest.raises(TypeError, match="streamed"):
                await door(options_for(peer, before_send=Hook(), complete_headers=True), SENDER, stream)
    assert set(peer.verbs) <= {"EHLO", "QUIT"}
    assert door.__name__ != "send_one" or not peer.conversations


async def test_the_client_stays_usable() -> None:
    calls = 0

    def now_and_then(content: bytes) -> bytes:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise Odd(str(calls))
        return content

    async with Peer(extensions=CHUNKING) as peer, session(peer, before_send=now_and_then) as client:
        with pytest.raises(Odd, match="1"):
            await client.send_message(letter())
        await client.send_message(letter())
        results = [each async for each in client.send_many([letter(), MESSAGE, letter(), letter(), 5])]
        assert [type(each.error) for each in results] == [Odd, ValueError, type(None), Odd, TypeError]
        assert {each.delivery for each in results if each.error} == {Delivery.NOT_SENT}
        client.before_send = None
        await assert_usable(client, peer)


async def test_addresses_are_checked_before() -> None:
    hook = Hook()
    async with Peer() as peer, session(peer, before_send=hook) as client:
        for sender, to, options in (("a b@c", ["d@e"], ()), ("a@b", [], ()), ("a@b", ["d@e"], ["\r"])):
            with pytest.raises(ValueError):
                await client.sendmail(sender, to, MESSAGE, options)
        with pytest.raises(aiosmtplib.SMTPNotSupported):
            await client.send_message(letter(), "ä@example.com")
        results = [
            each
            async for each in client.send_many([Envelope("ä@example.com", RECIPIENTS, letter()), MESSAGE])
        ]
        assert [type(each.error) for each in results] == [aiosmtplib.SMTPNotSupported, ValueError]
        with pytest.raises(TypeError):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE, divide_recipients="no")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE, timeout="1")  # type: ignore[arg-type]
    assert hook.seen == []
    assert peer.verbs == ["EHLO"]


async def test_without_a_connection_it_is_not_called() -> None:
    hook = Hook()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await SMTP(before_send=hook).sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert hook.seen == []


# -- while it runs -----------------------------------------------------------------------------------


async def test_a_cancelled_message_is_not_sent() -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=hook) as client:
        task = asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, MESSAGE))
        await hook.called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert peer.verbs == ["EHLO"]
        client.before_send = None
        await assert_usable(client, peer)


@pytest.mark.parametrize("make", [Later, Blocking])
async def test_cancelled_anywhere(make: type[Hook]) -> None:
    """Before the hook has returned nothing is written; after that it is as it is without one."""
    async with Peer(extensions=PIPELINING) as peer:

        async def attempt(run: Any) -> None:
            hook = make()
            accepted = len(peer.accepted)
            client = client_for(peer, before_send=hook)
            await client.connect()
            await run(client.send_message(letter()))
            assert len(peer.accepted) - accepted <= len(hook.seen) <= 1
            client.before_send = None
            await assert_usable(client, peer)

        assert await each_cancellation(attempt) >= 4


@pytest.mark.parametrize("many", [False, True])
async def test_a_deadline_ends_it(many: bool) -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=hook) as client:
        with pytest.raises(aiosmtplib.SMTPTimeoutError) as caught:
            if many:
                async for result in client.send_many([letter()], deadline=0.02):
                    result.raise_for_status()
            else:
                await client.send_message(letter(), deadline=0.02)
        assert caught.value.delivery is Delivery.NOT_SENT
        assert peer.verbs == ["EHLO"]
        client.before_send = None
        await assert_usable(client, peer)


async def test_a_deadline_that_is_kept() -> None:
    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=Later()) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE, deadline=10)
        async for result in client.send_many([letter()] * 3, deadline=10):
            result.raise_for_status()
    assert len(peer.accepted) == 4


@pytest.mark.parametrize("again", [False, True])
async def test_a_connection_that_is_lost_meanwhile(again: bool) -> None:
    """If the program has connected anew, perhaps to another server, the message goes there, in its form."""
    hook = Stuck()
    async with (
        Peer(extensions=PIPELINING) as peer,
        Peer(extensions=()) as other,
        session(peer, before_send=hook) as client,
    ):
        task = asyncio.ensure_future(client.send_message(letter(body="Grüße\n")))
        await hook.called.wait()
        client.close()
        if again:
            await client.connect(**options_for(other))
        hook.released.set()
        if not again:
            with pytest.raises(aiosmtplib.SMTPServerDisconnected):
                await task
            return
        await task
        assert hook.calls == 2
        assert other.accepted[0].content.isascii()
        client.close()


async def test_many_that_are_lost_meanwhile() -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=hook) as client:
        results = client.send_many([letter(), letter()])
        task = asyncio.ensure_future(anext(results))
        await hook.called.wait()
        client.close()
        hook.released.set()
        assert isinstance((await task).error, aiosmtplib.SMTPServerDisconnected)
        [rest] = [each async for each in results]
        assert rest.delivery is Delivery.NOT_SENT


async def test_messages_go_on_while_it_runs() -> None:
    """In the order in which the hook returns; the results come in that of the messages."""
    first = Stuck()

    async def hook(content: bytes) -> bytes:
        return await first(content) if b"first" in content else content

    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=hook) as client:
        messages = [email_message(body=f"{number}\n") for number in ("first", "second", "third")]
        results = client.send_many(messages)
        task = asyncio.ensure_future(anext(results))
        await peer.seen(".")
        first.released.set()
        assert (await task).index == 0
        assert [each.index async for each in results] == [1, 2]
    assert b"first" in peer.accepted[-1].content


async def test_leaving_ends_it() -> None:
    hook = Stuck()
    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=hook) as client:
        results = client.send_many([letter(), letter()])
        task = asyncio.ensure_future(anext(results))
        await hook.called.wait()
        left = await results.aclose()
        with pytest.raises(StopAsyncIteration):
            await task
        assert [each.delivery for each in left] == [Delivery.NOT_SENT] * 2
        assert hook.calls == 2
        assert peer.verbs == ["EHLO"]
        client.before_send = None
        await assert_usable(client, peer)


async def test_one_that_has_just_returned_is_not_sent_after_leaving() -> None:
    results: Any = None

    async def hook(content: bytes) -> bytes:
        asyncio.get_running_loop().call_soon(results._window.withdraw)  # before its task is seen to be done
        return content

    async with Peer(extensions=PIPELINING) as peer, session(peer, before_send=hook) as client:
        results = client.send_many([letter()])
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        [left] = await results.aclose()
        assert left.delivery is Delivery.NOT_SENT
    assert peer.verbs == ["EHLO"]


@pytest.mark.parametrize("kind", [SMTP, SMTPPool])
async def test_it_cannot_wait_for_its_own_message(kind: Any) -> None:
    results: Any = None

    async def hook(content: bytes) -> bytes:
        await results.aclose()
        raise AssertionError("unreachable")

    async with Peer(extensions=PIPELINING) as peer, kind(**options_for(peer, before_send=hook)) as door:
        results = door.send_many([letter()])
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        [left] = await results.aclose()
        assert isinstance(left.error, RuntimeError)


async def test_large_messages_wait_for_each_other() -> None:
    """No more is pulled than may be in flight, lest all of it be in memory."""
    hook = Stuck()
    pulled = 0

    def messages() -> Any:
        nonlocal pulled
        for _ in range(10):
            pulled += 1
            yield Envelope(SENDER, RECIPIENTS, MESSAGE + bytes(1 << 19))

    async with Peer(extensions=CHUNKING) as peer:
        for door in (
            session(peer, before_send=hook),
            SMTPPool(**options_for(peer), max_connections=1, before_send=hook),
        ):
            hook.called.clear()
            hook.released.clear()
            pulled = 0
            async with door as sender:
                results = sender.send_many(messages())
                task = asyncio.ensure_future(anext(results))
                await hook.called.wait()
                assert pulled < 5
                hook.released.set()
                await task
                async for result in results:
                    result.raise_for_status()
    assert len(peer.accepted) == 20
