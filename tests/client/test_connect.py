"""Connecting: by name, Unix socket and given socket, with defaults, and all the ways in which it fails."""

import asyncio
import socket
import warnings
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP

from ..support.actions import cut, cut_after, drip, in_turn, reset, silence, split
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
    client_for,
    options_for,
    session,
)
from ..support.scripted_server import PATIENCE, Peer
from ..support.server_fixtures import Start


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_connect_returns_the_greeting_and_says_ehlo() -> None:
    async with Peer() as peer, session(peer) as client:
        assert client.is_connected
        assert client.transport is not None
        assert client.protocol is not None
        assert client.supports_esmtp
        assert client.supports_extension("Size")
        assert not client.supports_extension("SMTPUTF8")
        assert client.esmtp_extensions == {"size": "10485760", "8bitmime": "", "enhancedstatuscodes": ""}
        assert client.last_ehlo_response is not None
        assert client.last_ehlo_response.code == 250
        assert client.get_transport_info("peername") == (peer.host, peer.port)
        assert peer.commands == [b"EHLO me.example"]


async def test_connect_result() -> None:
    async with Peer({"connect": b"220-hello\r\n220 there\r\n"}) as peer:
        client = client_for(peer)
        assert await client.connect() == (220, "hello\nthere")
        client.close()
        assert_closed(client)


@pytest.mark.parametrize("how", [drip(b"220-a\r\n220 b\r\n"), split(b"220-a\r", b"\n220 ", b"b\r\n")])
async def test_greeting_in_pieces(how: Any) -> None:
    async with Peer({"connect": how}) as peer:
        client = client_for(peer)
        assert await client.connect() == (220, "a\nb")
        client.close()


async def test_ehlo_only_when_something_needs_it() -> None:
    async with Peer() as peer, session(peer, start_tls=False) as client:
        assert peer.commands == []
        assert client.is_ehlo_or_helo_needed
        await client.noop()
        assert peer.commands == [b"EHLO me.example", b"NOOP"]


async def test_options_of_connect_are_stored_but_for_timeout() -> None:
    async with Peer() as peer:
        client = SMTP(timeout=33)
        await client.connect(
            hostname=peer.host, port=peer.port, local_hostname="other.example", timeout=PATIENCE
        )
        assert client.timeout == 33
        assert (client.hostname, client.port, client.local_hostname) == (
            peer.host,
            peer.port,
            "other.example",
        )
        await client.quit()
        assert_closed(client)
        assert (client.hostname, client.port) == (peer.host, peer.port)
        await client.connect(timeout=PATIENCE)
        await client.quit()
        assert peer.commands == [b"EHLO other.example", b"QUIT"] * 2


async def test_attributes_can_be_assigned_between_connects() -> None:
    async with Peer() as first, Peer() as second:
        client = client_for(first)
        await client.connect()
        await client.quit()
        client.port = second.port
        client.local_hostname = "new.example"
        await client.connect()
        await client.quit()
        assert second.commands == [b"EHLO new.example", b"QUIT"]


@pytest.mark.parametrize(
    ("options", "port"),
    [({}, 25), ({"use_tls": True}, 465), ({"start_tls": True}, 587), ({"start_tls": False}, 25)],
)
async def test_default_host_and_ports(options: dict[str, Any], port: int) -> None:
    client = SMTP(timeout=0, local_hostname=HOST, **options)
    with pytest.raises(aiosmtplib.SMTPConnectTimeoutError) as caught:
        await client.connect()
    assert caught.value.message == f"Timed out connecting to localhost on port {port}"
    assert client.hostname is None
    assert client.port is None


async def test_unix_socket(smtpd: Start, tmp_path: Path) -> None:
    mailbox = await smtpd(path=tmp_path / "s")
    for path in (tmp_path / "s", str(tmp_path / "s"), bytes(tmp_path / "s")):
        async with SMTP(socket_path=path, local_hostname=HOST, timeout=PATIENCE) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [RECIPIENTS] * 3


async def test_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    client = SMTP(socket_path=tmp_path / "s", local_hostname=HOST, timeout=PATIENCE)
    with pytest.raises(aiosmtplib.SMTPConnectError, match="No such file or directory"):
        await client.connect()
    assert_closed(client)


async def test_given_socket() -> None:
    async with Peer() as peer:
        sock = socket.create_connection((peer.host, peer.port))
        client = SMTP(sock=sock, local_hostname=HOST, timeout=PATIENCE)
        await client.connect()
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
        await client.quit()
        assert_closed(client)
        sock.close()
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


async def test_given_socket_that_is_closed() -> None:
    sock = socket.socket()
    sock.close()
    client = SMTP(sock=sock, local_hostname=HOST, timeout=PATIENCE)
    with pytest.raises(aiosmtplib.SMTPConnectError, match="Bad file descriptor"):
        await client.connect()
    assert_closed(client)


async def test_source_address() -> None:
    async with Peer() as peer, session(peer, source_address=("127.0.0.9", 0)) as client:
        assert client.get_transport_info("sockname")[0] == "127.0.0.9"


async def test_source_address_that_is_not_ours() -> None:
    async with Peer() as peer:
        client = client_for(peer, source_address=("192.0.2.1", 0))
        with pytest.raises(aiosmtplib.SMTPConnectError, match=r"^Error connecting to 127.0.0.1 on port"):
            await client.connect()
        assert_closed(client)


async def test_source_address_as_a_name_is_the_local_hostname() -> None:
    async with Peer() as peer:
        with pytest.warns(DeprecationWarning, match="source_address"):
            client = SMTP(**options_for(peer, local_hostname=None, source_address="old.example"))
        await client.connect()
        client.close()
        await peer.hung_up()
        assert peer.commands == [b"EHLO old.example"]
        client = client_for(peer, local_hostname=None)
        with pytest.warns(DeprecationWarning, match="source_address"):
            await client.connect(source_address="older.example")  # type: ignore[arg-type]
        client.close()
        assert peer.commands[1:] == [b"EHLO older.example"]


async def test_loop_is_accepted_with_a_warning() -> None:
    loop = asyncio.get_running_loop()
    async with Peer() as peer:
        with pytest.warns(DeprecationWarning, match="loop"):
            client = SMTP(loop=loop, **options_for(peer))
        with pytest.warns(DeprecationWarning, match="loop"):
            await client.connect(loop=loop)
        client.close()
        with pytest.warns(DeprecationWarning, match="loop"):
            await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, loop=loop, **options_for(peer))
        assert len(peer.accepted) == 1


async def test_positional_options_in_the_order_of_old() -> None:
    async with Peer() as peer:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client = SMTP(peer.host, peer.port)
        await client.connect(local_hostname=HOST)
        assert await client.sendmail(sender=SENDER, recipients=RECIPIENTS, message=MESSAGE) == (
            {},
            "2.0.0 Accepted",
        )
        assert (await client.mail(sender=SENDER)).code == 250
        assert (await client.rcpt(recipient=RECIPIENTS[0])).code == 250
        assert (await client.data(message=MESSAGE)).code == 250
        assert (await client.vrfy(address="b")).code == 252
        assert (await client.ehlo("x.example", PATIENCE)).code == 250
        assert client.supports_extension(extension="size")
        await client.quit(PATIENCE)
        assert peer.accepted[0] == peer.accepted[1]._replace(recipients=peer.accepted[0].recipients)


async def test_connecting_twice_is_an_error_and_changes_nothing() -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPException, match="already connected"):
            await client.connect()
        assert (await client.noop()).code == 250
        assert len(peer.conversations) == 1


async def test_refused_connection() -> None:
    port = unused_port()
    client = SMTP(hostname="127.0.0.1", port=port, local_hostname=HOST, timeout=PATIENCE)
    text = f"^Error connecting to 127.0.0.1 on port {port}: "
    with pytest.raises(aiosmtplib.SMTPConnectError, match=text) as caught:
        await client.connect()
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert_closed(client)


async def test_unknown_host() -> None:
    client = SMTP(hostname="nowhere.invalid", port=25, local_hostname=HOST, timeout=PATIENCE)
    with pytest.raises(
        aiosmtplib.SMTPConnectError, match=r"^Error connecting to nowhere.invalid on port 25: "
    ) as caught:
        await client.connect()
    assert isinstance(caught.value.__cause__, OSError)
    assert_closed(client)


@pytest.mark.parametrize("code", [554, 421, 250, 354])
async def test_greeting_that_turns_us_away(code: int) -> None:
    async with Peer({"connect": in_turn(f"{code} no", "220 yes")}) as peer:
        client = client_for(peer)
        with pytest.raises(aiosmtplib.SMTPConnectResponseError) as caught:
            await client.connect()
        assert (caught.value.code, caught.value.message) == (code, "no")
        assert_closed(client)
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (cut, "Unexpected EOF received"),
        (cut_after(b"220 hel"), "Unexpected EOF received"),
        (reset, "Connection lost"),
    ],
)
async def test_greeting_that_never_comes(action: Any, text: str) -> None:
    async with Peer({"connect": in_turn(action, "220 yes")}) as peer:
        client = client_for(peer)
        where = f"Error connecting to 127.0.0.1 on port {peer.port}: "
        with pytest.raises(aiosmtplib.SMTPConnectError, match=f"^{where}{text}$"):
            await client.connect()
        await assert_usable(client, peer)


async def test_silent_server() -> None:
    async with Peer({"connect": in_turn(silence, "220 yes")}) as peer:
        client = client_for(peer, timeout=0.05)
        with pytest.raises(aiosmtplib.SMTPConnectTimeoutError) as caught:
            await client.connect()
        assert isinstance(caught.value, TimeoutError)
        assert_closed(client)
        client.timeout = PATIENCE
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    "options",
    [
        {"use_tls": True, "start_tls": True},
        {"sock": True, "port": 25},
        {"sock": True, "socket_path": "s"},
        {"sock": True, "use_tls": True},
        {"socket_path": "s", "port": 25},
        {"socket_path": "s", "use_tls": True},
        {"tls_context": True, "client_cert": "c"},
        {"username": "u", "password": "p", "oauth_token_generator": len},
        {"hostname": "a\r\nb"},
        {"local_hostname": "a\r\nb"},
        {"local_hostname": "a b"},
        {"local_hostname": ""},
    ],
)
async def test_options_that_cannot_be_meant(options: dict[str, Any]) -> None:
    import ssl

    with socket.socket() as sock:
        if "sock" in options:
            options = {**options, "sock": sock}
        if "tls_context" in options:
            options = {**options, "tls_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
        with pytest.raises(ValueError, match=r"[a-z]"):
            SMTP(**options)
        client = SMTP()
        with pytest.raises(ValueError, match=r"[a-z]"):
            await client.connect(**options)
        assert_closed(client)


@pytest.mark.parametrize("name", ["client_cert", "client_key"])
async def test_a_certificate_beside_a_context_is_refused_whatever_the_context_is(name: str) -> None:
    both: dict[str, Any] = {"tls_context": True, name: "c"}  # neither has been looked at yet
    with pytest.raises(ValueError, match="not both"):
        SMTP(**both)
    with pytest.raises(ValueError, match="not both"):
        await SMTP().connect(**both)
    with pytest.raises(TypeError, match="tls_context"):
        SMTP(tls_context=True)  # type: ignore[arg-type]


async def test_reconnect_after_the_server_went_away() -> None:
    async with Peer({"NOOP": in_turn(cut, "250 Ok")}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=r"^Unexpected EOF received$"):
            await client.noop()
        assert_closed(client)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=r"^Server not connected$"):
            await client.noop()
        await assert_usable(client, peer)
