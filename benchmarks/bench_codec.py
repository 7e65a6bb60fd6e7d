"""The byte loops: each function of the codec, on both twins, for small and large input of every kind.

Each table holds one case, with the twins as its rows. ``encode_data`` has a third row: the usual way, with
two regular expressions.
"""

import importlib
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from aiosmtplib.response import SMTPResponse
from tests.conftest import compiled  # noqa: F401

SIZES = {"0.1K": 100, "2K": 2 << 10, "100K": 100 << 10, "5M": 5 << 20}

#: One unit of each kind of input; it is repeated up to the size.
KINDS = {
    "crlf": b"Twelve drummers drumming, eleven pipers piping, ten lords a-leaping. And so on."[:76] + b"\r\n",
    "lf": b"Twelve drummers drumming, eleven pipers piping, ten lords a-leaping. And so on."[:76] + b"\n",
    "dotty": b".\r\n..two dots\r\n.one dot, and a line of some length behind it\r\n",
    "base64": b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0"[:76] + b"\r\n",
    "all-cr": b"\r",
    "all-dots": b".",
    "cr-lf-mix": b"\r\n.\r.\n\n\r",
}

CASES = [pytest.param(kind, size, id=f"{kind}-{size}") for size in SIZES for kind in KINDS]


def message(kind: str, size: str) -> bytes:
    unit = KINDS[kind]
    return (unit * (SIZES[size] // len(unit) + 1))[: SIZES[size]]


_newlines = re.compile(rb"\r\n|\r|\n")
_dots = re.compile(rb"(?m)^\.")


class TwoRegex:
    """What most SMTP clients do, as the row to compare with."""

    @staticmethod
    def encode_data(message: bytes) -> bytes:
        message = _dots.sub(b"..", _newlines.sub(b"\r\n", message))
        return message + (b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")


class TestEncodeData:
    @pytest.fixture(params=["compiled", "pure", "two-regex"])
    def codec(self, request: pytest.FixtureRequest) -> Any:
        if request.param == "two-regex":
            return TwoRegex
        if request.param == "pure":
            return importlib.import_module("aiosmtplib._codec.pure")
        return request.getfixturevalue("compiled")

    @pytest.mark.parametrize(("kind", "size"), CASES)
    def test_encode_data(self, benchmark: Any, codec: Any, kind: str, size: str) -> None:
        assert benchmark(codec.encode_data, message(kind, size)).endswith(b"\r\n.\r\n")


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_normalize_newlines(benchmark: Any, codec: ModuleType, kind: str, size: str) -> None:
    benchmark(codec.normalize_newlines, message(kind, size))


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_encode_message(benchmark: Any, codec: ModuleType, kind: str, size: str) -> None:
    assert benchmark(codec.encode_message, message(kind, size))[1] >= SIZES[size]


@pytest.mark.parametrize("chunk", [1 << 10, 64 << 10])
@pytest.mark.parametrize("kind", KINDS)
def test_data_encoder(benchmark: Any, codec: ModuleType, kind: str, chunk: int) -> None:
    """1 MiB in chunks of the given octets."""
    whole = message(kind, "5M")[: 1 << 20]
    chunks = [whole[i : i + chunk] for i in range(0, len(whole), chunk)]

    def stream() -> None:
        encoder = codec.DataEncoder()
        for piece in chunks:
            encoder.encode(piece)
        encoder.finish()

    benchmark(stream)


REPLIES = {
    "one": b"250 2.1.0 Ok\r\n",
    "ten": b"250 2.1.5 Ok\r\n" * 10,
    "ehlo": b"".join(
        b"250" + separator + text + b"\r\n"
        for separator, text in (
            (b"-", b"mail.example.com"),
            (b"-", b"PIPELINING"),
            (b"-", b"SIZE 10240000"),
            (b"-", b"STARTTLS"),
            (b"-", b"AUTH PLAIN LOGIN"),
            (b"-", b"8BITMIME"),
            (b"-", b"SMTPUTF8"),
            (b" ", b"CHUNKING"),
        )
    ),
}


@pytest.mark.parametrize("sent", REPLIES)
def test_replies(benchmark: Any, codec: ModuleType, sent: str) -> None:
    assert benchmark(codec.ReplyParser().feed, REPLIES[sent], 8192, 32768)


def test_build_reply(benchmark: Any) -> None:
    """The floor under reading one reply: what building it costs anyway."""
    benchmark(SMTPResponse, 250, "2.1.0 Ok")


@pytest.mark.parametrize("octets", [7_500, 15_000, 30_000])
def test_dripped_reply(benchmark: Any, codec: ModuleType, octets: int) -> None:
    """One line, byte by byte: twice the octets, twice the time."""
    chunks = [bytes([byte]) for byte in b"250 " + b"x" * octets + b"\r\n"]

    def drip() -> None:
        feed: Callable[..., object] = codec.ReplyParser().feed
        for chunk in chunks:
            feed(chunk, 32768, 32768)

    benchmark(drip)


COMMANDS = {
    "noop": (b"NOOP",),
    "mail": (b"MAIL", b"FROM:<someone@example.com>", b"SIZE=2048"),
    "auth": (b"AUTH", b"XOAUTH2", b"dXNlcj1zb21lb25lQGV4YW1wbGUuY29t" * 64),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_encode_command(benchmark: Any, codec: ModuleType, command: str) -> None:
    benchmark(codec.encode_command, *COMMANDS[command])


ADDRESSES = {
    "bare": "someone@example.com",
    "named": "Some One <someone@example.com>",
    "not plain": '"One, Some" <someone@example.com>',
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_plain_address(benchmark: Any, codec: ModuleType, address: str) -> None:
    benchmark(codec.plain_address, ADDRESSES[address])
