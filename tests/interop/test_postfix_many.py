"""Many messages to a real Postfix, over one connection and over a pool: each arrives once, as it was sent."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SendResult, SMTPPool

from ..support.clients import HOST
from ..support.mta import Postfix, private_postfix
from ..support.scripted_server import PATIENCE
from .test_postfix import BODIES, HEADER, KEPT, SENDER, UNKNOWN, as_kept

pytestmark = pytest.mark.interop

COUNT = 200
#: Every so many, a message that Postfix refuses.
BAD = 17


@pytest.fixture(scope="module", name="postfix")
def _postfix() -> Iterator[Postfix]:
    with private_postfix() as server:
        yield server


def letters() -> list[Envelope]:
    bodies = list(BODIES.values())
    return [
        Envelope(
            SENDER,
            UNKNOWN if number % BAD == 0 else KEPT,
            b"X-Number: %d\r\n" % number + HEADER + bodies[number % len(bodies)],
        )
        for number in range(COUNT)
    ]


async def check(postfix: Postfix, results: AsyncIterator[SendResult[Envelope]]) -> None:
    async with postfix.arrivals() as arrivals:
        expected = {}
        seen = []
        async for result in results:
            seen.append(result.index)
            if result.index % BAD == 0:
                assert result.delivery is Delivery.REJECTED
                assert isinstance(result.error, aiosmtplib.SMTPRecipientsRefused)
            else:
                assert result.ok and result.response is not None
                message: Any = result.item.message
                expected[result.response.message.rpartition(" ")[2]] = as_kept(message)
        assert sorted(seen) == list(range(COUNT))
        missing = set(expected)
        while missing:
            missing.discard(await asyncio.wait_for(arrivals.get(), PATIENCE))
    for name, content in expected.items():
        assert re.sub(rb"\AReceived: .*\n(?:[ \t].*\n)*", b"", postfix.kept(name)) == content


@pytest.mark.parametrize("options", [{}, {"chunking": False}, {"pipelining": False, "chunking": False}])
async def test_over_one_connection(postfix: Postfix, options: dict[str, bool]) -> None:
    common: Any = {"local_hostname": HOST, "timeout": PATIENCE, "start_tls": False}
    async with aiosmtplib.SMTP("127.0.0.1", postfix.port, **common, **options) as client:
        await check(postfix, client.send_many(letters()))


@pytest.mark.parametrize("options", [{}, {"chunking": False}, {"max_messages": 7}])
async def test_over_a_pool(postfix: Postfix, options: dict[str, Any]) -> None:
    common: Any = {"local_hostname": HOST, "timeout": PATIENCE, "start_tls": False, "max_connections": 4}
    async with SMTPPool("127.0.0.1", postfix.port, **common, **options) as pool:
        await check(postfix, pool.send_many(letters()))
        assert pool.stats().refused == len(range(0, COUNT, BAD))
