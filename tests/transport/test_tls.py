"""TLS with real handshakes: from the start, by STARTTLS, and everything that must end it."""

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib

from ..support import certs
from ..support.actions import cut
from ..support.certs import Files
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
    client_for,
    session,
)
from ..support.scripted_conversation import Conversation
from ..support.scripted_server import PATIENCE, Peer
from ..support.server_fixtures import Start


@pytest.mark.parametrize("options", [{"starttls": True}, {"use_tls": True}])
async def test_against_aiosmtpd(smtpd: Start, trusting: ssl.SSLContext, options: dict[str, bool]) -> None:
    mailbox = await smtpd(**options)
    async with aiosmtplib.SMTP(
        hostname=mailbox.host,
        port=mailbox.port,
        local_hostname=HOST,
        timeout=PATIENCE,
        use_tls="use_tls" in options,
        tls_context=trusting,
    ) as client:
        assert client.get_transport_info("ssl_object") is not None
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Kept")
    assert len(mailbox.envelopes) == 1


async def test_tls_from_the_start(certificates: Files) -> None:
    async with Peer(tls=certs.server_context(), implicit_tls=True) as peer:
        async with client_for(peer, use_tls=True, cert_bundle=certificates.ca) as client:
            assert client.get_transport_info("cipher") is not None
            with pytest.raises(aiosmtplib.SMTPException, match=r"^Connection already using TLS$"):
                await client.starttls()
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert peer.conversations[0].encrypted
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
        await peer.hung_up()


@pytest.mark.parametrize("start_tls", [None, True])
async def test_starttls_in_connect(trusting: ssl.SSLContext, start_tls: bool | None) -> None:
    async with (
        Peer(tls=certs.server_context()) as peer,
        session(peer, tls_context=trusting, start_tls=start_tls) as client,
    ):
        assert client.get_transport_info("ssl_object") is not None
        await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert peer.verbs == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA"]
        with pytest.raises(aiosmtplib.SMTPException, match=r"^Connection already using TLS$"):
            await client.starttls()
        await client.noop()


async def test_starttls_off(trusting: ssl.SSLContext) -> None:
    async with Peer(tls=certs.server_context()) as peer, session(peer, start_tls=False) as client:
        await client.noop()
        assert client.get_transport_info("ssl_object") is None
        assert await client.starttls(tls_context=trusting) == (220, "2.0.0 Ready")
        assert client.get_transport_info("ssl_object") is not None
        await client.noop()
        assert peer.verbs == ["EHLO", "NOOP", "STARTTLS", "EHLO", "NOOP"]


async def test_nothing_to_upgrade_to() -> None:
    async with Peer() as peer, session(peer) as client:
        assert client.get_transport_info("ssl_object") is None
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.starttls()
        assert caught.value.message == "SMTP STARTTLS extension not supported by server."
        await assert_usable(client, peer)


async def test_the_recipe_of_the_old_guide(trusting: ssl.SSLContext) -> None:
    """``SMTP(use_tls=False)``, ``connect()``, ``starttls()``: connect has upgraded by then."""
    async with (
        Peer(tls=certs.server_context()) as peer,
        session(peer, use_tls=False, tls_context=trusting) as client,
    ):
        assert await client.starttls() == (220, "2.0.0 Ready")
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert peer.verbs.count("STARTTLS") == 1
    async with (
        Peer(tls=certs.server_context()) as peer,
        session(peer, use_tls=False, start_tls=True, tls_context=trusting) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPException, match=r"^Connection already using TLS$"):
            await client.starttls()


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("both", [True, False], ids=["one-file", "two-files"])
async def test_client_certificate(certificates: Files, implicit: bool, both: bool) -> None:
    identity = (
        {"client_cert": certificates.client_both}
        if both
        else {"client_cert": certificates.client_cert, "client_key": certificates.client_key}
    )
    async with Peer(tls=certs.server_context(ask_client=True), implicit_tls=implicit) as peer:
        async with client_for(peer, use_tls=implicit, cert_bundle=certificates.ca, **identity) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        sent = peer.conversations[0].client_certificate
        assert sent is not None
        assert ssl.DER_cert_to_PEM_cert(sent) == Path(certificates.client_cert).read_text()
        await peer.hung_up()


@pytest.mark.parametrize(
    "options",
    [
        {"cert_bundle": "no/such/file.pem"},
        {"client_cert": "no/such/file.pem"},
        {"client_cert": __file__},
        {"cert_bundle": __file__},
    ],
)
@pytest.mark.parametrize("implicit", [True, False])
async def test_files_that_cannot_be_used(options: dict[str, str], implicit: bool) -> None:
    async with Peer(tls=certs.server_context(), implicit_tls=implicit) as peer:
        client = client_for(peer, use_tls=implicit, **options)
        with pytest.raises((OSError, ValueError, aiosmtplib.SMTPException)):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        # TLS was wanted and cannot be had: nothing is sent, least of all in the clear.
        assert set(peer.verbs) <= {"EHLO"}


async def test_tls_to_a_server_that_does_not_speak_it(trusting: ssl.SSLContext) -> None:
    async with Peer() as peer:
        client = client_for(peer, hostname="localhost", use_tls=True, tls_context=trusting)
        with pytest.raises(
            aiosmtplib.SMTPConnectError, match=r"^Error connecting to localhost on port \d+: "
        ):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()


async def test_tls_options_of_starttls(certificates: Files) -> None:
    async with Peer(tls=certs.server_context()) as peer:
        for options in ({"validate_certs": False}, {"cert_bundle": certificates.ca}):
            async with session(peer, start_tls=False) as client:
                assert (await client.starttls(**options)).code == 220
                await client.noop()


async def test_connection_cut_inside_tls(trusting: ssl.SSLContext) -> None:
    async with Peer({"MAIL": cut}, tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=trusting)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert_closed(client)
        await peer.hung_up()
        peer.actions.clear()
        await assert_usable(client, peer)


async def spoil(conversation: Conversation) -> None:
    """All of a handshake that the client waits for, and with it a record that nobody can decrypt."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certs.server_context().wrap_bio(incoming, outgoing, server_side=True)
    if conversation.position == "STARTTLS":
        await conversation.reply("220 go")
    incoming.write(await conversation._recv())
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    await asyncio.get_running_loop().sock_sendall(
        conversation._sock, outgoing.read() + b"\x17\x03\x03\x00\x20" + bytes(32)
    )
    await conversation.drain()


@pytest.mark.parametrize("implicit", [False, True])
async def test_tls_that_is_over_as_soon_as_it_begins(
    trusting: ssl.SSLContext,
    loop_complaints: list[logging.LogRecord],
    caplog: pytest.LogCaptureFixture,
    implicit: bool,
) -> None:
    """Nothing can be asked about such a connection, and asyncio says that it is lost a little later."""
    caplog.set_level(logging.DEBUG, "aiosmtplib")  # to log must not ask, either
    options: dict[str, Any] = {"script": spoil} if implicit else {"actions": {"STARTTLS": spoil}}
    async with Peer(tls=certs.server_context(), **options) as peer:
        client = client_for(peer, tls_context=trusting, use_tls=implicit, start_tls=None)
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.connect()
            await client.ehlo()  # after STARTTLS there is no greeting to wait for
        assert isinstance(caught.value, ConnectionError)
        assert client.tls is None
        await peer.hung_up()
        assert_closed(client)
    loop_complaints[:] = [each for each in loop_complaints if "SSL protocol" not in each.getMessage()]


@pytest.mark.parametrize("implicit", [True, False])
async def test_the_final_dot_of_a_name_is_not_that_of_a_certificate(implicit: bool) -> None:
    """A name that ends in a dot, as in the DNS, verifies as without it (RFC 6066 section 3)."""
    how: dict[str, Any] = {"use_tls": True} if implicit else {"start_tls": True}
    async with Peer(tls=certs.server_context(), implicit_tls=implicit) as peer:
        options = {"tls_context": certs.client_context(), "timeout": PATIENCE, "local_hostname": HOST}
        sock = socket.create_connection((peer.host, peer.port))
        async with aiosmtplib.SMTP("localhost.", sock=sock, **how, **options) as client:
            assert client.tls is not None
        if not implicit:
            async with client_for(peer, start_tls=False, **options) as client:
                await client.starttls(server_hostname="localhost.")
        assert peer.tls_errors == []


@pytest.mark.parametrize("name", [".localhost", "local..host", "a" * 64 + ".example"])
async def test_a_name_to_verify_that_is_none(name: str) -> None:
    async with Peer(tls=certs.server_context()) as peer:
        client = client_for(peer, start_tls=False, tls_context=certs.client_context())
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPConnectError, match="TLS handshake with localhost on port "):
            await client.starttls(server_hostname=name)
        assert "STARTTLS" not in peer.verbs
        await assert_usable(client, peer)


async def test_another_failure_of_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*args: Any, **kwargs: Any) -> None:
        raise OSError(113, "No route to host")

    async with Peer(tls=certs.server_context()) as peer:
        client = client_for(peer, start_tls=False, tls_context=certs.client_context())
        await client.connect()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "start_tls", broken)
            with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="during the TLS handshake.*No route"):
                await client.starttls()
        assert_closed(client)
