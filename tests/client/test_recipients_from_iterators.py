"""Recipients and options from an iterator are read once, also where a message is sent more than once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Envelope, SMTPPool

from ..support.actions import cut, in_turn
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, email_message, options_for
from ..support.scripted_server import PIPELINING, Peer

Door = Callable[[dict[str, Any], Iterable[str], Iterable[str]], Awaitable[Any]]


def read_once(*values: str) -> Iterator[str]:
    yield from values


async def pieces() -> AsyncIterator[bytes]:
    yield MESSAGE


def to_client(call: Callable[[Any, Any, Any], Awaitable[Any]]) -> Door:
    async def door(options: dict[str, Any], who: Any, how: Any) -> None:
        async with options.pop("client_class", SMTP)(**options) as client:
            await call(client, who, how)

    return door


def to_pool(call: Callable[[Any, Any, Any], Awaitable[Any]]) -> Door:
    async def door(options: dict[str, Any], who: Any, how: Any) -> None:
        async with SMTPPool(**options) as pool:
            await call(pool, who, how)

    return door


async def sendmail(sender: Any, who: Any, how: Any) -> None:
    await sender.sendmail(SENDER, who, MESSAGE, rcpt_options=how)


async def stream(sender: Any, who: Any, how: Any) -> None:
    await sender.sendmail(SENDER, who, pieces(), rcpt_options=how)


async def send_message(sender: Any, who: Any, how: Any) -> None:
    await sender.send_message(email_message(), SENDER, who, rcpt_options=how)


async def many(sender: Any, who: Any, how: Any, message: Any = MESSAGE) -> None:
    mails = [Envelope(SENDER, who, message, (), how)]
    async for result in sender.send_many(mails):
        result.raise_for_status()


async def many_objects(sender: Any, who: Any, how: Any) -> None:
    await many(sender, who, how, email_message())


async def many_streams(sender: Any, who: Any, how: Any) -> None:
    await many(sender, who, how, pieces())


async def send(options: dict[str, Any], who: Any, how: Any) -> None:
    await aiosmtplib.send(MESSAGE, SENDER, who, rcpt_options=how, **options)


async def send_object(options: dict[str, Any], who: Any, how: Any) -> None:
    await aiosmtplib.send(email_message(), SENDER, who, rcpt_options=how, **options)


CALLS = [sendmail, stream, send_message, many, many_objects, many_streams]
POOL = [to_pool(call) for call in CALLS]
DSN = (*PIPELINING, "DSN")


@pytest.mark.parametrize(
    ("door", "lmtp"),
    [
        *((door, False) for door in [send, send_object, *map(to_client, CALLS), *POOL]),
        *((door, True) for door in [*map(to_client, CALLS), *POOL]),
    ],
)
async def test_every_door_takes_an_iterator(door: Door, lmtp: bool) -> None:
    async with Peer(extensions=DSN, lmtp=lmtp) as peer:
        options = options_for(peer) | ({"client_class": LMTP} if lmtp else {})
        await door(options, read_once(*RECIPIENTS), read_once("NOTIFY=NEVER"))
        assert [who.decode() for who in peer.accepted[0].recipients] == RECIPIENTS
        assert len([line for line in peer.commands if line.endswith(b"> NOTIFY=NEVER")]) == 2


@pytest.mark.parametrize("door", POOL)
async def test_a_message_that_is_moved(door: Door) -> None:
    async with Peer({"MAIL": in_turn(cut, cut, "250 Ok")}, extensions=DSN) as peer:
        await door(options_for(peer), read_once(*RECIPIENTS), read_once("NOTIFY=NEVER"))
        assert [who.decode() for who in peer.accepted[0].recipients] == RECIPIENTS


@pytest.mark.parametrize("door", [each for place, each in enumerate(POOL) if place not in (1, 5)])
async def test_a_message_in_several_transactions(door: Door) -> None:
    async with Peer(extensions=(*DSN, "LIMITS RCPTMAX=1")) as peer:
        await door(options_for(peer), read_once(*RECIPIENTS), read_once("NOTIFY=NEVER"))
        assert [who.decode() for each in peer.accepted for who in each.recipients] == RECIPIENTS


def test_an_envelope_keeps_what_it_read() -> None:
    envelope = Envelope(SENDER, read_once("b@c"), MESSAGE, read_once("RET=HDRS"), read_once("NOTIFY=NEVER"))  # type: ignore[arg-type]
    assert (envelope.recipients, envelope.mail_options) == (("b@c",), ("RET=HDRS",))
    assert envelope.rcpt_options == ("NOTIFY=NEVER",)
    assert Envelope(SENDER, RECIPIENTS, MESSAGE).recipients is RECIPIENTS
