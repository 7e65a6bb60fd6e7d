"""The sans-I/O core: whole mail transactions without a socket or a loop, and the cost of reading one reply.

What a message costs here is paid on any event loop. What ``bench_loopback`` shows beyond it is the client,
asyncio and the kernel.
"""

import importlib
import sys
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from aiosmtplib.response import SMTPResponse
from tests.conftest import compiled  # noqa: F401

#: 2 KiB with CRLF line ends
MESSAGE = (b"Subject: benchmark\r\n\r\n" + b"Ten lords a-leaping, nine ladies dancing, and so on.\r\n" * 40)[
    :2048
]

OK = b"250 2.1.0 Ok\r\n"
START_INPUT = b"354 End data with <CR><LF>.<CR><LF>\r\n"


class Core(NamedTuple):
    """The modules above the codec, on one twin."""

    codec: ModuleType
    session: ModuleType
    transaction: ModuleType


MODULES = ("_codec", "_session", "_session.transaction")


def load() -> Core:
    return Core(*(importlib.import_module(f"aiosmtplib.{name}") for name in MODULES))


def ours() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "aiosmtplib"}


@pytest.fixture(scope="module")
def core(codec: ModuleType) -> Core:
    """The core on the twin that ``codec`` names.

    ``_codec`` chooses when it is imported. So the package is imported a second time for the pure twin, and
    the first import is put back afterwards: the two share nothing.
    """
    if codec.__name__ == "aiosmtplib._speedups":
        core = load()
    else:
        first = ours()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIOSMTPLIB_NO_EXTENSIONS", "1")
            patch.delenv("AIOSMTPLIB_REQUIRE_EXTENSIONS", raising=False)
            for name in first:
                del sys.modules[name]
            try:
                core = load()
            finally:
                for name in ours():
                    del sys.modules[name]
                sys.modules.update(first)
    assert core.codec.ReplyParser.__module__ == codec.ReplyParser.__module__
    return core


@pytest.mark.parametrize("recipients", [1, 50])
def test_transaction(benchmark: Any, core: Core, recipients: int) -> None:
    """One message of 2 KiB from its arguments to its result, its commands in one group."""
    codec, transaction = core.codec, core.transaction
    session = core.session.Session(greeted=True)
    server = transaction.ServerState()
    names = [f"recipient{number}@example.org" for number in range(recipients)]
    replies = [OK * (recipients + 1) + START_INPUT, OK]
    written = 0

    def send() -> Any:
        nonlocal written
        mail = codec.encode_command(b"MAIL", b"FROM:<sender@example.com>", b"SIZE=%d" % len(MESSAGE))
        commands = mail + codec.encode_recipients(names, b"")
        content = codec.encode_data(MESSAGE)
        message = transaction.PreparedMail("sender@example.com", names, commands, content, pipelined=True)
        exchange = core.session.Exchange(transaction.transaction(message, server))
        session.start(exchange)
        for reply in replies:
            written += sum(map(len, session.out))
            session.out.clear()
            session.receive(reply, 8192, 32768, written)
        session.done.clear()
        return exchange.result

    assert benchmark(send) == ({}, (250, "2.1.0 Ok"))
    assert session.lost is None


class TestOneReply:
    """What reading one reply costs beyond building the value that it becomes."""

    @pytest.fixture(params=["build", "compiled", "pure"])
    def codec(self, request: pytest.FixtureRequest) -> Any:
        if request.param == "build":
            return None
        if request.param == "pure":
            return importlib.import_module("aiosmtplib._codec.pure")
        return request.getfixturevalue("compiled")

    def test_one_reply(self, benchmark: Any, codec: ModuleType | None) -> None:
        if codec is None:
            assert benchmark(SMTPResponse, 250, "2.1.0 Ok") == (250, "2.1.0 Ok")
        else:
            assert benchmark(codec.ReplyParser().feed, OK, 8192, 32768) == [(250, "2.1.0 Ok")]
