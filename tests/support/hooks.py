"""Hooks for ``before_send``, a message to be sent with them, and every door to send one by."""

import asyncio
import threading
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import aiosmtplib
from aiosmtplib import SMTP, Delivery, Envelope, SMTPPool

from .clients import RECIPIENTS, SENDER

__all__ = ("DOORS", "MARK", "Blocking", "Counted", "Door", "Hook", "Later", "Odd", "Stuck", "fail", "letter")

MARK = b"X-Signed: yes\r\n"


class Hook:
    """Puts a field before each message, and keeps what it was called with."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.threads: set[int] = set()

    def __call__(self, content: bytes) -> Any:
        assert type(content) is bytes
        self.seen.append(content)
        self.threads.add(threading.get_ident())
        return MARK + content


class Later(Hook):
    """The same, after a while."""

    async def __call__(self, content: bytes) -> Any:
        await asyncio.sleep(0)
        return super().__call__(content)


class Blocking(Hook):
    """The same, in a thread."""

    blocking = True


class Counted(EmailMessage):
    """A message that counts how often the content of one, or of a copy, is looked at."""

    looks = 0

    @property
    def _payload(self) -> Any:
        Counted.looks += 1
        return self._content

    @_payload.setter
    def _payload(self, content: Any) -> None:
        self._content = content


def letter(kind: type[EmailMessage] = EmailMessage, *, body: str = "hello\n.\n") -> Any:
    message = kind()
    message["From"], message["To"], message["Bcc"] = SENDER, RECIPIENTS[0], RECIPIENTS[1]
    message["Subject"] = "Grüße"
    message.set_content(body)
    return message


async def send_one(options: dict[str, Any], sender: str, message: Any) -> None:
    await aiosmtplib.send(message, sender, RECIPIENTS, **options)


async def by_client(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTP(**options) as client:
        if hasattr(message, "get_all"):
            await client.send_message(message, sender, RECIPIENTS)
        else:
            await client.sendmail(sender, RECIPIENTS, message)


async def by_send_many(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTP(**options) as client:
        async for result in client.send_many([Envelope(sender, RECIPIENTS, message)]):
            assert result.error is None or result.delivery is Delivery.NOT_SENT
            result.raise_for_status()


async def by_pool(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTPPool(**options) as pool:
        await pool.send(message, sender, RECIPIENTS)


async def by_many_of_a_pool(options: dict[str, Any], sender: str, message: Any) -> None:
    async with SMTPPool(**options) as pool:
        async for result in pool.send_many([Envelope(sender, RECIPIENTS, message)]):
            assert result.error is None or result.delivery is Delivery.NOT_SENT
            result.raise_for_status()
        assert pool.stats().busy == 0


Door = Callable[[dict[str, Any], str, Any], Any]
DOORS = [send_one, by_client, by_send_many, by_pool, by_many_of_a_pool]


class Stuck:
    """A hook that does not return before it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, content: bytes) -> bytes:
        self.calls += 1
        self.called.set()
        await self.released.wait()
        return MARK + content


class Odd(Exception):
    """What a hook raises."""


def fail(error: BaseException) -> Any:
    def hook(content: bytes) -> bytes:
        raise error

    return hook
