"""Logging in to servers that are odd: which error comes out, and who gets the password."""

import base64
import pickle
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponse

from ..support.actions import cut, in_turn, reset, silence, then
from ..support.clients import assert_closed, assert_usable, client_for, session
from ..support.scripted_server import Conversation, Peer

USER, PASSWORD = "somebody", "pass word"
ALL = ["AUTH CRAM-MD5 PLAIN LOGIN"]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# -- which error ------------------------------------------------------------------------------------


AFTERWARDS: list[Any] = ["421 bye", "503 no more", "454 4.7.0 later", "534 5.7.9 too weak", "504 5.5.4 what?"]
AFTERWARDS += ["hello", "334 !!!", cut, reset, silence]


@pytest.mark.parametrize("after", AFTERWARDS)
@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("refusal", ["535 wrong", "535 5.7.8 wrong", "550 5.7.8 wrong"])
async def test_refused_credentials_are_what_is_raised(after: Any, stop: bool, refusal: str) -> None:
    async with Peer({"AUTH": in_turn(refusal, after), "*": "454 later"}, extensions=ALL) as peer:
        client = client_for(peer)
        client.AUTH_METHODS = ("plain", "cram-md5", "login")
        await client.connect()
        client.stop_on_auth_failure = stop
        client.timeout = 0.1 if after is silence else client.timeout
        with pytest.raises(SMTPAuthenticationError, match="wrong") as caught:
            await client.login(USER, PASSWORD)
        assert str(caught.value.code) == refusal[:3]
        assert caught.value.phase == "auth"
        assert caught.value.__context__ is None
        client.close()


async def test_refused_credentials_and_a_server_that_hangs_up() -> None:
    async with Peer({"AUTH": then("535 wrong", cut)}, extensions=ALL) as peer:
        with pytest.raises(SMTPAuthenticationError, match="wrong"):
            await client_for(peer, username=USER, password=PASSWORD).connect()


async def test_other_refusals_give_way() -> None:
    for last, expected in (("535 wrong", "wrong"), ("454 later", "later"), ("421 bye", "bye")):
        async with (
            Peer({"AUTH": in_turn("534 too weak", "534 too weak", last)}, extensions=ALL) as peer,
            session(peer) as client,
        ):
            with pytest.raises(SMTPAuthenticationError, match=expected):
                await client.login(USER, PASSWORD)
    async with (
        Peer({"AUTH": in_turn("534 too weak", cut)}, extensions=ALL) as peer,
        session(peer) as client,
    ):
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.login(USER, PASSWORD)


@pytest.mark.parametrize("after", ["421 bye", "503 no more", "454 later", cut, "hello", "334 !!!"])
async def test_refused_token_is_what_is_raised(after: Any) -> None:
    tokens = ["one", "two"]

    async def generate() -> str:
        return tokens.pop(0)

    actions = {"AUTH": in_turn("535 wrong", after), "*": "454 later"}
    async with Peer(actions, extensions=["AUTH XOAUTH2"]) as peer:
        with pytest.raises(SMTPAuthenticationError, match="wrong"):
            await client_for(peer, username=USER, oauth_token_generator=generate).connect()
    assert tokens == []


async def test_second_token_that_is_refused() -> None:
    tokens = ["one", "two"]

    async def generate() -> str:
        return tokens.pop(0)

    actions = {"AUTH": in_turn("535 wrong", "535 wrong again")}
    async with Peer(actions, extensions=["AUTH XOAUTH2"]) as peer:
        with pytest.raises(SMTPAuthenticationError, match="wrong again"):
            await client_for(peer, username=USER, oauth_token_generator=generate).connect()


# -- the initial response ---------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", ["501 5.5.2 what?", "504 5.5.4 what?"])
@pytest.mark.parametrize(
    ("method", "lines"),
    [
        ("plain", [b64(f"\0{USER}\0{PASSWORD}")]),
        ("login", [b64(USER), b64(PASSWORD)]),
        ("xoauth2", [b64(f"user={USER}\1auth=Bearer {PASSWORD}\1\1")]),
        ("external", [b64(USER)]),
    ],
)
async def test_initial_response_that_is_refused(refusal: str, method: str, lines: list[str]) -> None:
    actions = {"AUTH": in_turn(refusal, "334 "), "*": in_turn(*["334 "] * (len(lines) - 1), "235 Welcome")}
    async with Peer(actions, extensions=ALL) as peer, session(peer) as client:
        assert (await getattr(client, f"auth_{method}")(USER, PASSWORD)).code == 235
        assert peer.commands[2:] == [b"AUTH " + method.upper().encode(), *map(str.encode, lines)]
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    ("again", "code"), [("535 wrong", 535), ("504 what?", 504), (cut, 501), ("hello", 501)]
)
async def test_initial_response_is_left_out_once(again: Any, code: int) -> None:
    async with Peer({"AUTH": in_turn("501 what?", again)}, extensions=ALL) as peer, session(peer) as client:
        with pytest.raises(SMTPAuthenticationError) as caught:
            await client.auth_plain(USER, PASSWORD)
        assert caught.value.code == code
        assert peer.commands[2:] == [b"AUTH PLAIN"]


# -- AUTH LOGIN -------------------------------------------------------------------------------------


class Prompts:
    """A server of AUTH LOGIN.

    :param prompts: the texts of its 334s, for the name and for the password
    :param initial: whether it takes the name from the AUTH line
    :param again: how often it asks for the name
    """

    def __init__(self, name: str, password: str, *, initial: bool, again: int = 1) -> None:
        self.prompts, self.initial, self.again = (name, password), initial, again
        self.names: list[str] = []
        self.passwords: list[str] = []
        self.actions: dict[str, Any] = {"AUTH": self.begin, "*": self.go_on}

    async def begin(self, conversation: Conversation) -> str:
        words = conversation.line.split()
        self.names, self.passwords = [], []
        if self.initial and len(words) > 2:
            self.names = [base64.b64decode(words[2]).decode()] * self.again
        return await self.ask(conversation)

    async def go_on(self, conversation: Conversation) -> str:
        heard = self.names if len(self.names) < self.again else self.passwords
        heard.append(base64.b64decode(conversation.line).decode())
        assert PASSWORD not in self.names, "the password went to a prompt for the name"
        if self.passwords:
            reply = "235 Welcome" if self.passwords == [PASSWORD] else "535 wrong"
            await conversation.reply(reply)
            return reply
        return await self.ask(conversation)

    async def ask(self, conversation: Conversation) -> str:
        reply = f"334 {self.prompts[len(self.names) >= self.again]}"
        await conversation.reply(reply)
        return reply


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize(
    ("name", "password"),
    [
        (b64("Username:"), b64("Password:")),
        (b64("User Name\0"), b64("Password\0")),
        ("Username:", "Password:"),
        ("Username", "Password"),  # which is base64, too, of something else
        (b64("Login:"), b64("Password:")),
        (b64("Benutzername:"), b64("Kennwort:")),
        (b64("Nom:"), b64("Code:")),
        (b64("Имя:"), b64("Пароль:")),
        (b64("Login (not the password):"), b64("Login password:")),
        ("", ""),
        ("", b64("Password:")),
        (b64("Username:"), ""),
        ("a", "b"),
    ],
)
async def test_password_goes_where_it_is_asked_for(initial: bool, name: str, password: str) -> None:
    server = Prompts(name, password, initial=initial)
    async with Peer(server.actions, extensions=["AUTH LOGIN"]) as peer, session(peer) as client:
        assert (await client.login(USER, PASSWORD)).code == 235
        assert (server.names, server.passwords) == ([USER], [PASSWORD])
        await assert_usable(client, peer)


@pytest.mark.parametrize(
    "name", [b64("Username:"), "Username:", b64("Login:"), b64("Benutzername:"), b64("Nom:")]
)
async def test_who_asks_for_the_name_again_gets_no_password(name: str) -> None:
    server = Prompts(name, b64("Password:"), initial=False, again=3)
    async with Peer(server.actions, extensions=["AUTH LOGIN"]) as peer, session(peer) as client:
        with pytest.raises(SMTPAuthenticationError, match="asks for the user name again"):
            await client.login(USER, PASSWORD)
        assert peer.commands[-1] == b"*"
        assert server.passwords == []
        await assert_usable(client, peer)


async def test_prompt_that_says_nothing_and_no_way_out() -> None:
    async def deaf(conversation: Conversation) -> None:
        await conversation.reply("220 hello")
        conversation.commands.append(await conversation.read_line())
        await conversation.send(b"250-me\r\n250 AUTH LOGIN\r\n")
        while True:  # a cancellation is a name to it, too
            conversation.commands.append(await conversation.read_line())
            await conversation.reply("334 ")

    async with Peer(script=deaf) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(SMTPAuthenticationError, match="what does it ask for"):
            await client.auth_login(USER, PASSWORD)
        assert peer.commands[1:] == [b"AUTH LOGIN " + b64(USER).encode(), b"*"]
        assert_closed(client)


# -- a client without a connection ------------------------------------------------------------------


class Elsewhere(SMTP):
    """Sends to something of its own."""

    def __init__(self, *replies: str, **options: Any) -> None:
        super().__init__(**options)
        self.left = deque(replies)
        self.said: list[bytes] = []
        self.timeouts: list[Any] = []
        self.esmtp_extensions = {"auth": ""}
        self.server_auth_methods = ["scram-sha-256", "cram-md5", "plain", "login", "xoauth2", "oauthbearer"]

    async def execute_command(self, *args: bytes, timeout: Any = None) -> SMTPResponse:
        self.said.append(b" ".join(args))
        self.timeouts.append(timeout)
        reply = self.left.popleft()
        return SMTPResponse(int(reply[:3]), reply[4:])

    async def _ehlo_or_helo_if_needed(self) -> None:
        pass


@pytest.mark.parametrize(
    ("method", "replies", "lines"),
    [
        ("plain", ["235 ok"], [f"AUTH PLAIN {b64(f'{chr(0)}u{chr(0)}p')}"]),
        ("login", [f"334 {b64('Password:')}", "235 ok"], ["AUTH LOGIN dQ==", "cA=="]),
        # Nothing of this package is on a wire, and the second line is what it was.
        ("login", [f"334 {b64('Username:')}", "235 ok"], ["AUTH LOGIN dQ==", "cA=="]),
        ("login", ["334 ", "235 ok"], ["AUTH LOGIN dQ==", "cA=="]),
        ("crammd5", ["334 eA==", "235 ok"], ["AUTH CRAM-MD5", None]),
        ("xoauth2", ["334 e30=", "235 ok"], [None, ""]),
        ("oauthbearer", ["235 ok"], [None]),
        ("external", ["235 ok"], ["AUTH EXTERNAL dQ=="]),
    ],
)
async def test_subclass_without_a_connection(
    method: str, replies: list[str], lines: list[str | None]
) -> None:
    client = Elsewhere(*replies)
    assert (await getattr(client, f"auth_{method}")("u", "p", timeout=5.0)).code == 235
    assert len(client.said) == len(lines)
    assert all(line is None or line.encode() == said for line, said in zip(lines, client.said, strict=True))
    assert client.timeouts == [5.0] * len(lines)


async def test_subclass_without_a_connection_tries_all_mechanisms() -> None:
    client = Elsewhere("504 what?", "504 what?", "334 not base64", "535 no", "334 ", "235 ok")
    assert (await client.login("u", "p", timeout=2.0)).code == 235
    assert [line.split()[:2] for line in client.said[1:]] == [
        [b"AUTH", b"SCRAM-SHA-256"],
        [b"AUTH", b"CRAM-MD5"],
        [b"AUTH", b"PLAIN"],
        [b"AUTH", b"LOGIN"],
        [b"cA=="],
    ]
    assert set(client.timeouts) == {2.0}
    client = Elsewhere(*["535 no"] * 4)
    with pytest.raises(SMTPAuthenticationError):
        await client.login("u", "p")
    client.esmtp_extensions = {}
    with pytest.raises(SMTPException, match=r"not supported by this server\. ") as caught:
        await client.login("u", "p")
    assert caught.value.message == "The SMTP AUTH extension is not supported by this server."


async def test_policy_that_was_asked_for_holds_without_a_connection() -> None:
    client = Elsewhere("235 ok", allow_plaintext_auth=False)
    for attempt in (client.auth_plain, client.login):
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await attempt("u", "p")
    assert client.said == []


async def test_mechanism_without_a_method() -> None:
    async with Peer(extensions=["AUTH FANCY"]) as peer, session(peer) as client:
        client.AUTH_METHODS = ("fancy",)
        with pytest.raises(RuntimeError, match="AUTH_METHODS has 'fancy'"):
            await client.login(USER, PASSWORD)
        assert peer.verbs == ["EHLO"]


# -- execute_command --------------------------------------------------------------------------------


def hidden(error: BaseException, *secrets: str) -> None:
    texts = [str(error), repr(error), repr(vars(error)), repr(pickle.dumps(error))]
    texts += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    # The locals of the test itself hold them.
    shown = "".join(text for text in texts if "test_login_odd.py" not in text)
    for secret in secrets:
        assert secret not in shown


SECRETS = ("correct horse", b64("\0somebody\0correct horse"))


def echo(form: str) -> Callable[[Conversation], Any]:
    async def action(conversation: Conversation) -> str:
        line = form.replace("LINE", conversation.line.decode()).replace(
            "WORD", conversation.line.split()[-1].decode()
        )
        await conversation.send(line.encode() + b"\r\n")
        return line[:3]

    return action


@pytest.mark.parametrize(
    "args",
    [
        (b"AUTH", b"PLAIN", b"*"),
        (b"AUTH PLAIN *",),
        (b" auth", b"plain  *"),
        (b"AUTH", b"*"),
        (b"", b"AUTH *"),
    ],
)
@pytest.mark.parametrize(
    "form", ["535 LINE", "334 WORD", "LINE", "535-LINE\r\n535 WORD", f"535 no {SECRETS[0]}"]
)
async def test_commands_of_auth_are_not_repeated(args: tuple[bytes, ...], form: str) -> None:
    args = tuple(each.replace(b"*", SECRETS[1].encode()) for each in args)
    async with Peer({"AUTH": echo(form), "": echo(form)}, extensions=ALL) as peer:
        client = client_for(peer)
        await client.connect()
        if form == "LINE":
            with pytest.raises(SMTPException, match="<hidden>") as caught:
                await client.execute_command(*args)
            hidden(caught.value, *SECRETS)
        else:
            reply = await client.execute_command(*args)
            assert "<hidden>" in reply.message
            assert not any(secret in reply.message for secret in SECRETS)
        client.close()


@pytest.mark.parametrize("form", ["535 LINE", "LINE", "421 LINE", "334 LINE", f"535 no {SECRETS[0]}"])
async def test_responses_to_a_challenge_are_not_repeated(form: str) -> None:
    actions = {"AUTH": f"334 {b64('Password:')}", "*": echo(form)}
    async with Peer(actions, extensions=ALL) as peer:
        client = client_for(peer)
        await client.connect()
        assert (await client.execute_command(b"AUTH", b"LOGIN")).message == b64("Password:")
        if form == "LINE":
            with pytest.raises(SMTPException, match="<hidden>") as caught:
                await client.execute_command(b64(SECRETS[0]).encode())
            hidden(caught.value, *SECRETS, b64(SECRETS[0]))
        else:
            assert "<hidden>" in (await client.execute_command(b64(SECRETS[0]).encode())).message
        client.close()
        await client.connect()
        # Another connection, another exchange; and a mechanism is no secret.
        peer.actions["AUTH"] = "504 OAUTHBEARER OAUTHBEARER what?"
        assert (await client.execute_command(b"NOOP", b"NOOP-NOOP-NOOP")).code == 250
        assert (
            await client.execute_command(b"AUTH", b"OAUTHBEARER", b"A")
        ).message == "OAUTHBEARER OAUTHBEARER what?"
        await client.quit()
        assert_closed(client)
