"""Commands and parameters in what a caller passes on from others: through every parameter there is.

A recording server counts what arrives, line by line and as a lenient reader splits lines. Of a call that is
refused not a byte may have been written, and of one that is not exactly its own commands arrive, with the
parameters that the caller named.
"""

import re
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import aiosmtplib
from aiosmtplib import LMTP, SMTP, Envelope, SMTPPool

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
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Peer

#: What ends a line to one reader or another, and what begins something behind it.
BREAKS = [
    "\r\n",
    "\n",
    "\r",
    "\n\r",
    "\0",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\udc0a",
    "\x7f",
]
MEANT = ["", "a@example.com", "<a@example.com>", '"a b"@example.com', "me.example", "NOTIFY=NEVER", "user"]
BEHIND = ["NOOP", "RSET", "RCPT TO:<evil@example.com>", ".\r\nMAIL FROM:<evil@example.com>", "QUIT", ""]
#: Without a line end: parameters, and the end of a path.
PARAMETERS = ["> AUTH=<evil@example.com", "> SIZE=1", "a@b.example> SIZE=1", "a@b.example SIZE=1", "<a>,<b>"]
NASTY = [
    *(f"a@example.com{end}RCPT TO:<evil@example.com>" for end in BREAKS),
    *(f"user{end}.{end}RSET{end}MAIL FROM" for end in BREAKS),
    *BREAKS,
    *(meant + parameter for meant in MEANT[:2] for parameter in PARAMETERS),
    *MEANT,
]

pieces = st.lists(
    st.sampled_from(
        [*BREAKS, *MEANT, *BEHIND, *PARAMETERS, " ", ">", "<", '"', "\\", "@", ",", ";", "é", "="]
    ),
    max_size=6,
).map("".join)
hostile = st.one_of(st.sampled_from(NASTY), pieces, st.text(max_size=20))

Call = Callable[[SMTP, str], Awaitable[object]]


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


MAIL = ["MAIL", "RCPT", "DATA"]
#: A parameter of a method, the commands of the method, and which of them takes the text, as what.
DOORS: dict[str, tuple[Call, list[str], str]] = {
    "sender": (lambda c, t: c.sendmail(t, ["b@example.com"], MESSAGE), MAIL, "path"),
    "recipient": (lambda c, t: c.sendmail(SENDER, t, MESSAGE), MAIL, "path"),
    "recipients": (lambda c, t: c.sendmail(SENDER, [t], MESSAGE), MAIL, "path"),
    "one of them": (
        lambda c, t: c.sendmail(SENDER, ["b@example.com", t, "d@example.com"], MESSAGE),
        ["MAIL", "RCPT", "RCPT", "RCPT", "DATA"],
        "path",
    ),
    "mail_options": (lambda c, t: c.sendmail(SENDER, ["b@example.com"], MESSAGE, [t]), MAIL, "option"),
    "rcpt_options": (
        lambda c, t: c.sendmail(SENDER, ["b@example.com"], MESSAGE, rcpt_options=[t]),
        MAIL,
        "option",
    ),
    "sender, SMTPUTF8": (
        lambda c, t: c.sendmail(t, ["b@example.com"], MESSAGE, ["SMTPUTF8"]),
        MAIL,
        "path",
    ),
    "option, SMTPUTF8": (
        lambda c, t: c.sendmail(SENDER, ["b@example.com"], MESSAGE, ["SMTPUTF8", t]),
        MAIL,
        "option",
    ),
    "message sender": (
        lambda c, t: c.send_message(email_message("b@example.com"), sender=t),
        MAIL,
        "path",
    ),
    "message recipient": (lambda c, t: c.send_message(email_message(), recipients=[t]), MAIL, "path"),
    "message options": (
        lambda c, t: c.send_message(email_message("b@example.com"), mail_options=[t], rcpt_options=[t]),
        MAIL,
        "option",
    ),
    "mail()": (lambda c, t: c.mail(t), ["MAIL"], "path"),
    "mail() options": (lambda c, t: c.mail(SENDER, [t]), ["MAIL"], "option"),
    "mail() UTF-8": (lambda c, t: c.mail(t, encoding="utf-8"), ["MAIL"], "path"),
    "rcpt()": (lambda c, t: c.rcpt(t), ["RCPT"], "path"),
    "rcpt() options": (lambda c, t: c.rcpt("b@example.com", [t]), ["RCPT"], "option"),
    "vrfy()": (lambda c, t: c.vrfy(t), ["VRFY"], "line"),
    "vrfy() options": (lambda c, t: c.vrfy("b", [t]), ["VRFY"], "line"),
    "expn()": (lambda c, t: c.expn(t), ["EXPN"], "line"),
    "expn() options": (lambda c, t: c.expn("b", [t]), ["EXPN"], "line"),
    "helo()": (lambda c, t: c.helo(t), ["HELO"], "name"),
    "ehlo()": (lambda c, t: c.ehlo(t), ["EHLO"], "name"),
    "execute_command()": (lambda c, t: c.execute_command(b"NOOP", octets(t)), ["NOOP"], "octets"),
    "one argument": (lambda c, t: c.execute_command(b"NOOP " + octets(t)), ["NOOP"], "octets"),
    "protocol": (
        lambda c, t: c.protocol.execute_command(b"NOOP", octets(t), timeout=PATIENCE),  # type: ignore[union-attr]
        ["NOOP"],
        "octets",
    ),
    "auth_plain()": (lambda c, t: c.auth_plain(t, t), ["AUTH"], "base64"),
    "auth_login()": (lambda c, t: c.auth_login(t, t), ["AUTH"], "base64"),
    "auth_xoauth2()": (lambda c, t: c.auth_xoauth2(t, "token"), ["AUTH"], "base64"),
    "a token": (lambda c, t: c.auth_xoauth2("user", t), ["AUTH"], "base64"),
    "auth_oauthbearer()": (lambda c, t: c.auth_oauthbearer(t, "token"), ["AUTH"], "base64"),
    "another token": (lambda c, t: c.auth_oauthbearer("user", t), ["AUTH"], "base64"),
    "auth_external()": (lambda c, t: c.auth_external(t), ["AUTH"], "base64"),
}
EXTENSIONS = [*PIPELINING, "SMTPUTF8"]


def assert_lines(received: bytes, verbs: list[str], kind: str) -> None:
    """Exactly these commands, to every reader, and with no more to them than was meant."""
    commands = received.replace(WIRE, b"", 1)
    if b"\r\nDATA\r\n" in commands:  # of a message object: the content is not what is looked at here
        commands = re.sub(rb"(?s)(\r\nDATA\r\n).*\r\n\.\r\n", rb"\1", commands)
    # Where octets are passed on, they are for the caller to choose, but for those that end a line in SMTP.
    ends = rb"\r\n|\r|\n" if kind == "octets" else rb"\r\n|\r|\n|\xc2\x85|\xe2\x80[\xa8\xa9]"
    lines = re.split(ends, commands)
    assert lines.pop() == b""
    assert [line.partition(b" ")[0].decode("latin-1") for line in lines] == verbs
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", commands)
    for line in lines:
        if line.startswith((b"MAIL", b"RCPT")):
            # Only quotes hide a ">", and they are at the start (RFC 5321 section 4.1.2).
            match = re.fullmatch(
                rb'(?:MAIL FROM|RCPT TO):<(?:"(?:[^"\\]|\\.)*")?[^<>"]*>((?: [^ ].*)?)', line.rstrip(b" ")
            )
            assert match, line
            if kind == "path":
                assert re.fullmatch(rb"( size=\d+)?( SMTPUTF8)?( BODY=8BITMIME)?", match[1]), line
        elif kind == "name":
            assert line.count(b" ") == 1, line
        elif kind == "base64" and not line.startswith(b"EHLO"):
            assert re.fullmatch(rb"AUTH [A-Z0-9-]+( [A-Za-z0-9+/=]+)?", line), line


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=1, phases=[Phase.generate])
@given(st.data())
async def test_every_parameter(door: str, data: st.DataObject) -> None:
    """Many texts over one connection; it has to be usable at the end."""
    call, verbs, kind = DOORS[door]
    texts = [*NASTY, *data.draw(st.lists(hostile, min_size=30, max_size=30))]
    actions = {"RCPT": "250 ok", "AUTH": "235 ok"}
    async with Peer(actions, extensions=EXTENSIONS) as peer, session(peer, start_tls=False) as client:
        await client.ehlo()
        conversation = peer.conversations[0]
        passed = 0
        for text in texts:
            if kind == "name" and not text:
                continue  # means the name that is known
            before = len(conversation.received)
            try:
                await call(client, text)
            except (ValueError, TypeError, aiosmtplib.SMTPNotSupported):
                # What arrives is in order, so that this is behind all that could have been written.
                await client.execute_command(b"NOOP")
                assert bytes(conversation.received[before:]) == b"NOOP\r\n", text
            else:
                passed += 1
                assert_lines(bytes(conversation.received[before:]), verbs, kind)
        assert passed or door in ("a token", "another token")
        await client.rset()
        await assert_usable(client, peer)


# -- parameters of a connection ----------------------------------------------------------------------


async def as_local_hostname(options: dict[str, Any], text: str) -> None:
    async with SMTP(**{**options, "local_hostname": text}) as client:
        await client.ehlo()


async def as_source_address(options: dict[str, Any], text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client = SMTP(**{**options, "local_hostname": None, "source_address": text})
    async with client:
        await client.ehlo()


async def as_assigned_name(options: dict[str, Any], text: str) -> None:
    client = SMTP(**options)
    client.local_hostname = text
    async with client:
        await client.ehlo()


async def as_name_for_lmtp(options: dict[str, Any], text: str) -> None:
    async with LMTP(**{**options, "local_hostname": text}) as client:
        await client.ehlo()


async def as_option_of_connect(options: dict[str, Any], text: str) -> None:
    client = SMTP(**options)
    try:
        await client.connect(local_hostname=text)
        await client.ehlo()
        await client.quit()
    finally:
        client.close()


async def as_user_name(options: dict[str, Any], text: str) -> None:
    async with SMTP(**options, username=text, password="password"):
        pass


async def as_password(options: dict[str, Any], text: str) -> None:
    async with SMTP(**options, username="user", password=text):
        pass


async def as_generated_token(options: dict[str, Any], text: str) -> None:
    async def generate() -> str:
        return text

    async with SMTP(**options, username="user", oauth_token_generator=generate):
        pass


@pytest.mark.parametrize(
    ("door", "kind"),
    [
        (as_local_hostname, "name"),
        (as_source_address, "name"),
        (as_assigned_name, "name"),
        (as_name_for_lmtp, "name"),
        (as_option_of_connect, "name"),
        (as_user_name, "base64"),
        (as_password, "base64"),
        (as_generated_token, "base64"),
    ],
)
async def test_every_option(door: Callable[[dict[str, Any], str], Awaitable[None]], kind: str) -> None:
    offer = "AUTH XOAUTH2" if door is as_generated_token else "AUTH PLAIN LOGIN"
    async with Peer({"AUTH": "235 ok"}, extensions=[offer], lmtp=door is as_name_for_lmtp) as peer:
        options = options_for(peer, start_tls=False)
        for text in NASTY:
            if door is as_user_name and not text:
                continue  # no login
            before = len(peer.conversations)
            try:
                await door(options, text)
            except (ValueError, TypeError):
                allowed: list[list[str]] = [[], ["QUIT"]] if kind == "name" else [[], ["EHLO"]]
            else:
                hello = "LHLO" if door is as_name_for_lmtp else "EHLO"
                allowed = [[hello, "AUTH", "QUIT"] if kind == "base64" else [hello, "QUIT"]]
            await peer.hung_up()
            for conversation in peer.conversations[before:]:
                received = bytes(conversation.received)
                verbs = [line.partition(b" ")[0].decode() for line in conversation.commands]
                assert verbs in allowed, text
                assert_lines(received.removesuffix(b"QUIT\r\n"), [v for v in verbs if v != "QUIT"], kind)


# -- doors for one message, and for many -------------------------------------------------------------


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
@pytest.mark.parametrize("door", ["send", "send_many", "pool", "pool many", "LMTP"])
async def test_every_door(door: str, extensions: tuple[str, ...]) -> None:
    """In each place of an envelope: it fails alone, and what is around it arrives as it is."""
    async with Peer(extensions=extensions, lmtp=door == "LMTP", strict=True) as peer:
        options = options_for(peer, start_tls=False)
        envelopes = []
        for text in NASTY:
            envelopes += [
                Envelope(text, "b@example.com", MESSAGE),
                Envelope(SENDER, [text], MESSAGE),
                Envelope(SENDER, "b@example.com", MESSAGE, mail_options=[text]),
                Envelope(SENDER, "b@example.com", MESSAGE, rcpt_options=[text]),
                Envelope(SENDER, "b@example.com", email_message(), mail_options=[text]),
                Envelope(SENDER, RECIPIENTS, MESSAGE),
            ]
        ok = 0
        if door in ("send_many", "pool many"):
            results = (
                [each async for each in aiosmtplib.send_many(envelopes, **options)]
                if door == "send_many"
                else await many(options, envelopes)
            )
            ok = sum(result.ok for result in results)
            for result in results:
                assert result.ok or isinstance(result.error, ValueError | TypeError), result
        else:
            # One connection for each call would be slow, and no other than for the first.
            step = 7 if door == "send" else 1
            async with SMTPPool(**options, max_connections=1) as pool, connected(door, options) as client:
                for envelope in envelopes[::step]:
                    try:
                        await deliver(door, envelope, options, pool, client)
                        ok += 1
                    except (ValueError, TypeError):
                        pass
        await peer.hung_up()
        assert len(peer.accepted) == ok > 10
        assert set(peer.verbs) <= {
            "EHLO",
            "LHLO",
            "MAIL",
            "RCPT",
            "DATA",
            "BDAT",
            "RSET",
            "QUIT",
        }
        assert peer.verbs.count("MAIL") == ok
        assert b"evil@example.com" not in peer.received
        good = sum(mail.recipients == (b"b@example.com", b"c@example.com") for mail in peer.accepted)
        assert good >= ok / 12


async def many(options: dict[str, Any], envelopes: list[Envelope]) -> list[Any]:
    async with SMTPPool(**options, max_connections=1) as pool:
        return [each async for each in pool.send_many(envelopes)]


def connected(door: str, options: dict[str, Any]) -> SMTP:
    """A client to be entered; that of LMTP where it is the door."""
    return LMTP(**options) if door == "LMTP" else SMTP(**options)


async def deliver(
    door: str, envelope: Envelope, options: dict[str, Any], pool: SMTPPool, client: SMTP
) -> None:
    mail = (
        envelope.sender,
        envelope.recipients,
        envelope.message,
        envelope.mail_options,
        envelope.rcpt_options,
    )
    if not isinstance(envelope.message, bytes):
        send = pool.send_message if door == "pool" else client.send_message
        await send(envelope.message, SENDER, envelope.recipients, envelope.mail_options)
    elif door == "send":
        sender, recipients, message, mail_options, rcpt_options = mail
        await aiosmtplib.send(
            message,
            sender=sender,
            recipients=recipients,
            mail_options=mail_options,
            rcpt_options=rcpt_options,
            **options,
        )
    else:
        await (pool if door == "pool" else client).sendmail(*mail)
