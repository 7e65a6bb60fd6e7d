"""Authentication: what each mechanism writes, which are tried in which order, and how each of them fails."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP

from ..support.actions import cut, in_turn, reset, silence, then
from ..support.clients import (
    HOST,
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
    client_for,
    session,
)
from ..support.scripted_server import PATIENCE, Conversation, Peer
from ..support.server_fixtures import PASSWORD, USER, Start

ALL = ["AUTH CRAM-MD5 PLAIN LOGIN XOAUTH2"]


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


async def token() -> str:
    return "token"


@pytest.mark.parametrize("methods", [("cram-md5",), ("plain",), ("login",), SMTP.AUTH_METHODS])
async def test_against_aiosmtpd(smtpd: Start, methods: tuple[str, ...]) -> None:
    mailbox = await smtpd(auth=True)
    client = SMTP(
        hostname=mailbox.host,
        port=mailbox.port,
        local_hostname=HOST,
        timeout=PATIENCE,
        username=USER,
        password=PASSWORD,
    )
    client.AUTH_METHODS = methods
    async with client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Kept")
    assert mailbox.logins == [methods[0].upper()]


async def test_xoauth2_against_aiosmtpd(smtpd: Start) -> None:
    mailbox = await smtpd(auth=True)
    where: dict[str, Any] = {"hostname": mailbox.host, "port": mailbox.port, "local_hostname": HOST}
    async with SMTP(**where, username=USER, oauth_token_generator=token) as client:
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Kept")
    assert mailbox.logins == ["XOAUTH2"]

    async def stale() -> str:
        return "stale"

    client = SMTP(**where, username=USER, oauth_token_generator=stale)
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
        await client.connect()
    assert caught.value.code == 535
    assert_closed(client)


@pytest.mark.parametrize("method", ["auth_crammd5", "auth_plain", "auth_login"])
async def test_wrong_password_against_aiosmtpd(smtpd: Start, method: str) -> None:
    mailbox = await smtpd(auth=True)
    async with SMTP(
        hostname=mailbox.host, port=mailbox.port, local_hostname=HOST, timeout=PATIENCE
    ) as client:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
            await getattr(client, method)(USER, "wrong")
        assert caught.value.code == 535
        await getattr(client, method)(USER, PASSWORD)
        assert await client.sendmail(SENDER, RECIPIENTS, MESSAGE) == ({}, "2.0.0 Kept")


# RFC 2195 section 2 gives the challenge, the secret and the answer.
CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"
ANSWER = b"tim b913a602c7eda7a495b4e6e7334d3890"


@pytest.mark.parametrize(
    ("call", "actions", "lines"),
    [
        (
            lambda c: c.auth_crammd5("tim", "tanstaaftanstaaf"),
            {"AUTH": "334 " + b64(CHALLENGE).decode()},
            [b"AUTH CRAM-MD5", b64(ANSWER)],
        ),
        (lambda c: c.auth_plain("tim", "tanstaaf"), {}, [b"AUTH PLAIN " + b64(b"\0tim\0tanstaaf")]),
        (lambda c: c.auth_plain(b"t\xff", "ä"), {}, [b"AUTH PLAIN " + b64(b"\0t\xff\0\xc3\xa4")]),
        (
            lambda c: c.auth_login("tim", "tanstaaf"),
            {"AUTH": "334 UGFzc3dvcmQ6"},
            [b"AUTH LOGIN " + b64(b"tim"), b64(b"tanstaaf")],
        ),
        (
            lambda c: c.auth_xoauth2("tim", "ya29"),
            {},
            [b"AUTH XOAUTH2 " + b64(b"user=tim\x01auth=Bearer ya29\x01\x01")],
        ),
    ],
)
async def test_what_each_mechanism_writes(
    call: Callable[[SMTP], Awaitable[Any]], actions: dict[str, Any], lines: list[bytes]
) -> None:
    # They are sent whether the server announced them or not: the caller asked.
    async with Peer(actions) as peer, session(peer) as client:
        assert await call(client) == (235, "2.7.0 Welcome")
        assert peer.commands[1:] == lines


@pytest.mark.parametrize("method", ["auth_crammd5", "auth_plain", "auth_login", "auth_xoauth2"])
@pytest.mark.parametrize("code", [535, 454, 503, 504])
async def test_mechanism_refused(method: str, code: int) -> None:
    async with Peer({"AUTH": f"{code} no"}) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
            await getattr(client, method)("u", "p")
        assert (caught.value.code, caught.value.message) == (code, "no")
        # 504 may be meant for the initial response: AUTH is sent once more, without it.
        again = code == 504 and method != "auth_crammd5"
        assert peer.verbs == ["EHLO", "AUTH", *["AUTH"] * again]
        await assert_usable(client, peer)


async def test_xoauth2_error_challenge_is_answered_with_nothing() -> None:
    async with Peer({"AUTH": "334 eyJz", "*": "535 no"}) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
            await client.auth_xoauth2("u", "t")
        assert caught.value.code == 535
        assert peer.commands[-1] == b""
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    ("announced", "first"),
    [
        (ALL, b"AUTH CRAM-MD5"),
        (["AUTH LOGIN PLAIN"], b"AUTH PLAIN "),
        (["AUTH LOGIN"], b"AUTH LOGIN "),
        (["auth foo login"], b"AUTH LOGIN "),
        (["AUTH=PLAIN"], b"AUTH PLAIN "),
    ],
)
async def test_login_tries_what_is_offered_in_our_order(announced: list[str], first: bytes) -> None:
    async with Peer({"AUTH": "535 no"}, extensions=announced) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await client.login("u", "p")
        assert peer.commands[1].startswith(first)


async def test_login_goes_on_after_a_mechanism_failed() -> None:
    async with (
        Peer({"AUTH": in_turn("535 no", "534 what?", "334 UGFzc3dvcmQ6")}, extensions=ALL) as peer,
        session(peer) as client,
    ):
        assert await client.login("u", "p") == (235, "2.7.0 Welcome")
        assert peer.commands[1:] == [
            b"AUTH CRAM-MD5",
            b"AUTH PLAIN " + b64(b"\0u\0p"),
            b"AUTH LOGIN " + b64(b"u"),
            b64(b"p"),
        ]


async def test_login_raises_the_last_refusal() -> None:
    async with (
        Peer({"AUTH": in_turn("535 one", "535 two", "535 three")}, extensions=ALL) as peer,
        session(peer) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
            await client.login("u", "p")
        assert caught.value.message == "three"
        await assert_usable(client, peer)


async def test_auth_methods_can_be_chosen() -> None:
    class Plain(SMTP):
        AUTH_METHODS: tuple[str, ...] = ("plain",)

    async with Peer(extensions=ALL) as peer:
        client = Plain(hostname=peer.host, port=peer.port, local_hostname=HOST)
        await client.connect()
        assert client.supported_auth_methods == ["plain"]
        assert client.server_auth_methods == ["cram-md5", "plain", "login", "xoauth2"]
        await client.login("u", "p")
        assert peer.verbs == ["EHLO", "AUTH"]
        client.AUTH_METHODS = ("login", "cram-md5")
        assert client.supported_auth_methods == ["login", "cram-md5"]
        await client.quit()


async def test_login_says_ehlo_first() -> None:
    async with Peer(extensions=["AUTH PLAIN"]) as peer, session(peer, start_tls=False) as client:
        assert peer.verbs == []
        await client.login("u", "p")
        assert peer.verbs == ["EHLO", "AUTH"]


async def test_login_where_nothing_fits() -> None:
    async with Peer(extensions=["AUTH GSSAPI"]) as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPException, match=r"^No suitable authentication method found\.$"):
            await client.login("u", "p")
        assert peer.verbs == ["EHLO"]


async def test_login_where_auth_is_not_offered() -> None:
    async with Peer() as peer, session(peer) as client:
        with pytest.raises(aiosmtplib.SMTPException) as caught:
            await client.login("u", "p")
        assert caught.value.message.endswith("Try connecting via TLS (or STARTTLS).")
        assert peer.verbs == ["EHLO"]
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    "actions", [{"AUTH": "535 no"}, {"AUTH": "454 later"}, {"AUTH": "334 eA==", "*": "535 no"}]
)
async def test_login_that_fails_in_connect(actions: dict[str, Any]) -> None:
    async with Peer(actions, extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer, username="u", password="p")
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_token_generator_that_raises() -> None:
    async def broken() -> str:
        raise LookupError("no token today")

    async with Peer(extensions=ALL) as peer:
        client = client_for(peer, username="u", oauth_token_generator=broken)
        with pytest.raises(LookupError, match=r"^no token today$"):
            await client.connect()
        assert_closed(client)
        await peer.hung_up()
        assert peer.verbs == ["EHLO"]
        client = client_for(peer, username="u", oauth_token_generator=token)
        await assert_usable(client, peer)


async def test_token_is_asked_for_at_each_connect() -> None:
    tokens = iter(["one", "two"])

    async def generate() -> str:
        return next(tokens)

    async with Peer(extensions=ALL) as peer:
        client = client_for(peer, username="u", oauth_token_generator=generate)
        for each in (b"one", b"two"):
            await client.connect()
            assert peer.commands[-1] == b"AUTH XOAUTH2 " + b64(b"user=u\x01auth=Bearer %b\x01\x01" % each)
            await client.quit()


async def test_token_generator_without_a_mechanism_for_it() -> None:
    async with Peer(extensions=["AUTH PLAIN"]) as peer:
        with pytest.raises(aiosmtplib.SMTPException, match="does not support XOAUTH2"):
            await client_for(peer, username="u", oauth_token_generator=token).connect()
        await peer.hung_up()
        assert peer.verbs == ["EHLO"]


async def test_token_generator_without_a_username() -> None:
    """Each option can be assigned before the next ``connect``, which is where this becomes an error."""
    async with Peer(extensions=ALL) as peer:
        client = client_for(peer, oauth_token_generator=token)
        with pytest.raises(aiosmtplib.SMTPException, match="username is required"):
            await client.connect()
        assert peer.conversations == []
        await client.connect(username="u")
        assert peer.verbs == ["EHLO", "AUTH"]
        await client.quit()


@pytest.mark.parametrize("position", ["AUTH", "*"])
@pytest.mark.parametrize(
    "fault", ["421 bye", "hello", cut, reset, silence, then("334 eA==", cut), b"334 \xff\r\n"]
)
async def test_faults_in_the_exchange(position: str, fault: Any) -> None:
    actions: dict[str, Any] = {"AUTH": "334 eA==", position: fault}
    async with Peer(actions, extensions=["AUTH CRAM-MD5"]) as peer:
        client = client_for(peer)
        await client.connect()
        client.timeout = 0.05
        with pytest.raises(aiosmtplib.SMTPException):
            await client.login("u", "p")
        client.timeout = PATIENCE
        peer.actions.clear()
        await assert_usable(client, peer)


@pytest.mark.parametrize("challenge", ["!!!", "a", "=", "żółw", ""])
async def test_challenge_that_is_no_base64(challenge: str) -> None:
    async def taunt(conversation: Conversation) -> str:
        await conversation.reply("334 " + challenge)
        return "334"

    async with Peer({"AUTH": taunt, "*": "501 what?"}, extensions=["AUTH CRAM-MD5"]) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPException):
            await client.login("u", "p")
        peer.actions.clear()
        await assert_usable(client, peer)


async def test_secrets_do_not_show_in_errors() -> None:
    secret = "s3cret-s3cret"
    encoded = b64(b"\0u\0" + secret.encode()).decode()
    async with Peer({"AUTH": "535 no"}, extensions=["AUTH PLAIN LOGIN"]) as peer:
        client = client_for(peer, username="u", password=secret)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
            await client.connect()
        for text in (repr(caught.value), str(caught.value), repr(client), repr(vars(caught.value))):
            assert secret not in text
            assert encoded not in text
