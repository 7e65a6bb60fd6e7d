"""Flow control of writing: whether the transport takes anything yet."""

from __future__ import annotations

import asyncio


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
