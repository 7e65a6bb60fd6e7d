"""Secrets stay where they belong: no log, no error, no ``repr`` and no traceback with variables shows one.

Every mechanism succeeds and fails in every way here. Then whatever a crash reporter could get hold of is
searched for the secret, and for it in base64, alone or within something longer.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import pickle
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPPool, auth
from aiosmtplib._sasl.saslprep import saslprep
from aiosmtplib._sasl.secret import Secret, SecretBytes, conceal

from ..support import certs
from ..support.actions import cut, reset, silence
from ..support.clients import client_for, each_cancellation, email_message, options_for
from ..support.sasl_server import EVERY, Gate
from ..support.scripted_server import PATIENCE, Conversation, Peer
from .search import SECRET, assert_error_hides, assert_hidden


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that is logged, also by asyncio, is searched at the end."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    assert_hidden(caplog.text, *(repr(vars(record)) for record in caplog.records))


def test_the_search_finds_what_there_is() -> None:
    def leak(password: str) -> None:
        raise ValueError("x")

    for text in (
        SECRET,
        base64.b64encode(b"\0user\0" + SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"u\0" + SECRET.encode() + b"\x01\x01").decode(),
    ):
        with pytest.raises(AssertionError, match="shows in"):
            assert_hidden(text)
    try:
        exec(compile("def f(password): raise ValueError('x')", "elsewhere.py", "exec"), scope := {})
        scope["f"](SECRET)
    except ValueError as error:
        with pytest.raises(AssertionError, match="elsewhere.py"):
            assert_error_hides(error)


# -- over a connection -------------------------------------------------------------------------------


def method_of(client: SMTP, mechanism: str) -> Callable[..., Awaitable[Any]]:
    method: Callable[..., Awaitable[Any]] = getattr(client, f"auth_{mechanism.replace('-', '').lower()}")
    return method


def binding() -> bytes:
    import ssl

    pem = certs.authority().server.cert_chain_pems[0].bytes().decode()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()


def repeat(form: bytes) -> Any:
    """A reply with the line that it answers, or with the last word of it."""

    async def action(conversation: Conversation) -> str:
        line = conversation.line
        reply = form.replace(b"LINE", line).replace(b"WORD", line.rpartition(b" ")[2])
        await conversation.send(reply)
        return reply[:3].decode("ascii")

    return action


FAULTS: dict[str, Any] = {
    "refused": "535 5.7.8 no",
    "later": "454 4.7.0 later",
    "goodbye": "421 bye",
    "cut": cut,
    "reset": reset,
    "silence": silence,
    "no smtp": b"hello\r\n",
    "garbage": "334 !!!",
    "not a challenge": "334 eA==",
    "too long": b"334 " + b"A" * 40000 + b"\r\n",
    "echo": repeat(b"535-5.7.8 no\r\n535 LINE is wrong\r\n"),
    "echo as it is": repeat(b"LINE\r\n"),
    "echo as a challenge": repeat(b"334 WORD\r\n"),
    "echo and goodbye": repeat(b"421 LINE\r\n"),
    "decoded": f"535 5.7.8 {SECRET} is not the password",
}


@pytest.mark.parametrize("mechanism", EVERY)
@pytest.mark.parametrize("position", ["AUTH", "*"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_failure(mechanism: str, position: str, fault: str, log: pytest.LogCaptureFixture) -> None:
    if (mechanism, fault) == ("EXTERNAL", "decoded"):
        pytest.skip("it is not given the password")
    asyncio.get_running_loop().set_debug(True)
    gate = Gate(password=SECRET, tokens=(SECRET,), binding=binding())
    gate.actions[position] = FAULTS[fault]
    if position == "*":
        gate.tokens = []  # so that there is a challenge
    else:
        gate.actions["*"] = "535 5.7.8 no"
    async with Peer(gate.actions, extensions=[f"AUTH {mechanism}"], tls=certs.server_context()) as peer:
        client = client_for(peer, tls_context=certs.client_context())
        await client.connect()
        if fault == "silence":
            client.timeout = 0.05
        try:
            await method_of(client, mechanism)("user", SECRET)
        except (aiosmtplib.SMTPException, ValueError) as error:
            assert_error_hides(error)
        else:
            assert position == "*", "nothing can succeed at the first fault"
        assert_hidden(repr(client), str(client), repr(client.protocol))
        client.close()


@pytest.mark.parametrize("mechanism", EVERY)
async def test_success(mechanism: str, log: pytest.LogCaptureFixture) -> None:
    asyncio.get_running_loop().set_debug(True)
    events: list[aiosmtplib.CommandEvent] = []
    gate = Gate(password=SECRET, tokens=(SECRET,), binding=binding())
    async with (
        Peer(gate.actions, extensions=[f"AUTH {mechanism}"], tls=certs.server_context()) as peer,
        client_for(peer, tls_context=certs.client_context(), on_command=events.append) as client,
    ):
        await method_of(client, mechanism)("user", SECRET)
        assert_hidden(repr(client), str(client), repr(client.protocol), repr(vars(client)))
        assert client.protocol is not None
        said = client.protocol.transcript
        assert_hidden(repr(said._entries), repr(events), str(said))
        assert f"C: AUTH {mechanism}" in str(said)
        # What is lost later does not remember it, either.
        peer.actions["NOOP"] = cut
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await client.noop()
        assert_error_hides(caught.value)
    assert gate.logins == [mechanism]


@pytest.mark.parametrize("mechanism", EVERY)
async def test_cancelled(mechanism: str, log: pytest.LogCaptureFixture) -> None:
    gate = Gate(password=SECRET, tokens=(SECRET,), binding=binding())

    async def attempt(run: Callable[[Awaitable[Any]], Awaitable[Any]]) -> None:
        async with Peer(gate.actions, extensions=[f"AUTH {mechanism}"], tls=certs.server_context()) as peer:
            client = client_for(peer, tls_context=certs.client_context())
            await client.connect()

            async def login() -> None:
                try:
                    await method_of(client, mechanism)("user", SECRET)
                except asyncio.CancelledError as error:
                    assert_error_hides(error)
                    raise

            await run(login())
            if client.is_connected:
                assert (await client.noop()).code == 250
            client.close()
            await peer.hung_up()

    assert await each_cancellation(attempt) > 0


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-256"])
async def test_a_python_that_cannot(mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any, **options: Any) -> None:
        raise ValueError("unsupported")

    gate = Gate(password=SECRET)
    async with Peer(gate.actions, extensions=[f"AUTH {mechanism}"]) as peer, client_for(peer) as client:
        # The peer has its keys before.
        begin, seen = gate.actions["AUTH"], []

        async def break_it(conversation: Any) -> str:
            seen.append(await begin(conversation))
            monkeypatch.setattr(hmac, "new", forbidden)
            monkeypatch.setattr(hashlib, "pbkdf2_hmac", forbidden)
            return str(seen[0])

        peer.actions["AUTH"] = break_it
        with pytest.raises(ValueError, match="This Python cannot") as caught:
            await client.login("user", SECRET)
        assert_error_hides(caught.value)


async def test_login_by_options(log: pytest.LogCaptureFixture) -> None:
    async def token() -> str:
        return SECRET

    async def tokens() -> str:
        given.append(f"{SECRET}{len(given)}")
        return given[-1]

    given: list[str] = []
    logins: list[dict[str, Any]] = [
        {"password": SECRET},
        {"oauth_token_generator": token},
        {"oauth_token_generator": tokens},
    ]
    for login in logins:
        for action in ("535 5.7.8 no", cut, "334 !", "421 bye"):
            async with Peer({"AUTH": action, "*": "535 no"}, extensions=["AUTH " + " ".join(EVERY)]) as peer:
                options = options_for(peer, username="user", **login)
                with pytest.raises(aiosmtplib.SMTPException) as caught:
                    await aiosmtplib.send(email_message(), **options)
                assert_error_hides(caught.value)
                with pytest.raises(aiosmtplib.SMTPException) as caught:
                    async with SMTP(**options):
                        pass
                assert_error_hides(caught.value)
                async with SMTPPool(**options) as pool:
                    with pytest.raises(aiosmtplib.SMTPException) as caught:
                        await pool.send(email_message())
                    assert_error_hides(caught.value)
                    assert_hidden(repr(pool), repr(vars(pool)), repr(vars(pool._manager)))
                (result,) = [each async for each in aiosmtplib.send_many([email_message()], **options)]
                assert result.error is not None
                assert_error_hides(result.error)
                assert_hidden(repr(result))
    assert len(given) > 2


async def test_login_by_options_of_connect() -> None:
    async with Peer({"AUTH": "535 no"}, extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
            await client.connect(username="user", password=SECRET)
        assert_error_hides(caught.value)
        with pytest.raises(aiosmtplib.SMTPException) as refused:
            await client.connect(allow_plaintext_auth=False)
        assert_error_hides(refused.value)


async def test_auth_by_hand() -> None:
    line = base64.b64encode(f"\0user\0{SECRET}".encode())
    async with Peer({"AUTH": cut}, extensions=["AUTH PLAIN"]) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await client.execute_command(b"AUTH", b"PLAIN", line)
        assert_error_hides(caught.value)


async def test_who_overrides_the_methods_gets_what_was_given() -> None:
    class Watching(SMTP):
        async def auth_plain(self, username: Any, password: Any, timeout: Any = PATIENCE) -> Any:
            assert (username, password) == ("user", SECRET)
            return await super().auth_plain(username, password, timeout)

    class Looking(Watching):
        def __init__(self, *args: Any, **options: Any) -> None:
            assert options["password"] == SECRET
            super().__init__(*args, **options)

    gate = Gate(password=SECRET)
    async with Peer(gate.actions, extensions=["AUTH PLAIN"]) as peer:
        options = options_for(peer, username="user", password=SECRET)
        async with Watching(**options):
            pass
        async with SMTPPool(**options, client_class=Looking) as pool:
            await pool.send(email_message())
    assert gate.logins == ["PLAIN"] * 2


# -- without one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"port": 0},
        {"port": "smtp"},
        {"timeout": "soon"},
        {"use_tls": True, "start_tls": True},
        {"allow_plaintext_auth": "nonsense"},
        {"oauth_token_generator": asyncio.sleep},
        {"password": [SECRET]},
        {"password": bytearray(SECRET.encode())},
    ],
)
async def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    options = {"username": "user", "password": SECRET, **options}
    doors: list[Callable[[], Any]] = [
        lambda: SMTP(**options),
        lambda: SMTPPool(**options),
        lambda: aiosmtplib.send_many([], **options),
    ]
    for door in doors:
        with pytest.raises((TypeError, ValueError)) as caught:
            door()
        assert_error_hides(caught.value)
    with pytest.raises((TypeError, ValueError)) as caught:
        await aiosmtplib.send(email_message(), **options)
    assert_error_hides(caught.value)
    with pytest.raises((TypeError, ValueError)) as caught:
        await SMTP().connect(**options)
    assert_error_hides(caught.value)


@pytest.mark.parametrize("mechanism", EVERY[1:8])
@pytest.mark.parametrize("bad", ["\0", "\ud800", "\x07"])
async def test_secrets_that_cannot_be_carried(mechanism: str, bad: str) -> None:
    async with (
        Peer({"AUTH": "334 eA==", "*": "535 no"}, extensions=[f"AUTH {mechanism}"]) as peer,
        client_for(peer) as client,
    ):
        with pytest.raises((aiosmtplib.SMTPException, ValueError)) as caught:
            await method_of(client, mechanism)("user", SECRET + bad)
        assert_error_hides(caught.value)
        for value in (bytearray(SECRET.encode()), [SECRET]):
            with pytest.raises(TypeError) as wrong:
                await method_of(client, mechanism)("user", value)
            assert_error_hides(wrong.value)


@pytest.mark.parametrize(
    "function",
    [
        auth.auth_plain_encode,
        auth.auth_login_encode,
        auth.auth_xoauth2_encode,
        lambda username, password: auth.auth_crammd5_verify(username, password, "!"),
        lambda username, password: auth.auth_crammd5_verify(username, password, "eA=="),
    ],
)
def test_functions(function: Callable[[Any, Any], object]) -> None:
    for bad in (SECRET, SECRET + "\0", SECRET + "\ud800", [SECRET]):
        try:
            function("user", bad)
        except (TypeError, ValueError) as error:
            assert_error_hides(error)


@pytest.mark.parametrize("bad", ["\x07", "é\x07", "\u0627" + "1"])
def test_saslprep(bad: str) -> None:
    with pytest.raises(ValueError) as caught:
        saslprep(SECRET + bad, stored=True)
    assert_error_hides(caught.value)


def test_what_hides_it() -> None:
    hidden: list[Any] = [Secret(SECRET), SecretBytes(SECRET.encode()), conceal(SECRET)]
    for each in hidden:
        assert_hidden(repr(each), str(each), f"{each}", repr((each,)))
    assert conceal(hidden[0]) is hidden[0]
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(hidden[0])
    assert re.fullmatch(rb"\S+ \S+", SecretBytes(SECRET.encode()))
