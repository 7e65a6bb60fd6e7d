"""A host with several addresses: one that does not answer costs a moment, not the timeout (RFC 8305)."""

import asyncio
import errno
import gc
import socket
import sys
from typing import Any

import pytest

from aiosmtplib import SMTP, SMTPConnectError, SMTPConnectTimeoutError
from aiosmtplib._client import happy_eyeballs

from ..support.clients import client_for, each_cancellation
from ..support.dead_addresses import refusing_address, silent_address
from ..support.scripted_server import PATIENCE, Peer

NAME = "mail.example.com"


class NameService:
    """What names stand for, as :func:`socket.getaddrinfo` says it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: dict[str, list[tuple[int, Any]]] = {}
        resolve = happy_eyeballs._resolve

        async def _resolve(host: str, port: int) -> Any:
            known = self.addresses.get(host)
            if known is None:
                return await resolve(host, port)
            return [
                (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for family, address in known
            ]

        monkeypatch.setattr(happy_eyeballs, "_resolve", _resolve)

    def know(self, *addresses: tuple[str, int]) -> None:
        self.addresses[NAME] = [(socket.AF_INET, address) for address in addresses]


@pytest.fixture(params=[False, True], ids=["waiting", "at-once"])
def names(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NameService:
    """Where servers on the same machine are waited for, and where they are asked at once."""
    monkeypatch.setattr(happy_eyeballs, "_ANSWERS_AT_ONCE", request.param and sys.platform == "linux")
    return NameService(monkeypatch)


def named(peer: Peer, **options: Any) -> SMTP:
    return client_for(peer, hostname=NAME, **options)


@pytest.mark.parametrize("source", [None, ("127.0.0.1", 0)])
async def test_the_second_of_two_addresses(names: NameService, source: Any) -> None:
    with silent_address() as nowhere:
        async with Peer() as peer:
            names.know(nowhere, (peer.host, peer.port))
            begun = asyncio.get_running_loop().time()
            async with named(peer, source_address=source):
                assert asyncio.get_running_loop().time() - begun < PATIENCE / 2
            assert len(peer.conversations) == 1


async def test_one_that_is_refused_is_waited_for_no_longer(
    names: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", PATIENCE * 10)
    async with Peer() as peer:
        names.know(refusing_address(), refusing_address(), (peer.host, peer.port))
        async with named(peer):
            pass


async def test_one_that_is_refused_while_another_is_tried(names: NameService) -> None:
    with silent_address() as nowhere:
        names.know(nowhere, refusing_address())
        client = SMTP(NAME, 25, timeout=3 * happy_eyeballs.ATTEMPT_DELAY)
        with pytest.raises(SMTPConnectTimeoutError):
            await client.connect()


async def test_what_is_no_failure_to_connect_is_raised_at_once(names: NameService) -> None:
    names.know(refusing_address(), refusing_address())
    with pytest.raises(SMTPConnectError, match="0-65535"):
        await SMTP(NAME, 25, timeout=PATIENCE, source_address=("127.0.0.1", 70000)).connect()


async def test_an_address_that_is_none(names: NameService) -> None:
    names.know(("127.0.0.1", 70000), ("127.0.0.1", 70000))  # uvloop takes the port for another one
    with pytest.raises(SMTPConnectError):
        await SMTP(NAME, 25, timeout=PATIENCE).connect()


async def test_one_to_which_no_way_leads(names: NameService) -> None:
    async with Peer() as peer:
        names.know(("224.0.0.1", 25), (peer.host, peer.port))  # of a group, which TCP does not know
        async with named(peer):
            pass


async def test_the_second_is_not_tried_where_the_first_answers(names: NameService) -> None:
    async with Peer() as peer, Peer() as second:
        names.know((peer.host, peer.port), (second.host, second.port))
        async with named(peer):
            pass
        assert len(peer.conversations) == 1
        assert second.conversations == []


async def test_what_is_reached_second_is_closed(names: NameService, monkeypatch: pytest.MonkeyPatch) -> None:
    """However close it comes: no socket is left to the garbage collector."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0)
    async with Peer() as peer, Peer() as second:
        for _ in range(20):
            names.know((peer.host, peer.port), (second.host, second.port))
            async with named(peer):
                pass
            gc.collect()
        await peer.hung_up()
        await second.hung_up()


async def test_all_are_refused(names: NameService) -> None:
    first, second = refusing_address(), refusing_address()
    names.know(first, second)
    with pytest.raises(SMTPConnectError) as caught:
        await SMTP(NAME, 25, timeout=PATIENCE).connect()
    for text in (f"Error connecting to {NAME} on port 25", repr(first), repr(second)):
        assert text in str(caught.value)
    names.know(first, first)
    with pytest.raises(SMTPConnectError) as caught:
        await SMTP(NAME, 25, timeout=PATIENCE).connect()
    assert str(caught.value).count(repr(first)) == 1


def test_errors_of_one_kind_stay_of_that_kind() -> None:
    errors: list[OSError] = [ConnectionRefusedError(errno.ECONNREFUSED, text) for text in ("IPv6", "IPv4")]
    together = happy_eyeballs._together(errors)
    assert isinstance(together, ConnectionRefusedError)
    assert "IPv6; IPv4" in str(together)
    assert type(happy_eyeballs._together([*errors, TimeoutError(errno.ETIMEDOUT, "late")])) is OSError


async def test_none_answers(names: NameService) -> None:
    with silent_address() as nowhere:
        names.know(nowhere, nowhere)
        with pytest.raises(SMTPConnectTimeoutError, match=f"Timed out connecting to {NAME} on port 25"):
            await SMTP(NAME, 25, timeout=0.4).connect()


async def test_cancelled_at_any_time(names: NameService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.001)

    async def attempt(run: Any) -> None:
        with silent_address() as nowhere:
            async with Peer() as peer:
                names.know(nowhere, (peer.host, peer.port))
                sock = await run(happy_eyeballs.connect_socket(NAME, 25, None))
                if sock is not None:
                    sock.close()
                await peer.hung_up()

    assert await each_cancellation(attempt) > 0
    gc.collect()


def test_families_take_turns() -> None:
    def info(family: int, number: int) -> Any:
        return (family, socket.SOCK_STREAM, 0, "", number)

    six, four = socket.AF_INET6, socket.AF_INET
    found = [info(six, 1), info(six, 2), info(six, 3), info(four, 4)]
    assert [each[4] for each in happy_eyeballs._alternating(found)] == [1, 4, 2, 3]


# -- where from --------------------------------------------------------------------------------------


async def test_connecting_from_an_address() -> None:
    async with Peer() as peer, client_for(peer, source_address=("127.0.0.2", 0)) as client:
        assert client.get_transport_info("sockname")[0] == "127.0.0.2"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (("::1", 0), "no address to connect to, or to connect from, by the same version of IP"),
        (("192.0.2.1", 0), "error while attempting to bind on address"),
        (("127.0.0.1", 70000), "0-65535"),
    ],
)
async def test_an_address_to_connect_from_that_cannot_be(source: Any, text: str) -> None:
    async with Peer() as peer:
        with pytest.raises(SMTPConnectError, match=text):
            await client_for(peer, source_address=source).connect()


async def test_a_source_of_either_family(names: NameService) -> None:
    """The address to connect from is of the same version of IP as that to connect to."""
    names.addresses["source.example.com"] = [
        (socket.AF_INET6, ("::1", 0)),
        (socket.AF_INET, ("192.0.2.1", 0)),
        (socket.AF_INET, ("127.0.0.2", 0)),
    ]
    async with Peer() as peer, client_for(peer, source_address=("source.example.com", 0)) as client:
        assert client.get_transport_info("sockname")[0] == "127.0.0.2"


# -- names that are none -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smtp..example.com", ".example.com", "a" * 64 + ".example", "bü..example"])
@pytest.mark.parametrize("options", [{}, {"use_tls": True}, {"source_address": ("127.0.0.1", 0)}])
async def test_a_name_that_is_none(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(SMTPConnectError, match="Error connecting to .* on port 25"):
        await SMTP(name, 25, timeout=PATIENCE, **options).connect()


async def test_a_name_to_connect_from_that_is_none() -> None:
    with pytest.raises(SMTPConnectError):
        await SMTP("127.0.0.1", 25, timeout=PATIENCE, source_address=("a..example", 0)).connect()
