"""The life of a client's connection, from its opening, with a login, to its end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from ..errors import SMTPException
from ..response import SMTPResponse
from .authentication import Authentication, login_as_chosen
from .commands import Commands
from .connection import Connection, Timeout, effective_timeout, forget_closed_loop
from .error_context import attach_transcript
from .options import store_options


async def connect(client: Authentication, timeout: Timeout, **options: Any) -> SMTPResponse:
    """Do what :meth:`aiosmtplib.SMTP.connect` promises.

    :param options: those to store, with the password concealed
    """
    forget_closed_loop(client)
    if client.is_connected:
        raise SMTPException("SMTP instance is already connected")
    seconds = effective_timeout(client, timeout)
    store_options(client, **options)
    async with _opening(client, seconds):
        greeting = await client._open()
        await login_as_chosen(client)
    return greeting


@contextlib.asynccontextmanager
async def _opening(client: Connection, timeout: float | None) -> AsyncIterator[None]:
    """While the connection is being opened, ``timeout`` is the default, and a failure closes it."""
    await client._connect_lock.acquire()
    client._opening = True
    client._opening_timeout = timeout
    try:
        with attach_transcript(client):
            yield
    except BaseException:
        abort(client)
        raise
    finally:
        client._opening = False
        if client.protocol is None:
            client._connect_lock.release()


def expect_no_more(client: Connection) -> None:
    """Let QUIT go out with the next message, since nothing follows it."""
    client._sends_last = True


async def part(client: Commands) -> None:
    """Say QUIT, or wait for the reply to the one that went out with the last message, and close."""
    goodbye, protocol = client._goodbye, client.protocol
    if goodbye is None:
        await client.quit()
        return
    assert protocol is not None  # it is connected
    try:
        await protocol.wait_for(goodbye)
    finally:
        protocol.close()
    await protocol.wait_closed()


def call_when_lost(client: Connection, callback: Callable[[], None]) -> None:
    """Have ``callback`` called when the connection is of no more use, as soon as that is known."""
    client._lost_callback = callback


def abort(client: Connection) -> None:
    """Close the connection at once, and wait for nothing.

    Closing waits for what is buffered to be read, and for the end of TLS. A server that does neither, as Exim
    while it waits for a command, would hold on to the socket.
    """
    transport = None if client.protocol is None else client.protocol.transport
    client.close()
    if transport is not None:
        transport.abort()
