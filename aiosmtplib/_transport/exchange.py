"""Exchanges of the asyncio layer: a dialogue on its way, and the task that waits for its end."""

import asyncio
from typing import Any

from .._session import Dialogue, Exchange
from .wakeup import wake


class AwaitedExchange(Exchange):
    """One dialogue, and the task that waits for its end.

    :param owner: the task to reserve the connection for, if the reply is 3yz and asks for more
    :param upgrade: whether a 220 reply is to be followed by a TLS handshake
    """

    __slots__ = ("future", "owner", "upgrade", "wanted")

    def __init__(
        self,
        dialogue: Dialogue[Any],
        timeout: float | None,
        future: "asyncio.Future[None]",
        owner: "asyncio.Task[Any] | None",
        upgrade: bool,
        pipeline: object = None,
    ) -> None:
        super().__init__(dialogue, timeout, pipeline)
        self.future = future
        #: The task that has content to push waits here until the server wants it.
        self.wanted: asyncio.Future[None] | None = None
        self.owner = owner
        self.upgrade = upgrade

    def on_done(self) -> None:
        """Wake the task, unless it has gone away."""
        wake(self.future)
