"""The connection options: checked together, stored together, and the TLS contexts made from them."""

import asyncio
import functools
import inspect
import pickle
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import (
    LMTP,
    SMTP,
    SMTPConnectError,
    SMTPConnectTimeoutError,
    SMTPPool,
    send,
    send_many,
)
from aiosmtplib._client.options import Options, destination_of
from aiosmtplib._transport.tls import tls_error
from aiosmtplib._transport.tls_contexts import TLSOptions, make_tls_context

from ..support import certs
from ..support.clients import client_for, session
from ..support.scripted_server import Peer


@pytest.mark.parametrize(
    "options",
    [
        {"use_tls": True, "start_tls": True},
        {"tls_context": ssl.create_default_context(), "client_cert": "cert.pem"},
        {"tls_context": True, "client_cert": "cert.pem"},
        {"tls_context": ssl.create_default_context(), "client_key": "key.pem"},
        {"client_key": "key.pem"},
        {"socket_path": "/run/smtp", "port": 25},
        {"username": "u", "password": "x", "oauth_token_generator": lambda: None},
        {"socket_path": "/run/smtp", "use_tls": True},
        {"local_hostname": ""},
        {"local_hostname": "a b"},
        {"port": 0},
        {"port": 65536},
        {"port": -1},
        {"hostname": "a\r\nb"},
        {"hostname": "a\0"},
        {"local_hostname": "a\r\nMAIL FROM:<x>"},
        {"local_hostname": "<a>"},
        {"server_hostname": "a\r\nb"},
        {"server_hostname": "mail.example.com:465"},
        {"server_hostname": "smtps://mail.example.com"},
        {"server_hostname": ".localhost"},
        {"server_hostname": "a" * 64 + ".example"},
    ],
)
def test_what_makes_no_sense_is_a_value_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SMTP(**options)


@pytest.mark.parametrize("options", [{"socket_path": "/run/smtp"}, {"port": 25}])
def test_a_given_socket_is_all_there_is(options: dict[str, Any]) -> None:
    with socket.socket() as sock, pytest.raises(ValueError):
        SMTP(sock=sock, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"hostname": 5},
        {"hostname": b"localhost"},
        {"port": "smtp"},
        {"port": 2.5},
        {"username": 5},
        {"password": object()},
        {"timeout": "60"},
        {"tls_context": "context"},
        {"client_cert": 5},
        {"client_key": 5, "client_cert": "x"},
        {"cert_bundle": 5},
        {"socket_path": 5},
        {"sock": 5},
        {"server_hostname": 5},
        {"server_hostname": b"mail.example.com"},
        {"local_hostname": 5},
        {"source_address": 5},
    ],
)
def test_wrong_types_are_a_type_error(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        SMTP(**options)


BOOLEANS = {
    "use_tls": True,
    "start_tls": True,
    "validate_certs": True,
    "allow_plaintext_auth": True,
    "stop_on_auth_failure": True,
    "complete_headers": True,
    "pipelining": True,
    "chunking": True,
}


def test_every_boolean_option_is_known_here() -> None:
    hints = inspect.signature(SMTP).parameters
    booleans = {name for name, each in hints.items() if "bool" in str(each.annotation)}
    assert booleans | {"allow_plaintext_auth"} == set(BOOLEANS)


def by_connect(**options: Any) -> None:
    asyncio.run(SMTP("127.0.0.1", 1).connect(**options))


def by_send(**options: Any) -> None:
    asyncio.run(send(b"", "a@example.com", "b@example.com", hostname="127.0.0.1", port=1, **options))


def by_assignment(**options: Any) -> None:
    client = SMTP("127.0.0.1", 1)
    for name, value in options.items():
        setattr(client, {"start_tls": "_start_tls"}.get(name, name), value)
    asyncio.run(client.connect())


DOORS = [SMTP, LMTP, SMTPPool, by_connect, by_send, by_assignment, functools.partial(send_many, [])]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", BOOLEANS)
@pytest.mark.parametrize("value", ["false", "no", "0", "", b"true", 0, 1, [], 0.0])
def test_nothing_but_true_and_false_is_either(door: Any, name: str, value: Any) -> None:
    """A text such as "false", taken for true, would have mail go out unprotected, or not at all."""
    is_name = name == "allow_plaintext_auth" and isinstance(value, str)
    with pytest.raises(ValueError if is_name else TypeError, match=name):
        door(**{name: value})


def test_starttls_takes_no_text_for_true_either() -> None:
    async def upgrade() -> None:
        async with Peer(tls=certs.server_context()) as peer, session(peer, start_tls=False) as client:
            with pytest.raises(TypeError, match="validate_certs"):
                await client.starttls(validate_certs="0")  # type: ignore[arg-type]
            assert peer.commands == []

    asyncio.run(upgrade())


@pytest.mark.parametrize("door", DOORS[:3])
@pytest.mark.parametrize(
    ("hostname", "instead"),
    [
        ("smtp://mail.example.com", "write hostname='mail.example.com'"),
        ("smtps://mail.example.com:465/", "write hostname='mail.example.com' and port=465 and use_tls=True"),
        ("SMTPS://mail.example.com", "write hostname='mail.example.com' and use_tls=True"),
        ("smtp://user:hunter2@mail.example.com:587", "write hostname='mail.example.com' and port=587"),
        ("user:hun/ter2@mail.example.com", "write hostname='mail.example.com'"),
        ("mail.example.com:25", "write hostname='mail.example.com' and port=25"),
        ("mail.example.com:", "write hostname='mail.example.com'"),
        ("mail.example.com/inbox", "write hostname='mail.example.com'"),
        (" mail.example.com ", "write hostname='mail.example.com'"),
        ("[::1", "write hostname='::1'"),
        ("[::1]", "write hostname='::1'"),
        ("[::1]:25", "write hostname='::1' and port=25"),
        ("smtp://[2001:db8::1]:25", "write hostname='2001:db8::1' and port=25"),
        ("mail.example.com:smtp", "write that"),
        ("a:b:c", "write that"),
        ("smtp://", "write that"),
    ],
)
def test_a_hostname_that_is_more_than_that(door: Any, hostname: str, instead: str) -> None:
    with pytest.raises(ValueError, match=re.escape(instead)) as caught:
        door(hostname=hostname)
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize(
    "hostname",
    [
        "localhost",
        "mail.example.com.",
        "127.0.0.1",
        "::1",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
        "bücher.example",
        "",
    ],
)
def test_hostnames(hostname: str) -> None:
    assert SMTP(hostname).hostname == hostname


@pytest.mark.parametrize("username", ["", b""])
async def test_an_empty_username_is_none(username: Any) -> None:
    """As from an environment variable that is not set: the server offers no AUTH, and is not asked for it."""
    async with Peer() as peer:
        async with client_for(peer, username=username, password=""):
            pass
        client = client_for(peer)
        await client.connect(username=username, password="secret")
        await client.quit()
        assert peer.verbs == ["EHLO", "QUIT"] * 2


def test_no_error_shows_a_secret() -> None:
    with pytest.raises(TypeError) as caught:
        SMTP(password=["hunter2"])  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError) as caught_value:
        SMTP(password="hunter2", oauth_token_generator=lambda: asyncio.sleep(0, "x"))
    assert "hunter2" not in str(caught_value.value)
    assert "hunter2" not in repr(SMTP(username="u", password="hunter2"))


def test_a_port_may_come_as_digits_as_from_the_environment() -> None:
    assert SMTP(port="2525").port == 2525  # type: ignore[arg-type]


def test_options_that_clash_leave_the_old_ones() -> None:
    client = SMTP(hostname="old.example", use_tls=True)
    with pytest.raises(ValueError):
        asyncio.run(client.connect(hostname="new.example", start_tls=True))
    assert client.hostname == "old.example"
    assert client._start_tls is None
    assert client.use_tls is True


@pytest.mark.parametrize(
    ("options", "port"),
    [
        ({}, 25),
        ({"use_tls": True}, 465),
        ({"start_tls": True}, 587),
        ({"start_tls": False}, 25),
        ({"use_tls": True, "port": 26}, 26),
    ],
)
def test_default_ports(options: dict[str, Any], port: int) -> None:
    assert Options(**options)._effective_port == port


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "localhost on port 25"),
        ({"hostname": "mail.example", "use_tls": True}, "mail.example on port 465"),
        ({"socket_path": b"/run/smtp"}, "/run/smtp"),
        ({"socket_path": Path("/run/smtp")}, "/run/smtp"),
    ],
)
def test_the_destination_in_words(options: dict[str, Any], text: str) -> None:
    assert destination_of(Options(**options)) == text


def test_the_destination_of_a_given_socket() -> None:
    with socket.socket() as sock:
        assert destination_of(Options(sock=sock)) == "localhost on the given socket"


def test_loop_is_accepted_and_ignored() -> None:
    loop = asyncio.new_event_loop()
    try:
        with pytest.warns(DeprecationWarning, match="loop option") as caught:
            client = SMTP(loop=loop)
    finally:
        loop.close()
    assert client.loop is None
    assert caught[0].filename == __file__


def test_a_name_as_source_address_becomes_the_local_hostname() -> None:
    with pytest.warns(DeprecationWarning, match="local_hostname") as caught:
        client = SMTP(source_address="me.example")  # type: ignore[arg-type]
    assert client.local_hostname == "me.example"
    assert client.source_address is None
    assert caught[0].filename == __file__


def test_the_local_hostname_wins_over_a_source_address_that_is_a_name() -> None:
    with pytest.warns(DeprecationWarning, match="local_hostname"):
        client = SMTP(source_address="old.example", local_hostname="me.example")  # type: ignore[arg-type]
    assert client.local_hostname == "me.example"


def test_only_a_written_false_says_that_tls_is_not_wanted() -> None:
    assert SMTP(use_tls=False)._no_tls_asked
    assert not SMTP()._no_tls_asked
    assert not SMTP(use_tls=True)._no_tls_asked
    assert SMTP().use_tls is False
    assert "use_tls: bool = False" in str(inspect.signature(SMTP, eval_str=True))


def test_contexts_verify_unless_told_not_to() -> None:
    strict = make_tls_context(TLSOptions())
    assert strict.verify_mode is ssl.CERT_REQUIRED and strict.check_hostname
    loose = make_tls_context(TLSOptions(validate_certs=False))
    assert loose.verify_mode is ssl.CERT_NONE and not loose.check_hostname


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize("option", ["cert_bundle", "client_cert"])
def test_files_that_are_no_certificates(tmp_path: Path, option: str, content: str | None) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SMTPConnectError, match=f"{option} .*must be .*readable PEM.*file.pem") as caught:
        make_tls_context(TLSOptions(**{option: str(path)}))  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value, ssl.SSLError) == (content is not None)


@pytest.mark.parametrize("kind", [ssl.SSLError, ssl.SSLCertVerificationError])
def test_a_tls_error_is_of_both_kinds(kind: type[ssl.SSLError]) -> None:
    cause = kind(1, "wrong version")
    cause.reason = "WRONG"
    error = tls_error("Error connecting", cause)
    assert isinstance(error, SMTPConnectError) and isinstance(error, kind)
    assert str(error) == f"Error connecting: {cause}"
    assert error.reason == "WRONG"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and copy.args == error.args


async def test_every_door_warns() -> None:
    with pytest.warns(DeprecationWarning, match="loop option") as caught:
        await asyncio.gather(
            SMTP(socket_path="/nonexistent").connect(loop=asyncio.get_running_loop()),
            send(b"", "a@b", "c@d", socket_path="/nonexistent", loop=asyncio.get_running_loop()),
            return_exceptions=True,
        )
    assert len(caught) == 2


async def test_command_options_are_a_list() -> None:
    with pytest.raises(TypeError, match="not one str"):
        await SMTP().mail("a@example.com", options="BODY=8BITMIME")


@pytest.mark.parametrize("use_tls", [True, False])
@pytest.mark.parametrize("timeout", [0, -1])
async def test_no_time_to_connect_is_a_timeout(timeout: float, use_tls: bool) -> None:
    with pytest.raises(SMTPConnectTimeoutError):
        await SMTP(hostname="127.0.0.1", port=1, use_tls=use_tls, timeout=timeout).connect()
