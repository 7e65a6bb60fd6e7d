"""The server for other people's tests: what it offers, what it refuses, and what it keeps."""

import asyncio
import ssl
import sys
from email.message import EmailMessage

import pytest

import aiosmtplib
from aiosmtplib.testing import ReceivedMessage, Server

MESSAGE = EmailMessage()
MESSAGE["From"] = "a@example.com"
MESSAGE["To"] = "b@example.com, c@example.com"
MESSAGE["Subject"] = "Hello"
MESSAGE.set_content(".\nTwo lines\n")


async def test_keeps_what_it_receives() -> None:
    async with Server() as server:
        await aiosmtplib.send(MESSAGE, **server.connect_options, mail_options=["BODY=8BITMIME"])
        [received] = server.messages
    assert received.sender == "a@example.com"
    assert received.recipients == ("b@example.com", "c@example.com")
    assert "BODY=8BITMIME" in received.mail_options
    assert received.username is None
    assert received.message["Subject"] == "Hello"
    assert received.content.endswith(b"\r\n\r\n.\r\nTwo lines\r\n")


async def test_null_sender() -> None:
    async with Server() as server, aiosmtplib.SMTP(**server.connect_options) as client:
        await client.sendmail("", ["b@example.com"], b"x")
    assert server.messages == [ReceivedMessage("", ("b@example.com",), b"x\r\n", ("SIZE=3",))]


async def test_refuses_recipients_and_senders() -> None:
    async with Server(
        refuse={"b@example.com": "450 4.2.1 Later", "z@example.com": "550 5.7.1 You"}
    ) as server:
        refused, _ = await aiosmtplib.send(MESSAGE, **server.connect_options)
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
            await aiosmtplib.send(MESSAGE, sender="z@example.com", **server.connect_options)
    assert refused == {"b@example.com": (450, "4.2.1 Later")}
    assert caught.value.code == 550
    assert [message.recipients for message in server.messages] == [("c@example.com",)]


async def test_refuses_with_a_reply_of_its_own() -> None:
    async with Server(refuse=["b@example.com", "c@example.com"]) as server:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await aiosmtplib.send(MESSAGE, **server.connect_options)
    assert [each.code for each in caught.value.recipients] == [550, 550]
    assert server.messages == []


async def test_refuses_the_message() -> None:
    async with Server(reply="554 5.7.1 Spam") as server:
        with pytest.raises(aiosmtplib.SMTPDataError, match="Spam"):
            await aiosmtplib.send(MESSAGE, **server.connect_options)
    assert server.messages == []


@pytest.mark.parametrize("options", [{"use_tls": True}, {"start_tls": True}, {}])
@pytest.mark.parametrize("mechanism", ["plain", "login"])
async def test_requires_login(options: dict[str, bool], mechanism: str) -> None:
    async with Server(users={"user": "pässword"}, **options) as server:
        chosen = server.connect_options
        credentials = chosen.pop("username"), chosen.pop("password")
        client = aiosmtplib.SMTP(**chosen)
        client.AUTH_METHODS = (mechanism,)  # type: ignore[misc]
        async with client:
            with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
                await client.send_message(MESSAGE)
            for wrong in (("user", "pass"), ("nobody", "pässword")):
                with pytest.raises(aiosmtplib.SMTPAuthenticationError):
                    await client.login(*wrong)
            await client.login(*credentials)
            await client.send_message(MESSAGE)
    assert refused.value.code == 530
    assert [message.username for message in server.messages] == ["user"]


async def test_login_is_offered_on_the_encrypted_connection_only() -> None:
    async with Server(start_tls=True, users={"user": "password"}) as server:
        options = {**server.connect_options, "username": None, "password": None, "start_tls": False}
        client = aiosmtplib.SMTP(**options)
        await client.connect()
        await client.ehlo()
        assert client.server_auth_methods == []
        await client.starttls()
        await client.ehlo()
        assert sorted(client.server_auth_methods) == ["login", "plain"]
        await client.quit()


async def test_certificate_is_vouched_for_by_its_own_authority_alone() -> None:
    async with Server(use_tls=True) as server:
        options = server.connect_options
        with pytest.raises(ssl.SSLCertVerificationError):
            await aiosmtplib.SMTP(**{**options, "tls_context": ssl.create_default_context()}).connect()
        async with aiosmtplib.SMTP(**options) as client:
            assert client.get_transport_info("cipher")
    assert b"BEGIN CERTIFICATE" in server.ca_pem


async def test_announces_what_was_asked_for() -> None:
    modest = Server(pipelining=False, smtputf8=False, size_limit=1000)
    async with modest as server, aiosmtplib.SMTP(**server.connect_options) as client:
        await client.ehlo()
        assert client.esmtp_extensions == {"size": "1000", "8bitmime": "", "help": ""}
    async with Server() as server, aiosmtplib.SMTP(**server.connect_options) as client:
        await client.ehlo()
        assert {"pipelining", "smtputf8"} < set(client.esmtp_extensions)


async def test_pipelined_groups() -> None:
    """What is announced is true: groups are answered in order, with DATA last in each (RFC 2920)."""
    async with Server(refuse=["bad@example.com", "worse@example.com"]) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)

        async def codes(*expected: int) -> None:
            for code in expected:
                while (line := await reader.readline())[3:4] == b"-":
                    pass
                assert int(line[:3]) == code, line

        writer.write(b"EHLO me\r\n")
        await codes(220, 250)
        writer.write(b"MAIL FROM:<bad@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        await codes(550, 503, 503)
        writer.write(b"RSET\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bad@example.com>\r\nDATA\r\n")
        await codes(250, 250, 550, 503)
        group = (
            b"MAIL FROM:<a@example.com>\r\nRCPT TO:<bad@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
        )
        writer.write(b"RSET\r\n" + group)
        await codes(250, 250, 550, 250, 354)
        # The message comes first in its group, the next transaction right behind it (section 3.1).
        writer.write(b"one\r\n..\r\n.\r\n" + group)
        await codes(250, 250, 550, 250, 354)
        writer.write(b"two\r\n.\r\nQUIT\r\n")
        await codes(250, 221)
        writer.close()
        await writer.wait_closed()
    assert [message.content for message in server.messages] == [b"one\r\n.\r\n", b"two\r\n"]
    assert [message.recipients for message in server.messages] == [("b@example.com",)] * 2


async def test_ends_connections_that_are_open() -> None:
    async with Server() as server:
        client = aiosmtplib.SMTP(**server.connect_options)
        await client.connect()
        other = aiosmtplib.SMTP(**server.connect_options)
        await other.connect()
        await other.quit()
    assert {task for task in asyncio.all_tasks() if not task.done()} == {asyncio.current_task()}
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()


async def test_port_can_be_chosen() -> None:
    async with Server() as server:
        port = server.port
    async with Server(port=port) as server:
        assert server.port == port


def test_without_tls_there_is_no_authority() -> None:
    with pytest.raises(ValueError, match="does no TLS"):
        _ = Server().ca_pem


def test_two_kinds_of_tls_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"):
        Server(use_tls=True, start_tls=True)


@pytest.mark.parametrize("package", ["aiosmtpd", "trustme"])
def test_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # what the import system takes for "not there"
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'aiosmtplib\[testing\]'"):
        Server(use_tls=True)
