"""Configuration by URL: what each part means, what is refused, and that no error shows what was in it."""

import inspect
import os
import ssl
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiosmtplib
from aiosmtplib import LMTP, SMTP, SMTPPool
from aiosmtplib._client.options import OPTION_TYPES, Options, destination_of
from aiosmtplib._pool.options import POOL_OPTION_TYPES
from aiosmtplib._sasl.secret import reveal

from ..support.clients import HOST
from ..support.scripted_server import PIPELINING, Peer

PACKAGE = str(Path(aiosmtplib.__file__).parent)


class Derived(SMTP):
    """A class of a user's own."""


def login_of(client: SMTP) -> tuple[Any, Any]:
    return client._username, reveal(client._password)


def set_options(client: SMTP) -> dict[str, Any]:
    """What differs from a client that was given nothing."""
    plain = vars(type(client)())
    return {
        name: value
        for name, value in vars(client).items()
        if value != plain[name] and name not in ("_connect_lock", "_no_tls_asked")
    }


@pytest.mark.parametrize(
    ("url", "destination", "options"),
    [
        ("smtp://mail.example.com", "mail.example.com on port 25", {}),
        ("SMTP://mail.example.com:2525/", "mail.example.com on port 2525", {"port": 2525}),
        ("smtp://mail.example.com:", "mail.example.com on port 25", {}),
        ("smtps://mail.example.com", "mail.example.com on port 465", {"use_tls": True}),
        ("smtp+starttls://mail.example.com", "mail.example.com on port 587", {"_start_tls": True}),
        ("smtp://[::1]:2525", "::1 on port 2525", {"port": 2525}),
        ("smtp://[fe80::1%25eth0]", "fe80::1%eth0 on port 25", {}),
        ("smtp://192.0.2.1", "192.0.2.1 on port 25", {}),
        ("smtp://bücher.example.", "bücher.example. on port 25", {}),
        ("smtp://b%C3%BCcher.example", "bücher.example on port 25", {}),
    ],
)
def test_where_to_connect(url: str, destination: str, options: dict[str, Any]) -> None:
    client = SMTP.from_url(url)
    assert type(client) is SMTP
    assert destination_of(client) == destination
    assert set_options(client) == {"hostname": destination.partition(" ")[0], **options}


def test_unix_sockets() -> None:
    client = SMTP.from_url("unix:///run/my%20mail.sock?hostname=mail.example.com&use_tls=true")
    assert set_options(client) == {
        "socket_path": "/run/my mail.sock",
        "hostname": "mail.example.com",
        "use_tls": True,
    }
    assert login_of(SMTP.from_url("unix://me:secret@/run/mail.sock")) == ("me", "secret")
    assert type(LMTP.from_url("unix:///run/lmtp")) is LMTP


@pytest.mark.parametrize("password", ["@:/?#%", "a:b", "p%40ss", "ünï côdé", "\r\n", "none"])
def test_what_is_percent_encoded(password: str) -> None:
    for encoded in (quote(password, safe=""), quote(password, safe=":")):
        client = SMTP.from_url(f"smtp://me%40example.com:{encoded}@mail.example.com")
        assert login_of(client) == ("me@example.com", password)
    client = SMTP.from_url(f"smtp://mail.example.com?username=me&password={quote(password, safe='')}")
    assert login_of(client) == ("me", password)


def test_options_are_of_their_own_type() -> None:
    client = SMTP.from_url(
        "smtp://me@mail.example.com?timeout=2.5&final_timeout=none&pipelining=off&chunking=TRUE&validate_certs=0"
        "&minimum_tls_version=tlsv1.3&source_address=192.0.2.1:0&allow_plaintext_auth=local&local_hostname=none"
        "&cert_bundle=%2Fetc%2Fca.pem&stop_on_auth_failure=yes"
    )
    assert set_options(client) == {
        "hostname": "mail.example.com",
        "_username": "me",
        "timeout": 2.5,
        "final_timeout": None,
        "pipelining": False,
        "chunking": True,
        "validate_certs": False,
        "minimum_tls_version": ssl.TLSVersion.TLSv1_3,
        "source_address": ("192.0.2.1", 0),
        "allow_plaintext_auth": "local",
        "local_hostname": "none",
        "cert_bundle": "/etc/ca.pem",
        "stop_on_auth_failure": True,
    }
    assert SMTP.from_url("smtp://h?source_address=[::1]:25").source_address == ("::1", 25)
    assert SMTP.from_url("smtp://h?timeout=5&allow_plaintext_auth=no").allow_plaintext_auth is False


#: What can be written in a URL, by the type of the option.
WRITTEN = {bool: "true", int: "7", float: "7", str: "x", tuple: "127.0.0.1:0", ssl.TLSVersion: "TLSv1_2"}
#: What a URL has elsewhere, or what excludes it.
ELSEWHERE = {"hostname", "port", "socket_path", "client_key", "start_tls", "proxy"}


@pytest.mark.parametrize("name", sorted(OPTION_TYPES))
def test_every_option_that_can_be_written(name: str) -> None:
    written = [text for kind, text in WRITTEN.items() if kind in OPTION_TYPES[name]]
    if not written:
        assert name in ("sock", "tls_context", "socket_factory")
        refused(f"smtp://h?{name}=x", f"'{name}' is no option that a URL can have")
    elif name not in ELSEWHERE:
        client = SMTP.from_url(f"smtp://h?{name}={written[0]}")
        assert vars(client).get(name, vars(client).get(f"_{name}")) is not None


def test_options_beside_the_url() -> None:
    hook = print
    client = SMTP.from_url("smtps://me@mail.example.com?timeout=5", password="secret", on_command=hook)
    assert login_of(client) == ("me", "secret")
    assert (client.on_command, client.timeout) == (hook, 5)
    with pytest.raises(TypeError, match="nonsense"):
        SMTP.from_url("smtp://mail.example.com", nonsense=1)
    with pytest.raises(ValueError, match="The timeout option is given twice: by the URL, and beside it"):
        SMTP.from_url("smtp://mail.example.com?timeout=5", timeout=5)


def test_the_class_and_the_protocol() -> None:
    assert type(SMTP.from_url("lmtp://localhost:24")) is LMTP
    assert type(LMTP.from_url("lmtp://localhost:24")) is LMTP
    assert type(Derived.from_url("smtp://localhost")) is Derived
    assert type(Derived.from_url("unix:///run/mail")) is Derived
    for cls, url in ((LMTP, "smtps://localhost"), (Derived, "lmtp://localhost:24")):
        other = "LMTP" if cls is Derived else "SMTP"
        with pytest.raises(ValueError, match=f"{cls.__name__} does not speak {other}"):
            cls.from_url(url)


def test_a_pool() -> None:
    pool = SMTPPool.from_url(
        "smtps://me:se%40cret@mail.example.com?max_connections=3&max_age=1.5&idle_timeout=none", rate=2
    )
    assert repr(pool).startswith("<SMTPPool to mail.example.com on port 465: ")
    assert login_of(pool._model) == ("me", "se@cret")
    state = pool._manager.state
    assert state.stats().limit == 3
    assert pool._manager.rate is not None
    assert type(SMTPPool.from_url("lmtp://localhost:24")._model) is LMTP
    assert type(SMTPPool.from_url("unix:///run/lmtp", client_class=LMTP)._model) is LMTP
    assert type(SMTPPool.from_url("smtp://localhost", client_class=Derived)._model) is Derived
    with pytest.raises(ValueError, match="Derived does not speak LMTP"):
        SMTPPool.from_url("lmtp://localhost:24", client_class=Derived)
    with pytest.raises(ValueError, match="max_connections option in the URL is to be a whole number"):
        SMTPPool.from_url("smtp://localhost?max_connections=2.5")


async def test_it_logs_in() -> None:
    async with Peer({"AUTH": "235 Welcome"}, extensions=[*PIPELINING, "AUTH PLAIN"]) as peer:
        url = f"smtp://me:p%40ss@{peer.host}:{peer.port}?start_tls=no&local_hostname={HOST}"
        async with SMTP.from_url(url) as client:
            assert client.is_connected
        assert b"AUTH PLAIN AG1lAHBAc3M=" in peer.commands  # "\0me\0p@ss"


# What is refused


def refused(url: Any, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        SMTP.from_url(url)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "A URL begins with smtp://, smtps://"),
        ("mail.example.com:25", "A URL begins with"),
        ("http://mail.example.com", "A URL begins with"),
        ("smtp:/mail.example.com", "A URL begins with"),
        ("smtp://", "names no host"),
        ("smtp://me:secret@", "names no host"),
        ("smtp://:25", "names no host"),
        ("smtp://[]", "names no host"),
        ("smtp:///path", "has a path"),
        ("smtp://mail.example.com/path", "has a path"),
        ("smtp://::1", "is in brackets"),
        ("smtp://[mail]", "neither a name nor an address"),
        ("smtp://mail..example", "neither a name nor an address"),
        ("smtp://" + "a" * 64, "neither a name nor an address"),
        ("smtp://mail%20example", "neither a name nor an address"),
        ("smtp://mail\n.example", "a blank or a control character"),
        ("smtp://mail .example", "a blank or a control character"),
        ("smtp://mail:0", "no number from 1 to 65535"),
        ("smtp://mail:65536", "no number from 1 to 65535"),
        ("smtp://mail:٢٥", "no number from 1 to 65535"),
        ("smtp://mail:-1", "no number from 1 to 65535"),
        ("smtp://me:pa@ss@mail", "@ or # where it can have none"),
        ("smtp://me:pa/ss@mail", "@ or # where it can have none"),
        ("smtp://me:1?pass@mail", "@ or # where it can have none"),
        ("smtp://me:1#pass@mail", "@ or # where it can have none"),
        ("smtp://mail#", "@ or # where it can have none"),
        ("smtp://me:%zz@mail", "two hexadecimal digits"),
        ("smtp://me:100%@mail", "two hexadecimal digits"),
        ("smtp://me:%ff@mail", "no text in UTF-8"),
        ("smtp://me:%00@mail", "no text in UTF-8"),
        ("smtp://:secret@mail", "user name in the URL is empty"),
        ("smtp://@mail", "user name in the URL is empty"),
        ("smtp://me:@mail", "password in the URL is empty"),
        ("unix://mail/path", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///", "three slashes"),
        ("smtp://mail?nonsense=1", "'nonsense' is no option that a URL can have"),
        ("smtp://mail?on_command=print", "'on_command' is no option that a URL can have"),
        ("smtp://mail?nonsense", "A name in the URL is no option that a URL can have"),
        ("smtp://mail?ti%20me=1", "A name in the URL is no option that a URL can have"),
        ("smtp://mail?timeout", "The timeout option in the URL has no value"),
        ("smtp://mail?timeout=1&", "A name in the URL is no option"),
        ("smtp://mail?timeout=1&timeout=1", "The timeout option is given twice by the URL"),
        ("smtp://mail?hostname=mail", "The hostname option is given twice by the URL"),
        ("smtp://me@mail?username=me", "The username option is given twice by the URL"),
        ("smtps://mail?use_tls=true", "The use_tls option is given twice by the URL"),
        ("smtps://mail?start_tls=true", "not compatible"),
        ("smtp://mail?timeout=nan", "The timeout option in the URL is to be a number, or none"),
        ("smtp://mail?timeout=-1", "The timeout option in the URL is to be a number, or none"),
        ("smtp://mail?timeout=", "The timeout option in the URL is to be a number, or none"),
        ("smtp://mail?use_tls=perhaps", "The use_tls option in the URL is to be true or false"),
        ("smtp://mail?use_tls=none", "The use_tls option in the URL is to be true or false"),
        ("smtp://mail?minimum_tls_version=3", "is to be a version of TLS, such as TLSv1.2"),
        ("smtp://mail?source_address=192.0.2.1", "is to be an address and a port"),
        ("smtp://mail?source_address=192.0.2.1:65536", "is to be an address and a port"),
        ("smtp://mail?allow_plaintext_auth=maybe", 'is True, False, "unix"'),
    ],
)
def test_what_is_refused(url: str, complaint: str) -> None:
    refused(url, complaint)


def test_what_is_no_text() -> None:
    with pytest.raises(TypeError, match="A URL is a str, not bytes"):
        SMTP.from_url(b"smtp://me:secret@mail")  # type: ignore[arg-type]


# What is never shown

SECRET = "hunter2horse"


def assert_hidden(error: BaseException | None) -> None:
    """Neither the text of an error nor a frame of this package, in it or in its causes, shows the secret."""
    while error is not None:
        assert SECRET not in "".join(traceback.format_exception_only(type(error), error)) + repr(error)
        step: TracebackType | None = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename.startswith(PACKAGE):
                assert SECRET not in repr(step.tb_frame.f_locals)
            step = step.tb_next
        error = error.__cause__ or error.__context__


def attempt(url: str, **options: Any) -> None:
    for door in (SMTP.from_url, SMTPPool.from_url):
        try:
            made = door(url, **options)
        except (TypeError, ValueError) as error:
            assert_hidden(error)
        else:
            path = getattr(made, "_model", made).socket_path  # what is a part of it is no secret
            assert SECRET not in repr(made) or SECRET in os.fsdecode(path or "")


@pytest.mark.parametrize(
    "url",
    [
        f"smtp://me:{SECRET}@mail",
        f"smtp://me:{SECRET}@mail:99999",
        f"smtp://me:{SECRET}@mail?nonsense=1",
        f"smtp://me:{SECRET}@mail?timeout=x",
        f"smtp://me:{SECRET}%ff@mail",
        f"smtp://me:{SECRET}@mail?use_tls=true&start_tls=true",
        f"smtp://mail?password={SECRET}&timeout=x",
        f"smtp://me:1?{SECRET}@mail",
        f"smtp://me:1?{SECRET}",
        f"smtp://me:{SECRET}",
        f"me:{SECRET}@mail",
        f"{SECRET}",
    ],
)
def test_secrets_do_not_show(url: str) -> None:
    attempt(url)


def test_a_path_is_no_secret() -> None:
    attempt(f"unix:///:{SECRET}")


def test_secrets_beside_the_url_do_not_show() -> None:
    attempt("smtp://mail:99999", username="me", password=SECRET)
    attempt("smtp://mail?timeout=1", username="me", password=SECRET, timeout=1)
    attempt("smtp://mail?timeout=1", username="me", password=SECRET, nonsense=1)
    attempt("lmtp://mail:24", username="me", password=SECRET, client_class=Derived)


PIECES = st.sampled_from(
    [*"@:/?#%&=[] .", "smtp://", "unix://", "mail", "me", "25", "timeout=", "%40", "ü", "\n"]
)


@given(st.lists(PIECES, max_size=8).map("".join), st.lists(PIECES, max_size=8).map("".join))
def test_secrets_do_not_show_whatever_is_around_them(before: str, after: str) -> None:
    for url in (f"{before}:{SECRET}{after}", f"smtp://me:{before}{SECRET}{after}@mail"):
        attempt(url)


def test_every_type_of_an_option_is_known() -> None:
    """Whoever adds an option of another type has to say what it looks like in a URL, or that it cannot."""
    kinds = {kind for types in OPTION_TYPES.values() for kind in types}
    others = {kind.__name__ for kind in kinds - set(WRITTEN)}
    assert others == {"NoneType", "PathLike", "bytes", "SSLContext", "socket", "Callable"}
    assert issubclass(SMTP, Options)


def test_the_types_of_a_pool_are_known() -> None:
    own = set(inspect.signature(SMTPPool).parameters) - set(inspect.signature(SMTP).parameters)
    assert set(POOL_OPTION_TYPES) == own - {"client_class"}
