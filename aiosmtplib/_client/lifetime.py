"""The life of a client's connection, from its opening, with a login, to its end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from .._sasl.mechanisms import token_expired
from .._sasl.secret import conceal, reveal
from ..errors import SMTPAuthenticationError, SMTPException
from ..response import SMTPResponse
from ..typing import SMTPTokenGenerator
from .authentication import Authentication, outweighs
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
    if not client._sends_last:  # else it was made for this call, with its options
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


async def login_as_chosen(client: Authentication) -> None:
    """Log in as the options say."""
    if client._username is None:
        return
    if client._oauth_token_generator is not None:
        await _login_with_token(client, client._username, client._oauth_token_generator)
    else:
        await client.login(client._username, "" if client._password is None else reveal(client._password))


async def _login_with_token(
    client: Authentication, username: str | bytes, generate: SMTPTokenGenerator
) -> None:
    """Log in by XOAUTH2 or OAUTHBEARER. Where the token has expired, ask once for a newer one."""
    client._check_may_authenticate()
    await client._ehlo_or_helo_if_needed()
    if "xoauth2" in client.server_auth_methods:
        authenticate = client.auth_xoauth2
    elif "oauthbearer" in client.server_auth_methods:
        authenticate = client.auth_oauthbearer
    else:
        raise SMTPException(
            "oauth_token_generator provided but server does not support XOAUTH2 or OAUTHBEARER"
        )
    token = conceal(await generate())
    try:
        await authenticate(username, reveal(token))
        return
    except SMTPAuthenticationError as error:
        if not client.is_connected or not token_expired(error, sure=client.stop_on_auth_failure):
            raise
        refused = error
    newer = conceal(await generate())
    if reveal(newer) == reveal(token):
        raise refused
    try:
        await authenticate(username, reveal(newer))
        return
    except SMTPException as error:
        if outweighs(error, refused):
            raise
    raise refused


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
        client._goodbye = None
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


def user_of(client: Connection) -> str | None:
    """Who logs in when the client connects."""
    name = client._username
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
