"""Every mechanism over a connection, with a server that keeps to its RFC and with those that do not."""

import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPAuthenticationError

from ..support import certs
from ..support.actions import in_turn
from ..support.clients import assert_closed, assert_usable, client_for, session
from ..support.sasl_server import EVERY, Gate, b64
from ..support.scripted_server import Peer

USER, PASSWORD = "user", "pass word"
PASSWORDS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")


def auth(*mechanisms: str) -> list[str]:
    return ["AUTH " + " ".join(mechanisms)]


def method_of(client: SMTP, mechanism: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(client, f"auth_{mechanism.replace('-', '').lower()}")
    return method


def end_point() -> bytes:
    """trustme signs with ECDSA and SHA-256."""
    pem = certs.authority().server.cert_chain_pems[0].bytes().decode()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()


@pytest.mark.parametrize("mechanism", EVERY)
@pytest.mark.parametrize("good", [True, False])
async def test_over_tls(mechanism: str, good: bool) -> None:
    gate = Gate(binding=end_point())
    secret = {"XOAUTH2": "token", "OAUTHBEARER": "token"}.get(mechanism, PASSWORD) if good else "wrong"
    user = USER if good else "somebody"
    async with (
        Peer(gate.actions, extensions=auth(mechanism), tls=certs.server_context()) as peer,
        session(peer, tls_context=certs.client_context(), start_tls=True) as client,
    ):
        if good:
            assert (await method_of(client, mechanism)(user, secret)).code == 235
            assert gate.logins == [mechanism]
        else:
            with pytest.raises(SMTPAuthenticationError) as caught:
                await method_of(client, mechanism)(user, secret)
            assert (caught.value.code, caught.value.message) == (535, "5.7.8 no")
            assert caught.value.phase == "auth"
            reason = caught.value.reason or ""
            assert ("invalid-proof" in reason) == mechanism.startswith("SCRAM")
            assert ("status" in reason) == (mechanism in ("XOAUTH2", "OAUTHBEARER"))
            assert gate.logins == []
        assert peer.conversations[0].encrypted
        assert (await client.noop()).code == 250


@pytest.mark.parametrize("mechanism", PASSWORDS)
async def test_login_with_the_one_that_is_offered(mechanism: str) -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=auth(mechanism)) as peer:
        client = client_for(peer, username=USER, password=PASSWORD)
        await assert_usable(client, peer)
    assert gate.logins == [mechanism]


async def test_login_prefers_what_does_not_give_the_password_away() -> None:
    gate = Gate("somebody else", binding=end_point())
    async with Peer(gate.actions, extensions=auth(*reversed(EVERY)), tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=certs.client_context(), username=USER, password=PASSWORD)
        client.AUTH_METHODS = SMTP.AUTH_METHODS  # as it is
        with pytest.raises(SMTPAuthenticationError):
            await client.connect(password="wrong")
        assert gate.tried == ["SCRAM-SHA-256-PLUS", *PASSWORDS]


async def test_a_program_that_chose_its_mechanisms_gets_those() -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=auth(*EVERY)) as peer, session(peer) as client:
        client.AUTH_METHODS = ("login", "plain")
        assert client.supported_auth_methods == ["login", "plain"]
        await client.login(USER, PASSWORD)
        assert gate.tried == ["LOGIN"]


async def test_external_may_be_chosen() -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=auth("EXTERNAL", "PLAIN")) as peer:
        async with session(peer) as client:
            client.AUTH_METHODS = ("external",)
            await client.login("", "")
            assert peer.commands[1] == b"AUTH EXTERNAL ="
            await assert_usable(client, peer)
        async with session(peer) as client:
            await client.auth_external()
            with pytest.raises(SMTPAuthenticationError):
                await client.auth_external("somebody")
    assert gate.logins == ["EXTERNAL", "EXTERNAL"]


async def test_oauthbearer_says_where_it_connects() -> None:
    gate = Gate()
    async with Peer(gate.actions, extensions=auth("OAUTHBEARER")) as peer, session(peer) as client:
        await client.auth_oauthbearer(USER, "token")
        said = base64.b64decode(peer.commands[1].split(b" ")[2])
        assert said == b"n,a=user,\x01host=127.0.0.1\x01port=%d\x01auth=Bearer token\x01\x01" % peer.port


@pytest.mark.skipif(not hasattr(__import__("socket"), "AF_UNIX"), reason="no Unix sockets here")
async def test_oauthbearer_over_a_unix_socket(tmp_path: Any) -> None:
    gate = Gate()
    path = str(tmp_path / "smtp")
    async with (
        Peer(gate.actions, extensions=auth("OAUTHBEARER"), path=path) as peer,
        session(peer, hostname=None, port=None, socket_path=path) as client,
    ):
        await client.auth_oauthbearer(USER, "token")
        assert base64.b64decode(peer.commands[1].split(b" ")[2]).startswith(b"n,a=user,\x01auth=")


# -- channel binding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("announced", "header"),
    [
        (["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], b"p=tls-server-end-point,,"),
        (["SCRAM-SHA-256"], b"y,,"),  # somebody may have taken it off the list: the server will know
    ],
)
async def test_scram_says_what_it_knows_of_binding(announced: list[str], header: bytes) -> None:
    gate = Gate(binding=end_point())
    async with (
        Peer(gate.actions, extensions=auth(*announced), tls=certs.server_context()) as peer,
        session(peer, tls_context=certs.client_context()) as client,
    ):
        await client.login(USER, PASSWORD)
    assert gate.headers == [header]


async def test_somebody_in_between_cannot_pass_a_bound_login_on() -> None:
    gate = Gate(binding=hashlib.sha256(b"another certificate").digest())
    async with (
        Peer(gate.actions, extensions=auth("SCRAM-SHA-256-PLUS"), tls=certs.server_context()) as peer,
        session(peer, tls_context=certs.client_context()) as client,
    ):
        with pytest.raises(SMTPAuthenticationError) as caught:
            await client.login(USER, PASSWORD)
    assert caught.value.reason == "channel-bindings-dont-match"


async def test_plus_without_tls_is_passed_over() -> None:
    gate = Gate()
    async with (
        Peer(gate.actions, extensions=auth("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")) as peer,
        session(peer) as client,
    ):
        await client.login(USER, PASSWORD)
    assert (gate.tried, gate.headers) == (["SCRAM-SHA-256"], [b"n,,"])


# -- servers that do not know the password -----------------------------------------------------------


@pytest.mark.parametrize(
    "replies",
    [["235 Welcome"], ["535 no", "235 Welcome"], ["334 " + b64(b"e=other-error").decode()]],
)
async def test_a_server_that_proves_nothing_is_not_believed(replies: list[str]) -> None:
    announced = auth("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
    async with Peer({"AUTH": in_turn(*replies)}, extensions=announced) as peer, session(peer) as client:
        with pytest.raises(SMTPAuthenticationError, match="did not prove that it knows the password"):
            await client.login(USER, PASSWORD)
        assert_closed(client)
        # Least of all does it get the password in the clear.
        assert not any(b"PLAIN" in line for line in peer.commands)


async def test_a_server_with_the_wrong_signature_is_left() -> None:
    gate = Gate()
    go_on = gate.actions["*"]

    async def forge(conversation: Any) -> str:
        if len(conversation.answers) > 1:
            return str(await go_on(conversation))
        await conversation.reply("334 " + b64(b"v=" + b64(b"x" * 32)).decode())
        return "334"

    gate.actions["*"] = forge
    async with Peer(gate.actions, extensions=auth("SCRAM-SHA-256", "PLAIN")) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(SMTPAuthenticationError, match="failed to prove"):
            await client.login(USER, PASSWORD)
        assert_closed(client)
        assert peer.commands[-1] == b"*"
        assert gate.tried == ["SCRAM-SHA-256"]


# -- going on, and stopping --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "challenge",
    ["!!!", "", b64(b"e").decode(), b64(b"r=x,s=c2FsdA==,i=1").decode(), "A" * 8000, "A" * 12292],
    ids=["no base64", "nothing", "short", "nonce", "long", "too long"],
)
async def test_garbage_does_not_end_the_login(challenge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a challenge beyond RFC 4954 gets as far as the mechanism.
    monkeypatch.setattr(aiosmtplib.protocol, "MAX_LINE_LENGTH", 20000)
    gate = Gate()
    begin = gate.actions["AUTH"]
    gate.actions["AUTH"] = in_turn(f"334 {challenge}", begin)
    async with (
        Peer(gate.actions, extensions=auth("SCRAM-SHA-256", "PLAIN")) as peer,
        session(peer, stop_on_auth_failure=True) as client,
    ):
        assert (await client.login(USER, PASSWORD)).code == 235
        assert peer.commands[2] == b"*"
        assert gate.logins == ["PLAIN"]


async def test_endless_challenges_are_cancelled() -> None:
    async with (
        Peer({"AUTH": "334 ", "*": "334 "}, extensions=auth(*EVERY)) as peer,
        session(peer) as client,
    ):
        for mechanism in ("LOGIN", "XOAUTH2", "OAUTHBEARER", "PLAIN", "EXTERNAL", "CRAM-MD5"):
            with pytest.raises(SMTPAuthenticationError):
                await method_of(client, mechanism)(USER, PASSWORD)
            assert peer.commands[-1] == b"*"
        assert (await client.noop()).code == 250


async def test_no_md5_here(monkeypatch: pytest.MonkeyPatch) -> None:
    original = hmac.new

    def fips(key: Any, message: Any, algorithm: str) -> Any:
        if algorithm == "md5":
            raise ValueError("[digital envelope routines] unsupported")
        return original(key, message, algorithm)

    gate = Gate()
    async with (
        Peer(gate.actions, extensions=auth("CRAM-MD5", "PLAIN")) as peer,
        session(peer, stop_on_auth_failure=True) as client,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(hmac, "new", fips)
            assert (await client.login(USER, PASSWORD)).code == 235
            client.AUTH_METHODS = ("cram-md5",)
            with pytest.raises(ValueError, match="cannot compute HMAC with md5"):
                await client.login(USER, PASSWORD)
    assert gate.tried == ["CRAM-MD5", "PLAIN", "CRAM-MD5"]


async def test_what_one_mechanism_cannot_carry_another_can() -> None:
    gate = Gate(password="\N{GRINNING FACE}")  # SASLprep forbids it
    async with (
        Peer(gate.actions, extensions=auth("SCRAM-SHA-256", "PLAIN")) as peer,
        session(peer) as client,
    ):
        await client.login(USER, "\N{GRINNING FACE}")
        with pytest.raises(ValueError, match="must not hold a NUL"):
            await client.login(USER, "\0")
    assert gate.tried == ["PLAIN"]


async def test_a_refusal_says_more_than_what_could_not_be_tried() -> None:
    async with (
        Peer({"AUTH": in_turn("535 no", "334 !")}, extensions=auth("CRAM-MD5", "PLAIN")) as peer,
        session(peer) as client,
    ):
        client.AUTH_METHODS = ("plain", "cram-md5")
        with pytest.raises(SMTPAuthenticationError) as caught:
            await client.login(USER, PASSWORD)
        assert caught.value.code == 535


@pytest.mark.parametrize(
    ("refusal", "tried"),
    [
        ("535 no", 1),
        ("535 5.7.8 no", 1),
        ("550 5.7.8 no", 1),
        ("534 5.7.9 too weak", 3),
        ("454 4.7.0 later", 3),
        ("538 5.7.11 encrypt", 3),
    ],
)
@pytest.mark.parametrize("stop", [True, False])
async def test_stop_on_auth_failure(refusal: str, tried: int, stop: bool) -> None:
    announced = auth("SCRAM-SHA-1", "PLAIN", "LOGIN")
    async with Peer({"AUTH": refusal}, extensions=announced) as peer:
        client = client_for(peer, username=USER, password="wrong", stop_on_auth_failure=stop)
        with pytest.raises(SMTPAuthenticationError):
            await client.connect()
        assert peer.verbs.count("AUTH") == (tried if stop else 3)


@pytest.mark.parametrize("stop", [True, False])
async def test_mechanisms_unknown_to_the_server_do_not_stop_the_login(stop: bool) -> None:
    announced = auth("SCRAM-SHA-1", "PLAIN", "LOGIN")
    async with (
        Peer({"AUTH": "504 5.5.4 what?"}, extensions=announced) as peer,
        session(peer, stop_on_auth_failure=stop) as client,
    ):
        with pytest.raises(SMTPAuthenticationError, match="what"):
            await client.login(USER, PASSWORD)
        # Each is tried once more without its initial response.
        assert [len(line.split()) for line in peer.commands[1:]] == [3, 2] * 3
