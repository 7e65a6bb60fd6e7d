"""Typed parameters go through every door the same, and through none where the server does not take them."""

import io
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import LMTP, Delivery, Envelope, Recipient, SMTPNotSupported, SMTPPool
from aiosmtplib.parameters import (
    Body,
    DeliverBy,
    EnvId,
    HoldFor,
    HoldUntil,
    MTPriority,
    Notify,
    Orcpt,
    RequireTLS,
    Ret,
)

from ..support.clients import SENDER, assert_usable, email_message, options_for, session
from ..support.scripted_server import CHUNKING, Peer

LIMITED = ("DELIVERBY 60", "FUTURERELEASE 86400 2030-01-01T00:00:00Z")
ALL = (*CHUNKING, *LIMITED, "DSN", "MT-PRIORITY", "SMTPUTF8")
MAIL = [Ret("hdrs"), EnvId("a=b"), DeliverBy(60), HoldFor(3600), MTPriority(-3), "X=Y"]
BOB = Recipient("b@example.com", Notify("success", "delay"), Orcpt("b@example.com"))
CAROL = "c@example.com"
TEXT = b"Subject: x\r\n\r\nhello\r\n"

Door = Callable[[Peer, Any], Awaitable[object]]


def one(envelope: Envelope) -> dict[str, Any]:
    return {"mail_options": envelope.mail_options, "rcpt_options": envelope.rcpt_options}


async def sendmail(peer: Peer, it: Envelope) -> object:
    async with session(peer) as client:
        return await client.sendmail(it.sender, it.recipients, TEXT, **one(it))  # type: ignore[arg-type]


async def a_stream(peer: Peer, it: Envelope) -> object:
    async with session(peer) as client:
        source = io.BytesIO(TEXT)
        return await client.sendmail(it.sender, it.recipients, source, **one(it))  # type: ignore[arg-type]


async def send_message(peer: Peer, it: Envelope) -> object:
    async with session(peer) as client:
        return await client.send_message(email_message(), it.sender, it.recipients, **one(it))


async def send(peer: Peer, it: Envelope) -> object:
    return await aiosmtplib.send(TEXT, it.sender, it.recipients, **one(it), **options_for(peer))


async def send_an_object(peer: Peer, it: Envelope) -> object:
    return await aiosmtplib.send(email_message(), it.sender, it.recipients, **one(it), **options_for(peer))


async def send_many(peer: Peer, it: Envelope) -> object:
    async with session(peer) as client:
        for message in (TEXT, email_message(), io.BytesIO(TEXT)):
            envelope = Envelope(it.sender, it.recipients, message, it.mail_options, it.rcpt_options)
            async for result in client.send_many([envelope]):
                result.raise_for_status()
        return result.refused


async def pool(peer: Peer, it: Envelope) -> object:
    async with SMTPPool(**options_for(peer)) as pool:
        await pool.sendmail(it.sender, it.recipients, TEXT, **one(it))  # type: ignore[arg-type]
        await pool.send_message(email_message(), it.sender, it.recipients, **one(it))
        return await pool.send(TEXT, it.sender, it.recipients, **one(it))


async def pool_send_many(peer: Peer, it: Envelope) -> object:
    for message in (TEXT, email_message(), io.BytesIO(TEXT)):
        envelope = Envelope(it.sender, it.recipients, message, it.mail_options, it.rcpt_options)
        async for result in aiosmtplib.send_many([envelope], **options_for(peer)):
            result.raise_for_status()
    return result.refused


async def verbs(peer: Peer, it: Envelope) -> object:
    async with session(peer) as client:
        await client.mail(it.sender, it.mail_options)  # type: ignore[arg-type]
        for recipient in [it.recipients] if isinstance(it.recipients, str) else it.recipients or ():
            await client.rcpt(recipient, it.rcpt_options)
        return await client.data(TEXT)


async def lmtp(peer: Peer, it: Envelope) -> object:
    peer.lmtp = True
    async with LMTP(**options_for(peer)) as client:
        return await client.sendmail(it.sender, it.recipients, TEXT, **one(it))  # type: ignore[arg-type]


DOORS: list[Door] = [
    sendmail,
    a_stream,
    send_message,
    send,
    send_an_object,
    send_many,
    pool,
    pool_send_many,
    verbs,
    lmtp,
]
every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)


def envelope(peer: Peer) -> set[tuple[bytes, ...]]:
    """The different envelopes that came, without what is added to them unasked."""
    lines = [line for line in peer.commands if line.startswith((b"MAIL", b"RCPT"))]
    starts = [index for index, line in enumerate(lines) if line.startswith(b"MAIL")]
    return {
        tuple(
            b" ".join(word for word in line.split(b" ") if not word.startswith((b"size=", b"BODY=8")))
            for line in lines[start:end]
        )
        for start, end in zip(starts, [*starts[1:], None], strict=True)
    }


@every_door
async def test_every_door_sends_the_same(door: Door) -> None:
    async with Peer(extensions=ALL) as peer:
        await door(peer, Envelope(SENDER, [BOB, CAROL], TEXT, MAIL, ["Z"]))
        assert envelope(peer) == {
            (
                b"MAIL FROM:<a@example.com> RET=HDRS ENVID=a+3Db BY=60;R HOLDFOR=3600 MT-PRIORITY=-3 X=Y",
                b"RCPT TO:<b@example.com> Z NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@example.com",
                b"RCPT TO:<c@example.com> Z",
            )
        }
        assert {recipient for mail in peer.accepted for recipient in mail.recipients} == {
            b"b@example.com",
            b"c@example.com",
        }


@every_door
async def test_every_door_leaves_out_what_is_not_available(door: Door) -> None:
    options = [Ret("hdrs"), DeliverBy(60, required=False), "X=Y", RequireTLS(required=False), MTPriority(1)]
    async with Peer(extensions=["MT-PRIORITY", "REQUIRETLS", "DELIVERBY 61"]) as peer:
        bob = Recipient("b@example.com", Notify("never"))
        await door(peer, Envelope(SENDER, [bob, CAROL], TEXT, options, [Orcpt("list@example.com")]))
        assert envelope(peer) == {
            (
                b"MAIL FROM:<a@example.com> X=Y MT-PRIORITY=1",
                b"RCPT TO:<b@example.com>",
                b"RCPT TO:<c@example.com>",
            )
        }


@pytest.mark.parametrize(
    ("mail_options", "rcpt_options", "own"),
    [
        ([RequireTLS()], [], []),
        ([HoldFor(86401)], [], []),
        ([HoldUntil(datetime(2030, 1, 1, 0, 0, 1, tzinfo=timezone.utc))], [], []),
        ([DeliverBy(59)], [], []),
        ([Body("binarymime")], [], []),
        ([Ret("hdrs", required=True)], [], []),
        ([], [Notify("never", required=True)], []),
        ([], [], [Notify("never", required=True)]),
    ],
)
async def test_what_is_required_and_not_available(
    mail_options: list[str], rcpt_options: list[str], own: list[str]
) -> None:
    recipients = [CAROL, Recipient("b@example.com", *own)]
    await check_not_supported(sendmail, Envelope(SENDER, recipients, TEXT, mail_options, rcpt_options))


@every_door
async def test_every_door_refuses_what_is_not_available(door: Door) -> None:
    await check_not_supported(door, Envelope(SENDER, CAROL, TEXT, [MTPriority(1), HoldFor(86401)]))
    recipients = [Recipient("b@example.com", Notify("never", required=True))]
    await check_not_supported(door, Envelope(SENDER, recipients, TEXT))


async def check_not_supported(door: Door, envelope: Envelope) -> None:
    async with Peer(extensions=(*LIMITED, "8BITMIME", "REQUIRETLS")) as peer:
        with pytest.raises(SMTPNotSupported) as caught:
            await door(peer, envelope)
        assert caught.value.delivery is Delivery.NOT_SENT
        assert {"RCPT", "DATA", "BDAT"}.isdisjoint(peer.verbs)
        # By hand MAIL has gone before RCPT is known.
        assert "MAIL" not in peer.verbs or (door is verbs and not envelope.mail_options)


TWICE: list[tuple[list[str], list[str], list[str]]] = [
    ([Ret("hdrs"), "RET=FULL"], [], []),
    ([HoldFor(1), HoldFor(2)], [], []),
    ([], [Notify("never"), "notify=delay"], []),
    ([], [Notify("never")], ["NOTIFY=DELAY"]),
    ([], ["NOTIFY=DELAY"], [Notify("never")]),
    ([], ["NOTIFY=DELAY"], ["NOTIFY=NEVER"]),
]
MISPLACED: list[tuple[list[str], list[str], list[str]]] = [
    ([Notify("never")], [], []),
    ([], [Ret("hdrs")], []),
]


@pytest.mark.parametrize(("mail_options", "rcpt_options", "own"), TWICE + MISPLACED)
async def test_what_is_given_twice_or_in_the_wrong_place(
    mail_options: list[str], rcpt_options: list[str], own: list[str]
) -> None:
    await check_not_valid(
        sendmail, Envelope(SENDER, Recipient("b@example.com", *own), TEXT, mail_options, rcpt_options)
    )


@every_door
async def test_every_door_refuses_what_is_given_twice(door: Door) -> None:
    await check_not_valid(door, Envelope(SENDER, CAROL, TEXT, TWICE[0][0]))
    await check_not_valid(door, Envelope(SENDER, [BOB], TEXT, [], ["NOTIFY=NEVER"]))


async def check_not_valid(door: Door, envelope: Envelope) -> None:
    async with Peer(extensions=ALL) as peer:
        with pytest.raises(ValueError, match="more than once|is a parameter of"):
            await door(peer, envelope)
        assert {"RCPT", "DATA", "BDAT"}.isdisjoint(peer.verbs)
        assert "MAIL" not in peer.verbs or (door is verbs and not envelope.mail_options)


async def test_the_client_goes_on_after_a_refusal() -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(SMTPNotSupported, match=r"^REQUIRETLS needs a connection with TLS"):
            await client.sendmail(SENDER, [CAROL], TEXT, [RequireTLS()])
        await assert_usable(client, peer)


async def test_send_message_refuses_before_ehlo() -> None:
    async with Peer() as peer, session(peer, start_tls=False) as client:
        with pytest.raises(ValueError, match="more than once"):
            await client.send_message(email_message(), mail_options=[Ret("hdrs"), "RET=FULL"])
        with pytest.raises(ValueError, match="more than once"):
            await client.send_message(email_message(), rcpt_options=[Notify("never"), "NOTIFY=DELAY"])
        assert peer.verbs == []


async def test_what_is_for_every_recipient_is_left_out() -> None:
    async with Peer(extensions=[]) as peer:
        await sendmail(peer, Envelope(SENDER, CAROL, TEXT, [], ["Y", Notify("never")]))
        assert envelope(peer) == {(b"MAIL FROM:<a@example.com>", b"RCPT TO:<c@example.com> Y")}


async def test_the_same_envelope_goes_to_different_servers() -> None:
    """What one does not take is not forgotten for the next."""
    letter = Envelope(SENDER, [BOB], TEXT, [Ret("hdrs")])
    for extensions, mark in ((), b""), (("DSN",), b" RET=HDRS"), ((), b""):
        async with Peer(extensions=extensions) as peer:
            await send_many(peer, letter)
            assert {line[0] for line in envelope(peer)} == {b"MAIL FROM:<a@example.com>" + mark}
