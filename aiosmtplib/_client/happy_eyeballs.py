"""Connecting to a host that has several addresses: the next one before the first has failed (RFC 8305).

An address that answers nothing, as with IPv6 that leads nowhere, would else take all of the timeout.
asyncio does this itself where it is asked to; uvloop does not.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

#: Seconds after which the next address is tried, if the one before has neither failed nor been reached: the
#: Connection Attempt Delay of RFC 8305 section 5.
ATTEMPT_DELAY: Final = 0.25

#: Whether a second call of ``connect`` tells what has become of the first. Elsewhere it may begin anew.
_ANSWERS_AT_ONCE: Final = sys.platform == "linux"

#: What getaddrinfo returns: family, type, protocol, canonical name, address.
AddressInfo = tuple[int, int, int, str, Any]


async def connect_socket(host: str, port: int, source: tuple[str, int] | None) -> socket.socket:
    """A connected socket, to whichever address of a host is reached first.

    :param source: host and port to connect from, or ``None``
    :raises OSError: if the name is not found, or no address can be reached
    :raises ValueError: if the name is none
    """
    found = await _resolve(host, port)
    sources = None if source is None else await _resolve(*source)
    addresses = deque(_alternating(found))
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while addresses or running:
            if addresses:
                info = addresses.popleft()
                try:
                    sock, reached = _begin(info, sources)
                    if reached:
                        return sock
                    if not (addresses or running):  # no race, and so no task
                        return await _finish(sock, info[-1])
                except OSError as error:
                    errors.append(error)
                    continue
                running.add(asyncio.ensure_future(_finish(sock, info[-1])))
            delay = ATTEMPT_DELAY if addresses else None
            done, running = await asyncio.wait(running, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                failure = task.exception()
                if failure is None:
                    running |= done - {task}
                    return task.result()
                if not isinstance(failure, OSError):
                    raise failure
                errors.append(failure)
    finally:
        for task in running:
            task.add_done_callback(_discard)
            task.cancel()
    raise _together(errors)


async def _resolve(host: str, port: int) -> Sequence[AddressInfo]:
    loop = asyncio.get_running_loop()
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        # An address needs no thread to be looked up in.
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _alternating(found: Iterable[AddressInfo]) -> list[AddressInfo]:
    """The addresses by family in turn, that of the first one first (RFC 8305 section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    return [info for info in chain.from_iterable(zip_longest(*families.values())) if info is not None]


def _begin(info: AddressInfo, sources: Iterable[AddressInfo] | None) -> tuple[socket.socket, bool]:
    """A socket that is being connected to one address, and whether it is already.

    :param sources: the addresses that it has to come from, or ``None`` for any
    :raises OSError: if it cannot be reached, as far as that is known at once
    """
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if sources is not None:
            _bind(sock, [own for own in sources if own[0] == family])
        return sock, _ANSWERS_AT_ONCE and _reached(sock, address)
    except BaseException:
        sock.close()
        raise


def _reached(sock: socket.socket, address: Any) -> bool:
    """Whether a connection is made at once, as by servers on the same machine, so that nothing has to wait.

    :raises OSError: if it was refused at once
    """
    number = sock.connect_ex(address)
    if number == errno.EINPROGRESS:
        number = sock.connect_ex(address)
    if number in (errno.EINPROGRESS, errno.EALREADY, errno.EINTR):
        return False
    if number:
        raise OSError(number, f"Connect call failed {address}")
    return True


async def _finish(sock: socket.socket, address: Any) -> socket.socket:
    """A socket once it is connected. It is closed where that fails."""
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, sources: Iterable[AddressInfo]) -> None:
    errors: list[OSError] = []
    for *_, address in sources:
        try:
            sock.bind(address)
        except OSError as error:
            reason = f"error while attempting to bind on address {address!r}: {error.strerror}"
            errors.append(OSError(error.errno, reason))
        else:
            return
    raise _together(errors)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """Close what was reached second."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _together(errors: list[OSError]) -> OSError:
    """One error for those of all addresses."""
    if not errors:
        return OSError("no address to connect to, or to connect from, by the same version of IP")
    if len({str(error) for error in errors}) == 1:
        return errors[0]
    number = errors[0].errno
    if number is not None and all(error.errno == number for error in errors):  # so that its kind is kept
        return OSError(number, "; ".join(str(error.strerror) for error in errors))
    return OSError("; ".join(map(str, errors)))
