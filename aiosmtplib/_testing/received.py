"""What a server for tests has received, and how a test waits for it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
import time
from dataclasses import dataclass
from email.message import EmailMessage

from .._transport.timers import in_time


@dataclass(frozen=True)
class ReceivedMessage:
    """A message that the server accepted.

    :ivar sender: the reverse-path of MAIL, ``""`` for the null sender
    :ivar recipients: the forward-paths that were accepted, in order
    :ivar content: the message as received, without dot-stuffing, lines ended by CRLF
    :ivar mail_options: the parameters of MAIL, such as ``"BODY=8BITMIME"``
    :ivar username: the user name of the login, or ``None``
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_options: tuple[str, ...] = ()
    username: str | None = None

    @property
    def message(self) -> EmailMessage:
        """The content, parsed."""
        return email.message_from_bytes(self.content, policy=email.policy.SMTP)


class Inbox:
    """Messages that were accepted, in one thread, and those who wait for them, in this or in others.

    :ivar messages: the messages; may be cleared
    """

    def __init__(self) -> None:
        self.messages: list[ReceivedMessage] = []
        self._arrival = threading.Condition()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def add(self, message: ReceivedMessage) -> None:
        with self._arrival:
            self.messages.append(message)
            self._arrival.notify_all()
            for loop, arrived in self._waiters:
                loop.call_soon_threadsafe(arrived.set)

    async def wait(self, count: int, timeout: float) -> list[ReceivedMessage]:
        """Wait until there are so many, without blocking the event loop.

        :raises TimeoutError: if there are not after so many seconds
        """
        deadline = time.monotonic() + timeout
        arrived = asyncio.Event()
        waiter = asyncio.get_running_loop(), arrived
        with self._arrival:
            self._waiters.add(waiter)
        try:
            while len(self.messages) < count:
                await in_time(arrived.wait(), deadline - time.monotonic())
                arrived.clear()
        except asyncio.TimeoutError:
            raise self._too_few(count, timeout) from None
        finally:
            with self._arrival:
                self._waiters.discard(waiter)
        return list(self.messages)

    def wait_blocking(self, count: int, timeout: float) -> list[ReceivedMessage]:
        """The same for a thread without an event loop, or one that may be blocked."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.messages) >= count, timeout):
                raise self._too_few(count, timeout)
            return list(self.messages)

    def _too_few(self, count: int, timeout: float) -> TimeoutError:
        return TimeoutError(f"{len(self.messages)} of {count} messages came within {timeout:g} seconds")
