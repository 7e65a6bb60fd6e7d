"""Every error of a connection carries what was said on it: bounded, and without secrets and content."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTPPool
from aiosmtplib._trace.transcript import EMPTY_TRANSCRIPT, KEPT, MAX_LINE
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected

from ..support import certs
from ..support.actions import cut, flood_bytes, flood_lines, reset, silence
from ..support.clients import RECIPIENTS, SENDER, client_for, email_message, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Peer

GREETING = ["S: 220 peer.example ESMTP", "C: EHLO me.example"]

# -- each kind of failure ----------------------------------------------------------------------------


async def failure(peer: Peer, **options: Any) -> SMTPException:
    """What sending to this peer raises."""
    with pytest.raises(SMTPException) as caught:
        await aiosmtplib.send(email_message("b@example.com"), **options_for(peer, **options))
    return caught.value


@pytest.mark.parametrize(
    ("position", "action", "options", "last"),
    [
        ("connect", "554 no", {}, ["S: 554 no"]),
        ("connect", silence, {"timeout": 0.05}, []),
        ("connect", b"hello\r\n", {}, ["S: <no reply> Malformed SMTP response line: hello"]),
        ("EHLO", "550 no", {}, ["C: EHLO me.example", "S: 550 no", "C: HELO me.example", "S: 550 never"]),
        ("MAIL", "550 no", {}, ["S: 550 no"]),
        ("MAIL", "421 bye", {}, ["S: 421 bye"]),
        ("RCPT", "550 no", {}, ["C: RCPT TO:<b@example.com>", "S: 550 no"]),
        ("DATA", silence, {"timeout": 0.05}, ["C: DATA"]),
        ("DATA", cut, {}, ["C: DATA"]),
        ("DATA", reset, {}, ["C: DATA"]),
        (".", "550 no", {}, ["C: DATA", "S: 354 Go on", "C: <167 octets>", "S: 550 no"]),
        (".", cut, {}, ["S: 354 Go on", "C: <167 octets>"]),
        (".", b"what\r\n", {}, ["C: <167 octets>", "S: <no reply> Malformed SMTP response line: what"]),
    ],
)
async def test_failures(position: str, action: Any, options: dict[str, Any], last: list[str]) -> None:
    async with Peer({position: action, "HELO": "550 never"}) as peer:
        error = await failure(peer, **options)
    lines = [line for line in error.transcript if line not in ("C: RSET", "S: 250 2.0.0 Ok", "C: QUIT")]
    lines = [line for line in lines if not line.startswith("S: 221")]
    assert lines[len(lines) - len(last) :] == last
    assert "greetings" not in str(error.transcript)
    if position not in ("connect", "EHLO"):
        assert list(error.transcript)[:2] == GREETING


async def test_starttls() -> None:
    async with Peer({"STARTTLS": "454 later"}, tls=certs.server_context()) as peer:
        error = await failure(peer)
        assert list(error.transcript)[-2:] == ["C: STARTTLS", "S: 454 later"]
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await client.starttls()
        assert list(caught.value.transcript)[-2:] == ["C: STARTTLS", "S: 454 later"]
        client.close()
        peer.actions["STARTTLS"] = b"220 go\r\n250 more\r\n"
        error = await failure(peer)
        assert list(error.transcript)[-3:] == ["C: STARTTLS", "S: 220 go", "S: 250 more"]
    async with Peer(tls=certs.server_context()) as peer:  # a certificate that nobody trusts
        error = await failure(peer)
        assert list(error.transcript)[-2:] == ["C: STARTTLS", "S: 220 2.0.0 Ready"]
        client = client_for(peer, tls_context=certs.client_context())
        async with client:
            await client.ehlo()
            with pytest.raises(SMTPException, match="already using TLS") as already:
                await client.starttls()
        assert list(already.value.transcript).count("C: EHLO me.example") == 2
    async with Peer() as peer:
        error = await failure(peer, start_tls=True)
        assert error.transcript[-1].startswith("S: 250 ")


async def test_login() -> None:
    login = {"username": "user", "password": "secret"}
    async with Peer({"AUTH": "535 5.7.8 no c2VjcmV0"}, extensions=["AUTH PLAIN"]) as peer:
        error = await failure(peer, **login)
        assert list(error.transcript)[-2:] == ["C: AUTH PLAIN <hidden>", "S: 535 5.7.8 <hidden>"]
        error = await failure(peer, **login, allow_plaintext_auth=False)
        assert error.transcript[-1] == "S: 250 AUTH PLAIN"
    async with Peer({"AUTH": b"334 c2VjcmV0\r\n334 c2VjcmV0\r\n"}, extensions=["AUTH LOGIN"]) as peer:
        error = await failure(peer, **login)
        assert list(error.transcript)[-3:] == ["C: AUTH LOGIN <hidden>", "S: 334 <hidden>", "S: 334 <hidden>"]
    async with Peer({"AUTH": b"c2VjcmV0\r\n"}, extensions=["AUTH LOGIN"]) as peer:
        error = await failure(peer, **login)
        assert error.transcript[-1] == "S: <no reply> <hidden>"
    async with Peer(extensions=["AUTH GSSAPI"]) as peer:
        error = await failure(peer, **login)
        assert error.transcript[-1] == "S: 250 AUTH GSSAPI"


async def test_what_the_client_finds_out() -> None:
    async with Peer(extensions=["SIZE 10", "PIPELINING"]) as peer:
        error = await failure(peer)
        assert isinstance(error, aiosmtplib.SMTPSenderRefused)
        assert "S: 250 PIPELINING" in error.transcript
        async with client_for(peer) as client:
            with pytest.raises(aiosmtplib.SMTPNotSupported) as caught:
                await client.send_message(email_message("jürgen@example.com"))
            assert "S: 250 PIPELINING" in caught.value.transcript
            (result,) = [each async for each in client.send_many([email_message()])]
            assert isinstance(result.error, aiosmtplib.SMTPSenderRefused)
            assert "S: 250 PIPELINING" in result.error.transcript


async def test_single_commands_and_a_connection_that_is_gone() -> None:
    async with Peer({"NOOP": "550 no", "VRFY": "421 bye"}) as peer:
        client = client_for(peer)
        with pytest.raises(SMTPServerDisconnected) as caught:
            await client.noop()
        assert caught.value.transcript == EMPTY_TRANSCRIPT
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await client.noop()
        assert list(refused.value.transcript)[-2:] == ["C: NOOP", "S: 550 no"]
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await client.vrfy("b")
        with pytest.raises(SMTPServerDisconnected, match="not connected") as caught:
            await client.noop()
        assert refused.value.transcript == caught.value.transcript
        assert list(caught.value.transcript)[-2:] == ["C: VRFY b", "S: 421 bye"]
        peer.actions["connect"] = "554 no"
        with pytest.raises(aiosmtplib.SMTPConnectResponseError) as anew:
            await client.connect()
        assert list(anew.value.transcript) == ["S: 554 no"]


async def test_a_source_that_fails() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one\r\n"
        raise RuntimeError("two")

    for extensions in (PIPELINING, CHUNKING):
        async with Peer(extensions=extensions) as peer, client_for(peer) as client:
            with pytest.raises(SMTPException, match="could not be read") as caught:
                await client.sendmail(SENDER, RECIPIENTS, source())
        said = [line for line in caught.value.transcript if line.startswith("C:")][-2:]
        assert said == (
            ["C: DATA", "C: <5 octets>"] if extensions is PIPELINING else ["C: BDAT 5", "C: RSET"]
        )


async def test_many_and_a_pool() -> None:
    async with Peer({"MAIL": "550 no"}, extensions=CHUNKING) as peer, client_for(peer) as client:
        results = [each async for each in client.send_many(email_message() for _ in range(9))]
        for result in results:
            assert isinstance(result.error, SMTPException)
            assert "S: 550 no" in result.error.transcript
        async with SMTPPool(**options_for(peer)) as pool:
            with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
                await pool.send_message(email_message())
            assert "S: 550 no" in caught.value.transcript
    async with Peer({"RCPT": "550 no"}, extensions=[*PIPELINING, "LIMITS RCPTMAX=1"]) as peer:
        async with SMTPPool(**options_for(peer)) as pool:
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as everyone:
                await pool.send_message(email_message())
        assert "S: 550 no" in everyone.value.transcript


async def test_those_who_wait_when_it_is_lost() -> None:
    async with Peer({"NOOP": cut}) as peer:
        client = client_for(peer)
        await client.connect()
        commands = [client.noop(), client.vrfy("b")]
        errors = await asyncio.gather(*commands, return_exceptions=True)
        for error in errors:
            assert isinstance(error, SMTPServerDisconnected)
            assert error.transcript[-1] == "C: NOOP"
        with pytest.raises(SMTPServerDisconnected) as caught:
            await client.noop()
        assert caught.value.transcript[-1] == "C: NOOP"


# -- the bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flood", [flood_lines, flood_bytes])
async def test_floods(flood: Any) -> None:
    async with Peer({"NOOP": flood}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException, match="too long") as caught:
            await client.noop()
        client.close()
    assert list(caught.value.transcript)[-2:] == ["C: NOOP", "S: <no reply> Response too long"]


async def test_long_replies_are_not_kept() -> None:
    line = "250-" + "x" * 8000 + "\r\n"
    async with Peer({"NOOP": (line * 3 + "250 end\r\n").encode()}) as peer, client_for(peer) as client:
        for _ in range(2 * KEPT):
            await client.noop()
        assert client.protocol is not None
        transcript = client.protocol.transcript
        assert (
            sum(len(reply.message) for _, replies in transcript._entries for reply in replies) < 2048 * KEPT
        )
    assert len([each for each in transcript if each == "C: NOOP"]) == KEPT
    assert max(map(len, transcript)) == MAX_LINE
