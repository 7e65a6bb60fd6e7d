"""The option ``proxy``: what its URL may be, what excludes it, and which library it needs."""

import asyncio
import socket
import sys
from typing import Any

import pytest

from aiosmtplib import LMTP, SMTP, SMTPPool, send, send_many
from aiosmtplib._client.proxy_url import proxy_of
from aiosmtplib._sasl.secret import conceal, reveal

pytest.importorskip("python_socks", reason="python-socks is of the group test")

HTTP = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("socks5://proxy.example.com:1080", ("socks5", "proxy.example.com", 1080, None, None)),
        ("SOCKS5://proxy:1080/", ("socks5", "proxy", 1080, None, None)),
        ("socks4://user@192.0.2.1:1080", ("socks4", "192.0.2.1", 1080, "user", None)),
        ("http://[::1]:8080", ("http", "::1", 8080, None, None)),
        ("http://b\xfccher.example:8080", ("http", "b\xfccher.example", 8080, None, None)),
        ("http://user:p%40ss@proxy:8080", ("http", "proxy", 8080, "user", "p@ss")),
        ("http://user@proxy:8080", ("http", "proxy", 8080, "user", None)),
        ("socks5://a%40b:%3A%2F%25%40%3F%23@proxy:1", ("socks5", "proxy", 1, "a@b", ":/%@?#")),
        ("socks5://user:a:b@proxy:1", ("socks5", "proxy", 1, "user", "a:b")),
        (f"socks5://{'u' * 255}:{'p' * 255}@proxy:1", ("socks5", "proxy", 1, "u" * 255, "p" * 255)),
    ],
)
def test_what_a_url_says(url: str, parts: tuple[Any, ...]) -> None:
    assert tuple(map(reveal, proxy_of(conceal(url)))) == parts
    assert reveal(SMTP(proxy=url)._proxy) == url


@pytest.mark.parametrize("door", [SMTP, LMTP, SMTPPool, "connect", "send", "send_many", "from_url"])
@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "begins with socks5://, socks4:// or http://"),
        ("127.0.0.1:1080", "begins with"),
        ("https://proxy:8080", "begins with"),
        ("socks5h://proxy:1080", "begins with"),
        ("socks5:proxy:1080", "begins with"),
        ("socks5://", "names no host"),
        ("socks5://:1080", "names no host"),
        ("socks5://proxy", "names no port"),
        ("socks5://proxy:0", "no number from 1 to 65535"),
        ("socks5://proxy:65536", "no number from 1 to 65535"),
        ("socks5://proxy:socks", "no number from 1 to 65535"),
        ("socks5://::1:1080", "is in brackets"),
        ("socks5://[proxy]:1080", "neither a name nor an address"),
        ("socks5://pro xy:1080", "a blank or a control character"),
        ("socks5://proxy:1080\n", "a blank or a control character"),
        ("socks5://proxy:1080/path", "has a path"),
        ("socks5://proxy:1080?rdns=no", "@, [?] or # where it can have none"),
        ("socks5://proxy:1080#x", "@, [?] or # where it can have none"),
        ("socks5://user:pa@ss@proxy:1080", "@, [?] or # where it can have none"),
        ("socks5://user:pa/ss@proxy:1080", "@, [?] or # where it can have none"),
        ("socks5://user:100%@proxy:1080", "two hexadecimal digits"),
        ("socks5://user:%ff@proxy:1080", "no text in UTF-8"),
        ("socks5://:pass@proxy:1080", "user name in the URL is empty"),
        ("socks5://user:@proxy:1080", "password in the URL is empty"),
        ("socks5://user@proxy:1080", "user name and password together"),
        (f"socks5://{'u' * 256}:p@proxy:1080", "of 255 octets at most"),
        (f"socks5://u:{'p' * 256}@proxy:1080", "of 255 octets at most"),
        ("socks5://user:gr%C3%BC%C3%9Fe@proxy:1080", "are ASCII here"),
        ("socks4://%C3%BC@proxy:1080", "are ASCII here"),
        ("socks4://user:pass@proxy:1080", "SOCKS4 has a user name, and no password"),
        ("http://us%3Aer:pass@proxy:8080", "holds a colon, which HTTP does not allow"),
    ],
)
def test_what_is_refused(door: Any, url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^The proxy option is not valid: .*{complaint}") as caught:
        given_to(door, proxy=url)
    assert caught.value.__cause__ is caught.value.__context__ is None


def given_to(door: Any, **options: Any) -> None:
    if door == "connect":
        asyncio.run(SMTP().connect(**options))
    elif door == "send":
        asyncio.run(send(b"", "a@example.com", "b@example.com", **options))
    elif door == "send_many":
        send_many([], **options)
    elif door == "from_url":
        SMTP.from_url("smtp://mail.example.com", **options)
    else:
        door(**options)


@pytest.mark.parametrize("value", [5, b"socks5://proxy:1080", ["socks5://proxy:1080"], True])
def test_what_is_no_text(value: Any) -> None:
    for door in (SMTP, SMTPPool, "connect"):
        with pytest.raises(TypeError, match="The proxy option cannot be of type"):
            given_to(door, proxy=value)


async def nowhere() -> socket.socket:
    raise AssertionError("called too early")


@pytest.mark.parametrize(
    ("name", "value"),
    [("socket_path", "/run/smtp"), ("source_address", ("127.0.0.1", 0)), ("socket_factory", nowhere)],
)
def test_what_excludes_it(name: str, value: Any) -> None:
    for door in (SMTP, SMTPPool, "connect"):
        with pytest.raises(ValueError, match=f"The proxy and {name} options exclude each other"):
            given_to(door, proxy=HTTP, **{name: value})


def test_a_given_socket_excludes_it() -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match="The proxy and sock options exclude"):
        SMTP(sock=sock, proxy=HTTP)


@pytest.mark.parametrize("url", ["smtp://h?proxy=x", "smtp://h?proxy=socks5://h:1&proxy=socks5://h:1"])
def test_in_a_url(url: str) -> None:
    with pytest.raises(ValueError, match="The proxy option (is not valid|is given twice)"):
        SMTP.from_url(url)


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks.async_", None)
    for door in (SMTP, SMTPPool, "connect", "send"):
        for scheme in ("socks4", "socks5"):
            with pytest.raises(ImportError, match=r"python-socks: pip install 'aiosmtplib\[proxy\]'"):
                given_to(door, proxy=f"{scheme}://127.0.0.1:1080")
    client = SMTP(proxy=HTTP)  # which needs none
    with pytest.raises(ImportError):
        asyncio.run(client.connect(proxy="socks5://127.0.0.1:1080"))
    assert reveal(client._proxy) == HTTP


def test_nothing_is_imported_for_nothing() -> None:
    code = """
import sys, aiosmtplib
aiosmtplib.SMTPPool("mail.example.com")
names = [name for name in sys.modules if "socks" in name or "_client.proxy" in name]
assert not names, names
"""
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
