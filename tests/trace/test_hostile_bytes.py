"""Whatever a server sends, the log is printable, bounded, and without credentials."""

from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._codec.types import MORE, Dialogue
from aiosmtplib._session import Exchange, Session
from aiosmtplib._trace.observer import CommandObserver
from aiosmtplib._trace.transcript import MAX_LINE
from aiosmtplib.errors import SMTPServerDisconnected

SECRET = b"c2VjcmV0"
AUTH = b"AUTH PLAIN " + SECRET + b"\r\n"
COMMANDS = [b"NOOP\r\n", b"DATA\r\n", b"EHLO " + b"x" * 300 + b"\r\n", SECRET + b"\r\n", AUTH]
PIECES = [
    *[b"250", b"334", b"354", b"535", b"421", b"999", b"5.7.8"],
    *[b" ", b"-", b"\r", b"\n", b"\r\n", b"\x1b[2J", b"\xff", SECRET, b"x" * 300],
]
Steps = list[tuple[bytes, bytes]]


def steps(commands: list[bytes]) -> st.SearchStrategy[Steps]:
    received = st.lists(st.sampled_from(PIECES) | st.binary(max_size=9), max_size=12).map(b"".join)
    return st.lists(st.tuples(st.sampled_from(commands), received), max_size=12)


def dialogue(command: bytes) -> Dialogue[None]:
    yield command, 1, MORE


def log_of(steps: Steps) -> list[str]:
    """The lines of a connection on which each command is sent if the one before it has been answered."""
    session, observer, written = Session(True), CommandObserver(1, None), 0
    session.observer, observer.logging = observer, True
    for command, received in steps:
        if session.lost is None and session.head is None:
            session.start(Exchange(dialogue(command)))
        written += sum(map(len, session.out))
        session.out.clear()
        observer.received(received)
        session.receive(received, 8192, 32768, written)
    session.fail(SMTPServerDisconnected("lost"), written)
    return [line for line in observer._pending if isinstance(line, str)]


@given(steps(COMMANDS))
def test_lines_are_fit_for_a_terminal(steps: Steps) -> None:
    for line in log_of(steps):
        assert line[:3] in ("C: ", "S: ")
        assert line.isprintable()
        assert len(line) <= MAX_LINE


@given(steps([AUTH, SECRET + b"\r\n"]))
def test_echoes_of_credentials_are_hidden(steps: Steps) -> None:
    assert SECRET.decode() not in "".join(log_of(steps))
