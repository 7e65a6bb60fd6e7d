"""The verbs of SMTP one by one: what goes out, what comes back, what is refused before anything goes out."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP

from ..support.actions import at_nth, drip, in_turn, split
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
from ..support.scripted_server import PATIENCE, Conversation, Peer

Call = Callable[[SMTP], Awaitable[Any]]


@pytest.mark.parametrize(
    ("call", "line", "result"),
    [
        (lambda c: c.noop(), b"NOOP", (250, "2.0.0 Ok")),
        (lambda c: c.rset(), b"RSET", (250, "2.0.0 Ok")),
        (lambda c: c.help(), b"HELP", "Help yourself"),
        (lambda c: c.vrfy("b@example.com"), b"VRFY b@example.com", (252, "2.0.0 Perhaps")),
        (lambda c: c.vrfy("Bob <b@example.com>"), b"VRFY b@example.com", (252, "2.0.0 Perhaps")),
        (lambda c: c.vrfy("bob"), b"VRFY bob", (252, "2.0.0 Perhaps")),
        (lambda c: c.vrfy("b@example.com", options=["X"]), b"VRFY b@example.com X", (252, "2.0.0 Perhaps")),
        (lambda c: c.expn("list"), b"EXPN list", (250, "2.0.0 <b@example.com>")),
        (lambda c: c.expn("list", options=["X", "Y"]), b"EXPN list X Y", (250, "2.0.0 <b@example.com>")),
        (lambda c: c.mail("a@example.com"), b"MAIL FROM:<a@example.com>", (250, "2.1.0 Ok")),
        (lambda c: c.mail(""), b"MAIL FROM:<>", (250, "2.1.0 Ok")),
        (
            lambda c: c.mail("Foo <a@example.com>", options=["SIZE=3", "X=Y"]),
            b"MAIL FROM:<a@example.com> SIZE=3 X=Y",
            (250, "2.1.0 Ok"),
        ),
        (
            lambda c: c.mail("ä@example.com", options=["SMTPUTF8"], encoding="utf-8"),
            "MAIL FROM:<ä@example.com> SMTPUTF8".encode(),
            (250, "2.1.0 Ok"),
        ),
        (lambda c: c.rcpt("B <b@example.com>"), b"RCPT TO:<b@example.com>", (250, "2.1.5 Ok")),
        (
            lambda c: c.rcpt("b@example.com", options=["NOTIFY=NEVER"]),
            b"RCPT TO:<b@example.com> NOTIFY=NEVER",
            (250, "2.1.5 Ok"),
        ),
        (
            lambda c: c.rcpt("ä@example.com", encoding="utf-8"),
            "RCPT TO:<ä@example.com>".encode(),
            (250, "2.1.5 Ok"),
        ),
        (lambda c: c.execute_command(b"NOOP", b"a b"), b"NOOP a b", (250, "2.0.0 Ok")),
        (lambda c: c.execute_command(b"NOOP", b"\xff"), b"NOOP \xff", (250, "2.0.0 Ok")),
    ],
)
async def test_command_and_reply(call: Call, line: bytes, result: Any) -> None:
    async with Peer() as peer, session(peer) as client:
        assert await call(client) == result
        assert peer.commands == [b"EHLO me.example", line]


@pytest.mark.parametrize("option", ["SMTPUTF8", "smtputf8"])
async def test_vrfy_and_expn_of_what_is_not_ascii(option: str) -> None:
    async with Peer(extensions=["SMTPUTF8"]) as peer, session(peer) as client:
        await client.vrfy("ä@exämple.com", options=[option])
        await client.expn("lïste", options=["X", option])
        sent = [f"VRFY ä@exämple.com {option}", f"EXPN lïste X {option}"]
        assert peer.commands[1:] == [line.encode() for line in sent]


@pytest.mark.parametrize("address", ["ä@example.com", "a@example.com"])
async def test_vrfy_and_expn_where_the_server_lacks_smtputf8(address: str) -> None:
    async with Peer(extensions=["8BITMIME"]) as peer, session(peer, start_tls=False) as client:
        for ask in (client.vrfy, client.expn):
            with pytest.raises(aiosmtplib.SMTPNotSupported, match="SMTPUTF8"):
                await ask(address, options=["SMTPUTF8"])
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


async def test_data() -> None:
    async with Peer() as peer, session(peer) as client:
        await client.mail(SENDER)
        await client.rcpt(RECIPIENTS[0])
        assert await client.data(MESSAGE) == (250, "2.0.0 Accepted")
        await client.mail(SENDER)
        await client.rcpt(RECIPIENTS[0])
        assert await client.data("ascii\n.") == (250, "2.0.0 Accepted")
        assert peer.conversations[0].bodies == [WIRE, b"ascii\r\n..\r\n.\r\n"]


async def test_ehlo_is_sent_whenever_asked_for() -> None:
    async with Peer() as peer, session(peer) as client:
        reply = await client.ehlo()
        assert reply.message.split("\n")[0] == "peer.example"
        assert reply == client.last_ehlo_response
        await client.ehlo(hostname="x.example")
        assert peer.commands == [b"EHLO me.example", b"EHLO me.example", b"EHLO x.example"]


async def test_helo() -> None:
    async with Peer() as peer, session(peer, start_tls=False) as client:
        assert await client.helo() == (250, "peer.example")
        assert client.last_helo_response == (250, "peer.example")
        assert not client.is_ehlo_or_helo_needed
        assert not client.supports_esmtp
        await client.helo(hostname="x.example")
        await client.noop()
        assert peer.commands == [b"HELO me.example", b"HELO x.example", b"NOOP"]


@pytest.mark.parametrize("hello", ["EHLO", "HELO"])
async def test_a_refusal_tells_nothing_about_the_server(hello: str) -> None:
    async with Peer({hello: at_nth(2, "550 no")}) as peer, session(peer, start_tls=False) as client:
        greet = client.ehlo if hello == "EHLO" else client.helo
        await greet()
        assert not client.is_ehlo_or_helo_needed
        with pytest.raises(aiosmtplib.SMTPHeloError):
            await greet()
        assert client.last_ehlo_response is None
        assert client.last_helo_response is None
        assert client.is_ehlo_or_helo_needed
        assert not client.supports_esmtp
        assert client.esmtp_extensions == {}
        await client.noop()  # introduces this host first
        assert peer.verbs == [hello, hello, "EHLO", "NOOP"]


@pytest.mark.parametrize("code", [500, 502, 504, 550])
async def test_helo_where_ehlo_is_unknown(code: int) -> None:
    async with Peer({"EHLO": f"{code} what?"}) as peer, session(peer) as client:
        assert not client.supports_esmtp
        assert client.esmtp_extensions == {}
        assert client.last_ehlo_response is None
        assert client.last_helo_response == (250, "peer.example")
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Accepted")
        assert peer.commands[:3] == [b"EHLO me.example", b"HELO me.example", b"MAIL FROM:<a@example.com>"]


@pytest.mark.parametrize(
    ("actions", "reply", "verbs"),
    [
        ({"EHLO": "500 what?", "HELO": "550 no"}, (550, "no"), ["EHLO", "HELO"]),
        ({"EHLO": "421 bye"}, (421, "bye"), ["EHLO"]),
        ({"EHLO": "500 what?", "HELO": "421 bye"}, (421, "bye"), ["EHLO", "HELO"]),
    ],
)
async def test_no_greeting_is_good_enough(
    actions: dict[str, Any], reply: tuple[int, str], verbs: list[str]
) -> None:
    async with Peer(actions) as peer:
        client = client_for(peer)
        with pytest.raises(aiosmtplib.SMTPHeloError) as caught:
            await client.connect()
        assert (caught.value.code, caught.value.message) == reply
        assert peer.verbs == verbs
        assert_closed(client)
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_ehlo_list_is_read_as_announced() -> None:
    announced = ["SIZE", "AUTH PLAIN Login", "AUTH=PLAIN XOAUTH2", "X-THING a  b", "8bitmime"]
    async with Peer(extensions=announced) as peer, session(peer) as client:
        assert client.supports_extension("SIZE")
        assert client.supports_extension("x-thing")
        assert client.supports_extension("8BITMIME")
        assert client.esmtp_extensions["size"] == ""
        assert {"plain", "login", "xoauth2"} <= set(client.server_auth_methods)
        assert client.supported_auth_methods == ["plain", "login"]


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.execute_command(b"NOOP", b"a\r\nb"),
        lambda c: c.execute_command(b"NOOP\n"),
        lambda c: c.execute_command(b"NOOP", b"a\0"),
        lambda c: c.execute_command(b"NOOP", b"a\rb"),
        lambda c: c.execute_command(b"NOOP", b"\x7f"),
        lambda c: c.mail("a@example.com", options=["a\r\nRSET"]),
        lambda c: c.rcpt("a@example.com", options=["\n"]),
        lambda c: c.mail("a@example.com> AUTH=<c"),
        lambda c: c.rcpt("a@example.com> AUTH=<c"),
        lambda c: c.mail("a@exa\r\nmple.com"),
        lambda c: c.mail("a b@example.com"),
        lambda c: c.mail("<>"),
        lambda c: c.mail("ä@example.com"),  # UnicodeEncodeError is a ValueError
        lambda c: c.rcpt("ä@example.com"),
        lambda c: c.vrfy("ä@example.com"),
        lambda c: c.expn("ä"),
        lambda c: c.vrfy("a\r\nRSET"),
        lambda c: c.expn("a\r\nRSET"),
        lambda c: c.ehlo(hostname="a\r\nRSET"),
        lambda c: c.helo(hostname="a\r\nRSET"),
        lambda c: c.data("ä"),
    ],
)
async def test_bad_input_is_refused_before_a_byte_is_written(call: Call) -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(ValueError, match=r"."):
            await call(client)
        assert peer.commands == [b"EHLO me.example"]
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.execute_command("NOOP"),
        lambda c: c.data(3),
        lambda c: c.sendmail(SENDER, RECIPIENTS, None),
        lambda c: c.sendmail(SENDER, None, MESSAGE),
        lambda c: c.sendmail(SENDER, [3], MESSAGE),
    ],
)
async def test_wrong_types_are_refused_before_a_byte_is_written(call: Call) -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises((TypeError, ValueError)):
            await call(client)
        assert peer.commands == [b"EHLO me.example"]
        await assert_usable(client, peer)


CLOSED: list[Call] = [
    lambda c: c.ehlo(),
    lambda c: c.helo(),
    lambda c: c.noop(),
    lambda c: c.rset(),
    lambda c: c.help(),
    lambda c: c.vrfy("b"),
    lambda c: c.expn("b"),
    lambda c: c.mail(SENDER),
    lambda c: c.rcpt(SENDER),
    lambda c: c.quit(),
    lambda c: c.starttls(),
    lambda c: c.login("u", "p"),
    lambda c: c.auth_plain("u", "p"),
    lambda c: c.execute_command(b"NOOP"),
    lambda c: c.sendmail(SENDER, RECIPIENTS, MESSAGE),
]


@pytest.mark.parametrize("call", CLOSED)
async def test_commands_on_a_client_that_is_not_connected(call: Call) -> None:
    client = SMTP(local_hostname=HOST)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=r"^Server not connected$"):
        await call(client)
    async with Peer() as peer:
        client = client_for(peer)
        await client.connect()
        await client.quit()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=r"^Server not connected$"):
            await call(client)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match=r"^Server not connected$"):
            client.get_transport_info("peername")


async def test_data_on_a_client_that_is_not_connected() -> None:
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await SMTP(local_hostname=HOST).data(MESSAGE)


@pytest.mark.parametrize(
    ("position", "call", "error"),
    [
        ("NOOP", lambda c: c.noop(), aiosmtplib.SMTPResponseException),
        ("RSET", lambda c: c.rset(), aiosmtplib.SMTPResponseException),
        ("HELP", lambda c: c.help(), aiosmtplib.SMTPResponseException),
        ("VRFY", lambda c: c.vrfy("b"), aiosmtplib.SMTPResponseException),
        ("EXPN", lambda c: c.expn("b"), aiosmtplib.SMTPResponseException),
        ("EHLO", lambda c: c.ehlo(), aiosmtplib.SMTPHeloError),
        ("HELO", lambda c: c.helo(), aiosmtplib.SMTPHeloError),
        ("MAIL", lambda c: c.mail(SENDER), aiosmtplib.SMTPSenderRefused),
        ("RCPT", lambda c: c.rcpt(RECIPIENTS[0]), aiosmtplib.SMTPRecipientRefused),
        ("DATA", lambda c: c.data(MESSAGE), aiosmtplib.SMTPDataError),
        (".", lambda c: c.data(MESSAGE), aiosmtplib.SMTPDataError),
    ],
)
@pytest.mark.parametrize("code", [450, 550, 421])
async def test_refused_command(position: str, call: Call, error: type[Exception], code: int) -> None:
    async with Peer() as peer, session(peer) as client:
        peer.actions[position] = f"{code} no"
        with pytest.raises(error) as caught:
            await call(client)
        assert type(caught.value) is error
        assert (caught.value.code, caught.value.message) == (code, "no")  # type: ignore[attr-defined]
        if code == 421:  # RFC 5321 section 3.8: the server is closing, and so are we
            assert_closed(client)
        else:
            assert client.is_connected
        del peer.actions[position]
        await assert_usable(client, peer)


async def test_execute_command_returns_refusals() -> None:
    async with (
        Peer({"NOOP": in_turn("550 no", "250 yes", "421 bye", "250 yes")}) as peer,
        session(peer) as client,
    ):
        assert await client.execute_command(b"NOOP") == (550, "no")
        assert await client.execute_command(b"NOOP") == (250, "yes")
        assert await client.execute_command(b"NOOP") == (421, "bye")
        assert_closed(client)
        await assert_usable(client, peer)


async def test_quit() -> None:
    async with Peer() as peer:
        client = client_for(peer)
        await client.connect()
        assert await client.quit() == (221, "2.0.0 Bye")
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == ["EHLO", "QUIT"]


@pytest.mark.parametrize("code", [421, 450, 500])
async def test_quit_refused(code: int) -> None:
    async with Peer({"QUIT": in_turn(f"{code} no", "221 yes")}) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await client.quit()
        assert (caught.value.code, caught.value.message) == (code, "no")
        assert client.is_connected == (code != 421)
        await assert_usable(client, peer)


@pytest.mark.parametrize("how", [drip, lambda data: split(data[:5], data[5:11], data[11:])])
async def test_replies_in_pieces(how: Callable[[bytes], Any]) -> None:
    reply = b"250-first line\r\n250-\r\n250 last line\r\n"
    async with Peer({"NOOP": how(reply)}) as peer, session(peer) as client:
        assert await client.noop() == (250, "first line\n\nlast line")
        assert await client.noop() == (250, "first line\n\nlast line")


async def test_replies_that_are_not_ascii() -> None:
    async with Peer({"NOOP": in_turn("250 żółw", b"250 \xff\r\n")}) as peer, session(peer) as client:
        assert (await client.noop()).message == "żółw"
        assert (await client.noop()).message == "\\xff"


async def test_subclass_sees_every_command() -> None:
    class Watching(SMTP):
        seen: list[tuple[bytes, ...]]

        async def execute_command(self, *args: bytes, timeout: Any = PATIENCE) -> aiosmtplib.SMTPResponse:
            self.seen.append(args)
            return await super().execute_command(*args, timeout=timeout)

    async def token() -> str:
        return "t"

    async def challenge(conversation: Conversation) -> str | None:
        plain = conversation.line.startswith((b"AUTH PLAIN", b"AUTH XOAUTH2"))
        reply = "235 Welcome" if plain else "334 eA=="
        await conversation.reply(reply)
        return reply

    async with Peer({"AUTH": challenge}, extensions=["AUTH CRAM-MD5 PLAIN LOGIN XOAUTH2"]) as peer:
        client = Watching(
            hostname=peer.host,
            port=peer.port,
            local_hostname=HOST,
            timeout=PATIENCE,
            username="u",
            oauth_token_generator=token,
        )
        client.seen = []
        await client.connect()
        assert client.seen[-1][0] == b"AUTH"
        assert b" ".join(client.seen[-1]).startswith(b"AUTH XOAUTH2 ")
        for method in (client.auth_plain, client.auth_login, client.auth_crammd5):
            client.seen.clear()
            await method("u", "p")
            assert client.seen[0][0] == b"AUTH"
            # Secrets included: whoever overrides the one door for commands is trusted with them.
            assert (
                b"\n".join(b" ".join(args) for args in client.seen).split(b"\n")
                == peer.commands[-len(client.seen) :]
            )
        await client.quit()
        await peer.hung_up()
