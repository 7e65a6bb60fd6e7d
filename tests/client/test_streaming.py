"""Content that comes in pieces: what arrives, how much memory it takes, and when a source fails."""

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery
from aiosmtplib._codec import encode_message

from ..support.actions import cut, hold, in_turn, silence
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    WIRE,
    assert_closed,
    assert_usable,
    client_for,
    each_cancellation,
    options_for,
    session,
)
from ..support.scripted_server import BINARYMIME, CHUNKING, PATIENCE, PIPELINING, Conversation, Peer

PLAIN = ("SIZE 10485760",)
NORMAL = b"Subject: dots\r\n\r\n.one\r\n..two\r\nthree\r\n"


class Raw:
    """A file that can neither seek nor be iterated."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


async def pieces(content: bytes, size: int = 1) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        await asyncio.sleep(0)
        yield content[start : start + size]


def sources(content: bytes) -> list[Any]:
    return [
        io.BytesIO(content),
        Raw(content),
        [content[:7], b"", content[7:]],
        pieces(content),
    ]


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING])
@pytest.mark.parametrize("kind", range(4))
async def test_every_kind_of_source_arrives_as_it_would_in_one_piece(
    extensions: tuple[str, ...], kind: int
) -> None:
    async with Peer(extensions=extensions) as peer, session(peer, start_tls=False) as client:
        seen: list[tuple[int, int | None]] = []
        refused, text = await client.sendmail(
            SENDER,
            RECIPIENTS,
            sources(MESSAGE)[kind],
            progress=lambda sent, total: seen.append((sent, total)),
        )
        assert (refused, text) == ({}, "2.0.0 Accepted")
        assert peer.conversations[0].bodies == [WIRE]
        assert seen[-1] == (len(MESSAGE), None if kind else len(MESSAGE))
        mail = next(line for line in peer.commands if line.startswith(b"MAIL"))
        assert mail.endswith(b" size=%d" % encode_message(MESSAGE)[1]) is (kind == 0)
        await assert_usable(client, peer)


@pytest.mark.parametrize("kind", range(4))
async def test_unknown_sizes_go_by_bdat_where_the_server_has_it(kind: int) -> None:
    async with Peer(extensions=CHUNKING) as peer, session(peer, start_tls=False) as client:
        await client.sendmail(SENDER, RECIPIENTS, sources(MESSAGE)[kind])
        assert ("DATA" in peer.verbs) is (kind == 0)
        assert peer.accepted[0].content == NORMAL
        await client.sendmail(SENDER, RECIPIENTS, sources(MESSAGE + b"\n")[kind])
        assert peer.accepted[1].content == NORMAL
        await assert_usable(client, peer)


async def test_chunking_can_be_forced_and_forbidden() -> None:
    async with Peer(extensions=CHUNKING) as peer, session(peer, start_tls=False) as client:
        client.chunking = True
        await client.sendmail(SENDER, RECIPIENTS, io.BytesIO(MESSAGE))
        client.chunking = False
        await client.sendmail(SENDER, RECIPIENTS, pieces(MESSAGE))
        assert [verb for verb in peer.verbs if verb in ("BDAT", "DATA")] == ["BDAT", "BDAT", "DATA"]


async def test_binary_content_is_not_touched() -> None:
    content = b"a\nb\rc\r\n\x00.\n"
    async with Peer(extensions=BINARYMIME) as peer, session(peer, start_tls=False) as client:
        for message in (content, io.BytesIO(content), pieces(content, 3)):
            await client.sendmail(SENDER, RECIPIENTS, message, ["BODY=BINARYMIME"])
            assert peer.accepted[-1].content == content
        sizes = [line for line in peer.commands if line.startswith(b"MAIL")]
        assert [b" size=%d " % len(content) in line for line in sizes] == [True, True, False]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_binary_pieces_that_are_no_bytes(kind: Any) -> None:
    content = [b"a\nb" * 1000, b"\x00.\n"]
    async with Peer(extensions=BINARYMIME) as peer, session(peer, start_tls=False) as client:
        await client.sendmail(SENDER, RECIPIENTS, map(kind, content), ["BODY=BINARYMIME"])
        assert peer.accepted[-1].content == b"".join(content)
        await assert_usable(client, peer)


async def test_binary_pieces_that_share_a_buffer() -> None:
    """A source may fill it again as soon as it is asked for more, be everything before written or not."""
    size, count = 1 << 16, 64

    def source() -> Iterator[bytearray]:
        buffer = bytearray(size)
        for number in range(count):
            buffer[:] = bytes([number]) * size
            yield buffer

    async with (
        Peer(extensions=BINARYMIME, receive_buffer=4096) as peer,
        session(peer, start_tls=False) as client,
    ):
        await client.sendmail(SENDER, RECIPIENTS, source(), ["BODY=BINARYMIME"])
        assert peer.accepted[0].content == b"".join(bytes([number]) * size for number in range(count))


async def test_binary_pieces_that_are_no_octets() -> None:
    async with Peer(extensions=BINARYMIME) as peer, session(peer, start_tls=False) as client:
        for piece in ("text", 5, None):
            with pytest.raises(aiosmtplib.SMTPException) as caught:
                await client.sendmail(SENDER, RECIPIENTS, [piece], ["BODY=BINARYMIME"])  # type: ignore[list-item]
            assert isinstance(caught.value.__cause__, TypeError)
        assert peer.accepted == []
        await assert_usable(client, peer)


async def test_progress_of_a_message_in_one_piece() -> None:
    seen: list[tuple[int, int | None]] = []
    content = b"x" * 300_000 + b"\r\n"
    async with Peer() as peer, session(peer, start_tls=False) as client:
        await client.sendmail(
            SENDER, RECIPIENTS, content, progress=lambda sent, total: seen.append((sent, total))
        )
        assert seen == [(1 << 18, len(content)), (len(content), len(content))]
        assert peer.accepted[0].content == content


async def test_from_where_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"not this\n" + MESSAGE)
    async with Peer() as peer:
        with path.open("rb") as file:
            file.readline()
            await aiosmtplib.send(file, sender=SENDER, recipients=RECIPIENTS, **options_for(peer))
        assert peer.conversations[0].bodies == [WIRE]
        with pytest.raises(ValueError, match="Sender"):
            await aiosmtplib.send(pieces(b""), recipients=RECIPIENTS, **options_for(peer))


async def test_memory_stays_flat() -> None:
    """A slow reader must not make the client keep what it could not write."""
    piece = b"0123456789abcde\n" * 4096
    count = 1024

    async def drop(conversation: Conversation) -> str:
        end = b""
        await conversation.reply("354 go")
        while not end.endswith(b"\r\n.\r\n"):
            conversation.received.clear()
            await conversation._fill()
            end = (end + bytes(conversation._buffer[-8:]))[-8:]
            conversation._buffer.clear()
        await conversation.reply("250 ok")
        return ""

    def source() -> Iterator[bytes]:
        for _ in range(count):
            yield piece

    async with Peer({"DATA": drop}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        tracemalloc.start()
        try:
            await client.sendmail(SENDER, RECIPIENTS, source())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < count * len(piece) / 8


@pytest.mark.parametrize("extensions", [PLAIN, PIPELINING])
@pytest.mark.parametrize("in_progress", [True, False])
async def test_a_source_that_fails_drops_the_connection(
    extensions: tuple[str, ...], in_progress: bool
) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield MESSAGE
        if not in_progress:
            raise LookupError("no more")

    def progress(sent: int, total: int | None) -> None:
        raise LookupError("no more")

    async with Peer(extensions=extensions) as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPException, match="no more") as caught:
            await client.sendmail(SENDER, RECIPIENTS, source(), progress=progress if in_progress else None)
        assert isinstance(caught.value.__cause__, LookupError)
        assert (caught.value.delivery, caught.value.phase) == (Delivery.NOT_SENT, "body")
        assert_closed(client)
        await peer.hung_up()
        assert peer.accepted == []
        assert peer.conversations[0].bodies == []
        assert "QUIT" not in peer.verbs


@pytest.mark.parametrize("reset", ["250 ok", "550 no"])
async def test_a_source_that_fails_between_chunks_resets(reset: str) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield MESSAGE
        raise LookupError("no more")

    async with (
        Peer({"RSET": reset}, extensions=CHUNKING, strict=True) as peer,
        session(peer, start_tls=False) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPException, match="no more") as caught:
            await client.sendmail(SENDER, RECIPIENTS, source())
        assert caught.value.delivery is Delivery.NOT_SENT
        assert peer.verbs[-2:] == ["BDAT", "RSET"]
        assert peer.accepted == []
        assert client.is_connected is reset.startswith("250")
        if client.is_connected:
            peer.actions.clear()
            await assert_usable(client, peer)


async def test_what_is_no_bytes() -> None:
    async with Peer() as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.sendmail(SENDER, RECIPIENTS, ["text"])  # type: ignore[list-item]
        assert isinstance(caught.value.__cause__, TypeError)
        await peer.hung_up()


@pytest.mark.parametrize("position", ["MAIL", "RCPT", "DATA"])
async def test_refused_before_the_content_is_asked_for(position: str) -> None:
    async def source() -> AsyncIterator[bytes]:
        raise AssertionError("nobody asked")
        yield b""

    async with (
        Peer({position: "550 no"}, extensions=PIPELINING, strict=True) as peer,
        session(peer, start_tls=False) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.sendmail(SENDER, RECIPIENTS, source())
        assert caught.value.delivery is Delivery.REJECTED
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_a_refused_chunk_is_the_last_one() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async with (
        Peer({"BDAT": in_turn("250 ok", "552 full")}, extensions=CHUNKING) as peer,
        session(peer, start_tls=False) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, endless())
        assert (caught.value.code, caught.value.delivery) == (552, Delivery.REJECTED)
        assert peer.accepted == []
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_a_refusal_in_the_middle_of_the_content() -> None:
    async def refuse(conversation: Conversation) -> str:
        await conversation.reply("354 go")
        await conversation.read_some(1)
        await conversation.reply("552 full")
        await conversation.drain()
        return ""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)

    async with Peer({"DATA": refuse}) as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, endless())
        assert (caught.value.code, caught.value.delivery) == (552, Delivery.REJECTED)
        assert_closed(client)
        await peer.hung_up()


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_a_server_that_does_not_read(extensions: tuple[str, ...]) -> None:
    async def stop(conversation: Conversation) -> str:
        await conversation.reply("354 go" if conversation.line == b"DATA" else "250 ok")
        await peer.hang_up_wait.wait()  # type: ignore[attr-defined]
        return ""

    position = "RCPT" if extensions is CHUNKING else "DATA"
    peer = Peer({position: stop}, extensions=extensions, receive_buffer=4096)
    peer.hang_up_wait = asyncio.Event()  # type: ignore[attr-defined]
    async with peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError) as caught:
            await client.sendmail(SENDER, RECIPIENTS[:1], iter([b"x" * 100_000] * 1000), timeout=0.2)
        assert caught.value.delivery is Delivery.NOT_SENT
        assert_closed(client)
        peer.hang_up_wait.set()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("end", "taken"), [(cut, Delivery.UNKNOWN), (silence, Delivery.UNKNOWN)])
async def test_lost_after_the_end(end: Any, taken: Delivery) -> None:
    async with Peer({".": end}) as peer:
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.sendmail(SENDER, RECIPIENTS, pieces(MESSAGE), timeout=0.2)
        assert caught.value.delivery is taken
        await peer.hung_up()


async def test_a_slow_source_is_not_a_slow_server() -> None:
    go = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield MESSAGE[:5]
        asyncio.get_running_loop().call_later(0.2, go.set)
        await go.wait()
        yield MESSAGE[5:]

    async with Peer() as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        await client.sendmail(SENDER, RECIPIENTS, source(), timeout=0.1)
        assert peer.conversations[0].bodies == [WIRE]


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_cancelled_anywhere(extensions: tuple[str, ...]) -> None:
    async def attempt(run: Any) -> None:
        async with Peer(extensions=extensions, strict=True) as peer:
            client = client_for(peer, start_tls=False)
            await client.connect()
            await run(client.sendmail(SENDER, RECIPIENTS, pieces(MESSAGE, 16)))
            if client.is_connected:
                await client.quit()
            await peer.hung_up()
            assert len(peer.accepted) <= 1
            if peer.accepted:
                assert peer.accepted[0].content == NORMAL

    assert await each_cancellation(attempt) > 3


async def test_others_wait_until_the_stream_is_over() -> None:
    go = asyncio.Event()
    async with Peer({"DATA": hold(go, "354 go")}) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        sending = asyncio.ensure_future(client.sendmail(SENDER, RECIPIENTS, pieces(MESSAGE)))
        await peer.seen("DATA")
        other = asyncio.ensure_future(client.noop())
        go.set()
        await asyncio.wait_for(sending, PATIENCE)
        assert (await other).code == 250
        assert peer.verbs[-1] == "NOOP"


async def test_two_at_the_same_time() -> None:
    async with Peer() as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        bodies = [b"Subject: %d\r\n\r\n" % number for number in range(3)]
        sending = [client.sendmail(SENDER, RECIPIENTS, pieces(body)) for body in bodies]
        await asyncio.wait_for(asyncio.gather(*sending), PATIENCE)
        assert [mail.content for mail in peer.accepted] == bodies
