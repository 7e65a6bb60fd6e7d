"""Names of hosts: of the server, as the caller gives it, and of this host, as EHLO says it.

RFC 5321 section 4.1.4: a client says its host name or, where it has none, the address of its end of the
connection. A computer's idea of its own name may be neither, and looking it up may take the name service any
time, which is no fault of the caller and no reason not to send mail.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
import time
from concurrent.futures import Future
from typing import Final

from .._envelope.arguments import check_argument
from .._message.domains import a_labels

#: How long the look-up may take, in seconds from its start, before the address is said instead of the name.
#: The resolver of the C library asks a name server twice, with five seconds each.
LOOKUP_PATIENCE: Final = 10.0

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: With two labels at least: a name without a domain means nothing to a server. One that ends in a number is
#: an address (RFC 1123 section 2.1).
_HOST_NAME = rf"(?!.*\.\d+\Z)(?:{_LABEL}\.)+{_LABEL}"
_MAX_HOST_NAME = 255  # RFC 5321 section 4.5.3.1.2


# -- the server --------------------------------------------------------------------------------------


def check_server_name(name: str, option: str) -> None:
    """Check that ``name`` is a name or an address of a host, as far as that can be seen.

    :param option: what the error text calls it
    :raises ValueError: if it is a URL, has a port or brackets, or holds what no name and no address does
    """
    check_argument(name, option)
    # A URL may hold a password, which no error text shows.
    authority = name.rpartition("://")[2].rpartition("@")[2].partition("/")[0].strip()
    host, port = (authority, "") if is_ipv6(authority) else _split(authority)
    if ":" in host and not is_ipv6(host):
        host = ""
    if host == name and not re.search(r"\s", name):
        return
    instead = f"{option}={host!r}" + (f" and port={port}" if port else "") if host else "that"
    if host and name.lower().startswith("smtps://"):
        instead += " and use_tls=True"
    raise ValueError(
        f"The {option} option is the name or address of a host, and nothing else: write {instead}"
    )


def is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def _split(authority: str) -> tuple[str, str]:
    """Host and port of the authority part of a URL (RFC 3986 section 3.2)."""
    found = re.fullmatch(r"(.*[^:]):(\d*)", authority)
    host, port = found.groups() if found else (authority, "")
    return host.strip("[]"), port


def name_to_verify(name: str) -> str:
    """A host name as certificates and SNI have it (RFC 6066 section 3): the final dot is of the DNS alone.

    :raises ValueError: if it has an empty label, or one that is too long
    """
    name = name.removesuffix(".")
    name.encode("idna")  # as ssl does, in the middle of the handshake
    return name


# -- this host ---------------------------------------------------------------------------------------


def given_name(name: str, option: str) -> str:
    """What the caller wants this host to be called, without the blanks around it.

    :param option: what the error text calls it
    :raises ValueError: if it is empty, or holds what a command cannot carry
    """
    if isinstance(name, str):
        name = name.strip(" \t")
    check_argument(name, option)
    if not name or " " in name:  # what is behind a blank would be another argument
        raise ValueError(f"The {option} must not be empty or hold a blank")
    return name


class _Lookup:
    """The look-up of this host's name: one for all clients, by a thread that no program waits for at its end.

    :ivar name: what the resolver said, or ``None`` where it failed
    """

    def __init__(self) -> None:
        self.name: Future[str | None] = Future()
        self.name.set_running_or_notify_cancel()  # those who wait and give up do not cancel it
        self.until = time.monotonic() + LOOKUP_PATIENCE
        for daemon in (True, False):  # sub-interpreters have no daemon threads
            try:
                threading.Thread(target=self._run, name="aiosmtplib-hostname", daemon=daemon).start()
            except RuntimeError:
                continue
            return
        self.name.set_result(None)

    def _run(self) -> None:
        try:
            self.name.set_result(socket.getfqdn())
        except Exception:  # whatever the resolver, or a name that is not text, makes of it
            self.name.set_result(None)

    async def wait(self) -> str | None:
        """The name, or ``None`` if there is none, or it takes too long."""
        if not self.name.done():
            waiter = asyncio.wrap_future(self.name)
            try:
                await asyncio.wait([waiter], timeout=max(0, self.until - time.monotonic()))
            finally:
                waiter.cancel()
        return self.name.result() if self.name.done() else None


_lookup: _Lookup | None = None


def begin_lookup() -> None:
    """Have the name of this host looked up, unless that has been begun in this process."""
    global _lookup
    if _lookup is None:
        _lookup = _Lookup()


def forget_lookup() -> None:
    """Look it up again when it is needed next."""
    global _lookup
    _lookup = None


# The thread is not there in a child process.
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
    os.register_at_fork(after_in_child=forget_lookup)


async def own_name(transport: asyncio.BaseTransport | None) -> str:
    """What this host is called in EHLO, where nobody has said it: its host name, or else an address literal.

    :param transport: the connection whose local end has the address
    """
    begin_lookup()
    assert _lookup is not None
    return host_name(await _lookup.wait() or "") or _address_literal(transport)


def host_name(name: str) -> str | None:
    """A computer's name as a domain (RFC 5321 section 2.3.5), in A-labels; ``None`` if it is none."""
    try:
        name = a_labels(name).removesuffix(".")
    except ValueError:
        return None
    return name if len(name) <= _MAX_HOST_NAME and re.fullmatch(_HOST_NAME, name) else None


def _address_literal(transport: asyncio.BaseTransport | None) -> str:
    """The local end of a connection as an address literal (RFC 5321 section 4.1.3)."""
    end = None if transport is None else transport.get_extra_info("sockname")
    address: str = end[0].partition("%")[0] if isinstance(end, tuple) else "127.0.0.1"
    if "." in address:  # by IPv4, perhaps on a socket of IPv6
        return f"[{address.rpartition(':')[2]}]"
    return f"[IPv6:{address}]"
