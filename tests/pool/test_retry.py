"""Messages that go out over another connection, or in several transactions: exactly those that may."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, SendResult, SMTPResponse
from aiosmtplib._client.division import merged
from aiosmtplib._client.results import failed
from aiosmtplib._pool.state import MAX_MOVES

from ..support.actions import at_nth, cut, in_turn, reset, silence, take, then
from ..support.clients import MESSAGE, SENDER, WIRE, email_message
from ..support.scripted_server import PATIENCE, PIPELINING, Action, Conversation, Limits, Peer
from .test_pool import connections, pooled, send, until

TO = [f"r{number}@example.com" for number in range(5)]
TWO_AT_ONCE = (*PIPELINING, "LIMITS RCPTMAX=2")


async def pieces() -> AsyncIterator[bytes]:
    yield MESSAGE


# -- moved -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["421 4.3.2 Bye", cut, reset, b"garbage\r\n"])
@pytest.mark.parametrize("place", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("extensions", [(), PIPELINING])
async def test_a_message_that_was_not_sent_is_moved(
    place: str, fault: Action, extensions: tuple[str, ...]
) -> None:
    async with (
        Peer({place: at_nth(2, fault)}, extensions=extensions) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        assert await send(pool, "b") == "2.0.0 Accepted"
        assert await send(pool, "c") == "2.0.0 Accepted"
        assert [mail.recipients for mail in peer.accepted] == [(b"b@example.com",), (b"c@example.com",)]
        assert len(peer.conversations) == 2
        stats = pool.stats()
        assert (stats.sent, stats.refused, stats.unknown, stats.reconnects) == (2, 0, 0, 1)


async def test_silence_is_a_reason_too() -> None:
    async with (
        Peer({"MAIL": at_nth(1, silence)}, extensions=PIPELINING) as peer,
        pooled(peer, timeout=0.1) as pool,
    ):
        await send(pool)
        assert len(peer.accepted) == 1


async def test_it_goes_to_the_head_of_the_queue() -> None:
    async with (
        Peer({"MAIL": at_nth(1, cut)}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        await asyncio.gather(*(send(pool, f"r{number}") for number in range(3)))
        assert [mail.recipients[0] for mail in peer.accepted] == [
            b"r%d@example.com" % number for number in range(3)
        ]


async def test_moves_are_bounded() -> None:
    async with Peer({"MAIL": cut}, extensions=PIPELINING) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await send(pool)
        assert caught.value.delivery is Delivery.NOT_SENT
        assert len(peer.conversations) == 1 + MAX_MOVES
        assert pool.stats().busy == 0


@pytest.mark.parametrize("fault", [cut, reset, then(take, cut), silence])
async def test_what_may_have_arrived_is_never_moved(fault: Action) -> None:
    async with (
        Peer({".": in_turn(fault, "250 Ok")}, extensions=PIPELINING) as peer,
        pooled(peer, timeout=0.2) as pool,
    ):
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await send(pool)
        assert caught.value.delivery is Delivery.UNKNOWN
        assert len(peer.conversations) == 1
        stats = pool.stats()
        assert (stats.sent, stats.unknown, stats.bytes) == (0, 1, len(MESSAGE))


async def test_what_is_wrong_with_the_message_moves_nothing() -> None:
    async with Peer({"MAIL": "550 5.7.1 No"}, extensions=PIPELINING) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await send(pool)
        assert len(peer.conversations) == 1


async def test_what_the_server_cannot_take_moves_nothing() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_messages=2) as pool:
        with pytest.raises(aiosmtplib.SMTPNotSupported) as caught:
            await pool.send_message(email_message("b\N{LATIN SMALL LETTER E WITH ACUTE}@example.com"))
        assert caught.value.delivery is Delivery.NOT_SENT
        await send(pool)
        assert connections(peer) == [1]


@pytest.mark.parametrize(
    "reply", ["452 4.5.3 No more", "450 Too many messages in this connection", "550 too many mails"]
)
async def test_too_many_messages_replaces_the_connection(reply: str) -> None:
    mail = in_turn("250 Ok", "250 Ok", reply, "250 Ok")
    async with Peer({"MAIL": mail}, extensions=PIPELINING, strict=True) as peer, pooled(peer) as pool:
        for _ in range(3):
            await send(pool)
        assert connections(peer) == [3, 1]  # DATA is in the group of the one that was refused
        assert len(peer.accepted) == 3
        assert peer.conversations[0].commands[-1] == b"QUIT"
        assert pool.stats().refused == 0


async def test_too_many_messages_at_the_first_is_a_refusal() -> None:
    async with Peer({"MAIL": "452 4.5.3 Too many messages"}) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await send(pool)
        assert len(peer.conversations) == 1


async def test_streams_are_moved_while_they_are_unread() -> None:
    async with Peer({"RCPT": at_nth(1, cut)}, extensions=PIPELINING) as peer, pooled(peer) as pool:
        await pool.sendmail(SENDER, TO, pieces())
        assert len(peer.accepted) == 1


async def test_streams_that_were_read_are_not_moved_unless_they_can_be_read_again() -> None:
    cut_off = then("354 Go on", cut)
    actions: dict[str, Action] = {"DATA": in_turn(cut_off, cut_off, "354 Go on")}
    async with Peer(actions, extensions=PIPELINING) as peer, pooled(peer) as pool:

        async def halting() -> AsyncIterator[bytes]:
            yield MESSAGE
            await peer.hung_up()
            yield MESSAGE

        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await pool.sendmail(SENDER, TO, halting())
        assert caught.value.delivery is Delivery.NOT_SENT
        assert len(peer.conversations) == 1

        file = Halting(MESSAGE)
        sending = asyncio.ensure_future(pool.sendmail(SENDER, TO, file))
        await until(lambda: len(peer.conversations) == 2)
        await peer.hung_up()
        file.go_on.set()
        await sending
        assert peer.conversations[2].bodies == [WIRE]


class Halting(io.BytesIO):
    """A file whose end is not reached before it may be."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.go_on = threading.Event()
        self._measured = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            if self._measured:
                self.go_on.wait(PATIENCE)
            self._measured = True
        return data


async def test_a_stream_that_cannot_be_read_again_after_all() -> None:
    class Broken(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            if len(peer.conversations) > 1:
                raise OSError("gone")
            return super().seek(offset, whence)

    async with (
        Peer({"MAIL": at_nth(1, cut)}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        with pytest.raises(OSError, match="gone"):
            await pool.sendmail(SENDER, TO, Broken(MESSAGE))
        assert pool.stats().busy == 0
        await send(pool)  # over the connection that was meant for the other one
        assert connections(peer) == [0, 1]
        assert len(peer.accepted) == 1


async def test_a_connection_lost_before_the_message_may_go_is_no_move() -> None:
    waiting = asyncio.Event()

    async def leave(conversation: Conversation) -> None:
        await conversation.reply("250 Ok")
        await waiting.wait()
        await conversation.cut()

    mail = in_turn("250 Ok", *[cut] * MAX_MOVES, "250 Ok")
    actions: dict[str, Action] = {".": in_turn(leave, "250 Ok"), "MAIL": mail}
    async with (
        Peer(actions, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=1, rate=20.0) as pool,
    ):
        await send(pool)
        sending = asyncio.ensure_future(send(pool))
        await until(lambda: pool.stats().busy == 1)
        waiting.set()
        await peer.hung_up()
        await sending
        assert len(peer.accepted) == 2
        assert len(peer.conversations) == 2 + MAX_MOVES


@pytest.mark.parametrize("complete", [False, True])
async def test_an_object_that_is_sent_evenly_is_moved_as_it_was(complete: bool) -> None:
    """With the Message-ID that it was given."""
    async with (
        Peer({"DATA": in_turn(cut, "354 Go ahead")}) as peer,
        pooled(peer, rate=1000.0, complete_headers=complete) as pool,
    ):
        await pool.send_message(email_message())
        assert len(peer.conversations) == 2
        assert len(peer.accepted) == 1
        assert (b"Message-ID: " in peer.accepted[0].content) is complete


# -- divided -----------------------------------------------------------------------------------------


async def test_more_recipients_than_the_server_takes() -> None:
    async with (
        Peer(extensions=TWO_AT_ONCE, limits=Limits(rcptmax=2)) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        assert await pool.sendmail(SENDER, TO, MESSAGE) == ({}, "2.0.0 Accepted")
        assert await pool.sendmail(SENDER, TO[:2], io.BytesIO(MESSAGE)) == ({}, "2.0.0 Accepted")
        assert await pool.sendmail(SENDER, TO[:3], io.BytesIO(MESSAGE)) == ({}, "2.0.0 Accepted")
        assert [len(mail.recipients) for mail in peer.accepted] == [2, 2, 1, 2, 2, 1]
        assert len({mail.content for mail in peer.accepted}) == 1
        assert pool.stats().sent == 3


async def test_a_stream_that_can_be_read_once_is_not_divided() -> None:
    async with Peer(extensions=TWO_AT_ONCE) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="3 times"):
            await pool.sendmail(SENDER, TO, pieces())
        assert "MAIL" not in peer.verbs
        assert pool.stats().idle == 1


async def test_a_part_that_is_refused() -> None:
    final = in_turn("250 first", "554 5.6.0 second", "250 third")
    async with Peer({".": final}, extensions=TWO_AT_ONCE) as peer, pooled(peer) as pool:
        refused, text = await pool.sendmail(SENDER, TO, MESSAGE)
        assert refused == dict.fromkeys(TO[2:4], (554, "5.6.0 second"))
        assert text == "third"


async def test_a_part_that_may_have_arrived() -> None:
    final = in_turn("250 first", cut, "250 third")
    async with Peer({".": final}, extensions=TWO_AT_ONCE) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await pool.sendmail(SENDER, TO, MESSAGE)
        assert caught.value.delivery is Delivery.UNKNOWN
        assert pool.stats().unknown == 1


@pytest.mark.parametrize(("greeting", "code"), [("554 Closed", 554), (cut, -1)])
async def test_a_part_that_could_not_be_sent(greeting: Action, code: int) -> None:
    actions: dict[str, Action] = {"connect": in_turn("220 Hello", greeting), "MAIL": in_turn("250 Ok", cut)}
    async with Peer(actions, extensions=TWO_AT_ONCE) as peer, pooled(peer, max_connections=1) as pool:
        refused, text = await pool.sendmail(SENDER, TO, MESSAGE)
        assert text == "2.0.0 Accepted"
        assert {who: reply.code for who, reply in refused.items()} == dict.fromkeys(TO[2:], code)
        assert [mail.recipients for mail in peer.accepted] == [(b"r0@example.com", b"r1@example.com")]
        assert pool.stats().sent == 1


async def test_recipients_refused_in_several_parts() -> None:
    rcpt = in_turn("250 Ok", "550 5.1.1 one", "551 5.1.6 two", "552 5.2.2 three", "250 Ok")
    async with Peer({"RCPT": rcpt}, extensions=TWO_AT_ONCE, strict=True) as peer, pooled(peer) as pool:
        refused, _ = await pool.sendmail(SENDER, TO, MESSAGE)
        assert refused == {
            TO[1]: (550, "5.1.1 one"),
            TO[2]: (551, "5.1.6 two"),
            TO[3]: (552, "5.2.2 three"),
        }
        assert [mail.recipients for mail in peer.accepted] == [(b"r0@example.com",), (b"r4@example.com",)]


async def test_every_part_refused() -> None:
    rcpt = in_turn(*(f"550 5.1.1 {number}" for number in range(5)))
    async with Peer({"RCPT": rcpt}, extensions=TWO_AT_ONCE) as peer, pooled(peer) as pool:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await pool.sendmail(SENDER, TO, MESSAGE)
        assert [error.recipient for error in caught.value.recipients] == TO
        assert caught.value.delivery is Delivery.REJECTED
        assert len(caught.value.replies) == 3 * 3 + 5  # MAIL, DATA and the lone dot of each, and RCPT


def part(
    recipients: list[str], error: Exception | None = None, **refused: SMTPResponse
) -> tuple[list[str], SendResult[Any]]:
    if error is not None:
        return recipients, failed(0, None, error)
    accepted = SMTPResponse(250, "Ok")
    return recipients, SendResult(0, None, Delivery.DELIVERED, accepted, refused, None)


def test_merging() -> None:
    no = aiosmtplib.SMTPDataError(554, "no")
    lost = aiosmtplib.SMTPServerDisconnected("gone")
    assert merged(7, "item", [part(["a"]), part(["b", "c"], lost)]) == SendResult(
        7,
        "item",
        Delivery.DELIVERED,
        SMTPResponse(250, "Ok"),
        dict.fromkeys("bc", SMTPResponse(-1, "gone")),
        None,
    )
    # Nobody has it: the first error says why.
    assert merged(7, "item", [part(["a"], no), part(["b"], lost)]).error is no
    assert merged(7, "item", [part(["a"], lost), part(["b"], no)]).delivery is Delivery.NOT_SENT
