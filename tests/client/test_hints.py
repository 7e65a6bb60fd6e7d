"""Hints: each line of the table by the failure that it is for, with server and port, in every door."""

import errno
import pickle
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPConnectError, SMTPException, SMTPPool
from aiosmtplib._client.hints import HINTS, Hint, Setup, for_command_line, hint_for
from aiosmtplib.cli import main

from ..support import certs, proxies
from ..support.actions import silence
from ..support.clients import HOST, MESSAGE, RECIPIENTS, SENDER, email_message, options_for
from ..support.dead_addresses import silent_address
from ..support.proxies import Proxy
from ..support.scripted_server import PATIENCE, Peer
from ..support.threaded_servers import EML, in_thread

Door = Callable[[dict[str, Any]], Awaitable[None]]

LINES = {hint.name: hint for hint in HINTS}
PROVIDERS = {
    "smtp.gmail.com": "Gmail",
    "SMTP-Relay.Gmail.com.": "Gmail",
    "smtp.office365.com": "Microsoft",
    "smtp-mail.outlook.com": "Microsoft",
    "smtp.mail.yahoo.com": "Yahoo or AOL",
    "smtp.aol.com": "Yahoo or AOL",
    "smtp.mail.me.com": "iCloud",
    "smtp.fastmail.com": "Fastmail",
    "smtp.zoho.eu": "Zoho",
    "mail.gmx.net": "GMX or WEB.DE",
    "smtp.yandex.ru": "Yandex or Mail.ru",
    "smtp.163.com": "QQ or NetEase",
    "smtp.protonmail.ch": "Proton",
    "email-smtp.eu-west-1.amazonaws.com": "Amazon SES",
    "smtp.sendgrid.net": "SendGrid",
    "smtp.eu.mailgun.org": "Mailgun",
    "smtp.postmarkapp.com": "Postmark",
    "smtp-relay.brevo.com": "Brevo",
    "in-v3.mailjet.com": "Mailjet",
}
CERTIFICATES = {"unknown authority": "untrusted", "other name": "wrong_host", "not valid now": "expired"}

PROXIES = {
    "proxy login": b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    "proxy to server": b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
}


async def token() -> str:
    return "expired"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def peer_of(name: str, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """What fails as a line of the table has it: the options of a client that sends there."""
    secured: dict[str, Any] = {"tls": None}
    actions: Any = {}
    more: dict[str, Any] = {}
    elsewhere: dict[str, Any] | None = None
    extensions = ["SIZE 1000"]
    if name == "TLS port in plain text":
        elsewhere = {"hostname": "mail.example.com", "port": 465}
    elif name == "nothing listens":
        elsewhere = {"hostname": "127.0.0.1", "port": free_port()}
    elif name == "no proxy":
        elsewhere = {"hostname": "mail.example.com", "port": 25, "proxy": f"http://127.0.0.1:{free_port()}"}
    elif name in PROXIES:
        async with Proxy("http", actions={"connect": PROXIES[name]}) as proxy:
            yield proxies.options_by(proxy)
        return
    elif name == "unknown name":
        elsewhere = {"hostname": "nowhere.invalid", "port": 25}
    elif name == "no such socket":
        elsewhere = {"socket_path": str(tmp_path / "none")}
    elif name == "no answer":
        with silent_address() as (host, port):
            yield {"hostname": host, "port": port, "local_hostname": HOST, "timeout": 0.1}
        return
    elif name == "no greeting":
        actions, more = {"connect": silence}, {"timeout": 0.1}
    elif name == "no TLS":
        more = {"use_tls": True}
    elif name in CERTIFICATES:
        kind = {"unknown authority": "untrusted", "other name": "wrong_host", "not valid now": "expired"}[
            name
        ]
        secured = {"tls": certs.server_context(kind), "implicit_tls": True}
        more = {"use_tls": True, "tls_context": certs.client_context()}
    elif name == "STARTTLS first":
        actions, more = {"MAIL": "530 5.7.0 Must issue a STARTTLS command first"}, {"start_tls": False}
    elif name == "login first":
        actions = {"MAIL": "530 5.7.0 Authentication required"}
    elif name == "no STARTTLS":
        more = {"start_tls": True}
    elif name == "no AUTH":
        more = {"username": "u", "password": "p"}
    elif name == "token":
        extensions, actions = ["AUTH XOAUTH2"], {"AUTH": "535 5.7.8 Bad"}
        more = {"username": "u", "oauth_token_generator": token}
    else:
        assert name == "credentials"
        extensions, actions = ["AUTH PLAIN"], {"AUTH": "535 5.7.8 Bad"}
        more = {"username": "u", "password": "p"}
    if elsewhere is not None:
        yield {"local_hostname": HOST, "timeout": PATIENCE, **elsewhere}
        return
    async with Peer(actions, extensions=extensions, **secured) as peer:
        yield options_for(peer, **more)


async def by_client(options: dict[str, Any]) -> None:
    async with SMTP(**options) as client:
        await client.sendmail(SENDER, RECIPIENTS, MESSAGE)


async def by_send(options: dict[str, Any]) -> None:
    await aiosmtplib.send(email_message(), **options)


async def by_send_many(options: dict[str, Any]) -> None:
    async with SMTP(**options) as client:
        async for result in client.send_many([email_message()]):
            result.raise_for_status()


async def by_pool(options: dict[str, Any]) -> None:
    async with SMTPPool(**options) as pool:
        await pool.send(email_message())


async def by_many_of_a_pool(options: dict[str, Any]) -> None:
    async with SMTPPool(**options) as pool:
        async for result in pool.send_many([email_message()]):
            result.raise_for_status()


DOORS = [by_send, by_send_many, by_pool, by_many_of_a_pool]


@pytest.mark.usefixtures("uvloop_may_complain")
@pytest.mark.parametrize(
    ("name", "door"),
    [
        *((name, by_client) for name in sorted(LINES.keys() - set(PROVIDERS.values()))),
        *((name, door) for name in ("login first", "credentials") for door in DOORS),
    ],
)
async def test_each_line(
    name: str, door: Callable[[dict[str, Any]], Awaitable[None]], tmp_path: Path
) -> None:
    async with peer_of(name, tmp_path) as options:
        with pytest.raises(SMTPException) as caught:
            await door(options)
    error = caught.value
    where = options.get("socket_path") or f"{options['hostname']} on port {options['port']}"
    assert error.hint == LINES[name].text.format(server=where)
    assert str(error).endswith(f". {error.hint}.")
    assert where in str(error)
    assert error.hint not in error.message
    survivor = pickle.loads(pickle.dumps(error))
    assert (survivor.hint, str(survivor)) == (error.hint, str(error))


@pytest.mark.parametrize("code", [534, 535])
@pytest.mark.parametrize("host", PROVIDERS)
def test_each_provider(host: str, code: int) -> None:
    setup = Setup(f"{host} on port 587", host, login=True)
    hint = hint_for(SMTPAuthenticationError(code, "5.7.8 Bad credentials"), setup)
    assert hint == LINES[PROVIDERS[host]].text.format(server=f"{host} on port 587")
    assert hint.startswith(f"{host} on port 587 ")
    assert hint_for(SMTPAuthenticationError(454, "4.7.0 Later"), setup) is None


def test_no_line_is_left_out() -> None:
    assert set(PROVIDERS.values()) < set(LINES)
    assert len(LINES) == len(HINTS)


def test_a_provider_is_known_by_its_whole_domain() -> None:
    setup = Setup("there", "smtp.notgmail.com")
    assert hint_for(SMTPAuthenticationError(535, ""), setup) == LINES["credentials"].text.format(
        server="there"
    )


async def test_a_provider_by_a_client() -> None:
    async with Peer(
        {"AUTH": "534 5.7.9 Application-specific password required"}, extensions=["AUTH PLAIN"]
    ) as peer:
        sock = socket.create_connection((peer.host, peer.port))
        client = SMTP(
            "smtp.gmail.com", sock=sock, username="u", password="p", local_hostname=HOST, timeout=PATIENCE
        )
        with pytest.raises(SMTPAuthenticationError, match="apppasswords") as caught:
            await client.connect()
        assert (caught.value.code, caught.value.phase) == (534, "auth")
        sock.close()


@pytest.mark.parametrize(
    "options", [{"start_tls": True}, {"use_tls": False, "start_tls": True}, {}, {"start_tls": False}]
)
async def test_the_port_of_tls_is_told_at_once(options: dict[str, Any]) -> None:
    client = SMTP("127.0.0.1", 465, local_hostname=HOST, timeout=PATIENCE, **options)
    with pytest.raises(
        SMTPConnectError, match="465: that port speaks TLS from the first byte. Pass use_tls=True"
    ):
        await client.connect()
    assert client.protocol is None


async def test_whoever_says_so_speaks_plain_text_on_any_port() -> None:
    client = SMTP("127.0.0.1", 465, use_tls=False, local_hostname=HOST, timeout=PATIENCE)
    with pytest.raises(SMTPConnectError, match="Nothing listens"):
        await client.connect()


async def test_all_recipients_refused_for_want_of_a_login() -> None:
    async with Peer({"RCPT": "530 5.7.0 Authentication required"}) as peer:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused, match="wants a login before mail"):
            await by_client(options_for(peer))
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            async with SMTP(**options_for(peer)) as client:
                client._username = "somebody who has logged in"
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert caught.value.hint is None
    assert hint_for(aiosmtplib.SMTPRecipientsRefused([]), Setup("", "")) is None


async def test_a_timeout_of_zero_says_nothing_about_the_server() -> None:
    async with Peer() as peer:
        with pytest.raises(aiosmtplib.SMTPConnectTimeoutError) as caught:
            await SMTP(**options_for(peer, timeout=0)).connect()
    assert caught.value.hint is None
    assert str(caught.value) == f"Timed out connecting to 127.0.0.1 on port {peer.port}"


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT])
def test_a_network_that_leads_nowhere(number: int) -> None:
    error = SMTPConnectError("Error connecting to there: no")
    error.phase = "connect"
    error.__cause__ = OSError(number, "no")
    assert hint_for(error, Setup("there", "there")) == LINES["no answer"].text


@pytest.mark.parametrize("door", [by_client, by_send])
@pytest.mark.parametrize("message", ["Subject: Grüße\n\nHi\n"])
async def test_text_that_is_not_ascii(door: object, message: str) -> None:
    async with Peer() as peer:
        with pytest.raises(UnicodeEncodeError, match=r"has to be ASCII: pass bytes.*or an EmailMessage"):
            if door is by_send:
                await aiosmtplib.send(message, SENDER, RECIPIENTS, **options_for(peer))
            else:
                async with SMTP(**options_for(peer)) as client:
                    await client.sendmail(SENDER, RECIPIENTS, message)
        assert peer.verbs in ([], ["EHLO", "QUIT"])


def test_the_command_line_has_its_own_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(EML)
    monkeypatch.setenv("AIOSMTPLIB_USERNAME", "somebody")
    monkeypatch.setenv("AIOSMTPLIB_PASSWORD", "correct horse")
    with in_thread(Peer({"AUTH": "535 5.7.8 Bad"}, extensions=["AUTH PLAIN"])) as peer:
        code = main(
            ["send", str(letter), "--host", peer.host, "--port", str(peer.port), "--local-hostname", "me"]
        )
    assert code == 4
    assert capsys.readouterr().err == (
        f"aiosmtplib: error: The login was refused: 535 5.7.8 Bad. {peer.host} on port {peer.port} refuses "
        "these credentials: check user name and password. Many providers want an application password, or "
        "OAuth by AIOSMTPLIB_TOKEN, in place of the password of the account\n"
    )


@pytest.mark.parametrize("hint", HINTS, ids=lambda hint: hint.name)
def test_no_line_names_an_option_that_the_command_line_does_not_have(hint: Hint) -> None:
    text = for_command_line(hint.text)
    for word in (
        "use_tls",
        "start_tls",
        "cert_bundle",
        "validate_certs",
        "oauth_token_generator",
        "username",
    ):
        assert word not in text
