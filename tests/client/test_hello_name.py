"""The name that this host gives in EHLO: looked up in a thread, once, and only if nobody has said it."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from aiosmtplib import SMTP, SMTPTimeoutError

from ..support.clients import assert_closed, assert_usable
from ..support.scripted_server import Peer


class NameService:
    """Stands in for the resolver of the system: slow until told, and counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = threading.Event()
        self.seen = threading.Event()

    def getfqdn(self) -> str:
        self.asked += 1
        self.seen.set()
        self.answer.wait(10)
        return "looked.up.example"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameService]:
    service = NameService()
    monkeypatch.setattr(socket, "getfqdn", service.getfqdn)
    yield service
    service.answer.set()


def client_without_name(peer: Peer) -> SMTP:
    return SMTP(hostname=peer.host, port=peer.port, start_tls=False)


async def test_looked_up_once(names: NameService) -> None:
    names.answer.set()
    async with Peer() as peer:
        client = client_without_name(peer)
        for _ in range(2):
            await client.connect()
            await client.noop()
            await client.quit()
        assert peer.commands.count(b"EHLO looked.up.example") == 2
        assert names.asked == 1


async def test_not_looked_up_if_it_is_known(names: NameService) -> None:
    async with Peer() as peer:
        client = client_without_name(peer)
        await client.connect(local_hostname="given.example")
        await client.noop()
        await client.ehlo(hostname="other.example")
        await client.quit()
        assert peer.commands[:3] == [b"EHLO given.example", b"NOOP", b"EHLO other.example"]
        assert names.asked == 0


async def test_a_slow_name_service_times_out(names: NameService) -> None:
    async with Peer() as peer:
        client = client_without_name(peer)
        await client.connect()
        client.timeout = 0.02
        with pytest.raises(SMTPTimeoutError, match="local_hostname"):
            await client.noop()
        assert peer.commands == []
        client.timeout = 10
        names.answer.set()
        await assert_usable(client, peer)


async def test_cancelled_while_it_is_looked_up(names: NameService) -> None:
    async with Peer() as peer:
        client = client_without_name(peer)
        task = asyncio.ensure_future(client.connect(start_tls=None))
        await asyncio.get_running_loop().run_in_executor(None, names.seen.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_closed(client)
        names.answer.set()
        await assert_usable(client, peer)
