"""Servers that are not the ones they claim to be: whoever cannot prove it gets no command, and no secret.

Each certificate is shown over each way to a server (a port, a socket that the caller connected, a Unix
socket), by TLS from the first byte and by STARTTLS, with real handshakes.
"""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib

from ..support import certs
from ..support.certs import Files
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
from ..support.sasl_server import Gate
from ..support.scripted_server import PATIENCE, Peer

#: What is shown to a client that asks for ``localhost``, and what OpenSSL says about it.
BAD = {
    "untrusted": "unable to get local issuer certificate",
    "self_signed": "self.signed certificate",
    "expired": "certificate has expired",
    "not_yet": "certificate is not yet valid",
    "wrong_host": "Hostname mismatch",
    "wrong_ip": "Hostname mismatch",
    "ip": "Hostname mismatch",
    "wildcard": "Hostname mismatch",
}
WAYS = [
    "port",
    "sock",
    pytest.param(
        "path", marks=pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
    ),
]
TLS = pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "STARTTLS"])


class Server(Peer):
    """A peer with one of the certificates, which notes the names that clients ask for (SNI)."""

    def __init__(self, kind: str, implicit: bool, path: str | None = None, **options: Any) -> None:
        context = certs.server_context(kind)
        self.asked_for: list[str | None] = []
        context.sni_callback = lambda tls, name, _: self.asked_for.append(name)
        super().__init__(tls=context, implicit_tls=implicit, path=path, **options)


@asynccontextmanager
async def server(
    kind: str, implicit: bool, way: str, tmp_path: Path, **options: Any
) -> AsyncIterator[Server]:
    path = str(tmp_path / "smtp") if way == "path" else None
    async with Server(kind, implicit, path, **options) as peer:
        yield peer


def way_to(peer: Server, way: str) -> dict[str, Any]:
    """The options that lead to this server, but for the name to ask it for."""
    if way == "path":
        return {"socket_path": peer.path, "port": None}
    if way == "sock":
        sock = socket.create_connection((peer.host, peer.port))
        sock.setblocking(False)
        return {"sock": sock, "port": None}
    return {}


@TLS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", BAD)
async def test_must_not_be_trusted(
    kind: str,
    way: str,
    implicit: bool,
    certificates: Files,
    trusting: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    async with server(kind, implicit, way, tmp_path, extensions=["AUTH PLAIN"]) as peer:
        options: dict[str, Any] = {"username": "user", "password": "pass word", **way_to(peer, way)}
        # A context that is made from the options is as strict as one that is given; it takes longer to make.
        options |= {"cert_bundle": certificates.ca} if way == "port" else {"tls_context": trusting}
        client = client_for(peer, hostname="localhost", use_tls=implicit, **options)
        with pytest.raises(ssl.SSLCertVerificationError, match=BAD[kind]) as caught:
            await client.connect()
        assert isinstance(caught.value, aiosmtplib.SMTPConnectError)
        assert "certificate verify failed" in str(caught.value)
        assert caught.value.delivery is aiosmtplib.Delivery.NOT_SENT
        assert_closed(client)
        await peer.hung_up()
        assert not peer.conversations[0].encrypted
        assert peer.verbs == ([] if implicit else ["EHLO", "STARTTLS"])


@TLS
@pytest.mark.parametrize("way", WAYS)
async def test_may_be_trusted(way: str, implicit: bool, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    """The other side of the tests above: it is the certificate that they fail by. And SNI is sent."""
    async with server("server", implicit, way, tmp_path) as peer:
        options = options_for(peer, hostname="localhost", use_tls=implicit, tls_context=trusting)
        async with aiosmtplib.SMTP(**{**options, **way_to(peer, way)}) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert len(peer.accepted) == 1
        assert peer.asked_for == ["localhost"]


@TLS
@pytest.mark.parametrize("kind", BAD)
async def test_is_taken_as_it_is_where_that_was_asked_for(kind: str, implicit: bool) -> None:
    async with Server(kind, implicit) as peer:
        await assert_usable(client_for(peer, use_tls=implicit, validate_certs=False), peer)
        assert peer.conversations[0].encrypted
        assert peer.asked_for == ["localhost"]


@TLS
async def test_no_certificate_is_trusted_by_default(implicit: bool) -> None:
    async with Server("server", implicit) as peer:
        client = client_for(peer, use_tls=implicit)
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()


@TLS
@pytest.mark.parametrize("door", ["send", "send_many", "pool", "LMTP", "by hand"])
async def test_every_door_checks(door: str, implicit: bool, trusting: ssl.SSLContext) -> None:
    async with Server("wrong_host", implicit, lmtp=door == "LMTP") as peer:
        options = options_for(peer, use_tls=implicit, tls_context=trusting)
        if door == "send_many":
            envelope = aiosmtplib.Envelope(SENDER, RECIPIENTS, MESSAGE)
            (result,) = [each async for each in aiosmtplib.send_many([envelope], **options)]
            assert isinstance(result.error, ssl.SSLCertVerificationError)
        elif door == "by hand" and implicit:
            client = aiosmtplib.SMTP(timeout=PATIENCE)
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.connect(**{**options, "timeout": PATIENCE})
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                if door == "send":
                    await aiosmtplib.send(MESSAGE, sender=SENDER, recipients=RECIPIENTS, **options)
                elif door == "pool":
                    async with aiosmtplib.SMTPPool(**options) as pool:
                        await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
                elif door == "LMTP":
                    await aiosmtplib.LMTP(**options).connect()
                else:
                    async with session(peer, start_tls=False) as client:
                        await client.starttls(tls_context=trusting)
        await peer.hung_up()
        assert set(peer.verbs) <= {"EHLO", "LHLO", "STARTTLS"}
        assert peer.accepted == []


# -- addresses instead of names ----------------------------------------------------------------------


@TLS
@pytest.mark.parametrize("way", ["port", "sock"])
@pytest.mark.parametrize("kind", ["server", "ip", "ip_as_name", "wrong_ip", "wrong_host"])
async def test_address(kind: str, way: str, implicit: bool, trusting: ssl.SSLContext) -> None:
    """An address is in the certificate as an address; a name that looks like one proves nothing (RFC 9525
    section 6.5). It is not sent as SNI, which is for names (RFC 6066 section 3).
    """
    async with Server(kind, implicit) as peer:
        options = {"hostname": "127.0.0.1", "use_tls": implicit, "tls_context": trusting}
        client = client_for(peer, **options, **way_to(peer, way))
        if kind in ("server", "ip"):
            await client.connect()
            assert client.tls is not None
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            await client.quit()
            assert peer.conversations[0].encrypted
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
                await client.connect()
            assert_closed(client)
        await peer.hung_up()
        assert peer.asked_for == [None]


# -- the name that counts ----------------------------------------------------------------------------


@TLS
@pytest.mark.parametrize(
    ("kind", "hostname", "sent"),
    [
        ("wrong_host", "elsewhere.example", "elsewhere.example"),
        ("wrong_host", "ELSEWHERE.example", None),
        ("wildcard", "one.host.example", "one.host.example"),
        ("wildcard", "b\xfccher.host.example", "xn--bcher-kva.host.example"),
    ],
)
async def test_a_given_socket_is_asked_for_the_hostname(
    kind: str, hostname: str, sent: str | None, implicit: bool, trusting: ssl.SSLContext
) -> None:
    """The socket goes to loopback. Whom it has to belong to is what the caller says, not where it goes."""
    async with Server(kind, implicit) as peer:
        options = {"hostname": hostname, "use_tls": implicit, "tls_context": trusting}
        client = client_for(peer, **options, **way_to(peer, "sock"))
        await client.connect()
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.quit()
        assert [name and name.lower() for name in peer.asked_for] == [(sent or hostname).lower()]


@TLS
@pytest.mark.parametrize(
    "hostname", ["host.example", "two.levels.host.example", "localhost", "one.host.example.org"]
)
async def test_a_wildcard_is_one_label(hostname: str, implicit: bool, trusting: ssl.SSLContext) -> None:
    async with Server("wildcard", implicit) as peer:
        options = {"hostname": hostname, "use_tls": implicit, "tls_context": trusting}
        client = client_for(peer, **options, **way_to(peer, "sock"))
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await client.connect()
        await peer.hung_up()


async def test_a_socket_without_a_name_is_asked_for_localhost(trusting: ssl.SSLContext) -> None:
    """Nobody else can be meant, and nobody else is trusted."""
    for kind in ("server", "wrong_host"):
        async with Server(kind, False) as peer:
            client = aiosmtplib.SMTP(
                local_hostname=HOST, timeout=PATIENCE, tls_context=trusting, sock=way_to(peer, "sock")["sock"]
            )
            if kind == "server":
                await client.connect()
                assert client.tls is not None
                client.close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await client.connect()
            await peer.hung_up()
            assert peer.asked_for == ["localhost"]


@pytest.mark.parametrize("way", ["sock", "path"])
def test_tls_on_a_socket_needs_a_name(way: str) -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match="TLS on a socket needs the hostname"):
        aiosmtplib.SMTP(use_tls=True, **({"sock": sock} if way == "sock" else {"socket_path": "/tmp/x"}))


async def test_server_hostname_of_starttls(trusting: ssl.SSLContext) -> None:
    """What it says goes before the name that was connected to."""
    async with Server("wrong_host", False) as peer:
        async with session(peer, hostname="127.0.0.1", start_tls=False) as client:
            await client.starttls(server_hostname="elsewhere.example", tls_context=trusting)
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert len(peer.accepted) == 1
        async with session(peer, hostname="localhost", start_tls=False) as client:
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                await client.starttls(server_hostname="other.example", tls_context=trusting)
        assert peer.asked_for == ["elsewhere.example", "other.example"]


@TLS
@pytest.mark.parametrize("way", WAYS)
async def test_server_hostname_of_a_client(
    way: str, implicit: bool, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    """It is the name that the certificate shows and SNI asks for; ``hostname`` is where to connect to."""
    async with server("wrong_host", implicit, way, tmp_path) as peer:
        options = {"use_tls": implicit, "tls_context": trusting, "hostname": "localhost"}
        hostname = None if way != "port" else "localhost"
        options |= {**way_to(peer, way), "hostname": hostname, "server_hostname": "elsewhere.example."}
        client = client_for(peer, **options)
        await client.connect()
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.quit()
        assert peer.conversations[0].encrypted
        assert peer.asked_for == ["elsewhere.example"]


@TLS
async def test_server_hostname_goes_before_the_hostname(implicit: bool, trusting: ssl.SSLContext) -> None:
    async with Server("server", implicit) as peer:
        client = client_for(peer, use_tls=implicit, tls_context=trusting, server_hostname="elsewhere.example")
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await client.connect()
        await client.connect(server_hostname=None)
        await client.quit()
        await client.connect(server_hostname="127.0.0.1")  # an address is in the certificate, too
        await client.quit()
        assert peer.asked_for == ["elsewhere.example", "localhost", None]


async def test_server_hostname_where_starttls_is_by_hand(trusting: ssl.SSLContext) -> None:
    async with Server("wrong_host", False) as peer:
        options = {"start_tls": False, "server_hostname": "elsewhere.example"}
        async with session(peer, **options) as client:
            await client.starttls(tls_context=trusting)
        assert peer.asked_for == ["elsewhere.example"]


@TLS
@pytest.mark.parametrize("door", ["send", "send_many", "pool", "LMTP", "connect", "URL"])
async def test_every_door_takes_server_hostname(door: str, implicit: bool, trusting: ssl.SSLContext) -> None:
    async with Server("wrong_host", implicit, lmtp=door == "LMTP") as peer:
        options = options_for(peer, use_tls=implicit, tls_context=trusting)
        options["server_hostname"] = "elsewhere.example"
        if door == "send":
            await aiosmtplib.send(MESSAGE, sender=SENDER, recipients=RECIPIENTS, **options)
        elif door == "send_many":
            envelope = aiosmtplib.Envelope(SENDER, RECIPIENTS, MESSAGE)
            (result,) = [each async for each in aiosmtplib.send_many([envelope], **options)]
            assert result.error is None
        elif door == "pool":
            async with aiosmtplib.SMTPPool(**options) as pool:
                await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        else:
            client = aiosmtplib.LMTP(**options) if door == "LMTP" else aiosmtplib.SMTP()
            if door == "connect":
                await client.connect(**options)
            elif door == "URL":
                scheme = "smtps" if implicit else "smtp+starttls"
                url = f"{scheme}://localhost:{peer.port}?server_hostname=elsewhere.example"
                client = aiosmtplib.SMTP.from_url(url, tls_context=trusting, local_hostname=HOST)
            async with client:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert len(peer.accepted) >= 1
        assert peer.asked_for == ["elsewhere.example"]


@TLS
async def test_a_proof_does_not_last(implicit: bool, trusting: ssl.SSLContext) -> None:
    """The same client, the same port, another certificate: whoever has taken the place of the server."""
    async with Server("server", implicit, actions=Gate().actions, extensions=["AUTH PLAIN"]) as peer:
        client = client_for(
            peer, use_tls=implicit, tls_context=trusting, username="user", password="pass word"
        )
        await client.connect()
        await client.quit()
        peer.tls = certs.server_context("self_signed")
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs.count("AUTH") == 1
