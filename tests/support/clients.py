"""How tests make clients, judge what state they are in, and cancel what they do.

Options are the same everywhere: a local host name, so that no name service is asked, and a timeout that no
working step comes near.
"""

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import aiosmtplib

from .scripted_server import PATIENCE, Peer

__all__ = (
    "HOST",
    "MESSAGE",
    "RECIPIENTS",
    "SENDER",
    "WIRE",
    "assert_closed",
    "assert_usable",
    "client_for",
    "each_cancellation",
    "email_message",
    "options_for",
    "session",
)

HOST = "me.example"
SENDER = "a@example.com"
RECIPIENTS = ["b@example.com", "c@example.com"]
MESSAGE = b"Subject: dots\n\n.one\n..two\nthree"
#: What MESSAGE has to be on the wire.
WIRE = b"Subject: dots\r\n\r\n..one\r\n...two\r\nthree\r\n.\r\n"


def options_for(peer: Peer, **options: Any) -> dict[str, Any]:
    """What a client needs to find this peer, and options that override it."""
    where: dict[str, Any] = {"hostname": "localhost" if peer.tls else peer.host, "port": peer.port}
    return {**where, "local_hostname": HOST, "timeout": PATIENCE, **options}


def client_for(peer: Peer, **options: Any) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(**options_for(peer, **options))


@asynccontextmanager
async def session(peer: Peer, **options: Any) -> AsyncIterator[aiosmtplib.SMTP]:
    """A connected client that is closed without QUIT, so that a test sees only the commands it asked for."""
    client = client_for(peer, **options)
    try:
        await client.connect()
        yield client
    finally:
        client.close()
        await peer.hung_up()


def email_message(
    to: str = ", ".join(RECIPIENTS), *, sender: str = SENDER, body: str = "hello\n"
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = "greetings"
    message.set_content(body)
    return message


def assert_closed(client: aiosmtplib.SMTP) -> None:
    """Nothing of the last connection may be left on the client."""
    assert not client.is_connected
    assert client.protocol is None
    assert client.transport is None
    assert client.last_ehlo_response is None
    assert client.last_helo_response is None
    assert client.is_ehlo_or_helo_needed
    assert not client.supports_esmtp
    assert client.esmtp_extensions == {}
    assert client.server_auth_methods == []


async def assert_usable(client: aiosmtplib.SMTP, peer: Peer) -> None:
    """In step with a well-behaved peer: each command gets the reply to itself. Leaves the client closed."""
    accepted = len(peer.accepted)
    if not client.is_connected:
        assert_closed(client)
        await asyncio.wait_for(client.connect(), PATIENCE)
    assert (await asyncio.wait_for(client.vrfy("b"), PATIENCE)).code == 252
    assert (await asyncio.wait_for(client.noop(), PATIENCE)).code == 250
    assert (await asyncio.wait_for(client.expn("b"), PATIENCE)).message == "2.0.0 <b@example.com>"
    # What was begun and cancelled is still open on the server's side: RSET is the caller's to send.
    await client.rset()
    refused, text = await asyncio.wait_for(client.sendmail(SENDER, RECIPIENTS, MESSAGE), PATIENCE)
    assert refused == {}
    assert text == "2.0.0 Accepted"
    assert len(peer.accepted) == accepted + 1
    assert peer.accepted[-1].sender == SENDER.encode()
    assert [who.decode() for who in peer.accepted[-1].recipients] == RECIPIENTS
    await asyncio.wait_for(client.quit(), PATIENCE)
    assert_closed(client)


@types.coroutine
def _cancelled_at(
    coroutine: Coroutine[Any, Any, Any], step: int, late: bool, reached: list[int]
) -> Generator[Any, Any, Any]:
    """Cancel the running task at the ``step``-th time (from 0) that ``coroutine`` suspends it.

    :param late: cancel after what is awaited is done and before the task learns of it
    :param reached: gets the step once it was cancelled
    """
    task = asyncio.current_task()
    assert task is not None

    def cancel(_: object = None) -> None:
        reached.append(step)
        task.cancel()

    send: Callable[[Any], Any] = coroutine.send
    value: Any = None
    count = 0
    while True:
        try:
            awaited = send(value)
        except StopIteration as stop:
            return stop.value
        if count == step:
            if late and awaited is not None:
                awaited.add_done_callback(cancel)
            else:
                cancel()
        count += 1
        try:
            value = yield awaited
            send = coroutine.send
        except BaseException as exc:  # handed on, whatever it is
            value, send = exc, coroutine.throw


async def each_cancellation(
    attempt: Callable[[Callable[[Awaitable[Any]], Awaitable[Any]]], Awaitable[None]],
) -> int:
    """Call ``attempt(run)`` until ``run`` was not cancelled any more; return the number of cancellations.

    ``run(coroutine)`` in the n-th call cancels at the n-th suspension, with and without the race between
    cancellation and completion. Finding out how many suspensions there are is the point: nothing is left out.
    A cancellation has to come out again, whatever the coroutine was waiting for.
    """
    cancellations = 0
    for late in (False, True):
        step = 0
        cancelled = True
        while cancelled:
            cancelled = False

            async def run(coroutine: Any, *, step: int = step, late: bool = late) -> Any:
                nonlocal cancelled
                reached: list[int] = []
                task = asyncio.ensure_future(_run_cancelled(coroutine, step, late, reached))
                await asyncio.wait([task], timeout=PATIENCE)
                assert task.done(), f"cancelled at suspension {step}, and still running"
                cancelled = task.cancelled()
                assert cancelled or not reached, f"cancelled at suspension {step}, and it went on"
                return None if cancelled else task.result()

            await attempt(run)
            cancellations += cancelled
            step += 1
    return cancellations


async def _run_cancelled(
    coroutine: Coroutine[Any, Any, Any], step: int, late: bool, reached: list[int]
) -> Any:
    return await _cancelled_at(coroutine, step, late, reached)
