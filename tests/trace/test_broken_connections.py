"""What the log shows of connections that broke in the middle of a reply, a command or a message."""

from collections.abc import AsyncIterator

import pytest

import aiosmtplib
from aiosmtplib import SMTPResponse
from aiosmtplib._trace.observer import CommandObserver

from ..support.actions import cut, cut_after, drip, then
from ..support.clients import RECIPIENTS, SENDER, client_for
from ..support.scripted_server import PIPELINING, Peer
from ..support.wire_log import Log, log_of_all  # noqa: F401


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (b"220 he", ["220 he"]),
        (b"250-one\r\n250-t\x1bwo\xff\r\n", ["250-one", "250-t\\x1bwo\\xff"]),
        (b"250-one\r\n250 two\r", ["250-one", "250 two"]),
        (b"250-" + b"x" * 5000, ["250-" + "x" * 173 + "\N{HORIZONTAL ELLIPSIS}"]),
        (b"250-x\r\n" * 40, ["250-x"] * 31),
    ],
)
@pytest.mark.parametrize("dripped", [False, True])
async def test_a_reply_that_is_cut_off(reply: bytes, shown: list[str], dripped: bool, log: Log) -> None:
    """It may be all that a server says about why it dies."""
    die = then(drip(reply), cut) if dripped else cut_after(reply)
    async with Peer({"NOOP": b"250-a\r\n250 b\r\n", "VRFY": die}) as peer:
        client = client_for(peer)
        await client.connect()
        await client.noop()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.vrfy("b")
    said = log.wire[log.wire.index("C: VRFY b") + 1 :]
    assert said[: len(shown)] == [f"S: <incomplete reply> {line}" for line in shown]
    assert said[len(shown) :] == (["S: <9 more lines>"] if len(shown) == 31 else [])


async def test_a_reply_to_credentials_that_is_cut_off(log: Log) -> None:
    async with Peer({"AUTH": cut_after(b"535-5.7.8 c2VjcmV0\r\n535")}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPException):
            await client.execute_command(b"AUTH", b"PLAIN", b"c2VjcmV0")
    assert log.wire[-2:] == ["C: AUTH PLAIN <hidden>", "S: <incomplete reply> <hidden>"]


def test_more_than_the_reply_to_credentials(log: Log) -> None:
    """What follows it may be an echo of them, too."""
    observer = CommandObserver(1, None)
    observer.logging = True
    for command in (b"AUTH PLAIN <hidden>", b"NOOP\r\n"):
        observer.said(command, 30, 1, command.startswith(b"AUTH"))
        observer.received(b"501 what?\r\n501 c2VjcmV0")
        observer.heard([SMTPResponse(501, "what?")])
        observer.broken(0)
    observer.deliver()
    assert log.wire == [
        *["C: AUTH PLAIN <hidden>", "S: 501 <hidden>", "S: <incomplete reply> <hidden>"],
        *["C: NOOP", "S: 501 what?", "S: <incomplete reply> 501 c2VjcmV0"],
    ]


async def test_a_malformed_reply_is_shown_once(log: Log) -> None:
    async with Peer({"NOOP": b"250-one\r\nwhat\r\n250 "}) as peer, client_for(peer) as client:
        await client.ehlo()
        with pytest.raises(aiosmtplib.SMTPResponseException):
            await client.noop()
    assert log.wire[-2:] == ["C: NOOP", "S: <no reply> Malformed SMTP response line: what"]


async def test_a_command_that_was_not_written(log: Log) -> None:
    async with Peer() as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await client.noop(timeout=0)
    assert log.wire[-2:] == ["C: NOOP", "C: <6 octets not written>"]


async def test_a_message_that_was_not_complete(log: Log) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one\r\n"
        raise RuntimeError("two")

    async with Peer(extensions=PIPELINING) as peer, client_for(peer) as client:
        with pytest.raises(aiosmtplib.SMTPException, match="could not be read"):
            await client.sendmail(SENDER, RECIPIENTS, source())
    assert log.wire[-2:] == ["S: 354 Go on", "C: <5 octets, incomplete>"]
