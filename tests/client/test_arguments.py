"""Arguments that are none raise TypeError or ValueError, and nothing is sent. Content has its real length."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope

from ..support.clients import RECIPIENTS, SENDER, session
from ..support.scripted_server import BINARYMIME, CHUNKING, PATIENCE, PIPELINING, Conversation, Peer
from .test_send_many_streams import ServerState, both


@pytest.mark.parametrize("args", [(None,), ("NOOP",), (3,), (b"NOOP", None), (bytearray(b"NOOP"),), ()])
async def test_a_command_that_is_none(args: Any) -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises((TypeError, ValueError)):
            await client.execute_command(*args)
        assert set(peer.verbs) <= {"EHLO"}


@pytest.mark.parametrize("option", ["", " ", "RET=FULL ENVID=1", " RET=FULL", "RET=FULL ", None, 3, b"X"])
async def test_an_option_that_is_none(option: Any) -> None:
    async with Peer() as peer, session(peer) as client:
        for options in ([[option], None], [None, [option]]):
            with pytest.raises((TypeError, ValueError)):
                await client.sendmail(SENDER, RECIPIENTS, b"x", *options)
            item = Envelope(SENDER, RECIPIENTS, b"x", *(each or () for each in options))
            (result,) = [result async for result in client.send_many([item])]
            assert result.delivery is Delivery.NOT_SENT
            assert isinstance(result.error, TypeError | ValueError)
        with pytest.raises((TypeError, ValueError)):
            await client.mail(SENDER, [option])
        with pytest.raises((TypeError, ValueError)):
            await client.rcpt(SENDER, [option])
        assert set(peer.verbs) <= {"EHLO"}


class Lying(bytes):
    """Octets that say that they are fewer and others."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        return b"liar"

    def __bytes__(self) -> bytes:
        return b"liar"


CONTENT = b"Subject: x\r\n\r\nabcd\r\n"


@pytest.mark.parametrize("kind", [Lying, lambda content: memoryview(content).cast("H")])
@pytest.mark.parametrize("options", [[], ["BODY=BINARYMIME"]])
@pytest.mark.parametrize("extensions", [CHUNKING, BINARYMIME])
async def test_content_has_the_size_that_it_has(kind: Any, options: list[str], extensions: Any) -> None:
    if options and extensions is CHUNKING:
        extensions = BINARYMIME
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, chunking=True) as client,
    ):
        content = kind(CONTENT)
        sizes: list[tuple[int, int | None]] = []
        await client.sendmail(SENDER, RECIPIENTS, content, options)
        await client.sendmail(SENDER, RECIPIENTS, [content, content], options)
        await client.sendmail(
            SENDER, RECIPIENTS, content, options, progress=lambda sent, total: sizes.append((sent, total))
        )
        items = [Envelope(SENDER, RECIPIENTS, message, options) for message in (content, [content])]
        results = [result async for result in client.send_many(items)]
        assert all(result.ok for result in results)
        assert sizes == [(len(CONTENT), len(CONTENT))]
        assert [mail.content for mail in peer.accepted] == [CONTENT, CONTENT * 2, *[CONTENT] * 3]


# -- the end of the connection while a source waits ---------------------------------------------------


@both
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
@pytest.mark.parametrize("reaction", ["ends", "raises", "goes on"])
async def test_a_source_that_waits_is_told_of_the_end(
    door: ServerState, extensions: tuple[str, ...], reaction: str
) -> None:
    told = []

    async def source() -> AsyncIterator[bytes]:
        yield b"Subject: x\r\n\r\n"
        waits.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append(True)
            if reaction == "raises":
                raise OSError from None
            if reaction == "ends":
                raise
        yield b"more"

    async def leave(conversation: Conversation) -> str:
        reply = "354 go"
        await conversation.reply(reply if extensions is PIPELINING else "250 ok")
        await waits.wait()
        conversation.reset()
        return reply

    waits = asyncio.Event()
    actions = {"DATA" if extensions is PIPELINING else "BDAT": leave}
    async with Peer(actions, extensions=extensions) as peer, door(peer) as sender:  # type: ignore[arg-type]

        async def use() -> None:
            with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
                await sender.sendmail(SENDER, RECIPIENTS, source())
            assert caught.value.delivery is Delivery.NOT_SENT
            await asyncio.sleep(0)  # this task is not cancelled

        await asyncio.wait_for(use(), PATIENCE)
        assert told == [True]
