"""The transcript as the session keeps it, on both twins: bounded, and without secrets and content."""

import copy
import importlib
import pickle
import sys
from types import ModuleType
from typing import Any

import pytest

from aiosmtplib import SMTP, CommandEvent, SMTPResponse, Transcript
from aiosmtplib._codec.types import CHUNKS, LAST, MORE, STREAM, Dialogue
from aiosmtplib._trace.observer import CommandObserver
from aiosmtplib._trace.redaction import condensed, described, form_of
from aiosmtplib._trace.transcript import EMPTY_TRANSCRIPT, KEPT, MAX_LINE
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected


class Twin:
    """A session of one of the twins, and its exchanges."""

    def __init__(self, codec: ModuleType) -> None:
        pure = codec.__name__.endswith(".pure")
        module = importlib.import_module("aiosmtplib._codec.pure.session") if pure else codec
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
    assert transcript != EMPTY_TRANSCRIPT
    assert transcript != ("C: NOOP", "S: 250 one")
    assert isinstance(transcript, Transcript)
    assert len(EMPTY_TRANSCRIPT) == 0


def test_errors_with_one_are_pickled(twin: Twin) -> None:
    error = twin.begin((b"NOOP\r\n", 1, MORE))
    twin.reply("250 one")
    again = pickle.loads(pickle.dumps(error.error))
    assert again.transcript == error.error.transcript
    assert SMTPException("x").transcript is EMPTY_TRANSCRIPT


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
    assert SMTP()._last_transcript is EMPTY_TRANSCRIPT


def test_forms_that_are_rare() -> None:
    assert form_of(b"Subject: x\r\n", 12, 354) == (12, False)  # by hand, after DATA
    assert condensed([], [], 0, False) == (b"", ())


def test_a_reply_that_came_while_nothing_was_known_to_be_unanswered() -> None:
    events: list[CommandEvent] = []
    wire = CommandObserver(7, events.append)
    wire.heard([SMTPResponse(250, "ok")])
    wire.deliver()
    assert [(event.verb, event.code, event.connection) for event in events] == [("greeting", 250, 7)]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", b"AUTH PLAIN <hidden>"),
        (b" auth  Login\r\n", b"AUTH Login"),
        (b"AUTH c2VjcmV0\r\n", b"AUTH <hidden>"),
        (b"AUTH\r\n", b"AUTH <hidden>"),
    ],
)
def test_what_is_kept_of_auth(line: bytes, kept: bytes) -> None:
    """What stands where the mechanism should be may be the secret."""
    assert described(line) == (kept, True)
