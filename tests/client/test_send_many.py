"""Many messages over one connection: what each result says, and what happens when somebody leaves early."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SendResult
from aiosmtplib._client.pipeline import MAX_BYTES
from aiosmtplib._codec import encode_message

from ..support.actions import cut, in_turn, silence, take, then
from ..support.clients import MESSAGE, SENDER, assert_usable, client_for, email_message, session
from ..support.scripted_server import PATIENCE, Action, Conversation, Peer

ACCEPTED = "250 2.0.0 Accepted"
PIPELINING = ("SIZE 10485760", "8BITMIME", "PIPELINING")


def envelopes(count: int, content: bytes = MESSAGE) -> list[Envelope]:
    return [Envelope(SENDER, [f"r{index}@example.com"], content) for index in range(count)]


async def collect(results: AsyncIterator[SendResult[Any]]) -> list[SendResult[Any]]:
    return [result async for result in results]


def peer_with(actions: dict[str, Action] | None = None, *, pipelining: bool = True) -> Peer:
    return Peer(actions, extensions=PIPELINING if pipelining else ("SIZE",))


def once_received(data: bytes, reply: str) -> Action:
    """Reply when the client has written ``data``, without reading further than that."""

    async def action(conversation: Conversation) -> str:
        while data not in conversation.received:
            await conversation._fill()
        await conversation.reply(reply)
        return reply

    return action


@pytest.mark.parametrize("pipelining", [True, False])
async def test_results_come_in_the_order_of_the_messages(pipelining: bool) -> None:
    async with peer_with(pipelining=pipelining) as peer, session(peer, start_tls=False) as client:
        items = envelopes(100)
        results = await collect(client.send_many(items, window=7))
        assert [result.index for result in results] == list(range(100))
        assert [result.item for result in results] == items
        assert {result.delivery for result in results} == {Delivery.DELIVERED}
        assert results[0].response == (250, "2.0.0 Accepted")
        assert [mail.recipients for mail in peer.accepted] == [
            (b"r%d@example.com" % index,) for index in range(100)
        ]
        assert "RSET" not in peer.verbs
        await assert_usable(client, peer)


async def test_the_next_message_begins_with_the_content_of_the_one_before() -> None:
    """RFC 2920 section 3.1: one round trip for each message."""
    first = once_received(b"RCPT TO:<r1@example.com>\r\nDATA\r\n", "250 first")
    async with peer_with({".": in_turn(first, "250 second")}) as peer, session(peer) as client:
        results = await collect(client.send_many(envelopes(2)))
        assert [result.response for result in results] == [(250, "first"), (250, "second")]


@pytest.mark.parametrize("options", [{"pipelining": False}, {}])
async def test_without_pipelining_nothing_follows_the_content(options: dict[str, Any]) -> None:
    ahead = []

    async def look(conversation: Conversation) -> str:
        ahead.append(bytes(conversation._buffer))
        await conversation.reply("250 ok")
        return "250 ok"

    async with (
        peer_with({".": look}, pipelining=bool(options)) as peer,
        session(peer, **options) as client,
    ):
        assert all(result.ok for result in await collect(client.send_many(envelopes(5))))
    assert ahead == [b""] * 5


async def test_a_message_that_fails_does_so_alone() -> None:
    actions: dict[str, Action] = {
        "MAIL": in_turn("250 ok", "550 not you", "250 ok"),
        "RCPT": in_turn("250 ok", "550 not me", "550 not you", "250 ok"),
        "DATA": in_turn("354 go", "503 no", "503 no", "354 go", "354 go"),
        ".": in_turn("250 ok", "554 spam", "250 ok"),
    }
    async with peer_with(actions) as peer, session(peer, start_tls=False) as client:
        items = envelopes(5)
        items.insert(1, Envelope(SENDER, "two words@example.com", MESSAGE))
        items.append(
            Envelope(SENDER, ["a@example.com", "b@example.com"], MESSAGE, rcpt_options=["NOTIFY=NEVER"])
        )
        peer.actions["RCPT"] = in_turn("250 ok", "550 no", "550 me", "250 ok", "250 ok", "550 b", "250 ok")
        results = await collect(client.send_many(items))
        assert [(result.delivery, type(result.error)) for result in results] == [
            (Delivery.DELIVERED, type(None)),
            (Delivery.NOT_SENT, ValueError),
            (Delivery.REJECTED, aiosmtplib.SMTPSenderRefused),
            (Delivery.REJECTED, aiosmtplib.SMTPRecipientsRefused),
            (Delivery.REJECTED, aiosmtplib.SMTPDataError),
            (Delivery.DELIVERED, type(None)),
            (Delivery.DELIVERED, type(None)),
        ]
        assert results[2].response == (550, "not you")
        assert results[3].refused == {"r2@example.com": (550, "me")}
        assert results[4].response == (554, "spam")
        assert len(peer.accepted) == 3
        results[0].raise_for_status()
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            results[2].raise_for_status()
        assert next(line for line in peer.commands if b"NOTIFY" in line).endswith(b" NOTIFY=NEVER")


async def test_a_refused_transaction_is_reset_in_the_group_of_the_next() -> None:
    mail = b"MAIL FROM:<a@example.com> size=%d\r\n" % encode_message(MESSAGE)[1]
    actions: dict[str, Action] = {
        "MAIL": in_turn("550 no", "250 ok"),
        "RCPT": in_turn("503 no", "250 ok"),
        "DATA": in_turn("503 no", "354 ok"),
        "RSET": once_received(b"RSET\r\n%bRCPT TO:<r1@example.com>\r\nDATA\r\n" % mail, "250 ok"),
    }
    async with peer_with(actions) as peer, session(peer, start_tls=False) as client:
        results = await collect(client.send_many(envelopes(3)))
        assert [result.ok for result in results] == [False, True, True]
        assert peer.verbs.count("RSET") == 1


async def test_message_objects_and_what_is_none() -> None:
    async with peer_with() as peer, session(peer, start_tls=False) as client:
        items: list[Any] = [
            email_message(),
            Envelope("x@example.com", None, email_message()),
            Envelope(None, "y@example.com", email_message()),
            Envelope(SENDER, ["z@example.com"], "Subject: text\n\nhello\n"),
            b"Subject: raw\n\nwho to?\n",
            Envelope(SENDER, None, b"x"),
            Envelope(SENDER, [], b"x"),
            object(),
        ]
        results = await collect(client.send_many(items))
        assert [result.ok for result in results] == [True] * 4 + [False] * 4
        assert [type(result.error) for result in results[4:6]] == [ValueError, ValueError]
        assert isinstance(results[6].error, aiosmtplib.SMTPRecipientsRefused)
        assert isinstance(results[7].error, TypeError)
        assert {result.delivery for result in results[4:]} <= {Delivery.NOT_SENT, Delivery.REJECTED}
        assert [mail.sender for mail in peer.accepted] == [
            b"a@example.com",
            b"x@example.com",
            b"a@example.com",
            b"a@example.com",
        ]
        assert peer.accepted[2].recipients == (b"y@example.com",)


async def test_messages_are_pulled_as_there_is_room() -> None:
    pulled = []

    def source() -> Iterator[Envelope]:
        for item in envelopes(20):
            pulled.append(item)
            yield item

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(source(), window=3)
        assert pulled == []
        for taken in range(10):
            await anext(results)
            assert len(pulled) <= taken + 3
        assert len(await results.aclose()) <= 3
        assert len(pulled) <= 13
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        await assert_usable(client, peer)


async def test_large_messages_fill_the_window_by_their_bytes() -> None:
    pulled = []

    def source() -> Iterator[Envelope]:
        for item in envelopes(6, b"x" * (MAX_BYTES * 2 // 3)):
            pulled.append(item)
            yield item

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(source())
        await anext(results)
        assert len(pulled) == 3  # one is done
        assert len(await collect(results)) == 5
        assert len(peer.accepted) == 6


@pytest.mark.parametrize("window", [1, 3, 64])
async def test_an_asynchronous_source(window: int) -> None:
    async def source() -> AsyncIterator[Envelope]:
        for item in envelopes(10):
            await asyncio.sleep(0)
            yield item

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = await collect(client.send_many(source(), window=window))
        assert [result.index for result in results if result.ok] == list(range(10))
        assert len(peer.accepted) == 10


async def test_an_asynchronous_source_that_is_no_generator() -> None:
    class Source:
        def __init__(self) -> None:
            self.items = envelopes(2)

        def __aiter__(self) -> "Source":
            return self

        async def __anext__(self) -> Envelope:
            if not self.items:
                raise StopAsyncIteration
            return self.items.pop()

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        assert len(await collect(client.send_many(Source()))) == 2


async def test_a_result_does_not_wait_for_the_next_message() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[Envelope]:
        first, bad, last = envelopes(3)
        yield first
        await more.wait()
        yield Envelope(SENDER, [], bad.message)
        yield last

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(source())
        assert (await asyncio.wait_for(anext(results), PATIENCE)).ok
        more.set()
        assert [result.ok for result in await collect(results)] == [False, True]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_source_that_raises(asynchronous: bool) -> None:
    def source() -> Iterator[Envelope]:
        yield from envelopes(3)
        raise LookupError("no more")

    async def asynchronous_source() -> AsyncIterator[Envelope]:
        for item in source():
            yield item

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(asynchronous_source() if asynchronous else source())
        for index in range(3):
            result = await anext(results)
            assert (result.index, result.ok) == (index, True)
        with pytest.raises(LookupError, match="no more"):
            await anext(results)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        await assert_usable(client, peer)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_loss_gives_each_message_its_verdict(taken: bool) -> None:
    end = then(take, cut) if taken else cut
    async with peer_with({".": in_turn("250 ok", end)}) as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        results = await collect(client.send_many(iter(envelopes(5)), window=3))
        assert [result.delivery for result in results] == [
            Delivery.DELIVERED,
            Delivery.UNKNOWN,
            Delivery.NOT_SENT,
            Delivery.NOT_SENT,
            Delivery.NOT_SENT,
        ]
        assert all(isinstance(result.error, aiosmtplib.SMTPServerDisconnected) for result in results[1:])
        assert len(peer.accepted) == 1 + taken
        assert not client.is_connected
        await peer.hung_up()


async def test_a_server_that_falls_silent() -> None:
    async with peer_with({".": in_turn("250 ok", silence)}) as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        results = await collect(client.send_many(envelopes(3), timeout=0.05))
        assert [result.delivery.name for result in results] == ["DELIVERED", "UNKNOWN", "NOT_SENT"]
        assert isinstance(results[1].error, aiosmtplib.SMTPReadTimeoutError)
        await peer.hung_up()


async def test_others_get_their_turn() -> None:
    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(envelopes(30), window=10)
        await anext(results)
        assert (await client.noop()).code == 250
        assert len(await collect(results)) == 29
        assert "NOOP" in peer.verbs[:100]


@pytest.mark.parametrize(
    ("messages", "window", "error"),
    [
        ([], 0, ValueError),
        ([], "9", TypeError),
        (b"Subject: x\n\n", 1, TypeError),
        ("Subject: x\n\n", 1, TypeError),
        (email_message(), 1, TypeError),
        (Envelope("a@example.com", "b@example.com", b"x"), 1, TypeError),
        (None, 1, TypeError),
    ],
)
def test_arguments_that_make_no_sense(messages: Any, window: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        aiosmtplib.SMTP().send_many(messages, window=window)


async def test_not_connected() -> None:
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await anext(aiosmtplib.SMTP().send_many(envelopes(1)))


def test_contents_stay_out_of_reprs() -> None:
    envelope = Envelope(SENDER, "b@example.com", b"secret")
    assert "secret" not in repr(envelope)
    result = SendResult(0, envelope, Delivery.DELIVERED, None, {}, None)
    assert "secret" not in repr(result)
