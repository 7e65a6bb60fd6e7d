"""Addresses of servers that are none: one that answers nothing, and one that refuses."""

import contextlib
import socket
from collections.abc import Iterator

__all__ = ("refusing_address", "silent_address")


@contextlib.contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """An address that answers nothing: a full queue of connections that nobody accepts."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


def refusing_address() -> tuple[str, int]:
    """An address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address: tuple[str, int] = sock.getsockname()
    return address
