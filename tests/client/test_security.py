"""What goes over which connection: login without TLS, TLS that is required, and what the client knows."""

import asyncio
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SECURE, SMTP, SMTPException
from aiosmtplib._client.options import Options
from aiosmtplib._transport.tls import is_loopback, is_unix
from aiosmtplib._transport.tls_contexts import TLSOptions, make_tls_context

from ..support import certs
from ..support.actions import in_turn
from ..support.certs import Files
from ..support.clients import assert_closed, assert_usable, client_for, session
from ..support.sasl_server import EVERY, Gate
from ..support.scripted_server import Peer

LOGIN: dict[str, Any] = {"username": "user", "password": "pass word"}
REFUSED = r"not encrypted, and allow_plaintext_auth forbids to log in over it"
WITH_UNIX = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


async def token() -> str:
    return "token"


def no_auth(peer: Peer) -> bool:
    return "AUTH" not in peer.verbs and b"dXNlc" not in peer.received and b"cGFzcyB" not in peer.received


# -- login without TLS -------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", EVERY)
async def test_no_mechanism_by_hand(mechanism: str) -> None:
    async with (
        Peer(Gate().actions, extensions=["AUTH " + mechanism]) as peer,
        session(peer, allow_plaintext_auth=False) as client,
    ):
        method = getattr(client, f"auth_{mechanism.replace('-', '').lower()}")
        with pytest.raises((SMTPException, ValueError)):
            await method("user", "pass word")
        with pytest.raises(SMTPException, match=REFUSED):
            await client.login("user", "pass word")
        assert no_auth(peer)
        assert (await client.noop()).code == 250


@pytest.mark.parametrize(
    "command",
    [
        (b"AUTH", b"PLAIN AHUAcA=="),
        (b"auth plain AHUAcA==",),
        (b" AUTH", b"PLAIN", b"AHUAcA=="),
        (b"", b" ", b"AUTH", b"PLAIN AHUAcA=="),
    ],
)
async def test_nor_by_execute_command(command: tuple[bytes, ...]) -> None:
    async with (
        Peer(extensions=["AUTH PLAIN"]) as peer,
        session(peer, allow_plaintext_auth=False) as client,
    ):
        with pytest.raises(SMTPException, match=REFUSED):
            await client.execute_command(*command)
        assert peer.verbs == ["EHLO"]
        client.allow_plaintext_auth = True
        assert (await client.execute_command(b"AUTH", b"PLAIN AHUAcA==")).code == 235


@pytest.mark.parametrize("implicit", [True, False])
async def test_over_tls_it_is_no_hindrance(implicit: bool) -> None:
    gate = Gate()
    tls = certs.server_context()
    async with Peer(gate.actions, extensions=["AUTH PLAIN"], tls=tls, implicit_tls=implicit) as peer:
        client = client_for(
            peer, **LOGIN, use_tls=implicit, tls_context=certs.client_context(), allow_plaintext_auth=False
        )
        await assert_usable(client, peer)
    assert gate.logins == ["PLAIN"]


async def test_options_of_connect_are_stored() -> None:
    async with Peer(Gate().actions, extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer, **LOGIN)
        for options in ({"allow_plaintext_auth": False, "stop_on_auth_failure": True}, {}):
            with pytest.raises(SMTPException, match=REFUSED):
                await client.connect(**options)
        assert client.stop_on_auth_failure
        await client.connect(allow_plaintext_auth=True)
        client.close()


# -- exceptions by name ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "over"),
    [
        (True, {"unix", "loopback"}),
        (False, set()),
        ("unix", {"unix"}),
        ("loopback", {"loopback"}),
        ("local", {"unix", "loopback"}),
    ],
)
@pytest.mark.parametrize("way", ["unix", "loopback"])
@WITH_UNIX
async def test_exceptions(allowed: Any, over: set[str], way: str, tmp_path: Path) -> None:
    gate, path = Gate(), str(tmp_path / "smtp")
    unix = way == "unix"
    async with Peer(gate.actions, extensions=["AUTH PLAIN"], path=path if unix else None) as peer:
        where = {"hostname": None, "port": None, "socket_path": path} if unix else {"hostname": "localhost"}
        client = client_for(peer, **LOGIN, **where, allow_plaintext_auth=allowed)
        if way in over:
            await client.connect()
            client.close()
        else:
            with pytest.raises(SMTPException, match=REFUSED):
                await client.connect()
            assert no_auth(peer)
    assert gate.logins == (["PLAIN"] if way in over else [])


@pytest.mark.parametrize("allowed", ["loopback", "unix"])
async def test_a_given_socket_is_looked_at(allowed: Any) -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=["AUTH PLAIN"]) as peer:
        sock = socket.create_connection((peer.host, peer.port))
        sock.setblocking(False)
        client = SMTP(sock=sock, local_hostname="me", **LOGIN, allow_plaintext_auth=allowed)
        if allowed == "loopback":
            await client.connect()
            client.close()
        else:
            with pytest.raises(SMTPException, match=REFUSED):
                await client.connect()


class Transport(asyncio.BaseTransport):
    """A transport that says this."""

    def __init__(self, **said: Any) -> None:
        super().__init__(said)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("127.0.0.1", 25), True),
        (("127.8.9.10", 25), True),
        (("::1", 25, 0, 0), True),
        (("::ffff:127.0.0.1", 25, 0, 0), True),
        (("192.0.2.1", 25), False),
        (("::ffff:192.0.2.1", 25, 0, 0), False),
        (("2001:db8::127", 25, 0, 0), False),
        (("fe80::1", 25, 0, 0), False),
        ("127.0.0.1", False),  # a path may be called anything
        (None, False),
    ],
)
def test_loopback_is_an_address_and_no_name(peer: Any, expected: bool) -> None:
    assert is_loopback(Transport(peername=peer)) is expected


def test_unix_is_a_family() -> None:
    assert not is_unix(Transport())
    with socket.socket() as sock:
        assert not is_unix(Transport(socket=sock))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"allow_plaintext_auth": None}, TypeError),
        ({"allow_plaintext_auth": 1}, TypeError),
        ({"allow_plaintext_auth": frozenset(["unix"])}, TypeError),
        ({"allow_plaintext_auth": ""}, ValueError),
        ({"allow_plaintext_auth": "localhost"}, ValueError),
        ({"stop_on_auth_failure": None}, TypeError),
        ({"stop_on_auth_failure": "no"}, TypeError),
        ({"minimum_tls_version": "TLSv1.2"}, TypeError),
        ({"minimum_tls_version": 771}, TypeError),
        ({"minimum_tls_version": ssl.TLSVersion.MAXIMUM_SUPPORTED}, ValueError),
        ({"minimum_tls_version": ssl.TLSVersion.TLSv1_2, "start_tls": False}, ValueError),
        ({**SECURE, "start_tls": False}, ValueError),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        SMTP(**options)


async def test_what_was_assigned_and_cannot_be_meant_allows_nothing() -> None:
    async with Peer(extensions=["AUTH PLAIN"]) as peer, session(peer) as client:
        for nonsense in (1, "yes", None):
            client.allow_plaintext_auth = nonsense  # type: ignore[assignment]
            with pytest.raises(SMTPException, match=REFUSED):
                await client.auth_plain("u", "p")


# -- TLS that is required ----------------------------------------------------------------------------


def test_the_bundle_cannot_be_changed() -> None:
    assert dict(SECURE) == {
        "validate_certs": True,
        "minimum_tls_version": ssl.TLSVersion.TLSv1_2,
        "allow_plaintext_auth": False,
    }
    with pytest.raises(TypeError):
        SECURE["allow_plaintext_auth"] = True  # type: ignore[index]


def test_ports_of_the_bundle() -> None:
    assert Options(**SECURE)._effective_port == 587
    assert Options(**SECURE, use_tls=True)._effective_port == 465


@pytest.mark.parametrize("options", [{}, {"start_tls": True}, {"use_tls": True}])
async def test_secure(options: dict[str, bool], certificates: Files) -> None:
    gate = Gate()
    implicit = "use_tls" in options
    tls = certs.server_context()
    async with Peer(gate.actions, extensions=["AUTH PLAIN"], tls=tls, implicit_tls=implicit) as peer:
        client = client_for(peer, **SECURE, **LOGIN, **options, cert_bundle=certificates.ca)
        await assert_usable(client, peer)
        assert peer.conversations[0].encrypted
    assert gate.logins == ["PLAIN"]


@pytest.mark.parametrize("way", ["implicit", "starttls", "by hand"])
async def test_a_given_context_that_agreed_to_less(way: str) -> None:
    server, trusting = certs.server_context(), certs.client_context()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    async with Peer(tls=server, implicit_tls=way == "implicit") as peer:
        if way == "by hand":  # the server changes its mind
            peer.actions["EHLO"] = in_turn("250 peer.example", b"250-peer.example\r\n250 STARTTLS\r\n")
        client = client_for(peer, use_tls=way == "implicit", tls_context=trusting)
        with pytest.raises(aiosmtplib.SMTPConnectError, match=r"speaks TLSv1\.2, and .* is TLSv1_3$"):
            if way == "by hand":
                await client.connect()
                await client.ehlo()
                client.minimum_tls_version = ssl.TLSVersion.TLSv1_3
                await client.starttls()
            else:
                await client.connect(minimum_tls_version=ssl.TLSVersion.TLSv1_3)
        assert_closed(client)
        await peer.hung_up()
        assert set(peer.verbs) <= {"EHLO", "STARTTLS"}


async def test_a_context_of_ours_does_not_agree_to_less(certificates: Files) -> None:
    server = certs.server_context()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    async with Peer(tls=server) as peer:
        client = client_for(peer, minimum_tls_version=ssl.TLSVersion.TLSv1_3, cert_bundle=certificates.ca)
        with pytest.raises(ssl.SSLError):
            await client.connect()
        assert peer.tls_errors


def test_a_minimum_is_only_raised() -> None:
    for validate in (True, False):
        usual = make_tls_context(TLSOptions(validate)).minimum_version
        for minimum in (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_3):
            made = make_tls_context(TLSOptions(validate, minimum_version=minimum)).minimum_version
            assert made == max(usual, minimum)


async def test_older_versions_are_not_agreed_to(certificates: Files) -> None:
    # By a minimum, or where there is none by the security level of OpenSSL: that is up to the builder.
    server = certs.server_context()
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1_1
    async with Peer(tls=server) as peer:
        client = client_for(peer, cert_bundle=certificates.ca)
        with pytest.raises((ssl.SSLError, SMTPException)):
            await client.connect()
        assert peer.tls_errors


# -- what the client knows ---------------------------------------------------------------------------


@pytest.mark.parametrize("validate", [True, False])
async def test_tls_facts(validate: bool, certificates: Files) -> None:
    async with Peer(tls=certs.server_context()) as peer:
        client = client_for(peer, cert_bundle=certificates.ca, validate_certs=validate, start_tls=False)
        assert client.tls is None
        await client.connect()
        assert client.tls is None
        await client.starttls()
        tls = client.tls
        assert tls is not None
        assert tls.version == "TLSv1.3" and tls.cipher.startswith("TLS_") and tls.bits >= 128
        assert tls.peer_certificate is not None
        pem = certs.authority().server.cert_chain_pems[0].bytes().decode()
        assert ssl.DER_cert_to_PEM_cert(tls.peer_certificate) == pem
        await client.quit()
        assert client.tls is None
