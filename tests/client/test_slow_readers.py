"""Servers that read slowly: as long as they take any of the content, they are waited for.

A server waits between two pieces for as long as another client does that has that timeout.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import SMTP, Delivery, Envelope, SMTPReadTimeoutError

from ..support import certs
from ..support.actions import silence
from ..support.clients import HOST, RECIPIENTS, SENDER, assert_closed, client_for, session
from ..support.scripted_server import Conversation, Peer

#: Less than what a socket takes at once, and far more than is read in the time for a reply.
CONTENT = (b"0123456789abcdef" * 4 + b"\r\n") * 16_000
#: The time for a reply, and how long the server waits before each piece (seconds): longer, all in all.
TIMEOUT = 0.3
BETWEEN = 0.05
PIECES = 9


async def wait(seconds: float) -> None:
    """Wait for as long as a client does that has this timeout."""
    async with Peer({"NOOP": silence}) as peer, session(peer) as client:
        with pytest.raises(SMTPReadTimeoutError):
            await client.noop(timeout=seconds)


async def read_slowly(conversation: Conversation) -> str:
    """Read a few small pieces, each just in time, and then the rest."""
    await conversation.reply("354 go on")
    for _ in range(PIECES):
        await wait(BETWEEN)
        await conversation.read_some(2048)
    return "354"


async def stop_reading(conversation: Conversation) -> None:
    """The same, but without the rest."""
    await read_slowly(conversation)
    await asyncio.Event().wait()


def peer_that(reads: Any, tls: str | None) -> Peer:
    return Peer(
        {"DATA": reads},
        extensions=("SIZE", "PIPELINING"),
        tls=certs.server_context() if tls else None,
        implicit_tls=tls == "implicit",
        receive_buffer=4096,
    )


async def pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(CONTENT), 100_000):
        yield CONTENT[start : start + 100_000]


async def send(client: SMTP, how: str) -> Any:
    if how == "many":
        (result,) = [each async for each in client.send_many([Envelope(SENDER, RECIPIENTS, CONTENT)])]
        return result.raise_for_status()
    return await client.sendmail(SENDER, RECIPIENTS, pieces() if how == "stream" else CONTENT)


def options(tls: str | None) -> dict[str, Any]:
    context = {"tls_context": certs.client_context(), "use_tls": tls == "implicit"} if tls else {}
    return {"final_timeout": TIMEOUT, **context}


@pytest.mark.parametrize(
    ("tls", "how"),
    [(None, "whole"), (None, "stream"), (None, "many"), ("starttls", "many"), ("implicit", "whole")],
)
async def test_a_server_that_reads_slowly_and_steadily(tls: str | None, how: str) -> None:
    async with peer_that(read_slowly, tls) as peer, session(peer, **options(tls)) as client:
        client.timeout = TIMEOUT
        await send(client, how)
        assert peer.accepted[0].content == CONTENT


@pytest.mark.parametrize("tls", [None, "starttls"])
async def test_a_server_that_stops_reading(tls: str | None) -> None:
    async with peer_that(stop_reading, tls) as peer:
        client = client_for(peer, **options(tls))
        await client.connect()
        client.timeout = TIMEOUT
        with pytest.raises(SMTPReadTimeoutError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, CONTENT)
        assert caught.value.delivery is not Delivery.DELIVERED
        assert_closed(client)


async def test_over_a_socket_that_knows_of_no_acknowledgements(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with Peer(path=path) as peer, SMTP(socket_path=path, local_hostname=HOST) as client:
        await client.sendmail(SENDER, RECIPIENTS, CONTENT)
        assert peer.accepted[0].content == CONTENT
