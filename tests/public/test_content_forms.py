"""The forms in which content may be given: each is taken by everything that sends, and arrives the same."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Envelope, SMTPPool

from ..support.clients import MESSAGE, RECIPIENTS, SENDER, options_for
from ..support.scripted_server import Peer


def pieces() -> Iterator[bytes]:
    yield from (MESSAGE[:5], MESSAGE[5:])


async def awaited_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


FORMS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: MESSAGE,
    "bytearray": lambda: bytearray(MESSAGE),
    "memoryview": lambda: memoryview(MESSAGE),
    "str": MESSAGE.decode,
    "file": lambda: io.BytesIO(MESSAGE),
    "iterable": pieces,
    "asynchronous iterable": awaited_pieces,
}


async def send(options: dict[str, Any], content: Any) -> None:
    await aiosmtplib.send(content, SENDER, RECIPIENTS, **options)


async def sendmail(options: dict[str, Any], content: Any) -> None:
    async with aiosmtplib.SMTP(**options) as client:
        await client.sendmail(SENDER, RECIPIENTS, content)


async def send_many(options: dict[str, Any], content: Any) -> None:
    async with aiosmtplib.SMTP(**options) as client:
        async for result in client.send_many([Envelope(SENDER, RECIPIENTS, content)]):
            result.raise_for_status()


async def pool_send(options: dict[str, Any], content: Any) -> None:
    async with SMTPPool(**options) as pool:
        await pool.send(content, SENDER, RECIPIENTS)


async def pool_sendmail(options: dict[str, Any], content: Any) -> None:
    async with SMTPPool(**options) as pool:
        await pool.sendmail(SENDER, RECIPIENTS, content)


async def pool_send_many(options: dict[str, Any], content: Any) -> None:
    async for result in aiosmtplib.send_many([Envelope(SENDER, RECIPIENTS, content)], **options):
        result.raise_for_status()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", [send, sendmail, send_many, pool_send, pool_sendmail, pool_send_many])
async def test_content_arrives(way: Callable[[dict[str, Any], Any], Awaitable[None]], form: str) -> None:
    async with Peer() as peer:
        await way(options_for(peer), FORMS[form]())
        (message,) = peer.accepted
    assert message.content == MESSAGE.replace(b"\n", b"\r\n") + b"\r\n"
