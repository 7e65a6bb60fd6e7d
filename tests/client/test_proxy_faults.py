"""Proxies that fail: at which hop, with host and port of each, what to do about it, and what is left."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPConnectError, SMTPConnectTimeoutError, SMTPPool

from ..support.actions import cut, cut_after, reset, silence, split, then
from ..support.clients import HOST, MESSAGE, RECIPIENTS, SENDER, assert_closed, each_cancellation
from ..support.dead_addresses import refusing_address, silent_address
from ..support.proxies import CONNECTED, ENCODED_LOGIN, KINDS, LOGIN, Proxy, options_by
from ..support.scripted_conversation import Conversation
from ..support.scripted_server import PATIENCE, Peer

pytest.importorskip("python_socks", reason="python-socks is of the group test")

KIND = pytest.mark.parametrize("kind", KINDS)
CHECK_PROXY = "Check scheme, host and port in the proxy option, and that the proxy runs."
CHECK_LOGIN = "Check user name and password in the proxy option, where @ : / % are written %40 %3A %2F %25."
CHECK_SERVER = (
    "The proxy was reached, and not mail.example.com on port 2525: check host and port, and which ports the "
    "proxy lets through: many only 443."
)


async def failure(**options: Any) -> SMTPConnectError:
    """How connecting fails, of a client and of a pool alike."""
    client = SMTP(**options)
    with pytest.raises(SMTPConnectError) as caught:
        await client.connect()
    assert_closed(client)
    assert caught.value.phase == "connect"
    assert caught.value.delivery is aiosmtplib.Delivery.NOT_SENT
    async with SMTPPool(**options) as pool:
        with pytest.raises(SMTPConnectError) as caught_by_pool:
            await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert (type(caught_by_pool.value), str(caught_by_pool.value)) == (type(caught.value), str(caught.value))
    return caught.value


def no(code: int) -> bytes:
    return bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("kind", "actions", "text", "hint"),
    [
        ("socks5", {"connect": no(1)}, "could not connect to it: General SOCKS server failure", CHECK_SERVER),
        ("socks5", {"connect": no(2)}, "could not connect to it: Connection not allowed", CHECK_SERVER),
        ("socks5", {"connect": no(4)}, "could not connect to it: Host unreachable", CHECK_SERVER),
        ("socks5", {"connect": no(5)}, "could not connect to it: Connection refused", CHECK_SERVER),
        ("socks5", {"method": b"\x05\xff"}, "refused the login: No acceptable", CHECK_LOGIN),
        ("socks5", {"method": b"HTTP/1.1"}, "gave no answer in SOCKS5: ", CHECK_PROXY),
        ("socks5", {"method": b"\x05\x07"}, "gave no answer in SOCKS5: ", CHECK_PROXY),
        ("socks5", {"connect": b"\x05\x00\x00\x09" + bytes(6)}, "gave no answer in SOCKS5: ", CHECK_PROXY),
        ("socks5", {"method": cut}, "gave no answer in SOCKS5: Connection closed", CHECK_PROXY),
        ("socks5", {"connect": cut_after(b"\x05\x00")}, "gave no answer in SOCKS5: Connection", CHECK_PROXY),
        ("socks5", {"connect": reset}, "gave no answer in SOCKS5: .*reset", CHECK_PROXY),
        ("socks4", {"connect": b"\0\x5b" + bytes(6)}, "could not connect to it: Req", CHECK_SERVER),
        ("socks4", {"connect": b"\0\x5c" + bytes(6)}, "refused the login: .*identd", CHECK_LOGIN),
        ("socks4", {"connect": b"\0\x5d" + bytes(6)}, "refused the login: .*identd", CHECK_LOGIN),
        ("socks4", {"connect": b"220 Hello\r\n"}, "gave no answer in SOCKS4: ", CHECK_PROXY),
        ("socks4", {"connect": cut}, "gave no answer in SOCKS4: Connection closed", CHECK_PROXY),
        ("http", {"connect": b"HTTP/1.1 403 No\r\n\r\n"}, "could not connect to it: 403 No", CHECK_SERVER),
        ("http", {"connect": b"HTTP/1.0 502\r\n\r\n"}, "could not connect to it: 502", CHECK_SERVER),
        (
            "http",
            {"connect": b"HTTP/1.1 502 " + b"\x1b[31m" + b"x" * 300 + b"\r\n\r\n"},
            r"could not connect to it: 502 \[31m" + "x" * 195,
            CHECK_SERVER,
        ),
        ("http", {"connect": b"HTTP/1.1 407 Login\r\n\r\n"}, "refused the login: 407 Login", CHECK_LOGIN),
        ("http", {"connect": b"HTTP/1.0 401 Login\r\n\r\n"}, "refused the login: 401 Login", CHECK_LOGIN),
        ("http", {"connect": b"220 Hello\r\n\r\n"}, "gave no answer in HTTP: Unexpected status", CHECK_PROXY),
        ("http", {"connect": b"x" * 9000}, "gave no answer in HTTP: Unexpected status line", CHECK_PROXY),
        ("http", {"connect": cut}, "gave no answer in HTTP: Connection closed", CHECK_PROXY),
        ("http", {"connect": cut_after(CONNECTED["http"][:-1])}, "gave no answer in HTTP: Conn", CHECK_PROXY),
        ("http", {"connect": reset}, "gave no answer in HTTP: .*reset", CHECK_PROXY),
    ],
)  # fmt: skip
async def test_what_a_proxy_says(kind: str, actions: Any, text: str, hint: str) -> None:
    async with Proxy(kind, actions=actions) as proxy:
        error = await failure(**options_by(proxy))
        hop = f"the proxy 127.0.0.1 on port {proxy.port} "
        where = f"Error connecting to mail.example.com on port 2525: {hop}"
        assert re.match(where + text, error.message), error.message
        assert str(error).endswith(f". {hint}")
        await proxy.hung_up()


@pytest.mark.parametrize("kind", ["socks5", "http"])
@pytest.mark.parametrize("login", ["", "user:wrong@", "other:p%40ss%3Aw%2Frd%25@"])
async def test_a_login_that_is_refused(kind: str, login: str) -> None:
    async with Proxy(kind, login=LOGIN) as proxy:
        error = await failure(**options_by(proxy, login))
        assert f"the proxy 127.0.0.1 on port {proxy.port} refused the login: " in error.message
        assert error.hint == CHECK_LOGIN.removesuffix(".")


@KIND
async def test_nothing_listens(kind: str) -> None:
    host, port = refusing_address()
    options = {"hostname": "mail.example.com", "local_hostname": HOST, "timeout": PATIENCE}
    error = await failure(**options, proxy=f"{kind}://{host}:{port}")
    where = f"Error connecting to mail.example.com on port 25: the proxy {host} on port {port} "
    assert error.message.startswith(f"{where}cannot be reached: ")
    assert error.hint == CHECK_PROXY.removesuffix(".")
    assert error.__cause__ is not None and isinstance(error.__cause__.__cause__, ConnectionRefusedError)


async def test_a_proxy_whose_name_is_unknown() -> None:
    options = {"hostname": "mail.example.com", "local_hostname": HOST, "timeout": PATIENCE}
    error = await failure(**options, proxy="http://nowhere.invalid:8080")
    assert ": the proxy nowhere.invalid on port 8080 cannot be reached: " in error.message
    assert error.hint == CHECK_PROXY.removesuffix(".")


@pytest.mark.parametrize("hostname", ["a" * 64 + ".example", "mail..example", "a." * 126 + "example"])
@KIND
async def test_a_name_that_no_proxy_is_asked_for(kind: str, hostname: str) -> None:
    async with Proxy(kind) as proxy:
        error = await failure(**options_by(proxy, hostname=hostname))
        assert error.message.startswith(f"Error connecting to {hostname} on port 2525: ")
        assert isinstance(error.__cause__, ValueError)
        assert proxy.conversations == []


@KIND
async def test_what_the_server_does_is_its_own_fault(kind: str) -> None:
    async with Peer({"connect": "554 Go away"}) as peer, Proxy(kind, peer) as proxy:
        with pytest.raises(aiosmtplib.SMTPConnectResponseError, match="Go away"):
            await SMTP(**options_by(proxy)).connect()
        peer.actions["connect"] = cut
        with pytest.raises(SMTPConnectError, match="2525: Unexpected EOF received$"):
            await SMTP(**options_by(proxy)).connect()


# -- time --------------------------------------------------------------------------------------------


async def test_a_proxy_that_does_not_answer() -> None:
    with silent_address() as (host, port):
        options = {"hostname": "mail.example.com", "local_hostname": HOST, "timeout": 0.05}
        error = await failure(**options, proxy=f"http://{host}:{port}")
    where = "Timed out connecting to mail.example.com on port 25"
    assert error.message == f"{where}: the proxy {host} on port {port} was not reached"
    assert isinstance(error, SMTPConnectTimeoutError)
    assert error.hint == CHECK_PROXY.removesuffix(".")


async def timeout_of(
    proxy: Proxy, login: str = "", not_yet: str = "was not reached", **options: Any
) -> SMTPConnectError:
    """The timeout of a client, as short as this machine allows: not before it was beyond ``not_yet``."""
    for timeout in (0.05, 0.5, 5):
        client = SMTP(**options_by(proxy, login, timeout=timeout, **options))
        with pytest.raises(SMTPConnectTimeoutError) as caught:
            await client.connect()
        assert_closed(client)
        if not_yet not in caught.value.message:
            break
    return caught.value


@pytest.mark.parametrize(
    ("kind", "actions"),
    [
        ("socks5", {"method": silence}),
        ("socks5", {"login": silence}),
        ("socks5", {"connect": silence}),
        ("socks5", {"connect": then(b"\x05\x00\x00\x03\x20ho", silence)}),
        ("socks4", {"connect": silence}),
        ("socks4", {"connect": then(b"\x00\x5a", silence)}),
        ("http", {"connect": silence}),
        ("http", {"connect": then(split(*b"HTTP/1.1 200 Yes\r\nX: ".splitlines(True)), silence)}),
    ],
)
async def test_a_proxy_that_falls_silent(kind: str, actions: Any) -> None:
    async with Proxy(kind, actions=actions, login=LOGIN if "login" in actions else None) as proxy:
        error = await timeout_of(proxy, ENCODED_LOGIN if "login" in actions else "")
        where = "Timed out connecting to mail.example.com on port 2525"
        hop = f"the proxy 127.0.0.1 on port {proxy.port} was reached, and has not connected"
        assert error.message == f"{where}: {hop}"
        assert error.hint == CHECK_SERVER.removesuffix(".")
        await proxy.hung_up()


async def test_a_proxy_that_never_comes_to_an_end() -> None:
    """Each octet is in time, and all of them are not."""

    async def dribble(conversation: Conversation) -> None:
        await conversation.send(b"HTTP/1.1 200 Yes\r\nX-Padding: ")
        while True:
            await conversation.send(b"x")
            await asyncio.sleep(0.01)

    async with Proxy("http", actions={"connect": dribble}) as proxy:
        assert "was reached, and has not connected" in (await timeout_of(proxy)).message
        await proxy.hung_up()


@KIND
async def test_the_deadline_holds_too(kind: str) -> None:
    async with Proxy(kind, actions={"connect": silence}) as proxy:
        with pytest.raises(aiosmtplib.SMTPTimeoutError, match="The deadline of 0.05 seconds") as caught:
            await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options_by(proxy), deadline=0.05)
        assert caught.value.phase == "connect"
        await proxy.hung_up()


@KIND
async def test_no_time_at_all(kind: str) -> None:
    async with Proxy(kind) as proxy:
        with pytest.raises(SMTPConnectTimeoutError) as caught:
            await SMTP(**options_by(proxy, timeout=0)).connect()
        assert caught.value.hint is None
        assert proxy.conversations == []


async def test_a_handshake_that_takes_too_long_is_no_fault_of_the_proxy() -> None:
    async with Peer({"connect": silence}) as peer, Proxy("http", peer) as proxy:
        error = await timeout_of(proxy, not_yet="the proxy", use_tls=True)
        assert error.message == "Timed out connecting to mail.example.com on port 2525"
        await proxy.hung_up()


@KIND
async def test_a_cancellation_at_any_moment_leaves_no_connection(kind: str) -> None:
    login = None if kind == "socks4" else LOGIN

    async def attempt(run: Callable[[Awaitable[Any]], Awaitable[Any]]) -> None:
        async with Peer() as peer, Proxy(kind, peer, login=login) as proxy:
            client = SMTP(**options_by(proxy, "" if login is None else ENCODED_LOGIN))
            await run(client.connect())
            client.close()
            await proxy.hung_up()
            await peer.hung_up()

    assert await each_cancellation(attempt) > 0
