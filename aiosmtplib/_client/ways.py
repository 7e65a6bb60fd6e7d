"""Ways to a server: by TCP, through a proxy, over a Unix domain socket, or by one that is given or made."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ..typing import SocketPathType

#: An async function without parameters that returns a connected socket.
SocketFactory: TypeAlias = Callable[[], Awaitable[socket.socket]]


class Ways:
    """The options of a client that say how its server is reached."""

    hostname: str | None
    port: int | None
    source_address: tuple[str, int] | None
    use_tls: bool
    socket_path: SocketPathType | None
    sock: socket.socket | None
    server_hostname: str | None
    socket_factory: SocketFactory | None
    _proxy: Any  # concealed

    def _check_ways(self) -> None:
        """Check that they name one way, and nothing that does not fit it.

        :raises ValueError: if they do, or the URL of the proxy is not valid
        :raises ImportError: if the library for the proxy is not installed
        """
        if self.sock is not None and self.socket_path is not None:
            raise ValueError("Either a socket or a socket path must be provided, not both")
        if self.port is not None and (self.sock is not None or self.socket_path is not None):
            raise ValueError("A port makes no sense together with a socket or a socket path")
        for name, value in (("proxy", self._proxy), ("socket_factory", self.socket_factory)):
            for other in ("sock", "socket_path", "source_address", "socket_factory"):
                if value is not None and other != name and getattr(self, other) is not None:
                    raise ValueError(f"The {name} and {other} options exclude each other")
        if self._proxy is not None:
            from .proxy_url import proxy_of

            proxy_of(self._proxy)
        connected = self.sock is not None or self.socket_path is not None or self.socket_factory is not None
        if self.use_tls and connected and self.hostname is None and self.server_hostname is None:
            raise ValueError("TLS on a socket needs the hostname to verify the certificate against")
