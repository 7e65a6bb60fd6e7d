"""Every feature before every server: what is sent arrives, once read back, byte by byte."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, Recipient, SendResult, SMTPPool
from aiosmtplib.parameters import EnvId, Notify, Orcpt, Ret

from ..support.clients import assert_closed
from .letters import BODIES, DOTS, EIGHT_BIT, LONG_LINES, letter
from .maildir import KEY, Maildir, as_sent
from .matrix import lacking
from .server import DOORS, FULL, KEPT, OTHER, PASSWORD, SENDER, SIZE_LIMIT, UNKNOWN, USER, Server, token
from .tap import Tap

pytestmark = pytest.mark.interop
feature = pytest.mark.feature

#: By the name of a row: the keyword of EHLO that offers it.
EXTENSIONS = {
    "PIPELINING": "pipelining",
    "CHUNKING": "chunking",
    "8BITMIME": "8bitmime",
    "SMTPUTF8": "smtputf8",
    "SIZE": "size",
    "DSN": "dsn",
}
#: How to log in by each mechanism that the client has. A new one needs a line here.
MECHANISMS: dict[str, Callable[[aiosmtplib.SMTP], Awaitable[object]]] = {
    "PLAIN": lambda client: client.auth_plain(USER, PASSWORD),
    "LOGIN": lambda client: client.auth_login(USER, PASSWORD),
    "CRAM-MD5": lambda client: client.auth_crammd5(USER, PASSWORD),
    "XOAUTH2": lambda client: client.auth_xoauth2(USER, token()),
}
MANY = 200
#: Every so many of them, one that is refused. chasquid hangs up on the third.
BAD = 101


async def delivered(maildir: Maildir, server: Server, key: bytes, message: bytes) -> None:
    """The message has arrived as it was sent."""
    assert (await maildir.wait_for([key]))[key] == as_sent(message, server.newline)


async def exchange(
    client: aiosmtplib.SMTP, maildir: Maildir, server: Server, body: bytes, **options: Any
) -> None:
    """Send a message, and see it arrive."""
    key, message = letter(body)
    refused, _ = await client.sendmail(SENDER, [KEPT], message, **options)
    assert refused == {}
    await delivered(maildir, server, key, message)


@feature("{door}")
@pytest.mark.parametrize("door", DOORS)
async def test_doors(server: Server, maildir: Maildir, door: str) -> None:
    async with server.client(door) as client:
        encrypted = client.get_transport_info("ssl_object") is not None
        assert encrypted == (door != "plain")
        await exchange(client, maildir, server, b".hello\r\n")
    assert_closed(client)


@feature("EHLO")
async def test_what_is_announced(server: Server) -> None:
    async with server.client("STARTTLS", username=None, password=None) as client:
        await client.ehlo()
        assert {name.upper() for name in client.server_auth_methods} == server.mechanisms
    # Dovecot says the rest to those who have logged in.
    async with server.client("STARTTLS") as client:
        await client.ehlo()
        offered = {name for name, keyword in EXTENSIONS.items() if client.supports_extension(keyword)}
        # What the client does not use may be there.
        unused = {name for name, reason in server.lacks.items() if reason.startswith("announced")}
        assert offered - unused == EXTENSIONS.keys() - server.lacks.keys()


@feature("AUTH {mechanism}")
@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_login(server: Server, maildir: Maildir, mechanism: str) -> None:
    if mechanism not in server.mechanisms:
        lacking(server.without_mechanism)
    async with server.client("STARTTLS", username=None, password=None) as client:
        await MECHANISMS[mechanism](client)
        await exchange(client, maildir, server, b"logged in\r\n")


@feature("refused login")
async def test_refused_login(server: Server) -> None:
    if not server.mechanisms:
        lacking(server.without_mechanism)
    client = server.client("STARTTLS", username=USER, password="wrong")
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
        await client.connect()
    assert refused.value.code == 535
    assert_closed(client)


@feature("PIPELINING")
async def test_pipelining(server: Server, maildir: Maildir) -> None:
    async with Tap(server.port) as tap, server.client(port=tap.port, chunking=False) as client:
        await client.ehlo()
        key, message = letter(b"...\r\n")
        refused, _ = await client.sendmail(SENDER, [KEPT, UNKNOWN, OTHER], message)
        assert refused.keys() == {UNKNOWN}
        # One turn for all of the envelope.
        turn = tap.turn(b"MAIL").upper()
        assert turn.count(b"\r\nRCPT ") == 3 and turn.endswith(b"\r\nDATA\r\n")
        await delivered(maildir, server, key, message)


@feature("CHUNKING")
async def test_chunking(server: Server, maildir: Maildir) -> None:
    async with Tap(server.port) as tap, server.client(port=tap.port, chunking=True) as client:
        for body in (*DOTS, EIGHT_BIT):
            await exchange(client, maildir, server, body)
        sent = b"".join(tap.turns)
        assert sent.count(b"BDAT ") == len(DOTS) + 1 and b"DATA\r\n" not in sent


@feature("8BITMIME")
async def test_8bitmime(server: Server, maildir: Maildir) -> None:
    key, _ = letter(b"")
    message = EmailMessage()
    message[KEY.decode()] = key.decode()
    message["From"], message["To"], message["Subject"] = SENDER, KEPT, "Grüße"
    message["Date"], message["Message-ID"] = (
        "Mon, 23 Nov 2026 12:00:00 +0000",
        f"<{key.decode()}@8bit.example>",
    )
    message.set_content(".größer\n.\nEnde\n", cte="8bit")
    async with Tap(server.port) as tap, server.client(port=tap.port) as client:
        assert (await client.send_message(message))[0] == {}
        assert b"BODY=8BITMIME" in tap.turn(b"MAIL")
        await delivered(maildir, server, key, message.as_bytes())
        await exchange(client, maildir, server, EIGHT_BIT, mail_options=["BODY=8BITMIME"])


@feature("SMTPUTF8")
async def test_smtputf8(server: Server, maildir: Maildir) -> None:
    key, message = letter("größer\r\n".encode())
    recipient = KEPT.replace("kept", "größe")
    message = message.replace(KEPT.encode(), recipient.encode())
    async with server.client() as client:
        refused, _ = await client.sendmail(SENDER, [recipient], message, ["SMTPUTF8", "BODY=8BITMIME"])
        assert refused == {}
        await delivered(maildir, server, key, message)


@feature("SIZE")
async def test_size(server: Server, maildir: Maildir) -> None:
    async with server.client() as client:
        await client.ehlo()
        limit = int(client.esmtp_extensions["size"])
        assert SIZE_LIMIT - 1024 <= limit <= SIZE_LIMIT  # Dovecot leaves room for its trace field
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as said_here:
            await client.sendmail(SENDER, [KEPT], letter(b"x" * limit)[1])
        assert said_here.value.code == 552
        # The server need not compare what it was told (RFC 1870 section 6.1), but some do.
        with contextlib.suppress(aiosmtplib.SMTPSenderRefused):
            await client.mail(SENDER, options=[f"SIZE={limit + 1024}"])
        await client.rset()
        # And nobody knows before it is over where the size was not told.
        await client.mail(SENDER)
        await client.rcpt(KEPT)
        with pytest.raises(aiosmtplib.SMTPDataError) as said_there:
            await client.data(letter(b"")[1] + (b"y" * 70 + b"\r\n") * (limit // 70))
        assert said_there.value.code in (552, 554)
        await exchange(client, maildir, server, b"smaller\r\n")


@feature("DSN")
async def test_delivery_status_notification(server: Server, maildir: Maildir) -> None:
    key, message = letter(b"tell me\r\n")
    envid = b"QQ" + key
    async with server.client() as client:
        await client.ehlo()
        recipient: str = Recipient(
            OTHER, Notify("success", "failure", required=True), Orcpt(OTHER, required=True)
        )
        parameters: list[str] = [Ret("hdrs", required=True), EnvId(envid.decode(), required=True)]
        rcpt_options: list[str] = []
        if not client.supports_extension("dsn"):
            # Dovecot passes them on and does not say so. What is a plain string goes out all the same.
            recipient, parameters = OTHER, list(map(str, parameters))
            rcpt_options = ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{OTHER}"]
        refused, _ = await client.sendmail(KEPT, [recipient], message, parameters, rcpt_options)
        assert refused == {}
        await delivered(maildir, server, key, message)
    field = b"\n" + KEY + b": " + key + b"\n"

    def reports() -> list[bytes]:
        return [text for text in maildir.others if field in text.replace(b"\r\n", b"\n")]

    await maildir.wait_until(lambda: bool(reports()))
    (report,) = reports()
    assert OTHER.encode() in report
    # RET=HDRS: no body.
    assert b"tell me" not in report
    assert (envid in report) == ("DSN" not in server.remarks)


@feature("one bad recipient")
async def test_one_recipient_refused(server: Server, maildir: Maildir) -> None:
    async with server.client() as client:
        for pipelining in (None, False):
            client.pipelining = pipelining
            key, message = letter(b"not for all\r\n")
            refused, _ = await client.sendmail(SENDER, [KEPT, UNKNOWN, OTHER], message)
            assert refused.keys() == {UNKNOWN}
            assert 500 <= refused[UNKNOWN].code < 600
            await delivered(maildir, server, key, message)


@feature("all recipients bad")
async def test_all_recipients_refused(server: Server, maildir: Maildir) -> None:
    async with server.client() as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await client.sendmail(SENDER, [UNKNOWN], letter(b"for nobody\r\n")[1])
        assert caught.value.delivery is Delivery.REJECTED
        await exchange(client, maildir, server, b"the next\r\n")


@feature("5 MiB")
async def test_large_message(server: Server, maildir: Maildir) -> None:
    line = b".a line with a dot in front, as long as lines of base64 mostly are.......\r\n"
    async with server.client() as client:
        for chunking in (None, False):
            client.chunking = chunking
            await exchange(client, maildir, server, line * (5 * 2**20 // len(line)))


@feature("dots")
async def test_dots(server: Server, maildir: Maildir) -> None:
    async with server.client(chunking=False) as client:
        for body in DOTS:
            await exchange(client, maildir, server, body)


@feature("long lines")
async def test_long_lines(server: Server, maildir: Maildir) -> None:
    async with server.client() as client:
        await exchange(client, maildir, server, LONG_LINES)


async def check_many(
    server: Server,
    maildir: Maildir,
    send_many: Callable[[list[Envelope]], AsyncIterator[SendResult[Envelope]]],
) -> None:
    made = [letter(BODIES[number % len(BODIES)]) for number in range(MANY)]
    envelopes = [
        Envelope(SENDER, UNKNOWN if number % BAD == 0 else KEPT, message)
        for number, (_, message) in enumerate(made)
    ]
    results = [result async for result in send_many(envelopes)]
    assert sorted(result.index for result in results) == list(range(MANY))
    for result in results:
        bad = result.index % BAD == 0
        assert result.delivery is (Delivery.REJECTED if bad else Delivery.DELIVERED)
    expected = {
        key: as_sent(message, server.newline) for number, (key, message) in enumerate(made) if number % BAD
    }
    assert await maildir.wait_for(expected) == expected
    assert all(len(maildir.messages[key]) == 1 for key in expected)


@feature("send_many")
async def test_send_many(server: Server, maildir: Maildir) -> None:
    async with server.client(**server.many) as client:
        await check_many(server, maildir, client.send_many)


@feature("pool")
async def test_pool(server: Server, maildir: Maildir) -> None:
    options = server.options(max_connections=4, client_class=server.client_class, **server.many)
    async with SMTPPool(**options) as pool:
        await check_many(server, maildir, pool.send_many)
        assert pool.stats().refused == len(range(0, MANY, BAD))


@feature("LMTP")
async def test_an_answer_for_each_recipient(server: Server, maildir: Maildir) -> None:
    if server.client_class is not aiosmtplib.LMTP:
        lacking("speaks SMTP")
    async with server.client() as client:
        key, message = letter(b"two kilobytes\r\n" * 150)
        refused, _ = await client.sendmail(SENDER, [FULL, KEPT, UNKNOWN, OTHER], message)
        # Unknown is said before the message, full after it.
        assert {who: str(reply.code)[0] for who, reply in refused.items()} == {UNKNOWN: "5", FULL: "5"}
        await delivered(maildir, server, key, message)
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail(SENDER, [FULL], message)
        assert caught.value.delivery is Delivery.REJECTED
        await exchange(client, maildir, server, b"the next\r\n")
