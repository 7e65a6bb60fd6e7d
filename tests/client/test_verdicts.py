"""What became of the message: the verdict on each error, held against what the peer answers for."""

from typing import Any

import pytest

import aiosmtplib
from aiosmtplib.status import Delivery

from ..support.actions import cut, cut_after, flood_bytes, in_turn, reset, silence, take, then
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, assert_closed, client_for, session
from ..support.scripted_server import Conversation, Peer

LARGE = b"0123456789\r\n" * 400_000

REFUSALS = [
    ("MAIL", "mail", (550, "no")),
    ("RCPT", "rcpt", (550, "no")),
    ("DATA", "data", (554, "no")),
    (".", "final", (450, "later")),
]
FAULTS = [
    cut,
    reset,
    silence,
    flood_bytes,
    b"hello\r\n",
    cut_after(b"25"),
    cut_after(b"250 O"),
    b"250-a\r\n450 b\r\n",
]


@pytest.mark.parametrize(("position", "phase", "reply"), REFUSALS)
async def test_refusal(position: str, phase: str, reply: tuple[int, str]) -> None:
    async with Peer({position: f"{reply[0]} {reply[1]}"}) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert caught.value.delivery is Delivery.REJECTED
        assert caught.value.phase == phase
        assert caught.value.replies[-1] == reply
        assert peer.accepted == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("position", "phase"), [(position, phase) for position, phase, _ in REFUSALS])
async def test_fault(position: str, phase: str, fault: Any) -> None:
    async with Peer({position: fault}) as peer:
        client = client_for(peer)
        await client.connect()
        client.timeout = 0.1
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert_closed(client)
        assert caught.value.phase == phase
        if position == ".":
            assert caught.value.delivery is Delivery.UNKNOWN
        else:
            assert caught.value.delivery is Delivery.NOT_SENT
            assert peer.conversations[0].bodies == []
        await peer.hung_up()
        assert len(caught.value.replies) == {"MAIL": 0, "RCPT": 1, "DATA": 3, ".": 4}[position]


@pytest.mark.parametrize("fault", [cut, reset, silence])
async def test_taken_and_never_confirmed(fault: Any) -> None:
    async with Peer({".": then(take, fault)}) as peer:
        client = client_for(peer)
        await client.connect()
        client.timeout = 0.1
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert len(peer.accepted) == 1
        assert caught.value.delivery is Delivery.UNKNOWN
        await peer.hung_up()


async def test_replies_are_in_command_order() -> None:
    actions = {"MAIL": "250 m", "RCPT": in_turn("250 r1", "550 r2"), "DATA": "354 d", ".": "554 f"}
    async with Peer(actions) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert list(caught.value.replies) == [(250, "m"), (250, "r1"), (550, "r2"), (354, "d"), (554, "f")]


async def test_lost_while_the_body_is_written() -> None:
    async def gives_up(conversation: Conversation) -> None:
        await conversation.reply("354 go on")
        await conversation.read_some(10_000)
        conversation.reset()

    async with Peer({"DATA": gives_up}, receive_buffer=4096) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await client.sendmail(SENDER, RECIPIENTS, LARGE)
        assert caught.value.delivery is Delivery.NOT_SENT
        assert caught.value.phase == "body"
        assert peer.accepted == []


async def test_refused_while_the_body_is_written() -> None:
    async def has_enough(conversation: Conversation) -> None:
        await conversation.reply("354 go on")
        await conversation.read_some(10_000)
        await conversation.reply("552 too much")
        await conversation.cut()

    async with Peer({"DATA": has_enough}, receive_buffer=4096) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS, LARGE)
        assert caught.value.delivery is Delivery.REJECTED
        assert caught.value.replies[-1] == (552, "too much")
        assert peer.accepted == []
        await peer.hung_up()


@pytest.mark.parametrize(
    ("actions", "phase"),
    [
        ({"connect": "554 no"}, "greeting"),
        ({"connect": cut}, "greeting"),
        ({"EHLO": cut}, "ehlo"),
        ({"EHLO": "421 no"}, "ehlo"),
        ({"AUTH": "535 no"}, "auth"),
        ({"AUTH": cut}, "auth"),
    ],
)
async def test_before_any_message(actions: dict[str, Any], phase: str) -> None:
    async with Peer(actions, extensions=["AUTH PLAIN"]) as peer:
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client_for(peer, username="u", password="p").connect()
        assert caught.value.delivery is Delivery.NOT_SENT
        assert caught.value.phase == phase
        await peer.hung_up()


async def test_refused_connection() -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=1, local_hostname="me.example", timeout=5)
    with pytest.raises(aiosmtplib.SMTPConnectError) as caught:
        await client.connect()
    assert caught.value.delivery is Delivery.NOT_SENT
    assert caught.value.phase == "connect"


async def test_too_large_for_the_server_is_not_sent() -> None:
    async with Peer(extensions=["SIZE 10"]) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        # The verdict that the server's own refusal would have had.
        assert caught.value.delivery is Delivery.REJECTED
        assert caught.value.phase == "mail"
