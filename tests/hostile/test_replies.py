"""Servers that do not keep the rules, at every position of a dialogue that uses all of them.

Whatever the fault: a typed error within the timeout, the connection closed, and the same client able to
connect and send when the server has come to its senses.
"""

import asyncio
import contextlib
from typing import Any

import pytest

import aiosmtplib

from ..support import certs
from ..support.actions import (
    cut,
    cut_after,
    drip,
    flood_bytes,
    flood_lines,
    reset,
    reset_after,
    silence,
    then,
)
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, WIRE, assert_closed, assert_usable, client_for
from ..support.scripted_server import DEFAULTS, PATIENCE, Peer

#: What a well-behaved server says at each position, in the order in which ``dialogue`` comes to it.
REPLIES: dict[str, bytes] = {
    "connect": b"220-peer.example\r\n220 ESMTP\r\n",
    "EHLO": b"250-peer.example\r\n250-SIZE 1000\r\n250 AUTH LOGIN\r\n",
    "STARTTLS": b"220 go\r\n",
    "AUTH": b"334 UGFzc3dvcmQ6\r\n",
    "*": b"235 2.7.0 Welcome\r\n",
    "NOOP": b"250 Ok\r\n",
    "MAIL": b"250-2.1.0\r\n250 Ok\r\n",
    "RCPT": b"250 Ok\r\n",
    "DATA": b"354 Go\r\n",
    ".": b"250 Kept\r\n",
    "RSET": b"250 Ok\r\n",
    "QUIT": b"221 Bye\r\n",
}
#: Without the position that belongs to a TLS handshake: see ``test_tls.py``.
COMMANDS = ["EHLO", "AUTH", "*", "NOOP", "MAIL", "RCPT", "DATA", "RSET", "QUIT"]
PLAIN = [position for position in REPLIES if position != "STARTTLS"]

GARBAGE = [
    b"hello there\r\n",
    b"\r\n",
    b"25\r\n",
    b"2500 Ok\r\n",
    b"25a Ok\r\n",
    b" 250 Ok\r\n",
    b"-250 Ok\r\n",
    b"2500 Ok\r\n",
    b"\xb2\xb5\xb0 Ok\r\n",
    b"250-a\r\n251 b\r\n",
    b"354-a\r\n250 b\r\n",
    b"250-a\r\nb\r\n",
    b"250-a\r\n\r\n250 b\r\n",
    b"\r\n250 Ok\r\n",
    b"250-a\r\n250-b\r\n221 c\r\n",
    b"\0\0\0\0\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
]


def misbehaving(position: str, action: Any, **options: Any) -> Peer:
    actions: dict[str, Any] = {**REPLIES}
    if "tls" in options:
        actions["EHLO"] = actions["EHLO"].replace(b"250 AUTH", b"250-STARTTLS\r\n250 AUTH")
    return Peer({**actions, position: action}, **options)


async def dialogue(client: aiosmtplib.SMTP) -> None:
    await client.connect()
    await client.noop()
    await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
    await client.rset()
    await client.quit()


def raising(position: str, fault: Any) -> Any:
    """What the dialogue raises. A server that resets the connection at QUIT has done as it was asked to."""
    if fault in (reset, reset_after) and position == "QUIT":
        return contextlib.nullcontext()
    return pytest.raises(aiosmtplib.SMTPException)


async def assert_recovers(client: aiosmtplib.SMTP, peer: Peer) -> None:
    assert_closed(client)
    await peer.hung_up()
    # No matter what the server said and when: message text is never anything but the message.
    for conversation in peer.conversations:
        assert all(body == WIRE for body in conversation.bodies)
        assert conversation.partial is None or WIRE.startswith(conversation.partial)
    peer.actions = {"AUTH": "334 UGFzc3dvcmQ6", "*": DEFAULTS["*"]}
    peer.extensions = ("AUTH LOGIN",)
    peer.accepted.clear()
    client.timeout = PATIENCE
    await assert_usable(client, peer)


def login_client(peer: Peer, **options: Any) -> aiosmtplib.SMTP:
    return client_for(peer, username="u", password="p", **options)


async def test_the_dialogue_itself_is_good() -> None:
    async with misbehaving("NOOP", REPLIES["NOOP"]) as peer:
        client = login_client(peer)
        await dialogue(client)
        assert [verb.replace("CA==", "*") for verb in peer.verbs] == COMMANDS
        assert len(peer.accepted) == 1
        await assert_recovers(client, peer)


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("position", PLAIN)
async def test_garbage(position: str, garbage: bytes) -> None:
    async with misbehaving(position, garbage) as peer:
        client = login_client(peer)
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await dialogue(client)
        assert isinstance(caught.value, aiosmtplib.SMTPResponseException)
        assert caught.value.code == -1
        await assert_recovers(client, peer)


async def test_a_byte_at_a_time() -> None:
    """As slow as can be, and good."""
    actions: dict[str, Any] = {position: drip(reply) for position, reply in REPLIES.items()}
    async with Peer(actions) as peer:
        client = login_client(peer)
        await dialogue(client)
        assert [body for conversation in peer.conversations for body in conversation.bodies] == [WIRE]
        await assert_recovers(client, peer)


@pytest.mark.parametrize("bad", [b"250-a\r\n251 b\r\n", b"2500 Ok\r\n", b"\r\n"])
@pytest.mark.parametrize("position", PLAIN)
async def test_garbage_a_byte_at_a_time(position: str, bad: bytes) -> None:
    async with misbehaving(position, drip(bad)) as peer:
        client = login_client(peer)
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await dialogue(client)
        assert caught.value.code == -1
        await assert_recovers(client, peer)


@pytest.mark.parametrize("fault", [silence, cut, reset, flood_lines, flood_bytes])
@pytest.mark.parametrize("position", PLAIN)
async def test_no_reply_or_too_much_of_it(position: str, fault: Any) -> None:
    async with misbehaving(position, fault) as peer:
        client = login_client(peer, timeout=0.1 if fault is silence else PATIENCE)
        with raising(position, fault) as caught:
            await dialogue(client)
        if caught is None:
            pass
        elif fault in (flood_lines, flood_bytes):
            assert caught.value.message == "Response too long"
        elif fault is silence:
            assert isinstance(caught.value, aiosmtplib.SMTPTimeoutError)
        else:
            assert isinstance(caught.value, ConnectionError)
        await assert_recovers(client, peer)


@pytest.mark.parametrize("ending", [cut_after, reset_after])
@pytest.mark.parametrize("position", PLAIN)
async def test_closes_at_every_byte(position: str, ending: Any) -> None:
    reply = REPLIES[position]
    for length in range(len(reply)):
        async with misbehaving(position, ending(reply[:length])) as peer:
            client = login_client(peer)
            with raising(position, ending) as caught:
                await dialogue(client)
            assert caught is None or isinstance(caught.value, ConnectionError)
            await assert_recovers(client, peer)


@pytest.mark.parametrize("ending", [cut, reset])
@pytest.mark.parametrize("position", [position for position in PLAIN if position != "QUIT"])
async def test_closes_after_a_reply(position: str, ending: Any) -> None:
    async with misbehaving(position, then(REPLIES[position], ending)) as peer:
        client = login_client(peer)
        # Next comes QUIT, if the reset is not noticed before.
        ends = position == "RSET" and ending is reset
        with contextlib.suppress(ConnectionError) if ends else raising(position, ending) as caught:
            await dialogue(client)
        assert caught is None or isinstance(caught.value, ConnectionError)
        await assert_recovers(client, peer)


@pytest.mark.parametrize("extra", [None, b"250 and another\r\n", b"421 by the way, bye\r\n", b"2", b"\r\n"])
@pytest.mark.parametrize("position", [position for position in PLAIN if position != "QUIT"])
async def test_answers_twice(position: str, extra: bytes | None) -> None:
    """In one segment: what nobody asked for must never become the reply to a later command."""
    reply = REPLIES[position]
    async with misbehaving(position, reply + (reply if extra is None else extra)) as peer:
        client = login_client(peer)
        with pytest.raises(aiosmtplib.SMTPException):
            await dialogue(client)
        await peer.hung_up()
        # One more command may be out before the client knows; it must not go on from there.
        commands = len(peer.commands)
        where = 0 if position == "connect" else COMMANDS.index("DATA" if position == "." else position) + 1
        assert commands <= where + 1, f"went on until {peer.commands[-1]!r}"
        await assert_recovers(client, peer)


@pytest.mark.parametrize("extra", [b"250 out of the blue\r\n", b"421 4.4.2 idle too long\r\n", b"noise"])
async def test_unsolicited_reply_between_commands(extra: bytes) -> None:
    async with Peer() as peer:
        client = client_for(peer)
        await client.connect()
        await peer.conversations[0].send(extra)
        for _ in range(20):
            await asyncio.sleep(0)
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.vrfy("b")
        if extra.startswith(b"421"):
            assert "idle too long" in str(caught.value)  # it says why the server left
        assert_closed(client)
        await peer.hung_up()
        assert "VRFY" not in peer.verbs or not extra.endswith(b"\n")
        await assert_usable(client, peer)


@pytest.mark.parametrize("position", ["STARTTLS", "EHLO", "MAIL", ".", "QUIT"])
@pytest.mark.parametrize("fault", [silence, cut, reset, flood_lines, b"hello\r\n"])
async def test_faults_inside_tls(position: str, fault: Any) -> None:
    async with misbehaving(position, fault, tls=certs.server_context()) as peer:
        client = login_client(
            peer, tls_context=certs.client_context(), timeout=0.5 if fault is silence else PATIENCE
        )
        with raising(position, fault):
            await dialogue(client)
        await assert_recovers(client, peer)


async def test_odd_server_that_refuses_mail_and_takes_the_rest() -> None:
    """No empty mail to real people, whatever the server makes of it."""
    async with Peer({"MAIL": "550 no", "RSET": "550 no"}) as peer:
        client = client_for(peer)
        await client.connect()
        for _ in range(2):
            if not client.is_connected:
                await client.connect()
            with pytest.raises(aiosmtplib.SMTPSenderRefused):
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        client.close()
        await peer.hung_up()
        for conversation in peer.conversations:
            assert conversation.bodies == []
            assert conversation.partial is None
