"""sendmail: what it returns, what it raises at each refusal, and in which state it leaves the connection."""

from typing import Any

import pytest

import aiosmtplib

from ..support.actions import cut, in_turn, reset, silence
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    WIRE,
    assert_closed,
    assert_usable,
    client_for,
    session,
)
from ..support.scripted_server import PATIENCE, Accepted, Peer
from ..support.server_fixtures import Mailbox, Start

CONTENT = b"Subject: dots\r\n\r\n.one\r\n..two\r\nthree\r\n"


async def test_sendmail() -> None:
    async with Peer() as peer, session(peer) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
        assert peer.accepted == [Accepted(SENDER.encode(), tuple(r.encode() for r in RECIPIENTS), CONTENT)]
        assert peer.conversations[0].bodies == [WIRE]
        assert peer.commands[1:] == [
            b"MAIL FROM:<a@example.com> size=%d" % len(CONTENT),
            b"RCPT TO:<b@example.com>",
            b"RCPT TO:<c@example.com>",
            b"DATA",
        ]


async def test_no_rset_between_good_messages() -> None:
    async with Peer() as peer, session(peer) as client:
        for _ in range(3):
            await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert peer.verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3]


async def test_against_aiosmtpd(smtpd: Start) -> None:
    mailbox = await smtpd()
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port, local_hostname="me") as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Kept")
    (envelope,) = mailbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos, envelope.content) == (SENDER, RECIPIENTS, CONTENT)


@pytest.mark.parametrize(
    ("recipients", "sent"),
    [
        ("b@example.com", [b"b@example.com"]),
        (("b@example.com",), [b"b@example.com"]),
        ({"b@example.com"}, [b"b@example.com"]),
        (["B <b@example.com>"], [b"b@example.com"]),
        (["b@example.com", "b@example.com"], [b"b@example.com", b"b@example.com"]),
        ('"c d"@example.com', [b'"c d"@example.com']),
        ('"a <b>"@example.com', [b'"a <b>"@example.com']),
        ("B. Smith <b@example.com", [b"b@example.com"]),
    ],
)
async def test_recipients(recipients: Any, sent: list[bytes]) -> None:
    async with Peer() as peer, session(peer) as client:
        assert await client.sendmail(SENDER, recipients, MESSAGE) == ({}, "2.0.0 Accepted")
        assert list(peer.accepted[0].recipients) == sent


async def test_null_sender() -> None:
    async with Peer(extensions=[]) as peer, session(peer) as client:
        await client.sendmail("", RECIPIENTS, MESSAGE)
        assert peer.commands[1] == b"MAIL FROM:<>"


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ("hi", b"hi\r\n"),
        (b"hi\r\n", b"hi\r\n"),
        (bytearray(b"hi\n"), b"hi\r\n"),
        ("", b"\r\n"),
        ("a\rb\r\r\nc\n\r.\r", b"a\r\nb\r\n\r\nc\r\n\r\n.\r\n"),
        (".", b".\r\n"),
        ("\n.\r\n.\n", b"\r\n.\r\n.\r\n"),
        (b"\0\xff\xfe", b"\0\xff\xfe\r\n"),
        (b"x" * 5000, b"x" * 5000 + b"\r\n"),
    ],
)
async def test_message_text(message: Any, content: bytes) -> None:
    async with Peer() as peer, session(peer) as client:
        await client.sendmail(SENDER, RECIPIENTS, message)
        assert peer.accepted[0].content == content
        assert peer.commands[1].endswith(b" size=%d" % len(content))
        wire = peer.conversations[0].bodies[0]
        assert wire.count(b"\r\n") == wire.count(b"\r") == wire.count(b"\n")
        assert (b"\r\n" + wire).count(b"\r\n.\r\n") == 1


@pytest.mark.parametrize(
    ("extensions", "options", "line"),
    [
        ([], [], b"MAIL FROM:<a@example.com>"),
        (["SIZE"], [], b"MAIL FROM:<a@example.com> size=4"),
        (["SIZE 0"], [], b"MAIL FROM:<a@example.com> size=4"),
        (["SIZE junk"], [], b"MAIL FROM:<a@example.com> size=4"),
        (["SIZE 4"], [], b"MAIL FROM:<a@example.com> size=4"),
        (["SIZE"], ["X", "BODY=8BITMIME"], b"MAIL FROM:<a@example.com> size=4 X BODY=8BITMIME"),
        (["8BITMIME"], [], b"MAIL FROM:<a@example.com>"),
    ],
)
async def test_mail_options(extensions: list[str], options: list[str], line: bytes) -> None:
    async with Peer(extensions=extensions) as peer, session(peer) as client:
        await client.sendmail(
            SENDER, RECIPIENTS[:1], "hi", mail_options=options, rcpt_options=["NOTIFY=NEVER", "Y"]
        )
        assert peer.commands[1:] == [line, b"RCPT TO:<b@example.com> NOTIFY=NEVER Y", b"DATA"]


async def test_smtputf8_option() -> None:
    async with Peer(extensions=["SMTPUTF8"]) as peer, session(peer) as client:
        await client.sendmail("ä@example.com", "ö@example.com", "hi", mail_options=["SMTPUTF8"])
        assert peer.commands[1:3] == [
            "MAIL FROM:<ä@example.com> SMTPUTF8".encode(),
            "RCPT TO:<ö@example.com>".encode(),
        ]


async def test_smtputf8_option_where_it_is_not_offered() -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPNotSupported, match="SMTPUTF8"):
            await client.sendmail(SENDER, RECIPIENTS, "hi", mail_options=["SMTPUTF8"])
        assert peer.verbs == ["EHLO"]


@pytest.mark.parametrize(
    ("sender", "recipients", "message", "options"),
    [
        (SENDER, ["ok@example.com", "ä@example.com"], "hi", []),
        ("ä@example.com", RECIPIENTS, "hi", []),
        (SENDER, ["ok@example.com", "b@example.com> AUTH=<c"], "hi", []),
        ("a@example.com>\r\nRCPT TO:<z", RECIPIENTS, "hi", []),
        ("a b@example.com", RECIPIENTS, "hi", []),
        (SENDER, ["B <>"], "hi", []),
        (SENDER, RECIPIENTS, "hä", []),
        (SENDER, RECIPIENTS, "hi", ["a\r\nRSET"]),
        (SENDER, RECIPIENTS, "hi", ["ä"]),
        (SENDER, RECIPIENTS, "hi", ["<a@example.com>"]),
    ],
)
async def test_bad_input_is_refused_before_a_byte_is_written(
    sender: str, recipients: list[str], message: str, options: list[str]
) -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(ValueError, match=r"."):
            await client.sendmail(sender, recipients, message, mail_options=options)
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


async def test_no_recipients_is_refused_before_a_byte_is_written() -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises((ValueError, aiosmtplib.SMTPRecipientsRefused)):
            await client.sendmail(SENDER, [], MESSAGE)
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


async def test_message_larger_than_the_server_takes() -> None:
    async with Peer(extensions=["SIZE 100"]) as peer, session(peer) as client:
        assert await client.sendmail(SENDER, RECIPIENTS[:1], "x" * 98) == ({}, "2.0.0 Accepted")
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await client.sendmail(SENDER, RECIPIENTS[:1], "x" * 99)
        assert caught.value.code == 552
        assert caught.value.sender == SENDER
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "DATA"]
        await client.sendmail(SENDER, RECIPIENTS[:1], "\n" * 50)
        assert peer.accepted[-1].content == b"\r\n" * 50


@pytest.mark.parametrize("code", [450, 550, 200, 354, 503])
async def test_sender_refused(code: int) -> None:
    async with Peer({"MAIL": in_turn(f"{code} no", "250 yes")}) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert caught.value.args == (code, "no", SENDER)
        await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert peer.verbs == ["EHLO", "MAIL", "RSET", "MAIL", "RCPT", "DATA"]
        await assert_usable(client, peer)


@pytest.mark.parametrize("code", [450, 550, 354])
async def test_every_recipient_refused(code: int) -> None:
    async with (
        Peer({"RCPT": in_turn(f"{code} no", f"{code} nor this", "250 yes")}) as peer,
        session(peer) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert [error.args for error in caught.value.recipients] == [
            (code, "no", RECIPIENTS[0]),
            (code, "nor this", RECIPIENTS[1]),
        ]
        assert {type(error) for error in caught.value.recipients} == {aiosmtplib.SMTPRecipientRefused}
        await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "RSET", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize(
    ("replies", "refused", "taken"),
    [
        (("550 no", "250 yes"), {RECIPIENTS[0]: (550, "no")}, RECIPIENTS[1:]),
        (("251 forward", "450 later"), {RECIPIENTS[1]: (450, "later")}, RECIPIENTS[:1]),
    ],
)
async def test_some_recipients_refused(
    replies: tuple[str, ...], refused: dict[str, tuple[int, str]], taken: list[str]
) -> None:
    async with Peer({"RCPT": in_turn(*replies)}) as peer, session(peer) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == (refused, "2.0.0 Accepted")
        assert [who.decode() for who in peer.accepted[0].recipients] == taken
        # That is success: nothing to reset.
        await client.noop()
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "NOOP"]


@pytest.mark.parametrize("position", ["DATA", "."])
@pytest.mark.parametrize("code", [450, 550, 354])
async def test_data_refused(position: str, code: int) -> None:
    if (position, code) == ("DATA", 354):
        code = 250
    async with (
        Peer({position: in_turn(f"{code} no", "354 yes" if position == "DATA" else "250 yes")}) as peer,
        session(peer) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert caught.value.args == (code, "no")
        await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert peer.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA"]
        assert peer.conversations[0].partial is None


@pytest.mark.parametrize(
    ("position", "error"),
    [
        ("MAIL", aiosmtplib.SMTPSenderRefused),
        ("DATA", aiosmtplib.SMTPDataError),
        (".", aiosmtplib.SMTPDataError),
    ],
)
async def test_421_closes(position: str, error: type[aiosmtplib.SMTPResponseException]) -> None:
    async with Peer({position: "421 4.3.2 bye"}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(error) as caught:
            await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        assert (caught.value.code, caught.value.message) == (421, "4.3.2 bye")
        assert_closed(client)
        await peer.hung_up()
        assert "RSET" not in peer.verbs
        del peer.actions[position]
        await assert_usable(client, peer)


@pytest.mark.parametrize("before", [[], ["250 yes"], ["550 no"]])
async def test_421_to_a_recipient_closes_and_nothing_is_sent(before: list[str]) -> None:
    async with Peer({"RCPT": in_turn(*before, "421 bye", "250 too late")}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises((aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPRecipientsRefused)):
            await client.sendmail(SENDER, [*RECIPIENTS, "d@example.com"], MESSAGE)
        assert_closed(client)
        await peer.hung_up()
        assert "DATA" not in peer.verbs
        assert peer.accepted == []
        await assert_usable(client, peer)


@pytest.mark.parametrize("fault", ["421 bye", "500 what?", "hello", cut, reset, silence])
@pytest.mark.parametrize(
    ("position", "error"),
    [
        ("MAIL", aiosmtplib.SMTPSenderRefused),
        ("RCPT", aiosmtplib.SMTPRecipientsRefused),
        ("DATA", aiosmtplib.SMTPDataError),
        (".", aiosmtplib.SMTPDataError),
    ],
)
async def test_failing_rset_hides_nothing(position: str, error: type[Exception], fault: Any) -> None:
    async with Peer({position: "550 no", "RSET": fault}) as peer:
        client = client_for(peer)
        await client.connect()
        client.timeout = 0.05 if fault is silence else client.timeout
        with pytest.raises(error):
            await client.sendmail(SENDER, RECIPIENTS[:1], MESSAGE)
        peer.actions.clear()
        client.close()
        await assert_usable(client_for(peer), peer)


def test_sendmail_sync(threaded_smtpd: Mailbox) -> None:
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=threaded_smtpd.port, local_hostname=HOST, timeout=PATIENCE
    )
    assert client.sendmail_sync(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Kept")
    assert client.sendmail_sync(SENDER, RECIPIENTS[:1], MESSAGE) == ({}, "2.0.0 Kept")
    assert [envelope.rcpt_tos for envelope in threaded_smtpd.envelopes] == [RECIPIENTS, RECIPIENTS[:1]]
    assert_closed(client)


async def test_a_sender_that_is_no_text() -> None:
    with pytest.raises(TypeError, match="must be a str"):
        await aiosmtplib.SMTP().sendmail(3, RECIPIENTS, MESSAGE)  # type: ignore[arg-type]
