"""Typed parameters on the wire: recipients that have their own, TLS, and what the message is made of."""

import io
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, Envelope, Recipient, SMTPNotSupported, SMTPPool, parameters
from aiosmtplib.parameters import SMTPUTF8, Body, Notify, Orcpt, RequireTLS, Ret

from ..support.actions import in_turn
from ..support.certs import Files, server_context
from ..support.clients import SENDER, email_message, options_for, session
from ..support.scripted_server import CHUNKING, Peer

CAROL = "c@example.com"
TEXT = b"Subject: x\r\n\r\nhello\r\n"

# -- recipients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [(*CHUNKING, "DSN"), CHUNKING, ("DSN",)])
async def test_refused_recipients_are_plain_strings(extensions: tuple[str, ...]) -> None:
    bob, carol = Recipient("b@example.com", Notify("never")), Recipient("Carol <c@example.com>")
    everyone = [bob, carol, "d@example.com"]
    answers = in_turn("250 ok", "550 no", "550 no", "250 ok", *["550 no"] * 6)
    async with Peer({"RCPT": answers}, extensions=extensions) as peer, session(peer) as client:
        refused, _ = await client.sendmail(SENDER, everyone, TEXT)
        assert refused == {"Carol <c@example.com>": (550, "no"), "d@example.com": (550, "no")}
        assert {type(who) for who in refused} == {str}
        (result,) = [each async for each in client.send_many([Envelope(SENDER, everyone, TEXT)])]
        assert {type(who) for who in result.refused} == {str} and len(result.refused) == 2
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await client.sendmail(SENDER, everyone, TEXT)
        assert [type(each.recipient) for each in caught.value.recipients] == [str] * 3
        await client.mail(SENDER)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as one_refused:
            await client.rcpt(bob)
        assert type(one_refused.value.recipient) is str


async def test_recipients_keep_their_parameters_over_several_transactions() -> None:
    people = [Recipient(f"{n}@example.com", Notify("never"), f"N={n}") for n in range(5)]
    actions: Any = {"DATA": in_turn("354 go", "554 no", "354 go")}
    async with Peer(actions, extensions=("DSN", "LIMITS RCPTMAX=2")) as peer:
        async with SMTPPool(**options_for(peer), max_connections=1) as pool:
            refused, _ = await pool.sendmail(SENDER, people, TEXT)
        assert [line for line in peer.commands if line.startswith(b"RCPT")] == [
            b"RCPT TO:<%d@example.com> NOTIFY=NEVER N=%d" % (n, n) for n in range(5)
        ]
        assert refused.keys() == {"2@example.com", "3@example.com"}
        assert {type(who) for who in refused} == {str}


async def test_one_recipient_alone() -> None:
    async with Peer(extensions=("DSN",)) as peer, session(peer) as client:
        await client.sendmail(SENDER, Recipient("b@example.com", "X"), TEXT)
        await client.sendmail(SENDER, Recipient("b@example.com", Notify("never")), TEXT)
        assert [line for line in peer.commands if line.startswith(b"RCPT")] == [
            b"RCPT TO:<b@example.com> X",
            b"RCPT TO:<b@example.com> NOTIFY=NEVER",
        ]


# -- TLS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("verified", [False, True])
async def test_requiretls_over_tls(certificates: Files, implicit: bool, verified: bool) -> None:
    options: dict[str, Any] = {"use_tls": implicit, "cert_bundle": certificates.ca}
    if not verified:
        options |= {"validate_certs": False, "cert_bundle": None}
    peer = Peer(extensions=("REQUIRETLS",), tls=server_context(), implicit_tls=implicit)
    async with peer, session(peer, **options) as client:
        assert client.tls is not None
        if verified:
            await client.sendmail(SENDER, CAROL, TEXT, [RequireTLS()])
            assert b"MAIL FROM:<a@example.com> REQUIRETLS" in peer.commands
        else:
            with pytest.raises(SMTPNotSupported, match="verified certificate"):
                await client.sendmail(SENDER, CAROL, TEXT, [RequireTLS()])
            assert "MAIL" not in peer.verbs


# -- SMTPUTF8 and BODY -------------------------------------------------------------------------------

JUERGEN = Recipient("jürgen@bücher.example", Orcpt("jürgen@bücher.example"))
UTF8_ORCPT = "RCPT TO:<jürgen@bücher.example> ORCPT=utf-8;jürgen@bücher.example".encode()
DOMAIN = Recipient("j@bücher.example", Orcpt("j@bücher.example"))
A_LABEL = rb"RCPT TO:<j@xn--bcher-kva.example> ORCPT=utf-8;j@b\x{FC}cher.example"
UTF8_DOMAIN = "RCPT TO:<j@bücher.example> ORCPT=utf-8;j@bücher.example".encode()
ASCII = Recipient("b@example.com")
PLAIN = b"RCPT TO:<b@example.com>"


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("objects", [False, True])
@pytest.mark.parametrize(
    ("use", "recipient", "without", "with_it"),
    [
        ("required", JUERGEN, SMTPNotSupported, (True, UTF8_ORCPT)),
        ("required", ASCII, SMTPNotSupported, (True, PLAIN)),
        ("if available", JUERGEN, SMTPNotSupported, (True, UTF8_ORCPT)),
        ("if available", DOMAIN, (False, A_LABEL), (True, UTF8_DOMAIN)),
        ("never", JUERGEN, ValueError, ValueError),
        ("never", DOMAIN, (False, A_LABEL), (False, A_LABEL)),
        ("never", ASCII, (False, PLAIN), (False, PLAIN)),
    ],
)
async def test_smtputf8(
    announced: bool, objects: bool, use: Any, recipient: str, without: Any, with_it: Any
) -> None:
    extensions = ["DSN", "SMTPUTF8"] if announced else ["DSN"]
    expected = with_it if announced else without
    options = [SMTPUTF8(use)]
    async with Peer(extensions=extensions) as peer, session(peer) as client:

        async def sending() -> None:
            if objects:
                await client.send_message(email_message(), None, [recipient], options)
            else:
                await client.sendmail(SENDER, [recipient], TEXT, options)

        if isinstance(expected, type):
            with pytest.raises(expected):
                await sending()
            assert "MAIL" not in peer.verbs
            return
        await sending()
        used, line = expected
        assert peer.commands[1] == b"MAIL FROM:<a@example.com>" + b" SMTPUTF8" * used
        assert peer.commands[2] == line


async def test_smtputf8_is_used_where_objects_need_it() -> None:
    """RFC 6531 section 3.4: a client that knows that it is not needed leaves it out."""
    async with Peer(extensions=["SMTPUTF8"]) as peer, session(peer) as client:
        await client.send_message(email_message(), mail_options=[SMTPUTF8("if available")])
        await client.sendmail(SENDER, CAROL, TEXT, [SMTPUTF8("if available")])
        mails = [line for line in peer.commands if line.startswith(b"MAIL")]
        assert mails == [b"MAIL FROM:<a@example.com>", b"MAIL FROM:<a@example.com> SMTPUTF8"]


async def test_a_parameter_that_needs_smtputf8() -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(SMTPNotSupported, match="'X=\\\\xe4' is not ASCII"):
            await client.sendmail(SENDER, CAROL, TEXT, [SMTPUTF8("if available")], ["X=ä"])
        assert "MAIL" not in peer.verbs


async def test_smtputf8_with_other_commands() -> None:
    async with Peer(extensions=["SMTPUTF8", "DSN"]) as peer, session(peer) as client:
        await client.vrfy("b", [SMTPUTF8()])
        await client.expn("b", [SMTPUTF8("if available"), "X"])
        await client.mail("ä@example.com", [SMTPUTF8()], encoding="utf-8")
        await client.rcpt(JUERGEN, encoding="utf-8")
        assert peer.commands[1:] == [
            b"VRFY b SMTPUTF8",
            b"EXPN b SMTPUTF8 X",
            "MAIL FROM:<ä@example.com> SMTPUTF8".encode(),
            UTF8_ORCPT,
        ]


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("option", [Body("7bit"), "BODY=7BIT"])
async def test_body_of_seven_bits_is_one(announced: bool, option: str) -> None:
    """What is declared to be 7BIT is, also where the server would take more."""
    async with Peer(extensions=["8BITMIME"] if announced else []) as peer, session(peer) as client:
        await client.send_message(email_message(body="hä\n"), mail_options=[option])
        mark = b"" if isinstance(option, Body) and not announced else b" BODY=7BIT"
        assert peer.commands[1] == b"MAIL FROM:<a@example.com>" + mark
        assert peer.accepted[0].content.isascii()


async def test_body_of_objects() -> None:
    async with Peer(extensions=["8BITMIME"]) as peer, session(peer) as client:
        await client.send_message(email_message(body="hä\n"), mail_options=[Body("8bitmime", required=False)])
        assert peer.commands[1] == b"MAIL FROM:<a@example.com> BODY=8BITMIME"
        assert "hä".encode() in peer.accepted[0].content
    async with Peer(extensions=[]) as peer, session(peer) as client:
        await client.send_message(email_message(body="hä\n"), mail_options=[Body("8bitmime", required=False)])
        assert peer.commands[1] == b"MAIL FROM:<a@example.com>"
        assert peer.accepted[0].content.isascii()


async def test_binary_content() -> None:
    async with Peer(extensions=(*CHUNKING, "BINARYMIME")) as peer, session(peer) as client:
        for message in (b"a\nb\r\0", io.BytesIO(b"a\nb\r\0")):
            await client.sendmail(SENDER, CAROL, message, [Body("binarymime")])
        assert [mail.content for mail in peer.accepted] == [b"a\nb\r\0"] * 2


async def test_programs_that_override_a_door_see_strings() -> None:
    seen = []

    class Client(SMTP):
        async def sendmail(self, sender: str, recipients: Any, *args: Any, **options: Any) -> Any:
            seen.append((list(recipients), list(args[1])))
            return await super().sendmail(sender, recipients, *args, **options)

    async with Peer(extensions=("DSN",)) as peer, Client(**options_for(peer)) as client:
        await client.send_message(
            email_message(),
            recipients=[Recipient("b@example.com", Notify("never"))],
            mail_options=[Ret("hdrs")],
        )
    assert seen == [(["b@example.com"], ["RET=HDRS"])]


def test_the_documentation_says_what_is_required() -> None:
    """Each row of its table has what can be made, and what becomes of that where it is not available."""
    page = (Path(__file__).parents[2] / "docs" / "sending.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"(?m)^\| parameter \|.*\n\|[-|]+\n((?:\|.*\n)+)", page)
    made = []
    for line in table.splitlines():
        calls, _, otherwise = (cell.strip() for cell in line.strip("|").split(" | "))
        for call in re.findall(r"`([^`]+)`", calls):
            value = eval(call, {"datetime": datetime, "timezone": timezone, **vars(parameters)})
            made.append(type(value).__name__)
            default, _, exception = otherwise.partition("; ")
            is_exception = not value.required if exception.startswith("left out") else False
            assert value.required == (default == "error" and not is_exception), call
    assert {*made} == {*parameters.__all__} - {"Parameter", "Recipient"}
