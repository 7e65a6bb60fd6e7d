"""What this host is called in EHLO (RFC 5321 section 4.1.4): as the caller says, its name, or its address.

It is looked up by a thread, once in a process, only if nobody has said it, and no timeout counts that.
"""

import asyncio
import gc
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP
from aiosmtplib._client import hostnames

from ..support.clients import MESSAGE, RECIPIENTS, SENDER, assert_closed, assert_usable, client_for, session
from ..support.scripted_server import PATIENCE, Peer


class NameService:
    """Stands in for the resolver of the system: slow until told, and counts who asks."""

    def __init__(self) -> None:
        self.asked = 0
        self.name: Any = "looked.up.example"
        self.answer = threading.Event()
        self.seen = threading.Event()

    def getfqdn(self) -> Any:
        self.asked += 1
        self.seen.set()
        self.answer.wait(10)
        if isinstance(self.name, Exception):
            raise self.name
        return self.name


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameService]:
    service = NameService()
    monkeypatch.setattr(socket, "getfqdn", service.getfqdn)
    hostnames.forget_lookup()
    yield service
    service.answer.set()
    hostnames.forget_lookup()


def client_without_name(peer: Peer, **options: Any) -> SMTP:
    return client_for(peer, **{"local_hostname": None, "start_tls": False, **options})


# -- looking it up -----------------------------------------------------------------------------------


async def test_looked_up_once(names: NameService) -> None:
    names.answer.set()
    async with Peer() as peer:
        for client in (client_without_name(peer), client_without_name(peer)):
            for _ in range(2):
                await client.connect()
                await client.noop()
                await client.quit()
        assert peer.commands.count(b"EHLO looked.up.example") == 4
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


async def test_no_timeout_counts_the_look_up(names: NameService) -> None:
    """Nor does one of many clients lose its mail by it."""
    async with Peer() as peer:
        options = {"hostname": peer.host, "port": peer.port, "timeout": 2}
        sends = [
            asyncio.ensure_future(aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options)) for _ in range(40)
        ]
        done, _ = await asyncio.wait(sends, timeout=2.5)
        assert not done
        names.answer.set()
        await asyncio.gather(*sends)
        assert len(peer.accepted) == 40
        assert names.asked == 1


async def test_nobody_waits_for_a_resolver_that_hangs(
    names: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostnames, "LOOKUP_PATIENCE", 0.01)
    async with Peer() as peer:
        for _ in range(2):
            async with session(peer, local_hostname=None):
                pass
        assert peer.commands == [b"EHLO [127.0.0.1]"] * 2
        names.answer.set()
        assert hostnames._lookup is not None
        hostnames._lookup.name.result(PATIENCE)
        async with session(peer, local_hostname=None):
            pass
        assert peer.commands[2] == b"EHLO looked.up.example"
        assert names.asked == 1


async def test_cancelled_while_it_is_looked_up(names: NameService) -> None:
    async with Peer() as peer:
        client = client_without_name(peer, start_tls=None)
        task = asyncio.ensure_future(client.connect())
        await asyncio.get_running_loop().run_in_executor(None, names.seen.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_closed(client)
        names.answer.set()
        await assert_usable(client, peer)


def test_the_end_of_a_program_does_not_wait_for_it(names: NameService) -> None:
    async def program() -> None:
        async with Peer() as peer:
            client = client_without_name(peer)
            await client.connect()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.ehlo(), 0.01)

    asyncio.run(program())
    assert not names.answer.is_set()
    names.answer.set()
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no child processes of that kind")
def test_a_child_process_asks_for_itself(names: NameService) -> None:
    hostnames.begin_lookup()
    hostnames.forget_lookup()  # what a child process does first, whose thread is not there
    hostnames.begin_lookup()
    names.answer.set()
    assert hostnames._lookup is not None
    assert hostnames._lookup.name.result(PATIENCE) == "looked.up.example"
    assert names.asked == 2


@pytest.mark.parametrize("allowed", [False, None])
async def test_where_threads_are_not_to_be_had(
    names: NameService, monkeypatch: pytest.MonkeyPatch, allowed: bool | None
) -> None:
    """A sub-interpreter has no daemon threads, a system under load perhaps none at all."""

    class Thread(threading.Thread):
        def start(self) -> None:
            if self.name == "aiosmtplib-hostname" and self.daemon is not allowed:
                raise RuntimeError("can't start new thread")
            super().start()

    names.answer.set()
    monkeypatch.setattr(threading, "Thread", Thread)
    async with Peer() as peer:
        async with session(peer, local_hostname=None):
            pass
        assert peer.commands == [b"EHLO [127.0.0.1]" if allowed is None else b"EHLO looked.up.example"]


# -- what is no name ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Host.example.com", "Host.example.com"),
        ("host.example.com.", "host.example.com"),
        ("a-1.example", "a-1.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("", None),
        (".", None),
        ("localhost", None),
        ("mybox.", None),
        ("my box.example", None),
        (" host.example", None),
        ("my_box.example", None),
        ("-a.example", None),
        ("a-.example", None),
        ("a..example", None),
        (".a.example", None),
        ("10.0.0.5", None),
        ("a.5", None),
        ("fe80::1", None),
        ("bü cher.example", None),
        ("a.\uff1cb\uff1e.example", None),
        ("\udcff.example", None),
        ("a" * 64 + ".example", None),
        ("a." * 130 + "example", None),
        ("a.example\r\nMAIL FROM:<x>", None),
        ("a.example\n", None),
        ("ü" * 80 + ".example", None),
        (None, None),
        (OSError("no such host"), None),
        (UnicodeError("label too long"), None),
    ],
)
async def test_a_name_of_the_computer(names: NameService, name: Any, said: str | None) -> None:
    """What is no host name is no error either: the address is said, and mail goes out."""
    names.name = name
    names.answer.set()
    async with Peer() as peer:
        client = client_without_name(peer)
        await client.connect()
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.quit()
        assert peer.commands[0].decode() == f"EHLO {said or '[127.0.0.1]'}"


@pytest.mark.parametrize(
    ("end", "literal"),
    [
        (("192.0.2.7", 4711), "[192.0.2.7]"),
        (("2001:db8::7", 4711, 0, 0), "[IPv6:2001:db8::7]"),
        (("fe80::1%eth0", 4711, 0, 2), "[IPv6:fe80::1]"),
        (("::ffff:192.0.2.7", 4711, 0, 0), "[192.0.2.7]"),
        ("/run/smtp", "[127.0.0.1]"),
        (None, "[127.0.0.1]"),
    ],
)
async def test_the_address_literal(names: NameService, end: Any, literal: str) -> None:
    names.name = "localhost"
    names.answer.set()
    assert await hostnames.own_name(asyncio.BaseTransport({"sockname": end})) == literal
    assert await hostnames.own_name(None) == "[127.0.0.1]"


async def test_over_a_unix_domain_socket(names: NameService, tmp_path: Path) -> None:
    names.name = "localhost"
    names.answer.set()
    path = str(tmp_path / "s")
    async with Peer(path=path) as peer:
        async with SMTP(socket_path=path, timeout=PATIENCE):
            pass
        assert peer.commands[0] == b"EHLO [127.0.0.1]"


# -- what the caller says ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["ehlo", "helo"])
async def test_blanks_around_a_name_are_left_out(verb: str) -> None:
    async with Peer() as peer:
        client = client_for(peer, local_hostname="  name.example\t", start_tls=False)
        assert client.local_hostname == "name.example"
        await client.connect()
        await getattr(client, verb)(hostname=" example.com ")
        await getattr(client, verb)()
        client.local_hostname = " assigned "
        await getattr(client, verb)()
        await client.quit()
        said = [line.decode().partition(" ")[2] for line in peer.commands[:3]]
        assert said == ["example.com", "name.example", "assigned"]


@pytest.mark.parametrize("verb", ["ehlo", "helo"])
@pytest.mark.parametrize("name", ["", "  ", "a b", "a\tb", "a\r\nb", "a\0", "<a>", "bücher.example"])
async def test_a_name_that_cannot_be_said(verb: str, name: str) -> None:
    async with Peer() as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(ValueError):
            await getattr(client, verb)(hostname=name)
        client.local_hostname = name
        with pytest.raises(ValueError):
            await getattr(client, verb)()
        assert peer.commands == []
        client.local_hostname = "me"
        await assert_usable(client, peer)


@pytest.mark.parametrize("verb", ["ehlo", "helo"])
async def test_a_name_that_is_no_text(verb: str) -> None:
    async with Peer() as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(TypeError):
            await getattr(client, verb)(hostname=b"example.com")
        await assert_usable(client, peer)


@pytest.mark.parametrize("name", ["a b", "a\tb", "a\0", "", "   ", "<a>"])
def test_a_local_hostname_that_cannot_be_said(name: str) -> None:
    with pytest.raises(ValueError):
        SMTP(local_hostname=name)
