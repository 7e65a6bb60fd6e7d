"""Somebody in between hides STARTTLS, refuses it or spoils it, or changes what the server offers behind it.

Without TLS he reads everything, so that what counts is what is not sent: no credentials where
``allow_plaintext_auth`` forbids it, nothing but EHLO where TLS is required. And behind TLS nothing counts
that was announced before it (RFC 3207 section 4.2).
"""

import ssl
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SECURE, SMTPException

from ..support import certs
from ..support.actions import cut, in_turn, reset, silence, then
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    WIRE,
    assert_closed,
    assert_usable,
    client_for,
    email_message,
    options_for,
    session,
)
from ..support.sasl_server import EVERY, Gate
from ..support.scripted_server import CHUNKING, PATIENCE, Peer

LOGIN: dict[str, Any] = {"username": "user", "password": "pass word"}
REFUSED = r"not encrypted, and allow_plaintext_auth forbids to log in over it"
NOT_OFFERED = r"^SMTP STARTTLS extension not supported by server\. .* offers no encryption here: "


async def token() -> str:
    return "token"


def no_auth(peer: Peer) -> bool:
    return "AUTH" not in peer.verbs and b"dXNlc" not in peer.received and b"cGFzcyB" not in peer.received


#: How it can be hidden. The server behind it has STARTTLS, and AUTH.
STRIPPED: dict[str, dict[str, Any]] = {
    "left out": {"EHLO": b"250-peer.example\r\n250 AUTH PLAIN LOGIN\r\n"},
    "overwritten": {"EHLO": b"250-peer.example\r\n250-XXXXXXXA\r\n250 AUTH PLAIN LOGIN\r\n"},
    "a letter more": {"EHLO": b"250-peer.example\r\n250-STARTTLSX\r\n250 AUTH PLAIN LOGIN\r\n"},
    "another word": {"EHLO": b"250-peer.example\r\n250-X STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"},
    "in the greeting": {"EHLO": b"250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"},
    "as a mechanism": {"EHLO": b"250-peer.example\r\n250 AUTH STARTTLS PLAIN LOGIN\r\n"},
    "another letter": {"EHLO": "250-peer.example\r\n250-\uff33TARTTLS\r\n250 AUTH PLAIN\r\n".encode()},
    "by NUL": {"EHLO": b"250-peer.example\r\n250-STARTTLS\0\r\n250 AUTH PLAIN LOGIN\r\n"},
    "EHLO refused": {"EHLO": "502 5.5.1 What?"},
    "EHLO unknown": {"EHLO": "500 5.5.1 STARTTLS"},
}
STRIPPING = pytest.mark.parametrize("how", STRIPPED)


@STRIPPING
@pytest.mark.parametrize("required", [{"start_tls": True}, SECURE, {**SECURE, "start_tls": True}])
async def test_required(how: str, required: dict[str, Any]) -> None:
    async with Peer(STRIPPED[how]) as peer:
        client = client_for(peer, **{**required, **LOGIN})
        with pytest.raises(SMTPException, match=NOT_OFFERED) as caught:
            await client.connect()
        assert (caught.value.phase, caught.value.delivery) == ("starttls", aiosmtplib.Delivery.NOT_SENT)
        assert_closed(client)
        await peer.hung_up()
        assert set(peer.verbs) <= {"EHLO", "HELO"}
        assert no_auth(peer)


@STRIPPING
@pytest.mark.parametrize("start_tls", [None, False])
async def test_credentials(how: str, start_tls: bool | None) -> None:
    """Opportunistic TLS goes on without it, as RFC 7435 has it, but says nothing that is secret."""
    async with Peer(STRIPPED[how]) as peer:
        client = client_for(peer, **LOGIN, start_tls=start_tls, allow_plaintext_auth=False)
        with pytest.raises(SMTPException, match=REFUSED) as caught:
            await client.connect()
        assert (caught.value.phase, caught.value.delivery) == ("auth", aiosmtplib.Delivery.NOT_SENT)
        assert_closed(client)
        await peer.hung_up()
        assert no_auth(peer)


@pytest.mark.parametrize(
    "login", [LOGIN, {"username": "user", "oauth_token_generator": token}], ids=["password", "token"]
)
async def test_every_mechanism(login: dict[str, Any]) -> None:
    async with Peer(Gate().actions, extensions=["AUTH " + " ".join(EVERY)]) as peer:
        client = client_for(peer, **login, allow_plaintext_auth=False)
        with pytest.raises(SMTPException, match=REFUSED):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        assert no_auth(peer)


async def test_the_token_is_not_even_asked_for() -> None:
    asked = []

    async def ask() -> str:
        asked.append(1)
        return "token"

    async with Peer(extensions=["AUTH XOAUTH2"]) as peer:
        client = client_for(peer, username="u", oauth_token_generator=ask, allow_plaintext_auth=False)
        with pytest.raises(SMTPException, match=REFUSED):
            await client.connect()
    assert not asked


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("door", ["send", "send_many", "pool", "LMTP"])
async def test_every_door(door: str, required: bool) -> None:
    async with Peer(Gate().actions, extensions=["AUTH PLAIN"], lmtp=door == "LMTP") as peer:
        options = options_for(peer, **LOGIN, allow_plaintext_auth=False, start_tls=required or None)
        why = NOT_OFFERED if required else REFUSED
        if door == "send":
            with pytest.raises(SMTPException, match=why):
                await aiosmtplib.send(email_message(), **options)
        elif door == "send_many":
            results = [each async for each in aiosmtplib.send_many([email_message()], **options)]
            assert [each.delivery for each in results] == [aiosmtplib.Delivery.NOT_SENT]
            with pytest.raises(SMTPException, match=why):
                results[0].raise_for_status()
        elif door == "pool":
            async with aiosmtplib.SMTPPool(**options) as pool:
                with pytest.raises(SMTPException, match=why):
                    await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        else:
            with pytest.raises(SMTPException, match=why):
                await aiosmtplib.LMTP(**options).connect()
        await peer.hung_up()
        assert no_auth(peer)
        assert not peer.accepted


async def test_it_is_hidden_once() -> None:
    """What a connection before had is no reason to believe this one."""
    async with Peer(tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=certs.client_context(), **SECURE)
        await client.connect()
        assert client.tls is not None
        await client.quit()
        peer.actions.update(STRIPPED["left out"])
        with pytest.raises(SMTPException, match=NOT_OFFERED):
            await client.connect()
        assert_closed(client)


# -- refused, or broken off --------------------------------------------------------------------------


@pytest.mark.parametrize("code", [454, 500, 502, 501, 421, 250, 334, 354, 150])
@pytest.mark.parametrize("start_tls", [None, True])
async def test_refused(trusting: ssl.SSLContext, code: int, start_tls: bool | None) -> None:
    """Also where TLS was only an offer: who refuses what he offers is not to be told more."""
    async with Peer(
        {"STARTTLS": f"{code} no"}, tls=certs.server_context(), extensions=["AUTH PLAIN"]
    ) as peer:
        client = client_for(peer, start_tls=start_tls, tls_context=trusting, **LOGIN)
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await client.connect()
        assert (caught.value.code, caught.value.message) == (code, "no")
        assert caught.value.phase == "starttls"
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == ["EHLO", "STARTTLS"]
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("code", [454, 500])
async def test_refused_to_who_asked_by_hand(trusting: ssl.SSLContext, code: int) -> None:
    """The connection stays, and so does the rule."""
    actions: dict[str, Any] = {"STARTTLS": f"{code} no"}
    async with Peer(actions, tls=certs.server_context(), extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer, start_tls=False, tls_context=trusting, allow_plaintext_auth=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await client.starttls()
        assert caught.value.code == code
        assert client.tls is None
        with pytest.raises(SMTPException, match=REFUSED):
            await client.login("user", "pass word")
        assert no_auth(peer)
        peer.actions.clear()
        await client.starttls()
        assert client.tls is not None
        await client.login("user", "pass word")
        client.close()


@pytest.mark.parametrize(
    "fault", [cut, reset, silence, b"hello\r\n", then("220 go", cut), then("220 go", reset)]
)
@pytest.mark.parametrize("start_tls", [None, True])
@pytest.mark.usefixtures("uvloop_may_complain")
async def test_broken_off(trusting: ssl.SSLContext, fault: Any, start_tls: bool | None) -> None:
    async with Peer({"STARTTLS": fault}, tls=certs.server_context()) as peer:
        timeout = 0.05 if fault is silence else PATIENCE
        client = client_for(peer, tls_context=trusting, timeout=timeout, start_tls=start_tls, **LOGIN)
        with pytest.raises(SMTPException):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == ["EHLO", "STARTTLS"]
        client.timeout = PATIENCE
        peer.actions.clear()
        peer.extensions = ("AUTH PLAIN",)
        await assert_usable(client, peer)


async def test_insisting_where_it_is_not_offered() -> None:
    async with Peer() as peer:
        client = client_for(peer, start_tls=True)
        with pytest.raises(SMTPException, match=NOT_OFFERED):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == ["EHLO"]


# -- another EHLO behind TLS -------------------------------------------------------------------------

BEFORE = (
    b"250-before.example\r\n250-AUTH PLAIN\r\n250-SIZE 10\r\n250-PIPELINING\r\n"
    b"250-CHUNKING\r\n250 STARTTLS\r\n"
)


def changing(*after: bytes | str) -> dict[str, Any]:
    return {"EHLO": in_turn(BEFORE, *after)}


async def test_capabilities_are_forgotten(trusting: ssl.SSLContext) -> None:
    actions = changing(b"250-after.example\r\n250 8BITMIME\r\n")
    async with (
        Peer(actions, tls=certs.server_context()) as peer,
        session(peer, tls_context=trusting) as client,
    ):
        await client.noop()
        assert client.esmtp_extensions == {"8bitmime": ""}
        assert client.server_auth_methods == []
        assert client.last_ehlo_response == (250, "after.example\n8BITMIME")
        # Neither SIZE nor BDAT, and one command at a time.
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert peer.conversations[0].bodies == [WIRE]
        assert b"MAIL FROM:<a@example.com>" in peer.commands
        assert "BDAT" not in peer.verbs


async def test_capabilities_are_forgotten_at_once(trusting: ssl.SSLContext) -> None:
    async with Peer(tls=certs.server_context()) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        assert client.supports_esmtp
        await client.starttls(tls_context=trusting)
        # EHLO has been sent again, or will be with the next command: nothing unencrypted is left.
        if client.is_ehlo_or_helo_needed:
            assert client.esmtp_extensions == {}
            assert not client.supports_esmtp
        else:
            assert peer.verbs[-1] == "EHLO"


async def test_auth_that_is_gone(trusting: ssl.SSLContext) -> None:
    async with Peer(changing("250 after.example"), tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=trusting, **LOGIN)
        with pytest.raises(SMTPException, match="AUTH extension is not supported"):
            await client.connect()
        assert_closed(client)
        assert no_auth(peer)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5", "LOGIN"])
async def test_auth_by_another_mechanism(trusting: ssl.SSLContext, mechanism: str) -> None:
    """The list from before, be it by an attacker who cannot do better, decides nothing."""
    gate = Gate()
    after = b"250-after.example\r\n250 AUTH %b\r\n" % mechanism.encode()
    async with Peer({**gate.actions, **changing(after)}, tls=certs.server_context()) as peer:
        async with client_for(peer, tls_context=trusting, **LOGIN):
            assert gate.logins == [mechanism]
        assert b"AUTH PLAIN" not in peer.received


@pytest.mark.parametrize(("size", "fits"), [(b"", True), (b" 0", True), (b" 1000", True), (b" 5", False)])
async def test_another_size(trusting: ssl.SSLContext, size: bytes, fits: bool) -> None:
    after = b"250-after.example\r\n250 SIZE%b\r\n" % size
    async with (
        Peer(changing(after), tls=certs.server_context()) as peer,
        session(peer, tls_context=trusting) as client,
    ):
        if fits:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert b"MAIL FROM:<a@example.com> size=37" in peer.commands
        else:
            with pytest.raises(aiosmtplib.SMTPSenderRefused, match="no more than 5"):
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert "MAIL" not in peer.verbs


@pytest.mark.parametrize("left", ["STARTTLS", *CHUNKING])
async def test_one_extension_that_is_left(trusting: ssl.SSLContext, left: str) -> None:
    """STARTTLS among them, which is over and not to be begun again (RFC 3207 section 4.2)."""
    after = b"250-after.example\r\n250 %b\r\n" % left.encode()
    async with (
        Peer(changing(after), tls=certs.server_context(), strict=True) as peer,
        session(peer, tls_context=trusting) as client,
    ):
        await client.send_message(email_message())
        await assert_usable(client, peer)
        assert peer.verbs.count("STARTTLS") == 1


async def test_ehlo_that_fails_after_the_upgrade(trusting: ssl.SSLContext) -> None:
    actions = {**changing("550 no"), "HELO": "550 no"}
    async with Peer(actions, tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=trusting)
        with pytest.raises(aiosmtplib.SMTPHeloError):
            await client.connect()
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        client.close()
        await peer.hung_up()
        assert "MAIL" not in peer.verbs


async def test_helo_is_all_that_is_left(trusting: ssl.SSLContext) -> None:
    async with Peer(changing("502 no"), tls=certs.server_context()) as peer:
        with pytest.raises(SMTPException, match="AUTH extension is not supported"):
            await client_for(peer, tls_context=trusting, **LOGIN).connect()
        assert no_auth(peer)
        peer.actions.update(changing("502 no"))
        async with client_for(peer, tls_context=trusting) as client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert not client.supports_esmtp
            assert client.esmtp_extensions == {}
        assert peer.commands[-6:] == [
            b"HELO %b" % HOST.encode(),
            b"MAIL FROM:<a@example.com>",
            *(b"RCPT TO:<%b>" % who.encode() for who in RECIPIENTS),
            b"DATA",
            b"QUIT",
        ]
