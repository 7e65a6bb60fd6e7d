"""What goes wrong in a group of commands: which error is raised, what is believed, and what is written after.

Each verdict is held against what the peer answers for: what it took must never look unsent or refused, and
what looks so must not be in its ledger.
"""

import asyncio

import pytest

import aiosmtplib
from aiosmtplib import Delivery

from ..support.actions import at_nth, cut, cut_after, in_turn, reset, silence, take, then, when_received
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    WIRE,
    assert_closed,
    assert_usable,
    client_for,
    session,
)
from ..support.scripted_server import CHUNKING, PATIENCE, Action, Conversation, Peer

LARGE = b"0123456789\r\n" * 400_000

Lost = aiosmtplib.SMTPServerDisconnected

#: What breaks the dialogue, and the error where no refusal was there before.
FAULTS: dict[str, tuple[Action, type[aiosmtplib.SMTPException]]] = {
    "421": (then("421 4.3.2 bye", silence), Lost),  # after it, a server executes nothing
    "garbage": (b"hello\r\n", aiosmtplib.SMTPResponseException),
    "silence": (silence, aiosmtplib.SMTPReadTimeoutError),
    "EOF": (cut, Lost),
    "RST": (reset, Lost),
    "half": (cut_after(b"250-half"), Lost),
}
#: Where, the n-th time there, whether by BDAT, and the phase.
PLACES = [
    ("MAIL", 1, False, "mail"),
    ("RCPT", 1, False, "rcpt"),
    ("RCPT", 2, False, "rcpt"),
    ("DATA", 1, False, "data"),
    (".", 1, False, "final"),
    ("MAIL", 1, True, "mail"),
    ("RCPT", 1, True, "rcpt"),
    ("RCPT", 2, True, "rcpt"),
    ("BDAT LAST", 1, True, "final"),
]
REFUSALS: dict[str, type[aiosmtplib.SMTPException]] = {
    "MAIL": aiosmtplib.SMTPSenderRefused,
    "DATA": aiosmtplib.SMTPDataError,
    ".": aiosmtplib.SMTPDataError,
    "BDAT LAST": aiosmtplib.SMTPDataError,
}


def check_verdict(error: aiosmtplib.SMTPException, peer: Peer) -> None:
    """What is said of the message must be true of the peer's ledger."""
    if peer.accepted:
        assert error.delivery in (Delivery.UNKNOWN, Delivery.DELIVERED)
    else:
        assert error.delivery is not Delivery.DELIVERED


async def failing(client: aiosmtplib.SMTP, content: bytes = MESSAGE) -> aiosmtplib.SMTPException:
    with pytest.raises(aiosmtplib.SMTPException) as caught:
        await asyncio.wait_for(client.sendmail(SENDER, RECIPIENTS, content), PATIENCE)
    return caught.value


@pytest.mark.parametrize("code", [450, 552])
@pytest.mark.parametrize(("position", "nth", "chunking", "phase"), PLACES)
async def test_refusal(position: str, nth: int, chunking: bool, phase: str, code: int) -> None:
    async with (
        Peer({position: at_nth(nth, f"{code} no")}, extensions=CHUNKING, strict=True) as peer,
        session(peer, chunking=chunking) as client,
    ):
        if position == "RCPT":
            refused, text = await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert refused == {RECIPIENTS[nth - 1]: (code, "no")}
            assert text == "2.0.0 Accepted"
        else:
            error = await failing(client)
            assert type(error) is REFUSALS[position]
            assert isinstance(error, aiosmtplib.SMTPResponseException)
            assert (error.code, error.message) == (code, "no")
            assert error.delivery is Delivery.REJECTED
            assert error.phase == phase
            assert error.replies[{"MAIL": 0, "DATA": 3, ".": 4, "BDAT LAST": 3}[position]] == (code, "no")
            assert peer.accepted == []
        assert "RSET" not in peer.verbs
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
        assert len(peer.accepted) == (2 if position == "RCPT" else 1)
        await assert_usable(client, peer)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("position", "nth", "chunking", "phase"), PLACES)
async def test_fault(position: str, nth: int, chunking: bool, phase: str, fault: str) -> None:
    action, lost = FAULTS[fault]
    async with Peer({position: at_nth(nth, action)}, extensions=CHUNKING, strict=True) as peer:
        client = client_for(peer, chunking=chunking)
        await client.connect()
        client.timeout = 0.1 if fault == "silence" else PATIENCE
        error = await failing(client)
        assert_closed(client)
        await peer.hung_up()
        assert type(error) is (REFUSALS.get(position, lost) if fault == "421" else lost)
        assert error.phase == phase
        check_verdict(error, peer)
        if fault == "421" and position in (".", "BDAT LAST"):
            assert error.delivery is Delivery.REJECTED
        elif fault == "421":  # nothing after it is executed
            assert error.delivery is Delivery.NOT_SENT
        elif position == "." or chunking:  # the end of the content was written
            assert error.delivery is Delivery.UNKNOWN
        else:
            assert error.delivery is Delivery.NOT_SENT
        before = {"MAIL": 0, "RCPT": nth, "DATA": 3, ".": 4, "BDAT LAST": 3}[position]
        assert len(error.replies) == before + (fault == "421")
        if position != ".":
            assert WIRE not in peer.received
        await assert_usable(client_for(peer, chunking=chunking), peer)


@pytest.mark.parametrize("fault", ["silence", "EOF", "RST", "half", "garbage"])
@pytest.mark.parametrize("chunking", [False, True])
async def test_taken_and_never_confirmed(chunking: bool, fault: str) -> None:
    actions: dict[str, Action] = {"BDAT LAST" if chunking else ".": then(take, FAULTS[fault][0])}
    async with Peer(actions, extensions=CHUNKING, strict=True) as peer:
        client = client_for(peer, chunking=chunking)
        await client.connect()
        client.timeout = 0.1 if fault == "silence" else PATIENCE
        error = await failing(client)
        assert_closed(client)
        assert len(peer.accepted) == 1
        assert error.delivery is Delivery.UNKNOWN
        assert error.phase == "final"
        await peer.hung_up()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize("refused", ["MAIL", "RCPT"])
async def test_the_first_refusal_wins_over_a_later_fault(refused: str, chunking: bool, fault: str) -> None:
    last = "BDAT LAST" if chunking else "DATA"
    actions: dict[str, Action] = {refused: "550 first", last: FAULTS[fault][0]}
    async with Peer(actions, extensions=CHUNKING, strict=True) as peer:
        client = client_for(peer, chunking=chunking)
        await client.connect()
        client.timeout = 0.1 if fault == "silence" else PATIENCE
        error = await failing(client)
        assert_closed(client)
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            assert refused == "RCPT"
            assert [each.args for each in error.recipients] == [(550, "first", who) for who in RECIPIENTS]
            assert error.phase == "rcpt"
        else:
            assert isinstance(error, aiosmtplib.SMTPSenderRefused)
            assert error.args == (550, "first", SENDER)
            assert error.phase == "mail"
        assert [mail for mail in peer.accepted if mail.recipients] == []
        assert error.delivery in (Delivery.REJECTED, Delivery.NOT_SENT)
        await peer.hung_up()


@pytest.mark.parametrize("chunking", [False, True])
async def test_the_first_refusal_wins_over_later_ones(chunking: bool) -> None:
    actions: dict[str, Action] = {
        "MAIL": "451 first",
        "RCPT": in_turn("552 second", "553 third"),
        "BDAT LAST" if chunking else "DATA": "554 fourth",
    }
    async with Peer(actions, extensions=CHUNKING) as peer, session(peer, chunking=chunking) as client:
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPSenderRefused)
        assert error.args == (451, "first", SENDER)
        assert [reply.code for reply in error.replies] == [451, 552, 553, 554]
        assert error.delivery is Delivery.REJECTED
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("refused", ["MAIL", "RCPT"])
async def test_421_after_a_refusal_is_for_another_connection(refused: str) -> None:
    """A server that is about to leave refuses for that reason: elsewhere, the message may be taken."""
    async with Peer({refused: "550 no", "DATA": "421 bye"}, extensions=CHUNKING) as peer:
        client = client_for(peer)
        await client.connect()
        error = await failing(client)
        assert error.delivery is Delivery.NOT_SENT
        assert error.replies[-1].code == 421
        assert_closed(client)
        await peer.hung_up()


async def test_no_lone_dot_where_a_recipient_was_accepted() -> None:
    """It would send them an empty message."""
    async with Peer({"MAIL": "550 no"}, extensions=CHUNKING) as peer:
        client = client_for(peer)
        await client.connect()
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPSenderRefused)
        assert error.delivery is Delivery.REJECTED
        assert error.phase == "mail"
        assert [reply.code for reply in error.replies] == [550, 250, 250, 354]
        assert_closed(client)
        await peer.hung_up()
        assert peer.conversations[0].bodies == []
        assert peer.conversations[0].partial == b""
        assert peer.accepted == []
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("final", ["554 no valid recipients", "250 ok"])
async def test_lone_dot_where_nobody_was_accepted(final: str) -> None:
    actions: dict[str, Action] = {"RCPT": at_nth(3, "250 yes", "550 no"), "DATA": "354 go", ".": final}
    async with Peer(actions, extensions=CHUNKING) as peer, session(peer) as client:
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPRecipientsRefused)
        assert [each.code for each in error.recipients] == [550, 550]
        assert error.delivery is Delivery.REJECTED
        assert peer.conversations[0].bodies == [b".\r\n"]
        assert client.is_connected
        peer.actions.clear()
        await assert_usable(client, peer)
        assert "RSET" in peer.verbs


@pytest.mark.parametrize("fault", ["silence", "EOF", "RST", "garbage"])
async def test_lone_dot_without_an_answer(fault: str) -> None:
    actions: dict[str, Action] = {"RCPT": "550 no", "DATA": "354 go", ".": FAULTS[fault][0]}
    async with Peer(actions, extensions=CHUNKING) as peer:
        client = client_for(peer)
        await client.connect()
        client.timeout = 0.1 if fault == "silence" else PATIENCE
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPRecipientsRefused)
        assert error.delivery is Delivery.REJECTED
        assert_closed(client)
        await peer.hung_up()
        assert b"dots" not in peer.received


async def test_a_354_to_mail_is_no_invitation() -> None:
    async with (
        Peer({"MAIL": "354 go", "DATA": "503 no"}, extensions=CHUNKING) as peer,
        session(peer) as client,
    ):
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPSenderRefused)
        assert peer.conversations[0].bodies == []
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_a_250_to_data_is_no_invitation() -> None:
    async with Peer({"DATA": "250 what?"}, extensions=CHUNKING) as peer, session(peer) as client:
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPDataError)
        assert error.phase == "data"
        assert WIRE not in peer.received
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("end", ["250 taken", then(take, cut), then(take, reset), then(take, silence)])
async def test_a_chunk_taken_from_a_sender_that_was_refused(end: Action) -> None:
    """The content was in the group, and a recipient was accepted: such a server may have delivered it."""
    async with Peer({"MAIL": "550 no", "BDAT LAST": end}, extensions=CHUNKING) as peer:
        client = client_for(peer, chunking=True)
        await client.connect()
        client.timeout = PATIENCE if end == "250 taken" else 0.1
        error = await failing(client)
        assert isinstance(error, aiosmtplib.SMTPSenderRefused)
        assert len(peer.accepted) == 1
        check_verdict(error, peer)
        client.close()
        await peer.hung_up()


@pytest.mark.parametrize("pipelining", [False, True])
async def test_refused_while_the_content_is_written(pipelining: bool) -> None:
    async def has_enough(conversation: Conversation) -> None:
        await conversation.reply("354 go on")
        await conversation.read_some(10_000)
        await conversation.reply("552 too much")
        await conversation.cut()

    async with Peer({"DATA": has_enough}, extensions=CHUNKING, receive_buffer=4096) as peer:
        client = client_for(peer, pipelining=pipelining)
        await client.connect()
        error = await failing(client, LARGE)
        assert isinstance(error, aiosmtplib.SMTPDataError)
        assert error.delivery is Delivery.REJECTED
        assert error.replies[-1] == (552, "too much")
        assert peer.accepted == []
        assert_closed(client)
        await peer.hung_up()


@pytest.mark.parametrize(
    ("reply", "delivery", "raised"),
    [
        ("552 too much", Delivery.REJECTED, aiosmtplib.SMTPDataError),
        ("250 as if it were there", Delivery.NOT_SENT, Lost),
    ],
)
async def test_answered_while_the_chunk_is_written(
    reply: str, delivery: Delivery, raised: type[aiosmtplib.SMTPException]
) -> None:
    async def has_enough(conversation: Conversation) -> None:
        await conversation.reply("250 ok")
        await conversation.read_some(10_000)
        await conversation.reply(reply)
        await conversation.cut()

    async with Peer({"RCPT": at_nth(2, has_enough)}, extensions=CHUNKING, receive_buffer=4096) as peer:
        client = client_for(peer, chunking=True)
        await client.connect()
        error = await failing(client, LARGE)
        assert isinstance(error, raised)
        assert error.delivery is delivery
        assert peer.accepted == []
        assert_closed(client)
        await peer.hung_up()


async def test_lost_while_the_chunk_is_written() -> None:
    async def gives_up(conversation: Conversation) -> None:
        await conversation.read_some(10_000)
        conversation.reset()

    async with Peer({"RCPT": at_nth(2, gives_up)}, extensions=CHUNKING, receive_buffer=4096) as peer:
        client = client_for(peer, chunking=True)
        await client.connect()
        error = await failing(client, LARGE)
        assert isinstance(error, Lost)
        assert error.delivery is Delivery.NOT_SENT
        assert error.phase == "body"
        assert peer.accepted == []
        assert_closed(client)
        await peer.hung_up()


@pytest.mark.parametrize("position", ["MAIL", "RCPT", "BDAT LAST"])
async def test_large_chunk_refused(position: str) -> None:
    """The server has to read a chunk before it can say no, so that both stay in step."""
    async with (
        Peer({position: "550 no"}, extensions=CHUNKING, strict=True, receive_buffer=4096) as peer,
        session(peer, chunking=True) as client,
    ):
        error = await failing(client, LARGE)
        assert error.delivery is Delivery.REJECTED
        assert peer.accepted == []
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("chunking", [False, True])
async def test_replies_in_any_pieces(chunking: bool) -> None:
    """All in one segment, and the answer to the last command in another."""
    last = b"LAST\r\n" if chunking else b"DATA\r\n"

    async def together(conversation: Conversation) -> str:
        await conversation.send(b"250-m\r\n250 m\r\n250 r1\r\n550 r2\r\n")
        return "250 m"

    async def unsaid(conversation: Conversation) -> str:
        return "250 said"

    actions: dict[str, Action] = {"MAIL": when_received(last, together), "RCPT": unsaid}
    async with Peer(actions, extensions=CHUNKING) as peer, session(peer, chunking=chunking) as client:
        refused, _ = await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert refused == {RECIPIENTS[1]: (550, "r2")}
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("chunking", [False, True])
async def test_one_reply_too_many(chunking: bool) -> None:
    """Nothing that nobody asked for may be taken for the reply to the next message."""
    position = "BDAT LAST" if chunking else "."
    actions: dict[str, Action] = {position: b"250 ok\r\n250 for the next one\r\n"}
    async with Peer(actions, extensions=CHUNKING) as peer:
        client = client_for(peer, chunking=chunking)
        await client.connect()
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "ok")
        await peer.hung_up()
        assert_closed(client)
        assert len(peer.accepted) == 1
