"""Through a proxy: by each protocol, with and without a login, by every door, with TLS to the server."""

import asyncio
import ssl
from typing import Any
from urllib.parse import quote

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Envelope, SMTPException, SMTPPool, blocking
from aiosmtplib._client.connector import host_and_port
from aiosmtplib._client.options import destination_of

from ..support import certs
from ..support.actions import drip
from ..support.clients import HOST, MESSAGE, RECIPIENTS, SENDER, WIRE, assert_closed
from ..support.proxies import CONNECTED, ENCODED_LOGIN, KINDS, LOGIN, Proxy, options_by
from ..support.scripted_server import PIPELINING, Conversation, Peer
from ..support.threaded_servers import in_thread

pytest.importorskip("python_socks", reason="python-socks is of the group test")

KIND = pytest.mark.parametrize("kind", KINDS)


@KIND
@pytest.mark.parametrize("together", [True, False], ids=["greets at once", "greets later"])
async def test_the_proxy_is_given_the_name(kind: str, together: bool) -> None:
    """And the greeting is read, also where it comes in one segment with what the proxy says."""
    async with Peer(extensions=PIPELINING) as peer, Proxy(kind, peer, together=together) as proxy:
        client = SMTP(**options_by(proxy))
        for _ in range(2):
            await client.connect()
            assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
            await client.quit()
            assert_closed(client)
        await proxy.hung_up()
        assert proxy.asked == [("mail.example.com", 2525)] * 2
        assert [body for each in peer.conversations for body in each.bodies] == [WIRE] * 2


@pytest.mark.parametrize(
    ("kind", "login", "given"),
    [
        ("socks5", ENCODED_LOGIN, LOGIN),
        ("http", ENCODED_LOGIN, LOGIN),
        ("http", "me%40example.com:gr%C3%BC%C3%9Fe@", ("me@example.com", "grüße")),
        ("http", "user@", ("user", "")),
        ("socks4", "user@", ("user", "")),
    ],
)
async def test_login(kind: str, login: str, given: tuple[str, str]) -> None:
    wanted = None if kind == "socks4" else given
    async with Peer() as peer, Proxy(kind, peer, login=wanted) as proxy:
        async with SMTP(**options_by(proxy, login)) as client:
            assert (await client.noop()).code == 250
        assert proxy.logins == [given]


@KIND
@pytest.mark.parametrize(
    ("hostname", "asked"),
    [
        ("b\xfccher.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        (None, "localhost"),
    ],
)
async def test_hosts(kind: str, hostname: str | None, asked: str) -> None:
    async with Peer() as peer, Proxy(kind, peer) as proxy:
        async with SMTP(**options_by(proxy, hostname=hostname, port=None)):
            pass
        assert proxy.asked == [(f"[{asked}]" if kind == "http" and ":" in asked else asked, 25)]


@KIND
async def test_no_name_of_a_server_is_looked_up_here(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[Any] = []
    look_up = asyncio.get_running_loop().getaddrinfo

    def note(host: Any, *args: Any, **options: Any) -> Any:
        names.append(host)
        return look_up(host, *args, **options)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", note, raising=False)
    async with Peer() as peer, Proxy(kind, peer) as proxy:
        async with SMTP(**options_by(proxy)) as client:
            await client.noop()
        # The name of the proxy is, and uvloop asks for addresses, too.
        async with SMTP(**{**options_by(proxy), "proxy": f"{kind}://localhost:{proxy.port}"}) as client:
            await client.noop()
    assert "localhost" in names and "mail.example.com" not in names


@KIND
async def test_what_the_proxy_says_may_come_in_pieces(kind: str) -> None:
    async with Peer() as peer:
        slow = {"connect": drip(CONNECTED[kind]), "method": drip(b"\x05\x02"), "login": drip(b"\x01\x00")}
        async with Proxy(kind, peer, slow, login=None if kind == "socks4" else LOGIN) as proxy:
            login = "" if kind == "socks4" else ENCODED_LOGIN
            async with SMTP(**options_by(proxy, login)) as client:
                assert (await client.noop()).code == 250


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("http", b"HTTP/1.0 200\r\n\r\n"),
        ("http", b"HTTP/1.1 201 Sure\n\n"),
        ("socks5", b"\x05\x00\x00\x03\x04host\x00\x19"),
        ("socks5", b"\x05\x00\x00\x04" + bytes(18)),
        ("socks4", b"\x00\x5a\x00\x19\x7f\x00\x00\x01"),
    ],
)
async def test_what_a_proxy_may_say(kind: str, reply: bytes) -> None:
    async with (
        Peer() as peer,
        Proxy(kind, peer, {"connect": reply}) as proxy,
        SMTP(**options_by(proxy)) as client,
    ):
        assert (await client.noop()).code == 250


# -- the server's own name ---------------------------------------------------------------------------


@KIND
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "STARTTLS"])
async def test_tls_is_with_the_server(kind: str, implicit: bool) -> None:
    context = certs.server_context("wrong_host")
    names: list[str | None] = []
    context.sni_callback = lambda tls, name, _: names.append(name)
    async with Peer(tls=context, implicit_tls=implicit) as peer, Proxy(kind, peer) as proxy:
        options = options_by(proxy, use_tls=implicit, tls_context=certs.client_context())
        async with SMTP(**{**options, "hostname": "elsewhere.example"}) as client:
            assert client.tls is not None
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        async with SMTP(**options, server_hostname="elsewhere.example") as client:
            assert client.tls is not None
        for hostname in ("mail.example.com", "localhost"):  # the latter is where the proxy is
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                await SMTP(**{**options, "hostname": hostname}).connect()
        await proxy.hung_up()
        assert names == ["elsewhere.example", "elsewhere.example", "mail.example.com", "localhost"]
        assert [host for host, _ in proxy.asked] == [
            "elsewhere.example",
            "mail.example.com",
            "mail.example.com",
            "localhost",
        ]


@pytest.mark.parametrize("allowed", ["loopback", "local", "unix", False])
async def test_a_proxy_on_this_host_makes_no_server_local(allowed: Any) -> None:
    """The connection goes to a loopback address, and from there to wherever."""
    async with (
        Peer(extensions=["AUTH PLAIN"]) as peer,
        Proxy("http", peer) as proxy,
        SMTP(**options_by(proxy, allow_plaintext_auth=allowed)) as client,
    ):
        with pytest.raises(SMTPException, match="is not encrypted, and allow_plaintext_auth forbids"):
            await client.login("user", "pass word")
        client.allow_plaintext_auth = True
        assert (await client.login("user", "pass word")).code == 235


# -- every door --------------------------------------------------------------------------------------


@KIND
async def test_every_door(kind: str) -> None:
    envelope = Envelope(SENDER, RECIPIENTS, MESSAGE)
    async with Peer() as peer, Proxy(kind, peer) as proxy:
        options = options_by(proxy)
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options)
        async for result in aiosmtplib.send_many([envelope], **options):
            assert result.error is None
        client = SMTP()
        await client.connect(**options)
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.quit()
        for value in (proxy.url(), quote(proxy.url(), safe="")):
            url = f"smtp://mail.example.com:2525?local_hostname={HOST}&proxy={value}"
            async with SMTP.from_url(url) as client:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            async with SMTPPool.from_url(url) as pool:
                await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert proxy.asked == [("mail.example.com", 2525)] * len(peer.accepted) == proxy.asked[:7]


async def test_lmtp() -> None:
    async with Peer(lmtp=True) as peer, Proxy("socks5", peer) as proxy:
        async with LMTP(**options_by(proxy)) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        with pytest.raises(ValueError, match="has no default port"):
            await LMTP(**options_by(proxy, port=None)).connect()
        assert proxy.asked == [("mail.example.com", 2525)]


async def test_a_url_in_a_url_is_encoded_twice() -> None:
    async with Peer() as peer, Proxy("http", peer, login=LOGIN) as proxy:
        value = quote(proxy.url(f"user:{quote(LOGIN[1], safe='')}@"), safe="")
        async with SMTP.from_url(f"smtp://mail.example.com?local_hostname={HOST}&proxy={value}") as client:
            assert client.is_connected
        assert proxy.logins == [LOGIN]


@KIND
async def test_a_pool(kind: str) -> None:
    everyone = asyncio.Event()

    async def greet_together(conversation: Conversation) -> str:
        if len(peer.conversations) == 3:
            everyone.set()
        await everyone.wait()
        await conversation.reply("220 Hello")
        return "220 Hello"

    async with Peer({"connect": greet_together}) as peer, Proxy(kind, peer) as proxy:
        async with SMTPPool(**options_by(proxy), max_connections=3) as pool:
            await asyncio.gather(*(pool.sendmail(SENDER, RECIPIENTS, MESSAGE) for _ in range(9)))
            checked = await pool.verify()
            assert (checked.host, checked.port) == ("mail.example.com", 2525)
        await proxy.hung_up()
        assert proxy.asked == [("mail.example.com", 2525)] * 3
        assert len(peer.accepted) == 9


def test_from_threads() -> None:
    with in_thread(Peer()) as peer, in_thread(Proxy("socks5", peer)) as proxy:
        options = options_by(proxy)
        blocking.send(MESSAGE, SENDER, RECIPIENTS, **options)
        with blocking.SMTPPool(**options) as pool:
            pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        (result,) = blocking.send_many([Envelope(SENDER, RECIPIENTS, MESSAGE)], **options)
        assert result.error is None
        assert proxy.asked == [("mail.example.com", 2525)] * 3


async def test_it_is_stored_until_another_is_given() -> None:
    async with Peer() as peer, Proxy("http", peer) as proxy:
        client = SMTP(**options_by(proxy))
        await client.connect()
        await client.quit()
        await client.connect(proxy=None, hostname=peer.host, port=peer.port)
        await client.quit()
        assert len(proxy.asked) == 1
        assert len(peer.conversations) == 2


def test_where_it_leads_is_the_server() -> None:
    client = SMTP("mail.example.com", proxy="http://127.0.0.1:8080", use_tls=True)
    assert destination_of(client) == "mail.example.com on port 465"
    assert host_and_port(client) == ("mail.example.com", 465)
