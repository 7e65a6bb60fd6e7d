"""The password for a proxy stays where it belongs, whatever the proxy does with it or the connection."""

import asyncio
import base64
import logging
import pickle
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPPool, blocking
from aiosmtplib._client.proxy import Tunnel
from aiosmtplib._client.proxy_url import proxy_of
from aiosmtplib._sasl.secret import conceal

from ..support.actions import cut, cut_after, reset, silence
from ..support.clients import HOST, each_cancellation, email_message
from ..support.dead_addresses import refusing_address
from ..support.proxies import Proxy, options_by
from ..support.scripted_server import PATIENCE, Peer
from .search import SECRET, assert_error_hides, assert_hidden

pytest.importorskip("python_socks", reason="python-socks is of the group test")

LOGIN = ("user", SECRET)
ENCODED = f"user:{quote(SECRET, safe='')}@"
KIND = pytest.mark.parametrize("kind", ["socks5", "http"])  # SOCKS4 has no password
BASIC = base64.b64encode(f"user:{SECRET}".encode())


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that is logged, also by asyncio, is searched at the end."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    assert_hidden(caplog.text, *(repr(vars(record)) for record in caplog.records))


def assert_error_hides_it(error: BaseException) -> None:
    assert_error_hides(error)
    assert quote(SECRET, safe="") not in str(error)
    assert SECRET.encode() not in pickle.dumps(error)


FAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "socks5": {
        "no login": {"method": b"\x05\xff"},
        "refused": {"login": b"\x01\x01"},
        "echo": {"login": SECRET.encode()},
        "cut at the login": {"login": cut},
        "reset at the login": {"login": reset},
        "silence at the login": {"login": silence},
        "no way on": {"connect": b"\x05\x05\x00\x01" + bytes(6)},
        "cut": {"connect": cut},
        "silence": {"connect": silence},
    },
    "http": {
        "refused": {"connect": b"HTTP/1.1 407 No\r\n\r\n"},
        "echo": {"connect": b"HTTP/1.1 407 " + BASIC + b"\r\n\r\n"},
        "decoded": {"connect": b"HTTP/1.1 502 Not with " + SECRET.encode() + b"\r\n\r\n"},
        "echo, and cut": {"connect": cut_after(b"HTTP/1.1 407 Basic " + BASIC)},
        "echo of no status": {"connect": b"Proxy-Authorization: Basic " + BASIC + b"\r\n\r\n"},
        "echo in a field": {"connect": b"HTTP/1.1 502 No\r\nX: Basic " + BASIC + b"\r\n\r\n"},
        "cut": {"connect": cut},
        "reset": {"connect": reset},
        "silence": {"connect": silence},
    },
}


@pytest.mark.parametrize(
    ("kind", "fault"), [(kind, fault) for kind, faults in FAULTS.items() for fault in faults]
)
async def test_failure(kind: str, fault: str) -> None:
    asyncio.get_running_loop().set_debug(True)
    async with Proxy(kind, actions=FAULTS[kind][fault], login=LOGIN) as proxy:
        options = options_by(proxy, ENCODED, timeout=0.1 if "silence" in fault else PATIENCE)
        client = SMTP(**options)
        assert_hidden(repr(client), repr(vars(client)))
        with pytest.raises(aiosmtplib.SMTPConnectError) as caught:
            await client.connect()
        assert_error_hides_it(caught.value)
        async with SMTPPool(**options) as pool:
            with pytest.raises(aiosmtplib.SMTPConnectError) as caught:
                await pool.send(email_message())
            assert_error_hides_it(caught.value)
            assert_hidden(repr(pool), repr(vars(pool)), repr(vars(pool._manager)))
        with pytest.raises(aiosmtplib.SMTPConnectError) as caught:
            await aiosmtplib.send(email_message(), **options)
        assert_error_hides_it(caught.value)
        (result,) = [each async for each in aiosmtplib.send_many([email_message()], **options)]
        assert result.error is not None
        assert_error_hides_it(result.error)


@KIND
async def test_success(kind: str) -> None:
    asyncio.get_running_loop().set_debug(True)
    events: list[aiosmtplib.CommandEvent] = []
    async with (
        Peer() as peer,
        Proxy(kind, peer, login=LOGIN) as proxy,
        SMTP(**options_by(proxy, ENCODED, on_command=events.append)) as client,
    ):
        assert_hidden(repr(client), repr(vars(client)), repr(events), repr(vars(client.protocol)))
        peer.actions["NOOP"] = cut
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await client.noop()
        assert_error_hides_it(caught.value)
        assert proxy.logins == [LOGIN]


@KIND
async def test_cancelled(kind: str) -> None:
    async def attempt(run: Callable[[Awaitable[Any]], Awaitable[Any]]) -> None:
        async with Peer() as peer, Proxy(kind, peer, login=LOGIN) as proxy:
            tunnel = Tunnel(proxy_of(conceal(proxy.url(ENCODED))), "mail.example.com", 25)

            async def connect() -> None:
                try:
                    (await tunnel()).close()
                except asyncio.CancelledError as error:
                    assert_error_hides(error)
                    raise

            await run(connect())
            assert_hidden(repr(tunnel), repr(vars(tunnel)))
            await proxy.hung_up()

    assert await each_cancellation(attempt) > 0


@KIND
async def test_nothing_listens(kind: str) -> None:
    host, port = refusing_address()
    options = {"hostname": "mail.example.com", "local_hostname": HOST, "timeout": PATIENCE}
    with pytest.raises(aiosmtplib.SMTPConnectError) as caught:
        await SMTP().connect(**options, proxy=f"{kind}://{ENCODED}{host}:{port}")
    assert_error_hides_it(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"proxy": SECRET},
        {"proxy": f"socks5://user:{SECRET}@proxy:1080"},
        {"proxy": f"socks5://user:{SECRET}"},
        {"proxy": f"socks5://{ENCODED}proxy"},
        {"proxy": f"socks5://{ENCODED}proxy:99999"},
        {"proxy": f"socks4://{ENCODED}proxy:1080"},
        {"proxy": f"http://{ENCODED}pro..xy:1080"},
        {"proxy": [SECRET]},
        {"proxy": SECRET.encode()},
        {"port": 0},
        {"timeout": "soon"},
        {"use_tls": True, "start_tls": True},
        {"source_address": ("127.0.0.1", 0)},
    ],
)
async def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    options = {"proxy": f"socks5://{ENCODED}proxy:1080", **options}
    doors: list[Callable[[], Any]] = [
        lambda: SMTP(**options),
        lambda: SMTPPool(**options),
        lambda: aiosmtplib.send_many([], **options),
        lambda: blocking.SMTPPool(**options),
        lambda: blocking.send_many([], **options),
        lambda: SMTP.from_url("smtp://mail.example.com", **options),
    ]
    for door in doors:
        with pytest.raises((TypeError, ValueError)) as caught:
            door()
        assert_error_hides(caught.value)
    for call in (aiosmtplib.send(email_message(), **options), SMTP().connect(**options)):
        with pytest.raises((TypeError, ValueError)) as caught:
            await call
        assert_error_hides(caught.value)


def test_from_threads() -> None:
    with pytest.raises(ValueError) as caught:
        blocking.send(email_message(), proxy=f"socks5://{ENCODED}proxy", local_hostname=HOST)
    assert_error_hides(caught.value)


async def test_who_looks_at_the_options_gets_what_was_given() -> None:
    class Looking(SMTP):
        def __init__(self, *args: Any, **options: Any) -> None:
            seen.append(options["proxy"])
            super().__init__(*args, **options)

    seen: list[Any] = []
    async with Peer() as peer, Proxy("socks5", peer, login=LOGIN) as proxy:
        async with SMTPPool(**options_by(proxy, ENCODED), client_class=Looking) as pool:
            await pool.send(email_message())
        assert set(seen) == {proxy.url(ENCODED)}
