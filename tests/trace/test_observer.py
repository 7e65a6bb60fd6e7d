"""What the log shows of a connection, and what ``on_command`` is told: all of it, and nothing secret."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, CommandEvent, SMTPPool
from aiosmtplib.protocol import SMTPProtocol

from ..support import certs
from ..support.actions import cut, flood_lines, silence, then
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, WIRE, client_for, email_message, options_for
from ..support.sasl_server import EVERY, Gate
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Peer
from ..support.wire_log import Log, log_of_all  # noqa: F401

EHLO = ["S: 220 peer.example ESMTP", "C: EHLO me.example", "S: 250-peer.example"]
GROUP = ["C: MAIL FROM:<a@example.com> size=37", "C: RCPT TO:<b@example.com>", "C: RCPT TO:<c@example.com>"]
GROUP_OK = ["S: 250 2.1.0 Ok", "S: 250 2.1.5 Ok", "S: 250 2.1.5 Ok"]
QUIT = ["C: QUIT", "S: 221 2.0.0 Bye"]


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


# -- the log -----------------------------------------------------------------------------------------


async def test_a_message(log: Log) -> None:
    async with Peer(extensions=["SIZE 1000000", "PIPELINING"]) as peer, client_for(peer) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert log.wire == [
        *EHLO,
        "S: 250-SIZE 1000000",
        "S: 250 PIPELINING",
        *[*GROUP, "C: DATA"],
        *[*GROUP_OK, "S: 354 Go on"],
        f"C: <{len(WIRE)} octets>",
        "S: 250 2.0.0 Accepted",
        *QUIT,
    ]
    assert log.connection == [("DEBUG", f"connected to 127.0.0.1:{peer.port}"), ("DEBUG", "closed")]


async def test_one_command_at_a_time_and_lmtp(log: Log) -> None:
    async with Peer(lmtp=True, extensions=["8BITMIME"]) as peer, LMTP(**options_for(peer)) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert log.wire[2:-2] == [
        "S: 250-peer.example",
        "S: 250 8BITMIME",
        *["C: MAIL FROM:<a@example.com>", "S: 250 2.1.0 Ok"],
        *[GROUP[1], GROUP_OK[1], GROUP[2], GROUP_OK[2]],
        *["C: DATA", "S: 354 Go on", f"C: <{len(WIRE)} octets>"],
        *["S: 250 2.0.0 Accepted", "S: 250 2.0.0 Accepted"],
    ]
    assert log.wire[1] == "C: LHLO me.example"


async def test_streams_and_chunks(log: Log) -> None:
    for extensions in (["PIPELINING"], ["PIPELINING", "CHUNKING"]):
        async with Peer(extensions=extensions) as peer, client_for(peer) as client:
            await client.sendmail(SENDER, RECIPIENTS[:1], pieces(b"Subject: x\r\n\r\n", b".dot\r\n"))
    shown = [line for line in log.wire if "octets>" in line or "BDAT" in line]
    assert shown == ["C: <24 octets>", "C: BDAT 14", "C: BDAT 6", "C: BDAT 0 LAST"]
    assert "Subject" not in "".join(log.wire)


async def test_messages_in_flight(log: Log) -> None:
    async with Peer(extensions=["PIPELINING", "CHUNKING"]) as peer, client_for(peer) as client:
        async for result in client.send_many(email_message() for _ in range(3)):
            result.raise_for_status()
    size = len(peer.accepted[0].content)
    assert log.wire.count(f"C: BDAT {size} LAST") == 3
    assert log.wire.count("S: 250 2.0.0 Accepted") == 3
    assert "greetings" not in "".join(log.wire)


async def test_a_pool_numbers_its_connections(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    async with Peer() as peer, SMTPPool(**options_for(peer), max_connections=2) as pool:
        await asyncio.gather(*(pool.send_message(email_message()) for _ in range(4)))
    numbers = {each.getMessage().split("]")[0] for each in caplog.records if each.name.startswith("aiosmtpl")}
    assert len(numbers) == len(peer.conversations) == 2


@pytest.mark.parametrize("mechanism", EVERY)
async def test_login(mechanism: str, log: Log) -> None:
    gate = Gate(password="pass word", tokens=("token",), binding=b"-")
    async with Peer(gate.actions, extensions=[f"AUTH {mechanism}"]) as peer, client_for(peer) as client:
        method = getattr(client, f"auth_{mechanism.replace('-', '').lower()}")
        try:
            await method("user", "token" if "OAUTH" in mechanism else "pass word")
        except (aiosmtplib.SMTPException, ValueError):
            assert mechanism == "SCRAM-SHA-256-PLUS"  # nothing to bind to
            return
    said = log.wire[log.wire.index(f"S: 250 AUTH {mechanism}") + 1 : -2]
    initial = "" if mechanism == "CRAM-MD5" else " <hidden>"
    assert said[0] == f"C: AUTH {mechanism}{initial}"
    assert set(said[1:-1]) <= {"S: 334 <hidden>", "C: <hidden>"}
    assert said[-1] == "S: 235 2.7.0 <hidden>" or said[-1] == "S: 235 <hidden>"
    assert len(said) == 2 * (1 + len(peer.conversations[0].answers))


async def test_what_looks_like_no_command_is_hidden(log: Log) -> None:
    """By hand, after an odd reply: a secret where a command should be."""
    async with Peer({"AUTH": "250 go on"}) as peer, client_for(peer) as client:
        for args in ((b"AUTH", b"LOGIN"), (b"c2VjcmV0",), (b"AUTH", b"c2VjcmV0="), (b"MAILc2VjcmV0",)):
            await client.execute_command(*args)
        await client.execute_command(b"auth LOGIN", b"c2VjcmV0")
        await client.execute_command(b"DATA")
        assert client.protocol is not None
        client.protocol.write(b"Subject: private\r\n.\r\n")
        assert (await client.protocol.read_response(PATIENCE)).code == 250
        client.close()
    said = [line for line in log.wire if line.startswith("C: ")]
    assert said == [
        "C: EHLO me.example",
        *["C: AUTH LOGIN", "C: <hidden command>", "C: AUTH <hidden>", "C: <hidden command>"],
        *["C: AUTH LOGIN <hidden>", "C: DATA", "C: <21 octets>"],
    ]


async def test_control_characters_and_length(log: Log) -> None:
    evil = "250-\x1b[2Jgone\r\n" + "250-\x00\u202e\r\n" * 50 + "250 " + "x" * 5000 + "\r\n"
    async with Peer({"NOOP": evil.encode()}) as peer, client_for(peer) as client:
        await client.noop()
    assert "S: 250-\\x1b[2Jgone" in log.wire
    assert "S: 250-\\x00\\u202e" in log.wire
    assert "S: <20 more lines>" in log.wire
    assert all(line.isprintable() and len(line) <= 200 for line in log.wire)


async def test_how_connections_end(log: Log) -> None:
    endings: list[tuple[Any, tuple[str, str]]] = [
        (cut, ("INFO", "lost: Unexpected EOF received")),
        (silence, ("INFO", "lost: Timed out waiting for server response")),
        ("421 secret words", ("INFO", "lost: Server closed the connection")),
        (b"secret words\r\n", ("INFO", "lost: Malformed SMTP response line")),
    ]
    for action, expected in endings:
        async with Peer({"NOOP": action}) as peer, client_for(peer) as client:
            await client.ehlo()
            with pytest.raises(aiosmtplib.SMTPException):
                await client.noop(timeout=0.05 if action is silence else PATIENCE)
        assert log.connection[-1] == expected


async def test_tls_and_what_is_injected_before_it(log: Log) -> None:
    async with Peer(tls=certs.server_context()) as peer:
        async with client_for(peer, tls_context=certs.client_context()):
            pass
        async with (
            Peer(tls=certs.server_context(), implicit_tls=True) as other,
            client_for(other, tls_context=certs.client_context(), use_tls=True),
        ):
            pass
        peer.actions["STARTTLS"] = b"220 go\r\n250 injected\r\n"
        with pytest.raises(aiosmtplib.SMTPResponseException, match="between its reply"):
            await client_for(peer, tls_context=certs.client_context()).connect()
    lines = log.connection
    assert sum(text.startswith("protected by TLSv1.3, TLS_") for _, text in lines) == 2
    warned = [text for level, text in lines if level == "WARNING"]
    assert warned == ["lost: Server sent data between its reply to STARTTLS and the TLS handshake"]


async def test_off_there_is_nothing_and_it_can_be_switched(caplog: pytest.LogCaptureFixture) -> None:
    async with Peer() as peer, client_for(peer) as client:
        await client.noop()
        assert client.protocol is not None
        assert client.protocol._observer is None
        caplog.set_level(logging.DEBUG, logger="aiosmtplib")
        await client.noop()
        caplog.set_level(logging.WARNING, logger="aiosmtplib")
        await client.noop()
    assert Log(caplog).wire == ["C: NOOP", "S: 250 2.0.0 Ok"]


async def test_nobody_begins_to_listen_in_the_middle(caplog: pytest.LogCaptureFixture) -> None:
    async with Peer(extensions=CHUNKING) as peer, client_for(peer) as client:

        async def source() -> AsyncIterator[Any]:
            yield email_message()
            caplog.set_level(logging.DEBUG, logger="aiosmtplib")
            yield email_message()

        async for result in client.send_many(source()):
            result.raise_for_status()
    said = Log(caplog).wire
    assert len([line for line in said if line.startswith("C:")]) == len(said) // 2


# -- the hook ----------------------------------------------------------------------------------------


def brief(events: list[CommandEvent]) -> list[tuple[str, int | None]]:
    return [(event.verb, event.code) for event in events]


async def test_each_command_is_told_in_order_and_adds_up() -> None:
    events: list[CommandEvent] = []
    gate = Gate(password="secret")
    async with (
        Peer(gate.actions, extensions=[*PIPELINING, "AUTH CRAM-MD5"]) as peer,
        client_for(peer, on_command=events.append, username="user", password="secret") as client,
    ):
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.execute_command(b"XYZZY")
    envelope = [("MAIL", 250), ("RCPT", 250), ("RCPT", 250), ("DATA", 354), ("content", 250)]
    assert brief(events) == [
        *[("greeting", 220), ("EHLO", 250), ("AUTH", 334), ("response", 235)],
        *[*envelope, ("other", 500), ("QUIT", 221)],
    ]
    conversation = peer.conversations[0]
    assert sum(event.written for event in events) == len(conversation.received)
    replies = [text for side, text in conversation.log if side == "S"]
    assert sum(event.received for event in events) == sum(len(str(text)) + 2 for text in replies)
    assert all(event.seconds >= 0 for event in events)
    assert len({event.connection for event in events}) == 1


async def test_chunks_streams_and_lmtp_add_up() -> None:
    for lmtp in (False, True):
        events: list[CommandEvent] = []
        async with Peer(extensions=CHUNKING, lmtp=lmtp) as peer:
            kind = LMTP if lmtp else aiosmtplib.SMTP
            async with kind(**options_for(peer, on_command=events.append)) as client:
                await client.sendmail(SENDER, RECIPIENTS, pieces(b"one\r\n", b"two"))
                async for result in client.send_many(email_message() for _ in range(4)):
                    result.raise_for_status()
        verbs = [event.verb for event in events]
        assert verbs.count("content") == (10 if lmtp else 0)
        assert verbs.count("BDAT") == (0 if lmtp else 3 + 4)
        assert sum(event.written for event in events) == len(peer.received)


@pytest.mark.parametrize("door", ["send", "send_many", "pool", "connect"])
async def test_every_door_has_it(door: str) -> None:
    events: list[CommandEvent] = []
    async with Peer() as peer:
        options = options_for(peer, on_command=events.append)
        if door == "send":
            await aiosmtplib.send(email_message(), **options)
        elif door == "send_many":
            assert [each.error async for each in aiosmtplib.send_many([email_message()], **options)] == [None]
        elif door == "pool":
            async with SMTPPool(**options) as pool:
                await pool.send_message(email_message())
        else:
            client = client_for(peer)
            await client.connect(on_command=events.append)
            await client.send_message(email_message())
            await client.quit()
    assert [event.verb for event in events][-2:] == ["content", "QUIT"]


@pytest.mark.parametrize(
    ("action", "code"),
    [(silence, None), (cut, None), (then("421 bye", cut), 421), (b"what\r\n", -1), (flood_lines, -1)],
)
async def test_what_fails_is_told_too(action: Any, code: int | None) -> None:
    events: list[CommandEvent] = []
    async with Peer({"RCPT": action}, extensions=PIPELINING) as peer:
        client = client_for(peer, on_command=events.append)
        await client.connect()
        client.timeout = 0.05 if action is silence else PATIENCE
        with pytest.raises(aiosmtplib.SMTPException):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        client.close()
    assert brief(events)[2:5] == [("MAIL", 250), ("RCPT", code), ("RCPT", None)]
    assert events[3].received > 0 or code is None
    assert events[-1][:2] == ("DATA", None)


async def test_what_was_not_written_is_not_told() -> None:
    events: list[CommandEvent] = []
    async with Peer() as peer:
        client = client_for(peer, on_command=events.append)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await client.noop(timeout=0)
    assert brief(events) == [("greeting", 220), ("EHLO", 250)]


async def test_unasked_replies_and_commands_by_hand() -> None:
    events: list[CommandEvent] = []
    async with Peer({"NOOP": b"250 one\r\n421 two\r\n"}) as peer:
        protocol = SMTPProtocol()
        protocol.on_command = events.append
        await asyncio.get_running_loop().create_connection(lambda: protocol, peer.host, peer.port)
        assert (await protocol.read_response(PATIENCE)).code == 220
        protocol.write(b"HELO me\r\n")
        assert (await protocol.read_response(PATIENCE)).code == 250
        assert (await protocol.execute_command(b"NOOP", timeout=PATIENCE)).code == 250
        protocol.close()
    expected = [("greeting", 220), ("other", None), ("other", 250), ("NOOP", 250), ("other", 421)]
    assert brief(events) == expected
    assert sum(event.written for event in events) == len(peer.received)


async def test_a_hook_that_raises_or_meddles(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: CommandEvent) -> None:
        raise RuntimeError(event.verb)

    async with Peer(extensions=PIPELINING) as peer:
        async with client_for(peer, on_command=broken) as client:
            assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
        records = [each for each in caplog.records if each.name == "aiosmtplib"]
        assert {each.levelname for each in records} == {"ERROR"}
        assert len(records) == 8
        assert records[0].exc_info is not None
        assert records[0].exc_info[0] is RuntimeError
        client = client_for(peer, on_command=lambda event: event.verb == "MAIL" and client.close())
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)


async def asynchronous(event: CommandEvent) -> None:
    """No hook."""


@pytest.mark.parametrize("hook", [1, asynchronous])
async def test_what_cannot_be_called_is_no_hook(hook: Any) -> None:
    for door in (aiosmtplib.SMTP, SMTPPool):
        with pytest.raises(TypeError, match="on_command"):
            door(on_command=hook)


# -- where and what ----------------------------------------------------------------------------------


async def test_events_say_where_and_records_have_fields(caplog: pytest.LogCaptureFixture) -> None:
    events: list[CommandEvent] = []
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    async with Peer({"RCPT": "550 5.1.1 No"}) as peer:
        async with client_for(peer, on_command=events.append) as client:
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
                await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        await peer.hung_up()
    assert {(event.host, event.port) for event in events} == {("127.0.0.1", peer.port)}
    records: list[Any] = [each for each in caplog.records if each.name.startswith("aiosmtplib")]
    assert {each.connection for each in records} == {events[0].connection}
    fields = [(each.getMessage().split("] ")[1][:6], each.verb, each.code) for each in records]
    assert ("C: RCP", "RCPT", None) in fields
    assert ("S: 550", "RCPT", 550) in fields
    assert fields[0] == ("connec", None, None)
    assert fields[-1] == ("closed", None, None)


async def test_a_unix_socket_is_a_host_without_a_port(tmp_path: Path) -> None:
    events: list[CommandEvent] = []
    path = str(tmp_path / "smtp.sock")
    async with Peer(path=path) as peer:
        options = {"local_hostname": "me.example", "on_command": events.append}
        async with aiosmtplib.SMTP(socket_path=path, **options):
            pass
        await peer.hung_up()
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
        async with aiosmtplib.SMTP(sock=sock, **options):
            pass
    assert {(event.host, event.port) for event in events} == {(path, None), (None, None)}


async def test_the_tag_of_an_envelope_is_that_of_its_result() -> None:
    async with Peer() as peer, client_for(peer) as client:
        messages: list[Any] = [
            email_message(),
            aiosmtplib.Envelope(SENDER, RECIPIENTS, MESSAGE, tag=("a", 1)),
        ]
        tags = [result.tag async for result in client.send_many(messages)]
    assert tags == [None, ("a", 1)]
