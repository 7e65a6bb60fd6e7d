"""Finding out whether mail can be sent: a connection, a login and a NOOP, without a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._client.connector import host_and_port
from .._client.lifetime import user_of
from .._transport.tls import TLSInfo
from ..errors import SMTPException
from .manager import ConnectionManager
from .states import Condition, State

__all__ = ("PoolVerification", "verify")


@dataclass(frozen=True, slots=True)
class PoolVerification:
    """Where a connection of a pool goes, and what was negotiated on it.

    :ivar host: the name or address of the server, or the path of its Unix domain socket
    :ivar port: the port, or ``None`` for a socket
    :ivar username: who is logged in, or ``None``
    :ivar tls: what protects the connection, or ``None`` without TLS
    :ivar extensions: what the server announced, lower case, with parameters (RFC 5321 section 4.1.1.1)
    """

    host: str
    port: int | None
    username: str | None
    tls: TLSInfo | None = field(repr=False)
    extensions: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        where = self.host if self.port is None else f"{self.host} on port {self.port}"
        login = "not logged in" if self.username is None else f"logged in as {self.username}"
        return f"{where}, {self.tls.version if self.tls else 'not encrypted'}, {login}"


async def verify(manager: ConnectionManager) -> PoolVerification:
    """Say NOOP on a connection, and tell what is known of it.

    :raises SMTPException: if there is none, or the server refuses
    """
    older = set(manager.state.connections(State.IDLE, State.BUSY))
    while True:
        pooled = await manager.acquire(sends=False)
        client = pooled.client
        try:
            await client.noop()
            host, port = host_and_port(client)
            assert host is not None  # no pool is given a socket
            return PoolVerification(host, port, user_of(client), client.tls, dict(client.esmtp_extensions))
        except SMTPException:
            # An older one may have been dead for long, and another has to show whether mail can be sent.
            if client.is_connected or pooled not in older:
                raise
        finally:
            manager.release(pooled, Condition.KEEP if client.is_connected else Condition.LOST)
