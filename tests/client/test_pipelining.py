"""Mail transactions in groups of commands (RFC 2920) and content in chunks (RFC 3030): what is on the wire.

A peer that answers only once it has more proves a group without timing: a client that waits for an answer
would wait for ever.
"""

from typing import Any

import pytest

import aiosmtplib
from aiosmtplib._session import transaction

from ..support.actions import at_nth, in_turn, when_received
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    WIRE,
    assert_usable,
    email_message,
    options_for,
    session,
)
from ..support.scripted_server import BINARYMIME, CHUNKING, CONTENT, PIPELINING, Action, Conversation, Peer

ACCEPTED: tuple[dict[str, Any], str] = ({}, "2.0.0 Accepted")
#: What MESSAGE has to be in a chunk: CRLF at the end of each line, no stuffing, no terminator.
CHUNK = b"Subject: dots\r\n\r\n.one\r\n..two\r\nthree\r\n"
UNGROUPED = [
    ({}, ("SIZE 10485760", "8BITMIME")),
    ({"pipelining": True}, ("SIZE 10485760", "8BITMIME")),
    ({"pipelining": False}, PIPELINING),
]


class Alone:
    """Does what is usual at a position, and keeps what the client had sent beyond the command."""

    def __init__(self) -> None:
        self.beyond: list[bytes] = []

    async def __call__(self, conversation: Conversation) -> str:
        self.beyond.append(conversation.unread)
        return await conversation.perform(conversation.default())


def after(peer: Peer, verb: str) -> list[bytes]:
    """The commands after the last one of this verb, with it."""
    lines = peer.commands
    last = max(index for index, seen in enumerate(peer.verbs) if seen == verb)
    return lines[last:]


@pytest.mark.parametrize("options", [{}, {"pipelining": None}, {"pipelining": True}])
async def test_one_group(options: dict[str, Any]) -> None:
    actions: dict[str, Action] = {"MAIL": when_received(b"DATA\r\n", "250 ok")}
    async with Peer(actions, extensions=PIPELINING, strict=True) as peer, session(peer, **options) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA"]
        # The content waits for the 354 (RFC 2920 section 3.1).
        assert peer.conversations[0].log[-4:] == [
            ("C", b"DATA"),
            ("S", "354 Go on"),
            ("C", CONTENT),
            ("S", "250 2.0.0 Accepted"),
        ]
        assert peer.conversations[0].bodies == [WIRE]
        await assert_usable(client, peer)


@pytest.mark.parametrize(("options", "extensions"), UNGROUPED)
async def test_one_command_at_a_time(options: dict[str, Any], extensions: tuple[str, ...]) -> None:
    look = Alone()
    actions: dict[str, Action] = dict.fromkeys(("MAIL", "RCPT", "DATA", "."), look)
    async with Peer(actions, extensions=extensions, strict=True) as peer, session(peer, **options) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert look.beyond == [b""] * 5


async def test_nothing_beyond_the_content() -> None:
    look = Alone()
    actions: dict[str, Action] = {"DATA": look, ".": look}
    async with Peer(actions, extensions=PIPELINING) as peer, session(peer) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert look.beyond == [b"", b""]


@pytest.mark.parametrize(
    ("replies", "refused", "taken"),
    [
        (("550 no", "250 yes"), {RECIPIENTS[0]: (550, "no")}, RECIPIENTS[1:]),
        (("251 forward", "450 later"), {RECIPIENTS[1]: (450, "later")}, RECIPIENTS[:1]),
    ],
)
@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize("pipelining", [False, True])
async def test_some_recipients_refused(
    replies: tuple[str, ...],
    refused: dict[str, tuple[int, str]],
    taken: list[str],
    chunking: bool,
    pipelining: bool,
) -> None:
    options = {"pipelining": pipelining, "chunking": chunking}
    async with (
        Peer({"RCPT": in_turn(*replies)}, extensions=CHUNKING, strict=True) as peer,
        session(peer, **options) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == (refused, "2.0.0 Accepted")
        assert [who.decode() for who in peer.accepted[0].recipients] == taken
        await client.noop()
        assert "RSET" not in peer.verbs


@pytest.mark.parametrize(
    ("position", "action", "error"),
    [
        ("MAIL", "550 no", aiosmtplib.SMTPSenderRefused),
        ("RCPT", "450 no", aiosmtplib.SMTPRecipientsRefused),
        ("DATA", "451 not now", aiosmtplib.SMTPDataError),
        (".", "554 spam", aiosmtplib.SMTPDataError),
    ],
)
async def test_a_refused_transaction_is_reset_with_the_next(
    position: str, action: Action, error: type[aiosmtplib.SMTPException]
) -> None:
    async with (
        Peer({position: action}, extensions=PIPELINING, strict=True) as peer,
        session(peer) as client,
    ):
        with pytest.raises(error):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.noop()
        assert "RSET" not in peer.verbs
        peer.actions.clear()
        peer.actions["RSET"] = when_received(b"DATA\r\n")
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert after(peer, "NOOP")[1] == b"RSET"
        assert peer.verbs[-5:] == ["RSET", "MAIL", "RCPT", "RCPT", "DATA"]
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert peer.verbs.count("RSET") == 1
        assert len(peer.accepted) == 2


async def test_a_reset_by_hand_is_not_repeated() -> None:
    async with (
        Peer({"MAIL": at_nth(1, "550 no")}, extensions=PIPELINING, strict=True) as peer,
        session(peer) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await client.rset()
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert peer.verbs.count("RSET") == 1


@pytest.mark.parametrize("chunking", [False, True])
async def test_a_refused_reset_ends_the_connection(chunking: bool) -> None:
    """Recipients of the message before could get this one."""
    position = "BDAT LAST" if chunking else "DATA"
    actions: dict[str, Action] = {position: at_nth(1, "451 not now"), "RSET": "500 what?"}
    async with (
        Peer(actions, extensions=CHUNKING, strict=True) as peer,
        session(peer, chunking=chunking) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPDataError):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert caught.value.delivery is aiosmtplib.Delivery.NOT_SENT
        assert not client.is_connected
        assert peer.verbs.count("RSET") == 1
        assert peer.verbs.count("BDAT") == chunking
        assert peer.accepted == []


async def test_content_waits_for_the_reply_to_reset() -> None:
    """A server that refuses RSET and MAIL would send it to the recipients of the message before."""
    actions: dict[str, Action] = {
        "BDAT LAST": at_nth(1, "451 not now"),
        "RSET": "500 what?",
        "MAIL": at_nth(2, "503 nested"),
    }
    async with Peer(actions, extensions=CHUNKING) as peer, session(peer, chunking=True) as client:
        with pytest.raises(aiosmtplib.SMTPDataError):
            await client.sendmail(SENDER, ["first@example.com"], MESSAGE)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.sendmail(SENDER, ["second@example.com"], MESSAGE)
        assert not client.is_connected
        assert peer.accepted == []
        assert peer.received.count(CHUNK) == 1


@pytest.mark.parametrize("chunking", [False, True])
async def test_groups_are_bounded(chunking: bool) -> None:
    count = transaction.MAX_GROUP
    recipients = [f"r{index}@example.com" for index in range(count + 1)]
    last = b"RCPT TO:<r%d@example.com>\r\n" % (count - 2)
    actions: dict[str, Action] = {"MAIL": at_nth(1, when_received(last, "250 ok"), "550 no")}
    async with (
        Peer(actions, extensions=CHUNKING) as peer,
        session(peer, chunking=chunking) as client,
    ):
        assert await client.sendmail(SENDER, recipients, MESSAGE) == ACCEPTED
        assert len(peer.accepted[0].recipients) == count + 1
        # The second group begins when the first one has been answered.
        log = peer.conversations[0].log
        second = log.index(("C", b"RCPT TO:<r%d@example.com>" % (count - 1)))
        assert ("C", last[:-2]) in log[:second]
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await client.sendmail(SENDER, recipients, MESSAGE)
        assert peer.verbs[-1] == "RCPT"
        assert after(peer, "MAIL")[1:] == [b"RCPT TO:<r%d@example.com>" % index for index in range(count - 1)]


async def test_chunk_in_the_group() -> None:
    group = b"BDAT %d LAST\r\n%b" % (len(CHUNK), CHUNK)
    actions: dict[str, Action] = {"MAIL": when_received(group)}
    async with (
        Peer(actions, extensions=CHUNKING, strict=True) as peer,
        session(peer, chunking=True) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "BDAT"]
        assert peer.conversations[0].bodies == [CHUNK]
        assert peer.received.endswith(group)
        assert b" size=%d\r\n" % len(CHUNK) in peer.commands[1].lower() + b"\r\n"
        assert peer.accepted[0].content == CHUNK


async def test_chunk_after_the_group_after_a_refusal() -> None:
    last = b"RCPT TO:<%b>\r\n" % RECIPIENTS[-1].encode()
    actions: dict[str, Action] = {"BDAT LAST": at_nth(1, "552 no"), "RSET": when_received(last)}
    async with (
        Peer(actions, extensions=CHUNKING, strict=True) as peer,
        session(peer, chunking=True) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPDataError):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert "RSET" not in peer.verbs
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert peer.verbs[-5:] == ["RSET", "MAIL", "RCPT", "RCPT", "BDAT"]
        assert len(peer.accepted) == 1


async def test_chunk_without_pipelining() -> None:
    look = Alone()
    actions: dict[str, Action] = dict.fromkeys(("MAIL", "RCPT", "BDAT LAST"), look)
    async with (
        Peer(actions, extensions=("CHUNKING",), strict=True) as peer,
        session(peer, chunking=True) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert look.beyond == [b""] * 4
        assert peer.conversations[0].bodies == [CHUNK]


@pytest.mark.parametrize(
    ("chunking", "extensions"), [(None, CHUNKING), (False, CHUNKING), (True, PIPELINING), (True, ())]
)
async def test_data_where_chunks_are_not_wanted_or_not_taken(
    chunking: bool | None, extensions: tuple[str, ...]
) -> None:
    async with (
        Peer(extensions=extensions, strict=True) as peer,
        session(peer, chunking=chunking) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert peer.verbs[-1] == "DATA"
        assert peer.conversations[0].bodies == [WIRE]


@pytest.mark.parametrize("content", [b"", b"no line end", b"lone\rand\nmixed\r\n", b".\r\n.\r\n"])
async def test_exact_octets(content: bytes) -> None:
    async with (
        Peer(extensions=CHUNKING, strict=True) as peer,
        session(peer, chunking=False) as client,
    ):
        await client.sendmail(SENDER, RECIPIENTS, content)
        client.chunking = True
        assert await client.sendmail(SENDER, RECIPIENTS, content) == ACCEPTED
        # What is delivered does not depend on how it went.
        assert peer.accepted[0].content == peer.accepted[1].content
        assert peer.conversations[0].bodies[1] == peer.accepted[0].content


@pytest.mark.parametrize("pipelining", [False, True])
async def test_large_chunk(pipelining: bool) -> None:
    content = b"0123456789abcdef\n" * 61_681
    async with (
        Peer(extensions=CHUNKING, strict=True, receive_buffer=4096) as peer,
        session(peer, chunking=True, pipelining=pipelining) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, content) == ACCEPTED
        assert peer.accepted[0].content == content.replace(b"\n", b"\r\n")
        await assert_usable(client, peer)


@pytest.mark.parametrize("pipelining", [False, True])
async def test_binary_content_is_not_touched(pipelining: bool) -> None:
    content = b"Subject: x\n\n\r\r\n.\r\n\x00\xff\n."
    async with (
        Peer(extensions=BINARYMIME, strict=True) as peer,
        session(peer, pipelining=pipelining) as client,
    ):
        assert await client.sendmail(SENDER, RECIPIENTS, content, ["BODY=BINARYMIME"]) == ACCEPTED
        assert peer.accepted[0].content == content
        assert peer.conversations[0].bodies == [content]
        assert peer.commands[1].endswith(b" BODY=BINARYMIME")


@pytest.mark.parametrize(
    ("extensions", "chunking"),
    [
        ((), None),
        (PIPELINING, True),
        (CHUNKING, True),
        ((*PIPELINING, "BINARYMIME"), True),
        (BINARYMIME, False),
    ],
)
async def test_binary_content_needs_both(extensions: tuple[str, ...], chunking: bool | None) -> None:
    async with Peer(extensions=extensions) as peer, session(peer, chunking=chunking) as client:
        with pytest.raises(aiosmtplib.SMTPNotSupported) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE, ["body=binarymime"])
        assert caught.value.delivery is aiosmtplib.Delivery.NOT_SENT
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


@pytest.mark.parametrize("where", ["SMTP", "connect", "send"])
@pytest.mark.parametrize("pipelining", [None, False])
@pytest.mark.parametrize("chunking", [None, True])
async def test_options(where: str, pipelining: bool | None, chunking: bool | None) -> None:
    look = Alone()
    options: dict[str, Any] = {"pipelining": pipelining, "chunking": chunking}
    async with Peer({"MAIL": look}, extensions=CHUNKING, strict=True) as peer:
        everything = options_for(peer, **options)
        if where == "send":
            await aiosmtplib.send(email_message(), **everything)
        elif where == "SMTP":
            async with aiosmtplib.SMTP(**everything) as client:
                await client.send_message(email_message())
        else:
            client = aiosmtplib.SMTP(**options_for(peer))
            await client.connect(**options)
            await client.send_message(email_message())
            await client.quit()
        assert (look.beyond == [b""]) is (pipelining is False)
        assert ("BDAT" in peer.verbs) is bool(chunking)
        assert len(peer.accepted) == 1


async def test_a_transaction_by_hand_after_a_refusal() -> None:
    actions: dict[str, Action] = {"RCPT": in_turn("550 no", "550 no", "250 ok")}
    async with (
        Peer(actions, extensions=PIPELINING, strict=True) as peer,
        session(peer) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert "RSET" not in peer.verbs
        await client.mail(SENDER)
        await client.rcpt(RECIPIENTS[0])
        await client.data(MESSAGE)
        assert peer.verbs[-4:] == ["RSET", "MAIL", "RCPT", "DATA"]
        assert len(peer.accepted) == 1
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ACCEPTED
        assert peer.verbs.count("RSET") == 1
