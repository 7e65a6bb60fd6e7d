"""Against Postfix, which millions of messages a day pass through: what it announces, refuses, delivers, says.

What a scripted peer says is what we believe that servers say. These tests find out.
"""

import asyncio
import re
import ssl
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

import aiosmtplib
from aiosmtplib.status import Delivery

from ..support import certs
from ..support.certs import Files
from ..support.clients import HOST, assert_closed, email_message
from ..support.mta import DOMAIN, Postfix, private_postfix, sink_folder, smtp_sink
from ..support.scripted_server import PATIENCE

pytestmark = pytest.mark.interop

SENDER = f"me@{DOMAIN}"
KEPT, DROPPED, UNKNOWN, BARRED, REFUSED = (
    f"{name}@{DOMAIN}" for name in ("kept", "dropped", "unknown", "barred", "refused")
)
#: All that Postfix would add if it were missing, so that it adds nothing but Received.
HEADER = (
    f"From: {SENDER}\r\nTo: {KEPT}\r\nSubject: interop\r\nMessage-ID: <1@{DOMAIN}>\r\n"
    "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n"
).encode()
BODIES = {
    "dots": b".\r\n..\r\n...\r\n.leading\r\n.\r\n\r\ntrailing.\r\n.\r\n",
    "only a dot, no line end": b".",
    "LF alone": b"one\n.two\n\n..three\n",
    "CR alone": b"one\r.two\r\rthree\r",
    "mixed line ends": b"a\rb\nc\r\nd\n\re\r\r\nf",
    "8-bit": "Grüße\r\n.größer\r\n".encode() + bytes(range(128, 256)) + b"\r\n",
    "long lines": b".".join([b"x" * 998, b"y" * 5000, b"." * 3000]) + b"\r\n" + b"." * 2500 + b"\r\nend\r\n",
    "empty": b"",
    "empty lines at the end": b"text\r\n\r\n\r\n",
}


@pytest.fixture(scope="session", name="postfix")
def _postfix() -> Iterator[Postfix]:
    """One Postfix for all tests that leave it running."""
    with private_postfix() as server:
        yield server


def client_for(port: int, **options: object) -> aiosmtplib.SMTP:
    known = {"local_hostname": HOST, "timeout": PATIENCE, "start_tls": False, **options}
    return aiosmtplib.SMTP("127.0.0.1", port, **known)  # type: ignore[arg-type]


def queue_id(text: str) -> str:
    """Of the message that a final reply of Postfix is about."""
    match = re.fullmatch(r"2\.0\.0 Ok: queued as (\w+)", text)
    assert match is not None, text
    return match[1]


async def delivered(server: Postfix, arrivals: "asyncio.Queue[str]", text: str) -> bytes:
    """The message that a final reply is about, once it is in its file, without the Received field."""
    name = queue_id(text)
    while await asyncio.wait_for(arrivals.get(), PATIENCE) != name:
        pass  # a message of an earlier test, which did not wait for it
    kept = server.kept(name)
    received = re.match(rb"Received: .*\n(?:[ \t].*\n)*", kept)
    assert received is not None and name.encode() in received[0] and HOST.encode() in received[0]
    return kept[received.end() :]


def as_kept(message: bytes) -> bytes:
    """A message as a file has it: each CR, LF and CRLF is a line end, and the last line has one."""
    text = re.sub(rb"\r\n|\r|\n", b"\n", message)
    return text if text.endswith(b"\n") else text + b"\n"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("door", ["port", "strict_port"])
async def test_bytes_arrive(postfix: Postfix, door: str, body: bytes) -> None:
    async with postfix.arrivals() as arrivals, client_for(getattr(postfix, door)) as client:
        refused, text = await client.sendmail(SENDER, [KEPT], HEADER + body)
        assert refused == {}
        assert await delivered(postfix, arrivals, text) == as_kept(HEADER + body)


async def test_email_message_arrives(postfix: Postfix) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = SENDER, f"Kept <{KEPT}>", DROPPED
    message["Subject"], message["Message-ID"] = "Grüße", f"<2@{DOMAIN}>"
    message["Date"] = "Mon, 23 Nov 2026 12:00:00 +0000"
    message.set_content(".größer\n" + "lang " * 400 + "\n.\nEnde\n", cte="8bit")
    message.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream")
    message.set_boundary("=-=")
    async with postfix.arrivals() as arrivals, client_for(postfix.port) as client:
        refused, text = await client.send_message(message)
        assert refused == {}
        kept = await delivered(postfix, arrivals, text)
    del message["Bcc"]
    assert kept == as_kept(message.as_bytes())


async def test_addresses_that_are_not_ascii(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        message = email_message(to=f"größe@{DOMAIN}, {DROPPED}", sender=f"grüße@{DOMAIN}")
        refused, text = await client.send_message(message)
        assert list(refused) == [f"größe@{DOMAIN}"]
        assert refused[f"größe@{DOMAIN}"].code == 550
        queue_id(text)
    # Without the extension it is the client that says no.
    async with client_for(postfix.strict_port) as client:
        with pytest.raises(aiosmtplib.SMTPNotSupported):
            await client.send_message(message)
        assert (await client.noop()).code == 250


async def test_send(postfix: Postfix) -> None:
    async with postfix.arrivals() as arrivals:
        refused, text = await aiosmtplib.send(
            HEADER + b"by send()\r\n",
            sender=SENDER,
            recipients=[KEPT],
            hostname="127.0.0.1",
            port=postfix.port,
            local_hostname=HOST,
            timeout=PATIENCE,
            tls_context=certs.client_context(),
        )
        assert refused == {}
        assert await delivered(postfix, arrivals, text) == as_kept(HEADER + b"by send()\n")


async def test_large_message(postfix: Postfix) -> None:
    line = b".a line with a dot in front, as long as lines of base64 mostly are........" + b"\r\n"
    message = HEADER + line * (5 * 2**20 // len(line))
    async with postfix.arrivals() as arrivals, client_for(postfix.port) as client:
        _, text = await client.sendmail(SENDER, [KEPT], message)
        assert await delivered(postfix, arrivals, text) == as_kept(message)


# -- TLS ---------------------------------------------------------------------------------------------


async def test_starttls_by_itself(postfix: Postfix, certificates: Files) -> None:
    async with client_for(postfix.port, start_tls=None, cert_bundle=certificates.ca) as client:
        assert isinstance(client.get_transport_info("ssl_object").version(), str)
        await client.ehlo()
        assert not client.supports_extension("starttls")
        await client.sendmail(SENDER, [DROPPED], HEADER)


async def test_tls_from_the_start(postfix: Postfix, certificates: Files) -> None:
    async with client_for(
        postfix.tls_port, use_tls=True, start_tls=None, cert_bundle=certificates.ca
    ) as client:
        await client.sendmail(SENDER, [DROPPED], HEADER)


@pytest.mark.parametrize("options", [{"start_tls": None}, {"start_tls": True}, {"use_tls": True}])
async def test_untrusted_certificate(
    postfix: Postfix, certificates: Files, options: dict[str, bool | None]
) -> None:
    port = postfix.tls_port if options.get("use_tls") else postfix.port
    options = {"start_tls": None, **options}
    client = client_for(port, cert_bundle=certificates.untrusted_ca, **options)
    with pytest.raises((aiosmtplib.SMTPConnectError, ssl.SSLError)) as caught:
        await client.connect()
    assert isinstance(caught.value, ssl.SSLError) or isinstance(caught.value.__cause__, ssl.SSLError)
    assert_closed(client)
    await client.connect(validate_certs=False, cert_bundle=None)
    assert client.get_transport_info("ssl_object") is not None
    await client.quit()


async def test_starttls_not_offered(postfix: Postfix) -> None:
    client = client_for(postfix.strict_port, start_tls=True)
    with pytest.raises(aiosmtplib.SMTPException, match="STARTTLS"):
        await client.connect()
    assert_closed(client)


# -- what the server announces and answers -----------------------------------------------------------


async def test_extensions(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        response = await client.ehlo()
        name, *announced = response.message.splitlines()
        assert name == postfix.setting("myhostname")
        assert {line.split()[0].lower() for line in announced} == set(client.esmtp_extensions)
        assert client.esmtp_extensions["size"] == postfix.setting("message_size_limit")
        assert client.supports_extension("smtputf8") == (postfix.setting("smtputf8_enable") == "yes")
        assert client.supports_extension("vrfy") == (postfix.setting("disable_vrfy_command") == "no")
        assert client.supports_extension("starttls") == (postfix.setting("smtpd_tls_security_level") == "may")
        assert {"pipelining", "8bitmime", "enhancedstatuscodes", "dsn"} <= set(client.esmtp_extensions)
        assert client.server_auth_methods == []
    async with client_for(postfix.strict_port) as client:
        await client.ehlo()
        assert not {"pipelining", "8bitmime", "smtputf8", "size"} & set(client.esmtp_extensions)
        assert client.supports_extension("dsn")


async def test_commands(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        assert (await client.helo()).code == 250
        await client.ehlo()
        assert await client.noop() == (250, "2.0.0 Ok")
        assert await client.rset() == (250, "2.0.0 Ok")
        assert await client.vrfy(KEPT) == (252, f"2.0.0 {KEPT}")
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await client.vrfy(UNKNOWN)
        assert refused.value.code == 550
        for command in (client.help(), client.expn(KEPT)):
            with pytest.raises(aiosmtplib.SMTPResponseException) as unknown:
                await command
            assert unknown.value.code in (500, 502)
        assert (await client.noop()).code == 250
        assert (await client.quit()).code == 221
        assert_closed(client)


async def test_commands_one_by_one(postfix: Postfix) -> None:
    async with postfix.arrivals() as arrivals, client_for(postfix.port) as client:
        await client.ehlo()
        assert (await client.mail(SENDER, options=["BODY=8BITMIME", "RET=HDRS"])).code == 250
        assert (await client.rcpt(KEPT, options=["NOTIFY=NEVER"])).code == 250
        _, text = await client.data(HEADER + b".\n")
        assert await delivered(postfix, arrivals, text) == as_kept(HEADER + b".\n")


# -- refusals ----------------------------------------------------------------------------------------


async def still_good(client: aiosmtplib.SMTP) -> None:
    """The same connection takes the next message."""
    assert client.is_connected
    refused, text = await client.sendmail(SENDER, [DROPPED], HEADER)
    assert refused == {}
    queue_id(text)


async def test_some_recipients_refused(postfix: Postfix) -> None:
    async with postfix.arrivals() as arrivals, client_for(postfix.port) as client:
        refused, text = await client.sendmail(SENDER, [UNKNOWN, KEPT, BARRED, DROPPED], HEADER)
        assert {who: response.code for who, response in refused.items()} == {UNKNOWN: 550, BARRED: 450}
        assert "User unknown" in refused[UNKNOWN].message
        assert await delivered(postfix, arrivals, text) == as_kept(HEADER)
        await still_good(client)


async def test_all_recipients_refused(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await client.sendmail(SENDER, [UNKNOWN, BARRED], HEADER)
        assert [(one.recipient, one.code) for one in refused.value.recipients] == [
            (UNKNOWN, 550),
            (BARRED, 450),
        ]
        await still_good(client)


async def test_sender_refused(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await client.sendmail(REFUSED, [KEPT], HEADER)
        assert (refused.value.code, refused.value.sender) == (553, REFUSED)
        assert refused.value.message.endswith("Not from you")
        await still_good(client)


async def test_too_large_says_the_client(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await client.sendmail(SENDER, [KEPT], HEADER + b"x" * Postfix.SIZE_LIMIT)
        assert refused.value.code == 552
        await still_good(client)


async def test_too_large_says_the_server(postfix: Postfix) -> None:
    async with client_for(postfix.port) as client:
        await client.ehlo()
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as announced:
            await client.mail(SENDER, options=[f"SIZE={Postfix.SIZE_LIMIT + 1}"])
        assert announced.value.code == 552
        await still_good(client)
    # Where SIZE is not announced nobody knows before the message is over.
    async with client_for(postfix.strict_port) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await client.sendmail(SENDER, [KEPT], HEADER + b"x" * Postfix.SIZE_LIMIT)
        assert refused.value.code == 552
        await still_good(client)


async def test_refused_in_the_greeting(postfix: Postfix) -> None:
    client = client_for(postfix.shut_port)
    with pytest.raises(aiosmtplib.SMTPConnectResponseError) as refused:
        await client.connect()
    assert refused.value.code == 554
    assert_closed(client)


async def test_421_after_errors(postfix: Postfix) -> None:
    async with client_for(postfix.strict_port) as client:
        await client.ehlo()
        for _ in range(3):
            with pytest.raises(aiosmtplib.SMTPSenderRefused):
                await client.mail(REFUSED)
        # Postfix closes with a 421 that answers nothing: it is on its way, or read already.
        with pytest.raises(aiosmtplib.SMTPException) as closed:
            await client.noop()
        if isinstance(closed.value, aiosmtplib.SMTPResponseException):
            assert closed.value.code == 421
        else:
            assert isinstance(closed.value, aiosmtplib.SMTPServerDisconnected)
        assert_closed(client)
        await client.connect()
        await still_good(client)


async def test_server_stops_between_messages() -> None:
    with private_postfix() as server:
        client = client_for(server.port)
        await client.connect()
        await still_good(client)
        server.stop()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.sendmail(SENDER, [DROPPED], HEADER)
        assert_closed(client)
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await client.connect()
        server.start()
        await client.connect()
        await still_good(client)
        await client.quit()


# -- smtp-sink, which does as it is told ---------------------------------------------------------------


async def test_many_messages_over_ten_connections() -> None:
    connections, each = 10, 20

    async def send(number: int, port: int) -> None:
        async with client_for(port) as client:
            for index in range(each):
                body = b"%d.%d\r\n.\r\n..\r\n" % (number, index)
                assert (await client.sendmail(SENDER, [KEPT], HEADER + body))[0] == {}

    with sink_folder() as folder:
        async with smtp_sink("-d", f"{folder}/dump.") as (port, _):
            await asyncio.gather(*(send(number, port) for number in range(connections)))
        texts = [path.read_bytes() for path in folder.iterdir()]
    bodies = sorted(text.partition(b"\n\n")[2].rstrip(b"\n") for text in texts)
    assert bodies == sorted(
        b"%d.%d\n.\n.." % (number, index) for number in range(connections) for index in range(each)
    )


async def test_server_without_esmtp() -> None:
    async with smtp_sink("-e") as (port, _), client_for(port) as client:
        assert (await client.sendmail(SENDER, [KEPT], HEADER))[0] == {}
        assert not client.supports_esmtp
        assert client.esmtp_extensions == {}


LEAVING = {
    "MAIL": aiosmtplib.SMTPSenderRefused,
    "RCPT": aiosmtplib.SMTPRecipientsRefused,
    "DATA": aiosmtplib.SMTPDataError,
    ".": aiosmtplib.SMTPDataError,
}


@pytest.mark.parametrize("command", LEAVING)
@pytest.mark.parametrize("option", ["-q", "-Q"], ids=["silently", "421"])
async def test_server_leaves(option: str, command: str) -> None:
    async with smtp_sink(option, command) as (port, _):
        client = client_for(port)
        await client.connect()
        expected = LEAVING[command] if option == "-Q" else aiosmtplib.SMTPServerDisconnected
        with pytest.raises(expected) as caught:
            await client.sendmail(SENDER, [KEPT], HEADER)
        if option == "-Q":
            (reply,) = getattr(caught.value, "recipients", [caught.value])
            assert reply.code == 421
            # Before the content, another connection may do better.
            assert caught.value.delivery is (Delivery.REJECTED if command == "." else Delivery.NOT_SENT)
        else:
            assert caught.value.delivery is (Delivery.UNKNOWN if command == "." else Delivery.NOT_SENT)
        assert_closed(client)
        await client.connect()
        assert (await client.noop()).code == 250
        client.close()
