"""``socket_factory``: called for each connection, for a connected socket that the end of it closes."""

import asyncio
import base64
import socket
import ssl
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, SMTPPool, blocking
from aiosmtplib._client.connector import host_and_port
from aiosmtplib._client.options import destination_of

from ..support import certs
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
)
from ..support.sasl_server import Gate
from ..support.scripted_server import PATIENCE, Conversation, Peer
from ..support.socket_factories import Factory, options_by
from ..support.threaded_servers import in_thread


async def test_it_is_called_for_each_connection() -> None:
    async with Peer() as peer:
        make = Factory(peer)
        client = SMTP(**options_by(make))
        for number in (1, 2):
            await client.connect()
            assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
            await client.quit()
            assert_closed(client)
            assert len(make.made) == number
        await peer.hung_up()
        make.assert_closed()
        await client.connect(socket_factory=None, hostname=peer.host, port=peer.port)
        await client.quit()
        assert len(make.made) == 2


async def test_a_blocking_socket_will_do() -> None:
    async with Peer() as peer:

        async def make() -> socket.socket:
            return socket.create_connection((peer.host, peer.port))

        await assert_usable(SMTP(**options_by(make)), peer)


@pytest.mark.parametrize("implicit", [True, False])
async def test_tls_asks_for_the_hostname(implicit: bool) -> None:
    async with Peer(tls=certs.server_context("wrong_host"), implicit_tls=implicit) as peer:
        options = {"use_tls": implicit, "tls_context": certs.client_context(), "port": None}
        async with SMTP(**options_by(Factory(peer), hostname="elsewhere.example", **options)) as client:
            assert client.tls is not None
        client = SMTP(**options_by(Factory(peer), **options))
        with pytest.raises(ssl.SSLCertVerificationError, match=r"mail\.example\.com"):
            await client.connect()
        await peer.hung_up()


async def test_every_door() -> None:
    async with Peer() as peer:
        make = Factory(peer)
        options = options_by(make)
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options)
        envelope = aiosmtplib.Envelope(SENDER, RECIPIENTS, MESSAGE)
        async for result in aiosmtplib.send_many([envelope], **options):
            assert result.error is None
        client = SMTP.from_url("smtp://mail.example.com", socket_factory=make, local_hostname=HOST)
        async with client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert len(make.made) == len(peer.conversations) == len(peer.accepted) == 3
        await peer.hung_up()
        make.assert_closed()


async def test_a_pool_opens_every_connection_by_it() -> None:
    everyone = asyncio.Event()

    async def greet_together(conversation: Conversation) -> str:
        if len(peer.conversations) == 3:
            everyone.set()
        await everyone.wait()
        await conversation.reply("220 Hello")
        return "220 Hello"

    async with Peer({"connect": greet_together}) as peer:
        make = Factory(peer)
        async with SMTPPool(**options_by(make), max_connections=3) as pool:
            await asyncio.gather(*(pool.sendmail(SENDER, RECIPIENTS, MESSAGE) for _ in range(3)))
            assert (await pool.verify()).port == 2525
        assert len(make.made) == len(peer.conversations) == 3
        await peer.hung_up()
        make.assert_closed()


def test_from_threads() -> None:
    with in_thread(Peer()) as peer:
        make = Factory(peer)
        blocking.send(MESSAGE, SENDER, RECIPIENTS, **options_by(make))
        with blocking.SMTPPool(**options_by(make)) as pool:
            pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert len(make.made) == len(peer.accepted) == 2
        make.assert_closed()


async def test_lmtp_needs_no_port_then() -> None:
    async with Peer(lmtp=True) as peer:
        async with LMTP(socket_factory=Factory(peer), local_hostname=HOST, timeout=PATIENCE) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        with pytest.raises(ValueError, match="must not be used on port 25"):
            await LMTP(**options_by(Factory(peer), port=25)).connect()


async def test_oauthbearer_says_no_host_that_nobody_named() -> None:
    gate = Gate(tokens=("token",))
    async with (
        Peer(gate.actions, extensions=["AUTH OAUTHBEARER"]) as peer,
        SMTP(**options_by(Factory(peer), hostname=None, port=None)) as client,
    ):
        await client.auth_oauthbearer("user", "token")
        said = base64.b64decode(peer.commands[-1].split()[-1])
    assert gate.logins == ["OAUTHBEARER"]
    assert b"token" in said and b"host=" not in said and b"port=" not in said


def test_where_it_leads() -> None:
    async def make() -> socket.socket:
        raise AssertionError

    assert destination_of(SMTP(**options_by(make))) == "mail.example.com on port 2525"
    assert host_and_port(SMTP(**options_by(make))) == ("mail.example.com", 2525)
    unknown = SMTP(**options_by(make, port=None))
    assert destination_of(unknown) == "mail.example.com on the socket of the socket_factory"
    assert host_and_port(unknown) == ("mail.example.com", None)


# -- what cannot be meant ----------------------------------------------------------------------------


async def nowhere() -> socket.socket:
    raise AssertionError("called too early")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"socket_path": "/run/smtp"}, "socket_factory and socket_path options exclude each other"),
        ({"source_address": ("127.0.0.1", 0)}, "socket_factory and source_address options exclude"),
        ({"use_tls": True}, "TLS on a socket needs the hostname"),
    ],
)
def test_what_excludes_it(options: dict[str, Any], text: str) -> None:
    for door in (SMTP, LMTP, SMTPPool):
        with pytest.raises(ValueError, match=text):
            door(socket_factory=nowhere, **options)


async def test_a_given_socket_excludes_it() -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match="socket_factory and sock options"):
        await SMTP(sock=sock).connect(socket_factory=nowhere)


@pytest.mark.parametrize("value", [5, "make", b"", asyncio.Lock])
def test_what_is_no_function(value: Any) -> None:
    if value is asyncio.Lock:
        value = value()
    for door in (SMTP, SMTPPool):
        with pytest.raises(TypeError, match="The socket_factory option cannot be of type"):
            door(socket_factory=value)


def test_a_url_has_none() -> None:
    with pytest.raises(ValueError, match="'socket_factory' is no option that a URL can have"):
        SMTP.from_url("smtp://h?socket_factory=x")
