"""One deadline for a whole call: whatever the call waits for when it passes, the error has the verdict."""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import (
    SMTP,
    Delivery,
    SMTPConnectTimeoutError,
    SMTPPool,
    SMTPReadTimeoutError,
    SMTPTimeoutError,
)

from ..support import certs
from ..support.actions import hold, silence
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    client_for,
    email_message,
    session,
)
from ..support.deadlines import (
    ADVICE,
    DOORS,
    SOON,
    Door,
    by_many,
    by_pool,
    by_pool_of_many,
    by_send,
    by_sendmail,
    fails,
    fails_in,
    no_timeouts,
    pieces,
)
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Conversation, Peer

doors = pytest.mark.parametrize("door", DOORS.values(), ids=list(DOORS))


async def assert_ends_in(phase: str, delivery: Delivery, door: Door, peer: Peer) -> None:
    error, deadline = await fails_in(phase, door, peer)
    await peer.hung_up()
    assert type(error) is SMTPReadTimeoutError
    assert error.delivery is delivery
    assert f"port {peer.port}" in str(error)
    assert f"phase {phase!r}" in str(error)
    assert f"{deadline:g} seconds" in str(error)
    assert ADVICE[delivery] in str(error)
    assert error.transcript
    assert not peer.accepted


@doors
@pytest.mark.parametrize(
    ("position", "phase", "delivery"), [("RCPT", "rcpt", Delivery.NOT_SENT), (".", "final", Delivery.UNKNOWN)]
)
async def test_every_door(door: Door, position: str, phase: str, delivery: Delivery) -> None:
    async with Peer({position: silence}, extensions=PIPELINING) as peer:
        await assert_ends_in(phase, delivery, door, peer)


@pytest.mark.parametrize("door", [by_sendmail, by_many])
@pytest.mark.parametrize("extensions", [(), PIPELINING], ids=["plain", "pipelining"])
@pytest.mark.parametrize(
    ("position", "phase", "delivery"),
    [
        ("MAIL", "mail", Delivery.NOT_SENT),
        ("RCPT", "rcpt", Delivery.NOT_SENT),
        ("DATA", "data", Delivery.NOT_SENT),
        (".", "final", Delivery.UNKNOWN),
    ],
)
async def test_every_phase(
    door: Door, position: str, phase: str, delivery: Delivery, extensions: tuple[str, ...]
) -> None:
    async with Peer({position: silence}, extensions=extensions) as peer:
        await assert_ends_in(phase, delivery, door, peer)


@doors
async def test_by_bdat(door: Door) -> None:
    async with Peer({"BDAT LAST": silence, ".": silence}, extensions=CHUNKING) as peer:
        await assert_ends_in("final", Delivery.UNKNOWN, door, peer)


@doors
async def test_in_time(door: Door) -> None:
    async with Peer(extensions=PIPELINING) as peer:
        await asyncio.wait_for(door(peer, PATIENCE), PATIENCE)
        assert len(peer.accepted) == 1


async def each_recipient_late(conversation: Conversation) -> str:
    """A server that replies to each command just in time, and would go on for hours."""
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.005)
    return await conversation.perform("250 Ok")


@pytest.mark.parametrize("pipelining", [None, False])
async def test_a_server_that_replies_to_each_command_just_in_time(pipelining: bool | None) -> None:
    many = [f"{number}@example.com" for number in range(400)]

    async def door(peer: Peer, deadline: float) -> Any:
        async with session(peer, pipelining=pipelining) as client:
            return await client.sendmail(SENDER, many, MESSAGE, deadline=deadline)

    async with Peer({"RCPT": each_recipient_late}, extensions=PIPELINING) as peer:
        error, _ = await fails_in("rcpt", door, peer)
    assert error.delivery is Delivery.NOT_SENT
    assert len(error.replies) < 400


@pytest.mark.parametrize(
    ("position", "kind", "phase"),
    [
        ("connect", SMTPConnectTimeoutError, "greeting"),
        ("EHLO", SMTPReadTimeoutError, "ehlo"),
        ("STARTTLS", SMTPReadTimeoutError, "starttls"),
        ("AUTH", SMTPReadTimeoutError, "auth"),
        ("MAIL", SMTPReadTimeoutError, "mail"),
    ],
)
async def test_connecting_is_a_part_of_it(position: str, kind: type[SMTPTimeoutError], phase: str) -> None:
    async with Peer(
        {position: silence}, tls=certs.server_context(), extensions=("AUTH PLAIN", *PIPELINING)
    ) as peer:
        options = {**no_timeouts(peer), "tls_context": certs.client_context()}
        if phase == "auth":
            options.update(username="me", password="secret")

        async def door(peer: Peer, deadline: float) -> Any:
            return await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options, deadline=deadline)

        error, _ = await fails_in(phase, door, peer)
        await peer.hung_up()
    assert type(error) is kind
    assert error.delivery is Delivery.NOT_SENT
    assert f"localhost on port {peer.port}" in str(error)
    assert "secret" not in repr(error)
    assert bool(error.transcript) is (phase != "greeting")


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_handshake_is_a_part_of_it(implicit: bool) -> None:
    async def no_handshake(conversation: Conversation) -> None:
        await conversation.reply("220 Ready")
        await conversation.drain()

    async def never(conversation: Conversation) -> None:
        await conversation.drain()

    peer = Peer(script=never) if implicit else Peer({"STARTTLS": no_handshake}, extensions=["STARTTLS"])
    async with peer:
        options = {**no_timeouts(peer), "use_tls": implicit, "tls_context": certs.client_context()}

        async def door(peer: Peer, deadline: float) -> Any:
            return await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options, deadline=deadline)

        error, _ = await fails_in("connect" if implicit else "starttls", door, peer)
        await peer.hung_up()
    assert error.delivery is Delivery.NOT_SENT


@pytest.mark.parametrize("deadline", [math.inf, 1e300, 10**400 // 10**390, True + 1])
async def test_any_positive_number_of_seconds(deadline: float) -> None:
    async with Peer() as peer:
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **no_timeouts(peer), deadline=deadline)
        async with SMTPPool(**no_timeouts(peer)) as pool:
            await pool.sendmail(SENDER, RECIPIENTS, MESSAGE, deadline=deadline)
    assert len(peer.accepted) == 2


WRONG: list[tuple[Any, type[Exception]]] = [
    (0, ValueError),
    (-1, ValueError),
    (0.0, ValueError),
    (math.nan, ValueError),
    (-math.inf, ValueError),
    (True, TypeError),
    (False, TypeError),
    ("5", TypeError),
    (b"5", TypeError),
    ([5], TypeError),
]


@pytest.mark.parametrize(("deadline", "kind"), WRONG)
async def test_what_is_no_deadline_is_refused_before_anything(deadline: Any, kind: type[Exception]) -> None:
    client, pool = SMTP("localhost", 1), SMTPPool("localhost", 1)
    mail = (SENDER, RECIPIENTS, MESSAGE)
    message = email_message()
    calls: list[Callable[[], Any]] = [
        lambda: aiosmtplib.send(message, hostname="localhost", port=1, deadline=deadline),
        lambda: aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, hostname="localhost", port=1, deadline=deadline),
        lambda: client.sendmail(*mail, deadline=deadline),
        lambda: client.send_message(message, deadline=deadline),
        lambda: client.send_many([message], deadline=deadline),
        lambda: pool.send(message, deadline=deadline),
        lambda: pool.sendmail(*mail, deadline=deadline),
        lambda: pool.send_message(message, deadline=deadline),
        lambda: pool.send_many([message], deadline=deadline),
        lambda: aiosmtplib.send_many([message], hostname="localhost", port=1, deadline=deadline),
    ]
    for call in calls:
        with pytest.raises(kind, match="^A deadline is a"):
            await call()
    assert pool.stats().opening == 0


def test_methods_for_programs_without_an_event_loop() -> None:
    client = SMTP("localhost", 1)
    with pytest.raises(ValueError, match="positive"):
        client.sendmail_sync(SENDER, RECIPIENTS, MESSAGE, deadline=0)
    with pytest.raises(aiosmtplib.SMTPConnectError):
        client.send_message_sync(email_message(), deadline=5)


async def test_other_tasks_are_waited_for_within_it() -> None:
    """What the message waits for is not closed: it was never begun."""
    go_on = asyncio.Event()
    async with Peer({"NOOP": hold(go_on, "250 Ok")}) as peer, session(peer, timeout=None) as client:
        await client.ehlo()
        other = asyncio.create_task(client.noop())
        await peer.seen("NOOP")
        error = await fails(client.sendmail(SENDER, RECIPIENTS, MESSAGE, deadline=SOON))
        assert type(error) is SMTPTimeoutError
        assert (error.delivery, error.phase) == (Delivery.NOT_SENT, None)
        error = await fails(client.sendmail(SENDER, RECIPIENTS, pieces(), deadline=SOON))
        assert error.delivery is Delivery.NOT_SENT
        go_on.set()
        assert (await other).code == 250
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
        assert len(peer.accepted) == 1


class Source:
    """A source that yields a piece and then waits for ever."""

    def __init__(self) -> None:
        self.begun = False
        self.closed = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        self.begun = True
        try:
            yield MESSAGE
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@pytest.mark.parametrize("door", [by_send, by_sendmail, by_pool, by_many, by_pool_of_many])
@pytest.mark.parametrize("extensions", [(), CHUNKING], ids=["data", "bdat"])
async def test_a_source_that_waits(
    door: Callable[[Peer, float, Any], Awaitable[Any]], extensions: tuple[str, ...]
) -> None:
    sources: list[Source] = []

    async def call(peer: Peer, deadline: float) -> Any:
        sources.append(Source())
        return await door(peer, deadline, sources[-1].pieces())

    async with Peer(extensions=extensions) as peer:
        error, _ = await fails_in("body", call, peer)
        assert sources[-1].closed.is_set() is sources[-1].begun
        await peer.hung_up()
        assert error.delivery is Delivery.NOT_SENT
        assert not peer.accepted


@pytest.mark.parametrize("extensions", [(), CHUNKING], ids=["data", "bdat"])
async def test_a_source_is_closed_where_the_server_is_late(extensions: tuple[str, ...]) -> None:
    closed = []

    def lines() -> Iterator[bytes]:
        try:
            for _ in range(1000):
                yield MESSAGE * 10_000
        finally:
            closed.append(True)

    async def stops_reading(conversation: Conversation) -> str:
        if not extensions:
            await conversation.reply("354 Go on")
        await asyncio.Event().wait()
        return ""

    source = lines()
    async with Peer(
        {"DATA": stops_reading, "BDAT": stops_reading}, extensions=extensions, receive_buffer=4096
    ) as peer:
        client = client_for(peer, timeout=None)
        await client.connect()
        error = await fails(client.sendmail(SENDER, RECIPIENTS, source, deadline=8 * SOON))
        assert error.delivery is Delivery.NOT_SENT
        assert closed == [True]
        assert_closed(client)


async def test_a_file_that_cannot_be_read_on() -> None:
    """The thread that reads it is left to itself."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as file, open(writer, "wb", buffering=0) as other_end:
        other_end.write(MESSAGE)
        async with Peer() as peer:
            error = await fails(by_sendmail(peer, 4 * SOON, file))
            other_end.write(b"the end")
            await peer.hung_up()
            assert error.delivery is Delivery.NOT_SENT
            assert not peer.accepted


async def test_a_refusal_that_came_before_it_is_the_error() -> None:
    """The first negative reply, though the group has others still to come."""
    async with Peer({"MAIL": "550 no", "RCPT": silence}, extensions=PIPELINING) as peer:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await by_sendmail(peer, 8 * SOON)
        assert isinstance(caught.value.__cause__, SMTPTimeoutError)
        await peer.hung_up()


async def test_goodbye_is_a_part_of_it_and_no_reason_to_fail() -> None:
    async with Peer({"QUIT": silence}) as peer:
        assert await asyncio.wait_for(by_send(peer, 16 * SOON), PATIENCE) == ({}, "2.0.0 Accepted")
        await peer.hung_up()

        async def beyond_ascii() -> None:
            await aiosmtplib.send(MESSAGE, "h\xe9@a.b", RECIPIENTS, **no_timeouts(peer), deadline=16 * SOON)

        with pytest.raises(ValueError, match="ascii"):  # nothing was said to the server
            await asyncio.wait_for(beyond_ascii(), PATIENCE)
        await peer.hung_up()


async def test_a_cancellation_from_outside_is_one_also_after_the_deadline() -> None:
    """Both at once: whoever cancels wins."""
    async with Peer({"connect": silence}) as peer:
        sending = asyncio.create_task(by_send(peer, 4 * SOON))
        asyncio.get_running_loop().call_later(SOON, sending.cancel)
        done, _ = await asyncio.wait([sending], timeout=PATIENCE)
        assert done
        assert sending.cancelled() or isinstance(sending.exception(), SMTPTimeoutError)
        await peer.hung_up()


async def test_asyncio_timeouts_around_it_stay_what_they_are() -> None:
    async with Peer({"MAIL": silence}) as peer, session(peer, timeout=None) as client:
        with pytest.raises(asyncio.TimeoutError) as caught:
            await asyncio.wait_for(client.sendmail(SENDER, RECIPIENTS, MESSAGE, deadline=PATIENCE), SOON)
        assert not isinstance(caught.value, SMTPTimeoutError)
        assert_closed(client)


class Logging(SMTP):
    """A class of a program's, which hands on what it is given."""

    async def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        return await super().sendmail(*args, **kwargs)


class Older(SMTP):
    """A class of a program's that was written when there was no deadline."""

    async def sendmail(self, sender: Any, recipients: Any, message: Any, *args: Any) -> Any:  # type: ignore[override]
        return await super().sendmail(sender, recipients, message, *args)


async def test_classes_of_a_program() -> None:
    async with Peer({"RCPT": silence}) as peer:

        async def door(peer: Peer, deadline: float) -> Any:
            client = Logging(**no_timeouts(peer))
            await client.connect()
            return await client.send_message(email_message(), deadline=deadline)

        error, deadline = await fails_in("rcpt", door, peer)
        assert error.delivery is Delivery.NOT_SENT
        assert f"{deadline:g} seconds" in str(error)
        peer.actions.clear()
        older = Older(**no_timeouts(peer))
        await older.connect()
        assert await older.send_message(email_message()) == ({}, "2.0.0 Accepted")
        older.close()
