"""Every error of a connection carries what was said on it: bounded, and without secrets and content."""

import asyncio
import copy
import importlib
import pickle
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPPool, Transcript
from aiosmtplib._steps import CHUNKS, LAST, MORE, STREAM, Dialogue
from aiosmtplib._transcript import KEPT, MAX_LINE, NOTHING
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected

from . import certs
from .actions import cut, flood_bytes, flood_lines, reset, silence
from .clients import RECIPIENTS, SENDER, client_for, email_message, options_for
from .peer import CHUNKING, PIPELINING, Peer

GREETING = ["S: 220 peer.example ESMTP", "C: EHLO me.example"]

# -- each kind of failure ----------------------------------------------------------------------------


async def failure(peer: Peer, **options: Any) -> SMTPException:
    """What sending to this peer raises."""
    with pytest.raises(SMTPException) as caught:
        await aiosmtplib.send(email_message("b@example.com"), **options_for(peer, **options))
    return caught.value


@pytest.mark.parametrize(
    ("position", "action", "options", "last"),
    [
        ("connect", "554 no", {}, ["S: 554 no"]),
        ("connect", silence, {"timeout": 0.05}, []),
        ("connect", b"hello\r\n", {}, ["S: <no reply> Malformed SMTP response line: hello"]),
        ("EHLO", "550 no", {}, ["C: EHLO me.example", "S: 550 no", "C: HELO me.example", "S: 550 never"]),
        ("MAIL", "550 no", {}, ["S: 550 no"]),
        ("MAIL", "421 bye", {}, ["S: 421 bye"]),
        ("RCPT", "550 no", {}, ["C: RCPT TO:<b@example.com>", "S: 550 no"]),
        ("DATA", silence, {"timeout": 0.05}, ["C: DATA"]),
        ("DATA", cut, {}, ["C: DATA"]),
        ("DATA", reset, {}, ["C: DATA"]),
        (".", "550 no", {}, ["C: DATA", "S: 354 Go on", "C: <167 octets>", "S: 550 no"]),
        (".", cut, {}, ["S: 354 Go on", "C: <167 octets>"]),
        (".", b"what\r\n", {}, ["C: <167 octets>", "S: <no reply> Malformed SMTP response line: what"]),
    ],
)
async def test_failures(position: str, action: Any, options: dict[str, Any], last: list[str]) -> None:
    async with Peer({position: action, "HELO": "550 never"}) as peer:
        error = await failure(peer, **options)
    lines = [line for line in error.transcript if line not in ("C: RSET", "S: 250 2.0.0 Ok", "C: QUIT")]
    lines = [line for line in lines if not line.startswith("S: 221")]
    assert lines[len(lines) - len(last) :] == last
    assert "greetings" not in str(error.transcript)
    if position not in ("connect", "EHLO"):
        assert list(error.transcript)[:2] == GREETING


async def test_starttls() -> None:
    async with Peer({"STARTTLS": "454 later"}, tls=certs.server_context()) as peer:
        error = await failure(peer)
        assert list(error.transcript)[-2:] == ["C: STARTTLS", "S: 454 later"]
        client = client_for(peer, start_tls=False)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await client.starttls()
        assert list(caught.value.transcript)[-2:] == ["C: STARTTLS", "S: 454 later"]
        client.close()
        peer.actions["STARTTLS"] = b"220 go\r\n250 more\r\n"
        error = await failure(peer)
        assert list(error.transcript)[-3:] == ["C: STARTTLS", "S: 220 go", "S: 250 more"]
    async with Peer(tls=certs.server_context()) as peer:  # a certificate that nobody trusts
        error = await failure(peer)
        assert list(error.transcript)[-2:] == ["C: STARTTLS", "S: 220 2.0.0 Ready"]
        client = client_for(peer, tls_context=certs.client_context())
        async with client:
            await client.ehlo()
            with pytest.raises(SMTPException, match="already using TLS") as already:
                await client.starttls()
        assert list(already.value.transcript).count("C: EHLO me.example") == 2
    async with Peer() as peer:
        error = await failure(peer, start_tls=True)
        assert error.transcript[-1].startswith("S: 250 ")


async def test_login() -> None:
    login = {"username": "user", "password": "secret"}
    async with Peer({"AUTH": "535 5.7.8 no c2VjcmV0"}, extensions=["AUTH PLAIN"]) as peer:
        error = await failure(peer, **login)
        assert list(error.transcript)[-2:] == ["C: AUTH PLAIN <hidden>", "S: 535 5.7.8 <hidden>"]
        error = await failure(peer, **login, allow_plaintext_auth=False)
        assert error.transcript[-1] == "S: 250 AUTH PLAIN"
    async with Peer({"AUTH": b"334 c2VjcmV0\r\n334 c2VjcmV0\r\n"}, extensions=["AUTH LOGIN"]) as peer:
        error = await failure(peer, **login)
        assert list(error.transcript)[-3:] == ["C: AUTH LOGIN <hidden>", "S: 334 <hidden>", "S: 334 <hidden>"]
    async with Peer({"AUTH": b"c2VjcmV0\r\n"}, extensions=["AUTH LOGIN"]) as peer:
        error = await failure(peer, **login)
        assert error.transcript[-1] == "S: <no reply> <hidden>"
    async with Peer(extensions=["AUTH GSSAPI"]) as peer:
        error = await failure(peer, **login)
        assert error.transcript[-1] == "S: 250 AUTH GSSAPI"


async def test_what_the_client_finds_out() -> None:
    async with Peer(extensions=["SIZE 10", "PIPELINING"]) as peer:
        error = await failure(peer)
        assert isinstance(error, aiosmtplib.SMTPSenderRefused)
        assert "S: 250 PIPELINING" in error.transcript
        async with client_for(peer) as client:
            with pytest.raises(aiosmtplib.SMTPNotSupported) as caught:
                await client.send_message(email_message("jürgen@example.com"))
            assert "S: 250 PIPELINING" in caught.value.transcript
            (result,) = [each async for each in client.send_many([email_message()])]
            assert isinstance(result.error, aiosmtplib.SMTPSenderRefused)
            assert "S: 250 PIPELINING" in result.error.transcript


async def test_single_commands_and_a_connection_that_is_gone() -> None:
    async with Peer({"NOOP": "550 no", "VRFY": "421 bye"}) as peer:
        client = client_for(peer)
        with pytest.raises(SMTPServerDisconnected) as caught:
            await client.noop()
        assert caught.value.transcript == NOTHING
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await client.noop()
        assert list(refused.value.transcript)[-2:] == ["C: NOOP", "S: 550 no"]
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await client.vrfy("b")
        with pytest.raises(SMTPServerDisconnected, match="not connected") as caught:
            await client.noop()
        assert refused.value.transcript == caught.value.transcript
        assert list(caught.value.transcript)[-2:] == ["C: VRFY b", "S: 421 bye"]
        peer.actions["connect"] = "554 no"
        with pytest.raises(aiosmtplib.SMTPConnectResponseError) as anew:
            await client.connect()
        assert list(anew.value.transcript) == ["S: 554 no"]


async def test_a_source_that_fails() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"one\r\n"
        raise RuntimeError("two")

    for extensions in (PIPELINING, CHUNKING):
        async with Peer(extensions=extensions) as peer, client_for(peer) as client:
            with pytest.raises(SMTPException, match="could not be read") as caught:
                await client.sendmail(SENDER, RECIPIENTS, source())
        said = [line for line in caught.value.transcript if line.startswith("C:")][-2:]
        assert said == (
            ["C: DATA", "C: <5 octets>"] if extensions is PIPELINING else ["C: BDAT 5", "C: RSET"]
        )


async def test_many_and_a_pool() -> None:
    async with Peer({"MAIL": "550 no"}, extensions=CHUNKING) as peer, client_for(peer) as client:
        results = [each async for each in client.send_many(email_message() for _ in range(9))]
        for result in results:
            assert isinstance(result.error, SMTPException)
            assert "S: 550 no" in result.error.transcript
        async with SMTPPool(**options_for(peer)) as pool:
            with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
                await pool.send_message(email_message())
            assert "S: 550 no" in caught.value.transcript
    async with Peer({"RCPT": "550 no"}, extensions=[*PIPELINING, "LIMITS RCPTMAX=1"]) as peer:
        async with SMTPPool(**options_for(peer)) as pool:
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as everyone:
                await pool.send_message(email_message())
        assert "S: 550 no" in everyone.value.transcript


async def test_those_who_wait_when_it_is_lost() -> None:
    async with Peer({"NOOP": cut}) as peer:
        client = client_for(peer)
        await client.connect()
        commands = [client.noop(), client.vrfy("b")]
        errors = await asyncio.gather(*commands, return_exceptions=True)
        for error in errors:
            assert isinstance(error, SMTPServerDisconnected)
            assert error.transcript[-1] == "C: NOOP"
        with pytest.raises(SMTPServerDisconnected) as caught:
            await client.noop()
        assert caught.value.transcript[-1] == "C: NOOP"


# -- the bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flood", [flood_lines, flood_bytes])
async def test_floods(flood: Any) -> None:
    async with Peer({"NOOP": flood}) as peer:
        client = client_for(peer)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException, match="too long") as caught:
            await client.noop()
        client.close()
    assert list(caught.value.transcript)[-2:] == ["C: NOOP", "S: <no reply> Response too long"]


async def test_long_replies_are_not_kept() -> None:
    line = "250-" + "x" * 8000 + "\r\n"
    async with Peer({"NOOP": (line * 3 + "250 end\r\n").encode()}) as peer, client_for(peer) as client:
        for _ in range(2 * KEPT):
            await client.noop()
        assert client.protocol is not None
        transcript = client.protocol.transcript
        assert (
            sum(len(reply.message) for _, replies in transcript._entries for reply in replies) < 2048 * KEPT
        )
    assert len([each for each in transcript if each == "C: NOOP"]) == KEPT
    assert max(map(len, transcript)) == MAX_LINE


class Twin:
    """A session of one of the twins, and its exchanges."""

    def __init__(self, codec: ModuleType) -> None:
        pure = codec.__name__.endswith("_pure")
        module = importlib.import_module("aiosmtplib._pure_session") if pure else codec
        self._exchange = module.Exchange
        self.session = module.Session(True)
        self.written = 0

    def begin(self, *steps: tuple[Any, int, int]) -> Any:
        def dialogue() -> Dialogue[None]:
            for step in steps:
                assert (yield step)
            raise SMTPException("refused")

        exchange = self._exchange(dialogue())
        self.session.start(exchange)
        return exchange

    def reply(self, *texts: str) -> None:
        self.flush()
        self.session.receive(b"".join(b"%b\r\n" % text.encode() for text in texts), 8192, 32768, self.written)

    def flush(self) -> None:
        self.written += sum(map(len, self.session.out))
        self.session.out.clear()

    def lose(self) -> None:
        self.flush()
        self.session.fail(SMTPServerDisconnected("lost"), self.written)

    @property
    def lines(self) -> list[str]:
        return list(self.session.transcript())


@pytest.fixture
def twin(codec: ModuleType) -> Twin:
    return Twin(codec)


def group(count: int, address: str = "r{}@example.org") -> bytes:
    rcpts = [f"RCPT TO:<{address.format(number)}>\r\n" for number in range(count)]
    return b"MAIL FROM:<>\r\n" + "".join(rcpts).encode() + b"DATA\r\n"


@pytest.mark.parametrize("address", ["r{}@example.org", "{}" + "x" * 300 + "@example.org"])
@pytest.mark.parametrize("count", [1, 20, 29, 30, 31, 32, 50, 400])
def test_large_groups_keep_their_end(twin: Twin, count: int, address: str) -> None:
    twin.begin((b"NOOP\r\n", 1, MORE), (group(count, address), count + 2, MORE))
    twin.reply("250 ok")
    twin.reply(*(f"250 {number}" for number in range(count + 1)), "354 go")
    lines = twin.lines
    assert len([line for line in lines if line.startswith("C:")]) == min(count + 3, KEPT)
    assert lines[-2:] == ["C: DATA", "S: 354 go"]
    assert lines[-4].startswith(f"C: RCPT TO:<{address.format(count - 1)}"[: MAX_LINE - 1])
    assert lines[-3] == f"S: 250 {count}"
    kept = sum(len(said) for entry, _ in twin.session.transcript()._entries for said in _bytes_of(entry))
    assert kept <= 4096 + KEPT * 400


def _bytes_of(said: Any) -> list[bytes]:
    return [said] if isinstance(said, bytes) else list(said) if isinstance(said, tuple) else []


@pytest.mark.parametrize("replies", [0, 1, 40, 101])
def test_a_group_that_is_cut_off(twin: Twin, replies: int) -> None:
    exchange = twin.begin((group(100), 103, MORE))
    twin.reply(*(f"250 {number}" for number in range(replies)))
    twin.lose()
    lines = list(exchange.error.transcript)
    said = [line for line in lines if line.startswith("C:")]
    assert len(said) == KEPT
    if replies:
        answered = lines[lines.index(f"S: 250 {replies - 1}") - 1]
        assert answered == ("C: MAIL FROM:<>" if replies == 1 else f"C: RCPT TO:<r{replies - 2}@example.org>")


def test_many_steps_keep_the_last(twin: Twin) -> None:
    for number in range(3 * KEPT):
        twin.begin((b"NOOP %d\r\n" % number, 1, MORE))
        twin.reply(f"250 {number}")
    expected = [(f"C: NOOP {number}", f"S: 250 {number}") for number in range(2 * KEPT, 3 * KEPT)]
    assert twin.lines == [line for pair in expected for line in pair]


def test_content_is_a_number(twin: Twin) -> None:
    content = b"Subject: x\r\nBDAT 3 LAST\r\nDATA\r\n"
    bdat = b"BDAT %d LAST\r\n" % len(content)
    twin.begin((b"MAIL FROM:<>\r\n" + bdat + content, 2, LAST))
    twin.reply("250 ok", "250 taken")
    twin.begin((b"DATA\r\n", 1, MORE), (content + b".\r\n", 1, MORE))
    twin.reply("354 go")
    twin.reply("250 taken")
    twin.begin(((bdat, memoryview(content)), 1, MORE))
    twin.reply("250 taken")
    twin.begin((bdat + content, 1, MORE))
    twin.reply("250 taken")
    twin.session.write(content)
    twin.begin((b"", 1, MORE))
    twin.reply("250 by hand")
    assert twin.lines == [
        *["C: MAIL FROM:<>", "S: 250 ok", "C: BDAT 31 LAST", "S: 250 taken"],
        *["C: DATA", "S: 354 go", "C: <34 octets>", "S: 250 taken"],
        *["C: BDAT 31 LAST", "S: 250 taken"] * 2,
        *["C: <31 octets>", "S: 250 by hand"],
    ]
    assert not any(
        b"Subject" in said for entry, _ in twin.session.transcript()._entries for said in _bytes_of(entry)
    )


def test_streams(twin: Twin) -> None:
    exchange = twin.begin((b"", 2, STREAM))
    for piece in (b"one", b"two"):
        twin.session.push(exchange, piece)
    twin.session.push(exchange, b".\r\n", last=True)
    twin.reply("250 a", "250 b")
    assert twin.lines == ["C: <9 octets>", "S: 250 a", "S: 250 b"]
    exchange = twin.begin((b"", 0, CHUNKS))
    for number in range(100):
        twin.session.push(exchange, (b"BDAT %d\r\n" % number, b"x" * number), 1)
    twin.reply(*(f"250 {number}" for number in range(90)))
    twin.lose()
    lines = list(exchange.error.transcript)
    assert lines[lines.index("S: 250 89") - 1] == "C: BDAT 89"
    assert len([line for line in lines if line.startswith("C:")]) == KEPT


def test_a_stream_of_which_nothing_was_said(twin: Twin) -> None:
    exchange = twin.begin((b"", 0, CHUNKS))
    twin.lose()
    assert list(exchange.error.transcript) == []


def test_secrets_are_not_kept(twin: Twin) -> None:
    for line, answer in (
        (b"AUTH PLAIN c2VjcmV0\r\n", "334 c2VjcmV0"),
        (b"c2VjcmV0\r\n", "383 c2VjcmV0"),
        (b"MAIL c2VjcmV0\r\n", "535 5.7.8 c2VjcmV0"),
        (b" auth c2VjcmV0= \r\n", "501 c2VjcmV0"),
        (b"MAILc2VjcmV0\r\n", "421 c2VjcmV0"),
    ):
        twin.begin((line, 1, MORE))
        twin.reply(answer)
    transcript = twin.session.transcript()
    assert "c2VjcmV0" not in repr(transcript._entries)
    assert list(transcript)[-1] == "S: 421 <hidden>"


def test_what_was_not_written_is_not_in_it(twin: Twin) -> None:
    exchange = twin.begin((b"NOOP\r\n", 1, MORE))
    twin.session.fail(SMTPServerDisconnected("lost"), 0)
    assert list(exchange.error.transcript) == []


# -- the value ---------------------------------------------------------------------------------------


def test_it_is_a_sequence_that_stays_as_it_is(twin: Twin) -> None:
    first = twin.begin((b"NOOP\r\n", 1, MORE))
    twin.reply("250 one")
    transcript = first.error.transcript
    twin.begin((b"RSET\r\n", 1, MORE))
    twin.reply("250 two")
    assert list(transcript) == ["C: NOOP", "S: 250 one"]
    assert transcript[0] == "C: NOOP"
    assert transcript[1:] == ("S: 250 one",)
    assert "C: NOOP" in transcript
    assert str(transcript) == "C: NOOP\nS: 250 one"
    assert repr(transcript) == "<Transcript of 2 lines>"
    assert transcript == copy.deepcopy(transcript)
    assert hash(transcript) == hash(copy.copy(transcript))
    assert transcript != NOTHING
    assert transcript != ("C: NOOP", "S: 250 one")
    assert isinstance(transcript, Transcript)
    assert len(NOTHING) == 0


def test_errors_with_one_are_pickled(twin: Twin) -> None:
    error = twin.begin((b"NOOP\r\n", 1, MORE))
    twin.reply("250 one")
    again = pickle.loads(pickle.dumps(error.error))
    assert again.transcript == error.error.transcript
    assert SMTPException("x").transcript is NOTHING


def test_it_costs_little_memory(twin: Twin) -> None:
    for _ in range(100):
        twin.begin((group(1), 3, MORE), (b"x" * 100_000, 1, MORE))
        twin.reply("250 ok", "250 ok", "354 go")
        twin.reply("250 ok")
    entries = twin.session.transcript()._entries
    size = sum(sys.getsizeof(part) for said, replies in entries for part in (*_bytes_of(said), *replies))
    assert len(entries) == KEPT
    assert size < 32 * 1024


def test_clients_without_a_connection_have_none() -> None:
    assert SMTP()._last_transcript is NOTHING
