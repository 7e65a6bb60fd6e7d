"""Connections that end, or fall silent, at every byte of a pipelined session: each verdict is true.

What the client says of a message is held against what the server answered for: ``DELIVERED`` is there once,
``NOT_SENT`` and ``REJECTED`` never, ``UNKNOWN`` at most once.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope

from ..support.clients import MESSAGE, SENDER, options_for
from ..support.scripted_server import PATIENCE, Peer

NAMES = ("b", "c", "d")
FAR = 1 << 30


class Cutter:
    """A relay that ends the connection after so many bytes.

    :param up: how many bytes the server gets to see
    :param down: how many bytes the client gets to see
    :param reset: whether the client is told by RST and not by FIN
    :param silent: whether it is not told at all
    """

    def __init__(
        self, peer: Peer, up: int = FAR, down: int = FAR, *, reset: bool = False, silent: bool = False
    ) -> None:
        self._peer = peer
        self._left = {"up": up, "down": down}
        self._reset = reset
        self._silent = silent
        self.passed = {"up": 0, "down": 0}

    async def serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        server = socket.socket()
        server.setblocking(False)
        with client, server:
            client.setblocking(False)
            await loop.sock_connect(server, (self._peer.host, self._peer.port))
            ways = [
                asyncio.ensure_future(self._pass(client, server, "up")),
                asyncio.ensure_future(self._pass(server, client, "down")),
            ]
            _, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in pending:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            if self._reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _pass(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        loop = asyncio.get_running_loop()
        while self._left[way] > 0:
            data = (await loop.sock_recv(source, 1 << 16))[: self._left[way]]
            if not data:
                return
            await loop.sock_sendall(sink, data)
            self._left[way] -= len(data)
            self.passed[way] += len(data)
        while self._silent and await loop.sock_recv(source, 1 << 16):
            pass


@asynccontextmanager
async def through(cutter: Cutter) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        async def serve() -> None:
            client, _ = await loop.sock_accept(listener)
            with contextlib.suppress(OSError):
                await cutter.serve(client)

        task = asyncio.ensure_future(serve())
        try:
            yield listener.getsockname()[1]
        finally:
            if not task.done():
                await asyncio.wait([task], timeout=PATIENCE)
            await task


async def one_by_one(client: aiosmtplib.SMTP) -> dict[str, Delivery]:
    verdicts = {}
    for name in NAMES:
        try:
            await client.sendmail(SENDER, f"{name}@example.com", MESSAGE)
        except aiosmtplib.SMTPException as error:
            verdicts[name] = error.delivery
        else:
            verdicts[name] = Delivery.DELIVERED
    return verdicts


async def all_at_once(client: aiosmtplib.SMTP) -> dict[str, Delivery]:
    items = [Envelope(SENDER, f"{name}@example.com", MESSAGE) for name in NAMES]
    results = [result async for result in client.send_many(items)]
    return {NAMES[result.index]: result.delivery for result in results}


async def run(peer: Peer, cutter: Cutter, send: Any, **options: Any) -> dict[str, Delivery]:
    """Send three messages over a connection that may end anywhere."""
    async with through(cutter) as port:
        client = aiosmtplib.SMTP(**{**options_for(peer, start_tls=False), "port": port, **options})
        try:
            await client.connect()
            verdicts: dict[str, Delivery] = await asyncio.wait_for(send(client), PATIENCE)
        except aiosmtplib.SMTPException as error:
            verdicts = dict.fromkeys(NAMES, error.delivery)
        finally:
            client.close()
        assert not client.is_connected
    await peer.hung_up()
    return verdicts


def check(verdicts: dict[str, Delivery], peer: Peer, where: tuple[str, int]) -> None:
    ledger = [who.decode().partition("@")[0] for mail in peer.accepted for who in mail.recipients]
    assert all(mail.content.startswith(b"Subject: dots") for mail in peer.accepted), where
    assert list(verdicts) == list(NAMES), where
    for name, delivery in verdicts.items():
        count = ledger.count(name)
        if delivery is Delivery.DELIVERED:
            assert count == 1, where
        elif delivery is Delivery.UNKNOWN:
            assert count <= 1, where
        else:
            assert count == 0, where
    # Only one stretch is in doubt: what came before it is known, what comes after it was not sent.
    order = [Delivery.DELIVERED, Delivery.UNKNOWN, Delivery.NOT_SENT]
    places = [order.index(delivery) for delivery in verdicts.values()]
    assert places == sorted(places), where


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("send", [one_by_one, all_at_once])
async def test_every_byte(send: Any, extensions: tuple[str, ...], way: str) -> None:
    async with Peer(extensions=extensions, strict=True) as peer:
        whole = Cutter(peer)
        assert set((await run(peer, whole, send)).values()) == {Delivery.DELIVERED}
    seen = set()
    for start in range(0, whole.passed[way] + 1, 64):  # a peer's hang guard is for a few seconds
        async with Peer(extensions=extensions, strict=True) as peer:
            for place in range(start, min(start + 64, whole.passed[way] + 1)):
                peer.accepted.clear()
                verdicts = await run(peer, Cutter(peer, **{way: place}, reset=place % 3 == 0), send)
                check(verdicts, peer, (way, place))
                seen.update(verdicts.values())
    assert {Delivery.UNKNOWN, Delivery.NOT_SENT} <= seen  # nobody hears of a success in a window that is cut


@pytest.mark.parametrize("step", [19, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("send", [one_by_one, all_at_once])
async def test_silence_after_every_byte(send: Any, extensions: tuple[str, ...], way: str, step: int) -> None:
    async with Peer(extensions=extensions, strict=True) as peer:
        whole = Cutter(peer)
        await run(peer, whole, send)
    seen = set()
    # A verdict has to be true however long the client waits: so it does not wait for long.
    for place in range(0, whole.passed[way], step):
        async with Peer(extensions=extensions, strict=True) as peer:
            verdicts = await run(peer, Cutter(peer, **{way: place}, silent=True), send, timeout=0.03)
            check(verdicts, peer, (way, place))
            seen.update(verdicts.values())
    assert Delivery.NOT_SENT in seen
