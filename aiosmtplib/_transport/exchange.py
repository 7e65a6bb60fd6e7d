"""Exchanges that a task waits for, and the errors of those that end before their time."""

from __future__ import annotations

import asyncio
from typing import Any

from .._session import CHUNKS, STREAM, Exchange
from ..errors import SMTPResponseException, SMTPServerDisconnected
from ..status import SMTPStatus
from .wakeup import wake


class AwaitedExchange(Exchange):
    """A dialogue on its way, and the task that waits for its end.

    :ivar future: done when the dialogue is over, or when its task has gone away
    :ivar owner: the task to reserve the connection for, if the reply is 3yz and asks for more; or ``None``
    :ivar tag: of the message that it sends, where that is streamed and has one
    :ivar upgrade: whether a 220 reply is to be followed by a TLS handshake
    :ivar wanted: done when the server wants more of the content that the task has to push, or the dialogue is
        over; or ``None``
    """

    __slots__ = ("future", "owner", "tag", "upgrade", "wanted")

    future: asyncio.Future[None]
    owner: asyncio.Task[Any] | None
    tag: Any
    upgrade: bool
    wanted: asyncio.Future[None] | None

    @property
    def wants_content(self) -> bool:
        """Whether the server waits for content that is streamed, and has answered every chunk so far."""
        return self.follows == STREAM or (self.follows == CHUNKS and len(self.replies) == self.expected)

    def on_done(self) -> None:
        if not self.future.done():
            self.future.set_result(None)
        if self.wanted is not None:
            wake(self.wanted)


def cancelled_before_sent() -> SMTPServerDisconnected:
    return SMTPServerDisconnected("Cancelled before it was sent")


def abandoned() -> SMTPServerDisconnected:
    return SMTPServerDisconnected("Connection closed: a command was cancelled")


def injected_before_tls() -> SMTPResponseException:
    return SMTPResponseException(
        SMTPStatus.invalid_response.value,
        "Server sent data between its reply to STARTTLS and the TLS handshake",
    )
