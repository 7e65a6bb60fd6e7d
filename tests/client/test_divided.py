"""Servers that refuse recipients as too many for one transaction: the rest goes in another one."""

import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SendResult, SMTPPool, SMTPResponse
from aiosmtplib.parameters import Notify

from ..support.actions import at_nth, cut, in_turn, reset, then
from ..support.clients import MESSAGE, SENDER, client_for, email_message, options_for
from ..support.scripted_server import PATIENCE, PIPELINING, Action, Limits, Peer

TO = [f"r{number}@example.com" for number in range(5)]
TOO_MANY = SMTPResponse(452, "4.5.3 too many recipients")
CHUNKING = (*PIPELINING, "CHUNKING")

#: What a door returns: the recipients that were refused, and the text of the final reply.
Result = tuple[dict[str, SMTPResponse], str]
Door = Callable[[Peer, list[str]], Awaitable[Result]]


def outcome(result: SendResult[Any]) -> Result:
    result.raise_for_status()
    assert result.response is not None
    return dict(result.refused), result.response.message


async def by_sendmail(peer: Peer, recipients: list[str]) -> Result:
    async with client_for(peer) as client:
        return await client.sendmail(SENDER, recipients, MESSAGE, divide_recipients=True)


async def by_send_message(peer: Peer, recipients: list[str]) -> Result:
    async with client_for(peer) as client:
        return await client.send_message(email_message(", ".join(recipients)), divide_recipients=True)


async def by_a_file(peer: Peer, recipients: list[str]) -> Result:
    file = io.BytesIO(b"before" + MESSAGE)
    file.seek(6)
    async with client_for(peer) as client:
        return await client.sendmail(SENDER, recipients, file, divide_recipients=True)


async def with_progress(peer: Peer, recipients: list[str]) -> Result:
    calls: list[tuple[int, int | None]] = []
    async with client_for(peer) as client:
        result = await client.sendmail(
            SENDER, recipients, MESSAGE, progress=lambda *call: calls.append(call), divide_recipients=True
        )
    assert calls and set(calls) == {(len(MESSAGE), len(MESSAGE))}
    return result


async def by_send(peer: Peer, recipients: list[str]) -> Result:
    return await aiosmtplib.send(
        MESSAGE, SENDER, recipients, divide_recipients=True, **options_for(peer, start_tls=False)
    )


async def by_send_of_an_object(peer: Peer, recipients: list[str]) -> Result:
    return await aiosmtplib.send(
        email_message(), None, recipients, divide_recipients=True, **options_for(peer, start_tls=False)
    )


async def by_send_many(peer: Peer, recipients: list[str]) -> Result:
    async with client_for(peer) as client:
        (result,) = [each async for each in client.send_many([Envelope(SENDER, recipients, MESSAGE)])]
    return outcome(result)


async def by_send_many_of_files(peer: Peer, recipients: list[str]) -> Result:
    async with client_for(peer) as client:
        envelope = Envelope(SENDER, recipients, io.BytesIO(MESSAGE))
        (result,) = [each async for each in client.send_many([envelope])]
    return outcome(result)


async def by_sendmail_in_time(peer: Peer, recipients: list[str]) -> Result:
    async with client_for(peer) as client:
        return await client.sendmail(SENDER, recipients, MESSAGE, deadline=PATIENCE, divide_recipients=True)


async def by_a_file_in_time(peer: Peer, recipients: list[str]) -> Result:
    async with client_for(peer) as client:
        return await client.sendmail(
            SENDER, recipients, io.BytesIO(MESSAGE), deadline=PATIENCE, divide_recipients=True
        )


async def by_send_in_time(peer: Peer, recipients: list[str]) -> Result:
    options = options_for(peer, start_tls=False)
    return await aiosmtplib.send(
        MESSAGE, SENDER, recipients, deadline=PATIENCE, divide_recipients=True, **options
    )


def pool_for(peer: Peer, **options: Any) -> SMTPPool:
    return SMTPPool(**options_for(peer, start_tls=False, max_connections=2, **options))


async def by_a_pool(peer: Peer, recipients: list[str]) -> Result:
    async with pool_for(peer) as pool:
        return await pool.sendmail(SENDER, recipients, MESSAGE)


async def by_a_pool_in_time(peer: Peer, recipients: list[str]) -> Result:
    async with pool_for(peer) as pool:
        return await pool.sendmail(SENDER, recipients, MESSAGE, deadline=PATIENCE)


async def by_a_pool_and_a_file(peer: Peer, recipients: list[str]) -> Result:
    async with pool_for(peer) as pool:
        return await pool.sendmail(SENDER, recipients, io.BytesIO(MESSAGE))


async def by_a_pool_and_an_object(peer: Peer, recipients: list[str]) -> Result:
    async with pool_for(peer) as pool:
        return await pool.send(email_message(), None, recipients)


async def by_send_many_of_a_pool(peer: Peer, recipients: list[str]) -> Result:
    async with pool_for(peer) as pool:
        (result,) = [each async for each in pool.send_many([Envelope(SENDER, recipients, MESSAGE)])]
    return outcome(result)


async def by_send_many_of_a_pool_and_objects(peer: Peer, recipients: list[str]) -> Result:
    async with pool_for(peer) as pool:
        message = email_message(", ".join(recipients))
        (result,) = [each async for each in pool.send_many([message])]
    return outcome(result)


DOORS = [
    *(by_sendmail, by_send_message, by_a_file, with_progress, by_send, by_send_of_an_object),
    *(by_send_many, by_send_many_of_files, by_a_pool, by_a_pool_and_a_file, by_a_pool_and_an_object),
    *(by_send_many_of_a_pool, by_send_many_of_a_pool_and_objects),
    *(by_sendmail_in_time, by_a_file_in_time, by_send_in_time, by_a_pool_in_time),
]
#: Those with one connection, so that transactions keep their order, and content that stays as it is.
IN_ORDER = [by_sendmail, by_a_file, by_send, by_send_many, by_send_many_of_files, by_a_pool]
every_door = pytest.mark.parametrize("door", DOORS)
in_order = pytest.mark.parametrize("door", IN_ORDER)


def groups(peer: Peer) -> list[list[str]]:
    """The recipients of each transaction that was accepted."""
    return [[who.decode() for who in mail.recipients] for mail in peer.accepted]


@every_door
@pytest.mark.parametrize(
    ("rcptmax", "count", "extensions"),
    [(1, 3, CHUNKING), (2, 5, ()), (2, 5, CHUNKING), (100, 201, PIPELINING)],
)
async def test_the_rest_goes_in_another_transaction(
    door: Door, rcptmax: int, count: int, extensions: tuple[str, ...]
) -> None:
    to = [f"r{number}@example.com" for number in range(count)]
    async with Peer(extensions=extensions, limits=Limits(rcptmax=rcptmax), strict=True) as peer:
        assert await door(peer, to) == ({}, "2.0.0 Accepted")
        assert groups(peer) == [to[start : start + rcptmax] for start in range(0, count, rcptmax)]
        assert len({mail.content for mail in peer.accepted}) == 1
        assert len(peer.conversations) == 1


@pytest.mark.parametrize("door", [by_sendmail, by_send_many, by_send_many_of_a_pool])
@pytest.mark.parametrize(
    "reply", ["452 No more", "455 4.3.5 No more", "450 4.5.3 Too many", "452 4.3.1 Full"]
)
async def test_what_counts_as_too_many(door: Door, reply: str) -> None:
    async with Peer({"RCPT": at_nth(2, reply)}, extensions=PIPELINING) as peer:
        assert await door(peer, TO[:3]) == ({}, "2.0.0 Accepted")
        assert groups(peer) == [[TO[0], TO[2]], [TO[1]]]


@pytest.mark.parametrize("door", [by_sendmail, by_send_many, by_send_many_of_a_pool])
@pytest.mark.parametrize(
    "reply", ["450 4.2.1 Later", "450 Too many", "452 4.2.2 Mailbox full", "550 5.5.3 Too many", "552 No"]
)
async def test_what_does_not(door: Door, reply: str) -> None:
    async with Peer({"RCPT": at_nth(2, reply)}, extensions=PIPELINING) as peer:
        refused, _ = await door(peer, TO[:3])
        assert refused == {TO[1]: (int(reply[:3]), reply[4:])}
        assert groups(peer) == [[TO[0], TO[2]]]


@every_door
async def test_nobody_is_served_by_nobody(door: Door) -> None:
    """Without progress there is no other transaction."""
    async with Peer({"RCPT": "452 4.5.3 too many recipients"}, extensions=PIPELINING) as peer:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await door(peer, TO)
        assert [error.recipient for error in caught.value.recipients] == TO
        assert caught.value.delivery is Delivery.REJECTED
        assert peer.verbs.count("MAIL") == 1


@every_door
async def test_it_ends_with_the_first_transaction_that_serves_nobody(door: Door) -> None:
    rcpt = in_turn("250 Ok", f"{TOO_MANY}")
    async with Peer({"RCPT": rcpt}, extensions=PIPELINING, strict=True) as peer:
        assert await door(peer, TO) == (dict.fromkeys(TO[1:], TOO_MANY), "2.0.0 Accepted")
        assert groups(peer) == [TO[:1]]
        assert peer.verbs.count("MAIL") == 2


@in_order
async def test_refusals_of_all_transactions_are_reported(door: Door) -> None:
    rcpt = in_turn("550 one", "250 Ok", "452 no more", "452 no more", "452 no more", "551 three", "250 Ok")
    async with Peer({"RCPT": rcpt}, extensions=PIPELINING) as peer:
        assert await door(peer, TO) == ({TO[0]: (550, "one"), TO[2]: (551, "three")}, "2.0.0 Accepted")
        assert groups(peer) == [[TO[1]], TO[3:]]


@in_order
async def test_a_further_transaction_that_is_refused(door: Door) -> None:
    final = in_turn("250 first", "554 5.6.0 second", "250 third")
    async with Peer({".": final}, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        assert await door(peer, TO) == (dict.fromkeys(TO[2:], (554, "5.6.0 second")), "first")
        assert groups(peer) == [TO[:2]]


@in_order
async def test_a_further_transaction_that_may_have_arrived(door: Door) -> None:
    actions: dict[str, Action] = {".": in_turn("250 first", cut)}
    async with Peer(actions, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await door(peer, TO)
        assert caught.value.delivery is Delivery.UNKNOWN
        assert groups(peer) == [TO[:2]]


@pytest.mark.parametrize("door", [by_sendmail, by_a_file, by_send_many, by_send_many_of_files])
@pytest.mark.parametrize("fault", [cut, reset, "421 4.3.2 Bye"])
async def test_a_connection_lost_before_a_further_transaction_was_sent(door: Door, fault: Action) -> None:
    async with Peer({"MAIL": at_nth(2, fault)}, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        refused, text = await door(peer, TO)
        assert (sorted(refused), text) == (TO[2:], "2.0.0 Accepted")
        assert {reply.code for reply in refused.values()} <= {-1, 421}
        assert groups(peer) == [TO[:2]]


@pytest.mark.parametrize("door", [by_sendmail, by_send_many])
async def test_a_connection_lost_right_behind_the_verdict(door: Door) -> None:
    actions: dict[str, Action] = {".": then("250 first", cut)}
    async with Peer(actions, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        refused, text = await door(peer, TO)
        assert (sorted(refused), text) == (TO[2:], "first")
        assert groups(peer) == [TO[:2]]


async def test_a_pool_moves_the_rest_to_another_connection() -> None:
    actions: dict[str, Action] = {"MAIL": at_nth(2, cut)}
    async with Peer(actions, extensions=PIPELINING, limits=Limits(rcptmax=2)) as peer:
        assert await by_send_many_of_a_pool(peer, TO) == ({}, "2.0.0 Accepted")
        assert sorted(groups(peer)) == [TO[:2], TO[2:4], TO[4:]]
        assert len(peer.conversations) == 2


async def test_a_recipient_named_twice_is_served_once() -> None:
    for door in (by_sendmail, by_send_many, by_a_pool, by_send_many_of_a_pool):
        async with Peer(extensions=PIPELINING, limits=Limits(rcptmax=1)) as peer:
            assert await door(peer, [TO[0], TO[0], TO[1], TO[1]]) == ({}, "2.0.0 Accepted")
            assert groups(peer) == [TO[:1], TO[1:2]]


@pytest.mark.parametrize("door", [by_sendmail, by_send_many, by_a_pool, by_send_many_of_a_pool])
async def test_parameters_of_recipients_go_along(door: Door) -> None:
    to = [TO[0], aiosmtplib.Recipient(TO[1], Notify("never")), TO[2]]
    async with Peer(extensions=(*PIPELINING, "DSN"), limits=Limits(rcptmax=1)) as peer:
        assert await door(peer, to) == ({}, "2.0.0 Accepted")
        lines = [line for line in peer.conversations[0].commands if line.startswith(b"RCPT")]
        first, last = b"RCPT TO:<r0@example.com>", b"RCPT TO:<r2@example.com>"
        asked = b"RCPT TO:<r1@example.com> NOTIFY=NEVER"
        assert lines == [first, asked, last, asked, last, last]
