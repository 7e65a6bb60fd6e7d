"""The connection options: checked together, stored together, and the TLS contexts made from them."""

import asyncio
import inspect
import pickle
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import SMTP, SMTPConnectError, SMTPConnectTimeoutError, send
from aiosmtplib._client.options import Options, destination_of
from aiosmtplib._transport.tls import tls_error
from aiosmtplib._transport.tls_contexts import TLSOptions, make_tls_context


@pytest.mark.parametrize(
    "options",
    [
        {"use_tls": True, "start_tls": True},
        {"tls_context": ssl.create_default_context(), "client_cert": "cert.pem"},
        {"tls_context": ssl.create_default_context(), "client_key": "key.pem"},
        {"client_key": "key.pem"},
        {"socket_path": "/run/smtp", "port": 25},
        {"username": "u", "password": "x", "oauth_token_generator": lambda: None},
        {"oauth_token_generator": lambda: None},
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
        {"local_hostname": 5},
        {"source_address": 5},
    ],
)
def test_wrong_types_are_a_type_error(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        SMTP(**options)


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
