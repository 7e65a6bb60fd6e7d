"""Flow control of writing: what the transport does not take yet, and how much it has taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

#: Larger content goes to the transport in pieces of this size (bytes), so that a slow server is noticed
#: between two pieces and memory is not taken twice.
WRITE_SIZE: Final = 1 << 18
#: Pieces of output that are smaller than this (bytes, in all) are copied into one write.
MAX_JOINED: Final = 1 << 14


class FlowControlMixin(asyncio.Protocol):
    """Remembers whether the transport asked to pause writing."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._paused = False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._paused = False


class WriteBuffer:
    """Large content on its way to the transport, in pieces.

    :param flow: knows whether the transport asked to pause writing
    :ivar pending: what the transport has not been given
    :ivar written: how many bytes it has been given, in all
    """

    __slots__ = ("_flow", "pending", "written")

    def __init__(self, flow: FlowControlMixin) -> None:
        self._flow = flow
        self.pending: deque[memoryview] = deque()
        self.written = 0

    def write(self, transport: asyncio.WriteTransport, data: Sequence[bytes] = ()) -> None:
        """Put ``data`` behind what is pending, and give the transport what it takes of that now."""
        self.pending.extend(map(memoryview, data))
        while self.pending and not self._flow._paused:
            whole = self.pending[0]
            piece, rest = whole[:WRITE_SIZE], whole[WRITE_SIZE:]
            if rest:
                self.pending[0] = rest
            else:
                self.pending.popleft()
            self.written += len(piece)
            transport.write(piece)
