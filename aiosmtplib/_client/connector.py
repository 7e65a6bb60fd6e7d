"""Making a connection, whichever way the options name; its greeting and its upgrade."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

from .._transport.timers import in_time, in_time_here
from .._transport.tls import tls_error
from ..errors import (
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from ..response import SMTPResponse
from ..status import SMTPStatus
from .error_context import is_tls_port
from .happy_eyeballs import connect_socket
from .hostnames import name_to_verify
from .options import Options, destination_of
from .ways import SocketFactory

if TYPE_CHECKING:
    from ..protocol import SMTPProtocol


async def create_connection(
    options: Options, protocol: SMTPProtocol, tls_context: ssl.SSLContext | None, timeout: float | None
) -> None:
    """Resolve the name, connect, and do the TLS handshake where a context is given.

    :param timeout: seconds for all of that, or ``None`` for no limit
    :raises SMTPConnectTimeoutError: if it takes longer
    :raises SMTPConnectError: if it cannot be done; and for port 465 without ``use_tls``, unless the caller
        wrote ``use_tls=False`` and does not insist on STARTTLS
    """
    destination = destination_of(options)
    protocol.destination = host_and_port(options)
    if tls_context is None and is_tls_port(options) and (options._must_upgrade or not options._no_tls_asked):
        # The server would wait for a handshake, and the client for its greeting.
        raise SMTPConnectError(f"Error connecting to {destination}: that port speaks TLS from the first byte")
    make = _factory_of(options)
    # What is not ours may go on where it is cancelled, and asyncio leaves a transport behind where a
    # handshake has only just begun.
    wait = in_time_here if make is None and tls_context is None else in_time
    try:
        await wait(_create(options, protocol, tls_context, timeout, make), timeout)
    except SMTPException:
        raise
    except asyncio.TimeoutError as error:
        hop = None if options._proxy is None else cast(Any, make).unfinished()
        text = f"Timed out connecting to {destination}" + (f": {hop}" if hop is not None else "")
        raise SMTPConnectTimeoutError(text) from hop or error
    except ssl.SSLError as error:
        raise tls_error(f"Error connecting to {destination}", error) from error
    except (OSError, ValueError, OverflowError) as error:  # the last two for what is no name and no port
        raise SMTPConnectError(f"Error connecting to {destination}: {error}") from error


def host_and_port(options: Options) -> tuple[str | None, int | None]:
    """Host and port of the server as far as they are known; of a Unix socket its path, and no port."""
    if options.socket_path is not None:
        return os.fsdecode(options.socket_path), None
    if options.sock is not None:
        return options.hostname, None
    return options._server_name, options._effective_port


def _factory_of(options: Options) -> SocketFactory | None:
    """What makes the sockets, if not the connector."""
    if options._proxy is None:
        return options.socket_factory
    from .proxy import Tunnel
    from .proxy_url import proxy_of

    port = cast(int, options._effective_port)  # checked before
    return Tunnel(proxy_of(options._proxy), options._server_name, port)


async def _create(
    options: Options,
    protocol: SMTPProtocol,
    tls_context: ssl.SSLContext | None,
    timeout: float | None,
    make: SocketFactory | None,
) -> None:
    loop = asyncio.get_running_loop()
    tls: dict[str, Any] = {}
    if tls_context is not None:
        tls = {
            "ssl": tls_context,
            "server_hostname": name_to_verify(options._certificate_name),
            "ssl_handshake_timeout": timeout if timeout is not None and timeout > 0 else None,
        }
    if options.sock is not None:
        await loop.create_connection(lambda: protocol, sock=options.sock, **tls)
    elif options.socket_path is not None:
        path = os.fspath(options.socket_path)
        await loop.create_unix_connection(lambda: protocol, path, **tls)  # type: ignore[arg-type]
    else:
        if make is not None:
            sock = await _made_socket(make, destination_of(options))
        else:
            port = cast(int, options._effective_port)
            sock = await connect_socket(options._server_name, port, options.source_address)
        await _hand_over(sock, protocol, tls)


async def _made_socket(make: SocketFactory, destination: str) -> socket.socket:
    """The socket that a ``socket_factory``, or a proxy, makes.

    :raises SMTPConnectError: if it raises
    :raises TypeError: if it returns anything but a socket for a stream of bytes
    """
    made: object = None
    try:
        made = make()
        awaited = inspect.isawaitable(made)
        if awaited:
            made = await made
    except Exception as error:
        late = isinstance(error, asyncio.TimeoutError | TimeoutError)
        kind = SMTPConnectTimeoutError if late else SMTPConnectError
        text = str(error) or type(error).__name__
        raise kind(f"Error connecting to {destination}: {text}") from error
    if isinstance(made, socket.socket):
        try:
            if awaited and made.type == socket.SOCK_STREAM and not isinstance(made, ssl.SSLSocket):
                made.getpeername()  # asyncio would not see before the first byte that it is not connected
                return made
        except OSError:
            made.close()
            raise
        made.close()
    raise TypeError(
        "The socket_factory has to be an async function that returns a connected stream socket without TLS, "
        f"not {'' if awaited else 'a function that returns '}{type(made).__name__}"
    )


async def _hand_over(sock: socket.socket, protocol: SMTPProtocol, tls: dict[str, Any]) -> None:
    """Let the event loop have a connected socket, and close it with the transport."""
    loop = asyncio.get_running_loop()
    ours = isinstance(loop, asyncio.BaseEventLoop)
    try:
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock, **tls)
    except BaseException:
        sock.close() if ours else sock.detach()
        raise
    if not ours and transport.is_closing():
        # uvloop has closed the descriptor, which the socket would close once more when it is collected.
        sock.detach()


async def read_greeting(protocol: SMTPProtocol, timeout: float | None, destination: str) -> SMTPResponse:
    """The greeting of the server (RFC 5321 section 3.1).

    :param timeout: seconds, or ``None`` for no limit
    :raises SMTPConnectTimeoutError: if it does not come in time
    :raises SMTPConnectResponseError: if it is not 220
    :raises SMTPConnectError: if the connection ends before it
    """
    try:
        greeting = await protocol.read_response(timeout)
    except SMTPReadTimeoutError as error:
        raise SMTPConnectTimeoutError("Timed out waiting for server ready message") from error
    except SMTPServerDisconnected as error:
        raise SMTPConnectError(f"Error connecting to {destination}: {error}") from error
    except SMTPResponseException as error:
        raise SMTPConnectResponseError(error.code, error.message) from error
    if greeting.code != SMTPStatus.ready:
        raise SMTPConnectResponseError(*greeting)
    return greeting


async def upgrade(
    protocol: SMTPProtocol,
    context: ssl.SSLContext,
    server_hostname: str,
    timeout: float | None,
    destination: str,
) -> SMTPResponse:
    """STARTTLS and the TLS handshake (RFC 3207).

    :param server_hostname: name to verify the certificate against
    :return: the 220 to STARTTLS
    :raises SMTPConnectError: if the handshake fails, also an :class:`ssl.SSLError`
    :raises SMTPServerDisconnected: if the connection is, or gets, lost
    """
    try:
        return await protocol.start_tls(context, name_to_verify(server_hostname), timeout)
    except SMTPException:
        raise
    except ssl.SSLError as error:
        raise tls_error(f"TLS handshake with {destination} failed", error) from error
    except ValueError as error:  # the name is none
        raise SMTPConnectError(f"TLS handshake with {destination} failed: {error}") from error
    except OSError as error:
        raise SMTPServerDisconnected(f"Connection lost during the TLS handshake: {error}") from error
