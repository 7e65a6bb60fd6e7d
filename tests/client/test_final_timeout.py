"""The wait for the reply to a message: longer than for others, and from when the server has all of it.

What takes longer than a timeout is told by another client, which gives up after the same time.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Delivery, Envelope, SMTPPool, SMTPReadTimeoutError
from aiosmtplib._transport import base_protocol

from ..support.actions import cut, in_turn, silence
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    email_message,
    options_for,
    session,
)
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Action, Conversation, Peer
from .test_timeouts import LARGE, SOON

#: What is not to time out takes less (seconds), on a busy machine and for large content, too.
LONGER = 0.4

Send: TypeAlias = Callable[[Any], Awaitable[Any]]


async def time_out(seconds: float) -> None:
    """Wait for as long as a client does that has this timeout."""
    async with Peer({"NOOP": silence}) as peer, session(peer) as client:
        with pytest.raises(SMTPReadTimeoutError):
            await client.noop(timeout=seconds)


async def late(conversation: Conversation) -> str | None:
    """The usual reply, after the timeout."""
    await time_out(LONGER)
    return await conversation.perform(conversation.default())


async def pieces(content: bytes = MESSAGE) -> AsyncIterator[bytes]:
    yield content


async def through_many(sender: Any, *messages: Any) -> Any:
    (result,) = [each async for each in sender.send_many([Envelope(SENDER, RECIPIENTS, MESSAGE)])]
    return result.raise_for_status()


async def streamed_among_many(sender: Any) -> Any:
    (result,) = [each async for each in sender.send_many([Envelope(SENDER, RECIPIENTS, pieces())])]
    return result.raise_for_status()


_WAYS: list[Send] = [
    lambda sender: sender.send_message(email_message()),
    lambda sender: sender.sendmail(SENDER, RECIPIENTS, pieces()),
    through_many,
    streamed_among_many,
]
ways = pytest.mark.parametrize("send", _WAYS)
kinds = pytest.mark.parametrize(
    ("kind", "extensions", "options"),
    [
        (SMTP, (), {}),
        (SMTP, PIPELINING, {}),
        (SMTP, ("CHUNKING",), {"chunking": True}),
        (SMTP, CHUNKING, {"chunking": True}),
        (SMTPPool, PIPELINING, {}),
        (SMTPPool, CHUNKING, {"chunking": True}),
        (LMTP, PIPELINING, {}),
    ],
)
#: The position of the end of a message, whichever way it goes.
ENDS = (".", "BDAT LAST")


def at_the_end(action: Action) -> dict[str, Action]:
    return dict.fromkeys(ENDS, action)


@kinds
@ways
async def test_a_reply_after_the_timeout_is_waited_for(
    kind: Any, extensions: tuple[str, ...], options: Any, send: Send
) -> None:
    peer = Peer(at_the_end(late), extensions=extensions, lmtp=kind is LMTP)
    async with (
        peer,
        kind(**options_for(peer, timeout=LONGER, final_timeout=PATIENCE, **options)) as sender,
    ):
        await send(sender)
        assert len(peer.accepted) == 1


@kinds
@ways
async def test_the_wait_has_an_end(kind: Any, extensions: tuple[str, ...], options: Any, send: Send) -> None:
    peer = Peer(at_the_end(silence), extensions=extensions, lmtp=kind is LMTP)
    async with (
        peer,
        kind(**options_for(peer, timeout=PATIENCE, final_timeout=SOON, **options)) as sender,
    ):
        with pytest.raises(SMTPReadTimeoutError, match=r"^Timed out waiting for server response$") as caught:
            await asyncio.wait_for(send(sender), PATIENCE / 2)
        assert caught.value.delivery is Delivery.UNKNOWN
        await peer.hung_up()


@kinds
@ways
async def test_other_replies_are_not_waited_for_as_long(
    kind: Any, extensions: tuple[str, ...], options: Any, send: Send
) -> None:
    """Not even where the content has gone out behind the command."""
    peer = Peer({"RCPT": silence}, extensions=extensions, lmtp=kind is LMTP)
    async with (
        peer,
        kind(**options_for(peer, timeout=SOON, final_timeout=None, **options)) as sender,
    ):
        with pytest.raises(SMTPReadTimeoutError):
            await asyncio.wait_for(send(sender), PATIENCE / 2)
        await peer.hung_up()


async def test_each_final_reply_of_lmtp_has_its_time() -> None:
    peer = Peer({".": late}, extensions=PIPELINING, lmtp=True)
    async with peer, LMTP(**options_for(peer, timeout=LONGER, final_timeout=PATIENCE)) as client:
        items = [Envelope(SENDER, RECIPIENTS, MESSAGE)] * 2
        results = [result.delivery async for result in client.send_many(items)]
        assert results == [Delivery.DELIVERED] * 2


async def test_data_and_its_reply() -> None:
    async with (
        Peer({".": in_turn(late, silence)}) as peer,
        session(peer, timeout=LONGER, final_timeout=PATIENCE) as client,
    ):
        assert (await client.data(MESSAGE)).code == 250
        client.close()
        await client.connect(final_timeout=SOON, timeout=PATIENCE)
        with pytest.raises(SMTPReadTimeoutError):
            await client.data(MESSAGE, timeout=PATIENCE)
        assert_closed(client)


# -- where the option is not given ---------------------------------------------------------------------


def test_the_defaults_are_those_of_the_specification() -> None:
    client = SMTP()
    assert (client.timeout, client.final_timeout) == (60, 600)
    assert (repr(client.timeout), repr(client.final_timeout)) == ("60", "600")


async def test_by_default_it_is_longer_than_the_timeout_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_protocol, "DEFAULT_TIMEOUT", LONGER)
    async with Peer({".": late}) as peer, session(peer, timeout=LONGER) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")


@pytest.mark.parametrize("given_to", ["the client", "the call"])
async def test_a_timeout_that_was_given_is_that_of_the_final_reply(given_to: str) -> None:
    of_client = {"timeout": SOON} if given_to == "the client" else {"timeout": PATIENCE}
    of_call = {"timeout": SOON} if given_to == "the call" else {}
    async with Peer({".": silence}) as peer, session(peer, **of_client) as client:
        with pytest.raises(SMTPReadTimeoutError) as caught:
            await asyncio.wait_for(
                client.sendmail(SENDER, RECIPIENTS, MESSAGE, **of_call),  # type: ignore[arg-type]
                PATIENCE / 2,
            )
        assert caught.value.delivery is Delivery.UNKNOWN


@pytest.mark.parametrize("timeout", [60, 60.0])
async def test_the_default_that_was_written_is_a_timeout_that_was_given(
    monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    monkeypatch.setattr(base_protocol, "FINAL_TIMEOUT", SOON)  # no reply gets this
    async with Peer({".": late}) as peer, session(peer, timeout=timeout) as client:
        assert client.protocol is not None
        client.protocol.final_timeout = SOON
        assert (await client.sendmail(SENDER, RECIPIENTS, MESSAGE))[0] == {}


@pytest.mark.parametrize("final_timeout", [None, PATIENCE])
async def test_the_option_counts_whatever_the_call_is_given(final_timeout: float | None) -> None:
    async with Peer({".": late}) as peer, session(peer, final_timeout=final_timeout) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE, timeout=LONGER)
        assert len(peer.accepted) == 1


async def test_no_timeout_is_no_limit_for_the_final_reply() -> None:
    async with Peer({".": late}) as peer, session(peer, timeout=None) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert len(peer.accepted) == 1


async def test_send_and_send_many_have_the_option() -> None:
    async with Peer(at_the_end(late), extensions=PIPELINING) as peer:
        options = options_for(peer, timeout=LONGER, final_timeout=PATIENCE)
        await aiosmtplib.send(email_message(), **options)
        results = [each async for each in aiosmtplib.send_many([email_message()], **options)]
        assert [result.delivery for result in results] == [Delivery.DELIVERED]


@pytest.mark.parametrize("value", ["10", b"10", [10]])
def test_it_is_a_number(value: Any) -> None:
    for door in (SMTP, SMTPPool):
        with pytest.raises(TypeError, match=r"^The final_timeout option cannot be of type"):
            door(final_timeout=value)


# -- from when the server has the content --------------------------------------------------------------


async def reads_late(conversation: Conversation) -> str:
    """354, and the content is read after the timeout."""
    await conversation.reply("354 go on")
    await time_out(LONGER)
    return "354"


@pytest.mark.parametrize("content", [lambda: LARGE, lambda: pieces(LARGE)])
async def test_content_that_takes_its_time_is_not_part_of_the_wait(content: Callable[[], Any]) -> None:
    async with (
        Peer({"DATA": reads_late}, receive_buffer=1 << 16) as peer,
        session(peer, timeout=PATIENCE, final_timeout=LONGER) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, content()) == ({}, "2.0.0 Accepted")
        assert peer.accepted[0].content == LARGE


async def test_content_that_takes_its_time_has_the_timeout_of_other_replies() -> None:
    never = asyncio.Event()

    async def stops_reading(conversation: Conversation) -> None:
        await conversation.reply("354 go on")
        await never.wait()

    async with (
        Peer({"DATA": stops_reading}, receive_buffer=4096) as peer,
        session(peer, timeout=SOON, final_timeout=None) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPTimeoutError) as caught:
            await asyncio.wait_for(client.sendmail(SENDER, RECIPIENTS, LARGE), PATIENCE / 2)
        assert caught.value.delivery is Delivery.NOT_SENT
        never.set()


async def test_a_message_behind_it_that_the_server_does_not_read_yet() -> None:
    """The server has the first whole, and looks into it before it reads on."""
    peer = Peer(
        {"BDAT LAST": in_turn(late, lambda c: c.perform(c.default()))},
        extensions=CHUNKING,
        receive_buffer=1 << 16,
    )
    async with peer, session(peer, timeout=LONGER, final_timeout=PATIENCE) as client:
        items = [Envelope(SENDER, RECIPIENTS, content) for content in (MESSAGE, LARGE)]
        results = [result.delivery async for result in client.send_many(items)]
        assert results == [Delivery.DELIVERED] * 2


async def test_a_stream_that_was_given_up_waits_for_no_final_reply() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield MESSAGE
        raise OSError("gone")

    async with (
        Peer({"RSET": silence}, extensions=CHUNKING) as peer,
        session(peer, timeout=SOON, final_timeout=None) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPException, match="gone"):
            await asyncio.wait_for(client.sendmail(SENDER, RECIPIENTS, broken()), PATIENCE / 2)
        assert_closed(client)


async def test_a_file_that_fails_once_the_connection_is_gone() -> None:
    """A thread that reads a file is not interrupted by the loss, and may raise behind it."""
    loop = asyncio.get_running_loop()
    async with Peer({"BDAT": cut}, extensions=CHUNKING) as peer, session(peer) as client:

        class Broken(io.BytesIO):
            def seekable(self) -> bool:
                return False  # nobody knows its size

            def read(self, size: int | None = -1) -> bytes:
                if piece := super().read(size):
                    return piece
                asyncio.run_coroutine_threadsafe(peer.hung_up(), loop).result(PATIENCE)
                raise OSError("gone, too")

        with pytest.raises(aiosmtplib.SMTPException, match="gone, too") as caught:
            await client.sendmail(SENDER, RECIPIENTS, Broken(MESSAGE))
        assert caught.value.delivery is Delivery.NOT_SENT
        assert_closed(client)
