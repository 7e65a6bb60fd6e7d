"""The command line as a whole: what it answers without a server, how it asks, and how it ends."""

import importlib
import io
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

import aiosmtplib
from aiosmtplib._cli import console
from aiosmtplib._cli.console import Console
from aiosmtplib._codec import IMPLEMENTATION
from aiosmtplib.cli import main
from aiosmtplib.testing import Server

from ..support import certs
from ..support.actions import cut, silence
from ..support.scripted_server import PATIENCE, Conversation, Peer
from ..support.threaded_servers import in_thread

MODULE = [sys.executable, "-m", "aiosmtplib"]

QUESTIONS = "SMTP server hostname [localhost]: SMTP server port [25]: From: To: Enter message, end with ^D:\n"

Ask = Callable[..., tuple[int, str, str]]


# Without a server


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    twin = {"cython": "compiled (cython)", "python": "pure Python"}[IMPLEMENTATION]
    assert capsys.readouterr().out == f"aiosmtplib {aiosmtplib.__version__}, codec: {twin}\n"


def test_version_of_the_pure_twin() -> None:
    environment = {**os.environ, "AIOSMTPLIB_NO_EXTENSIONS": "1", "AIOSMTPLIB_REQUIRE_EXTENSIONS": ""}
    done = subprocess.run([*MODULE, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"aiosmtplib {aiosmtplib.__version__}, codec: pure Python\n"
    assert done.stderr == ""


@pytest.mark.parametrize("command", [[], ["send"], ["probe"], ["demo"]])
def test_help_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "examples:\n  aiosmtplib " in out


@pytest.mark.parametrize(
    "argv", [["deliver"], ["--verbose"], ["send", "--password", "x"], ["probe", "a", "b"]]
)
def test_what_nobody_understands(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: aiosmtplib" in err


def test_importing_it_is_light() -> None:
    code = (
        "import sys, aiosmtplib; before = set(sys.modules); import aiosmtplib.cli\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rich", "aiosmtpd", "trustme", "email", "getpass"} & set(done.stdout.split())


def test_importing_the_module_that_runs_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("aiosmtplib.__main__")
    assert capsys.readouterr() == ("", "")


# Asking


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    def ask(answers: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        code = main([])
        out, err = capsys.readouterr()
        return code, out, err

    return ask


def test_asks_and_sends(ask: Ask) -> None:
    with in_thread(Server()) as server:
        code, out, err = ask(
            f"127.0.0.1\n{server.port}\nA <a@example.com>\nb@example.com, c@example.com\n\nHi\n.\n\n"
        )
    assert (code, err) == (0, "")
    assert out == f"{QUESTIONS}Message length (bytes): 6\nServer response: 2.0.0 Ok\n"
    [message] = server.messages
    assert (message.sender, message.recipients) == ("a@example.com", ("b@example.com", "c@example.com"))
    assert message.content == b"\r\nHi\r\n.\r\n"


def test_a_server_that_nobody_vouches_for(ask: Ask) -> None:
    """It offers STARTTLS with a certificate of its own making, as a server of this host may."""
    with in_thread(Peer(tls=certs.server_context())) as peer:
        code, _, err = ask(f"127.0.0.1\n{peer.port}\na@example.com\nb@example.com\nHi\n")
    assert (code, err) == (0, "")
    assert "STARTTLS" not in peer.verbs


def test_scripts_pipe_the_answers() -> None:
    """The process itself, with the question order of all releases."""
    with in_thread(Server()) as server:
        done = subprocess.run(
            MODULE,
            input=f"127.0.0.1\n{server.port}\na@example.com\nb@example.com\nSubject: Hi\n\nHello",
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == f"{QUESTIONS}Message length (bytes): 18\nServer response: 2.0.0 Ok\n"
    assert server.messages[0].content == b"Subject: Hi\r\n\r\nHello\r\n"


def test_some_refused(ask: Ask) -> None:
    with in_thread(Server(refuse=["b@example.com"])) as server:
        answers = f"127.0.0.1\n{server.port}\n\nb@example.com,c@example.com\nHi\n"
        code, out, err = ask(answers)
    assert code == 1
    assert out.endswith("Server response: 2.0.0 Ok\n")
    assert err == "aiosmtplib: error: Refused: b@example.com: 550 5.1.1 No such mailbox here\n"
    assert server.messages[0].sender == ""


@pytest.mark.parametrize(
    ("options", "complaints"),
    [
        ({"refuse": ["a@example.com"]}, ["Refused: 550 5.1.1 No such mailbox here"]),
        (
            {"refuse": {"b@example.com": "550 b", "c@example.com": "450 c"}},
            ["Refused: b@example.com: 550 b", "Refused: c@example.com: 450 c"],
        ),
        ({"reply": "554 5.7.1 Spam"}, ["Refused: 554 5.7.1 Spam"]),
    ],
)
def test_refused(options: dict[str, object], complaints: list[str], ask: Ask) -> None:
    with in_thread(Server(**options)) as server:  # type: ignore[arg-type]
        code, _, err = ask(f"127.0.0.1\n{server.port}\na@example.com\nb@example.com,c@example.com\nHi\n")
    assert code == 1
    assert err.splitlines() == [f"aiosmtplib: error: {each}" for each in complaints]


def test_lost_after_the_message(ask: Ask) -> None:
    with in_thread(Peer({".": cut})) as peer:
        assert ask(f"127.0.0.1\n{peer.port}\na@example.com\nb@example.com\nHi\n")[0] == 5


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ("\n\n", "The input ended before the last question."),
        ("\nx\na@example.com\nb@example.com\n", "'x' is not a port."),
        ("\n99999\na@example.com\nb@example.com\n", "port"),
        ("\n\na@example.com> X\nb@example.com\n", "a@example.com> X"),
        ("\n\na@example.com\n , \n", "To needs an address."),
    ],
)
def test_answers_that_make_no_sense(answers: str, complaint: str, ask: Ask) -> None:
    code, _, err = ask(answers)
    assert code == 2
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_socket_error_of_another_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(io.StringIO):
        def readline(self, *_: object) -> str:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", Broken())
    assert main([]) == 3
    assert capsys.readouterr().err == "aiosmtplib: error: [Errno 5] Input/output error\n"


# Ending


@pytest.mark.parametrize("argv", [[], ["probe", "127.0.0.1"]])
def test_ctrl_c(argv: list[str]) -> None:
    connected = threading.Event()

    async def greet(conversation: Conversation) -> None:
        connected.set()
        await silence(conversation)

    with in_thread(Peer({"connect": greet})) as peer:
        if argv:
            argv = [*argv, "--port", str(peer.port)]
        process = subprocess.Popen(
            [*MODULE, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        if argv:
            assert connected.wait(PATIENCE)
        else:
            assert process.stdout.read(len("SMTP server"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == b"Interrupted.\n"


def test_ctrl_c_is_not_for_what_runs_in_the_background() -> None:
    async def ask() -> object:
        return signal.getsignal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert console.run_async(ask()) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert console.run_async(ask()) not in (before, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is before


def test_reader_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert main(["--version"]) == 141


# What it prints to


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROWS = [["SIZE", "1000"], ["X", "[red]\x1b[1m"]]
PLAIN = "name  value\n----  ------------\nSIZE  1000\nX     [red]\\x1b[1m\n"


def test_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def table(out: io.StringIO) -> str:
        monkeypatch.setattr(sys, "stdout", out)
        Console().table(("name", "value"), ROWS)
        return out.getvalue()

    assert table(io.StringIO()) == PLAIN
    pretty = table(Terminal())
    assert "━" in pretty
    assert "[red]\\x1b[1m" in pretty  # neither markup nor an escape sequence
    monkeypatch.setitem(sys.modules, "rich", None)  # what the import system takes for "not there"
    assert table(Terminal()) == PLAIN


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    def progress(out: io.StringIO) -> str:
        monkeypatch.setattr(sys, "stdout", out)
        with Console().progress("Sending", 10) as advance:
            advance(5)
            advance(10)
        return out.getvalue()

    assert progress(io.StringIO()) == "Sending ...\n"
    assert "100%" in progress(Terminal())
    monkeypatch.setitem(sys.modules, "rich", None)
    half, full = "#" * (console.BAR_WIDTH // 2), "#" * console.BAR_WIDTH
    drawn = progress(Terminal()).split("\r")
    assert drawn[-2].startswith(f"Sending [{half} ")
    assert drawn[-1] == f"Sending [{full}] 10/10\n"


def test_terminal_that_lacks_a_character() -> None:
    with in_thread(Server(refuse={"b@example.com": "550 Grüße"})) as server:
        reach = ["--host", server.host, "--port", str(server.port)]
        done = subprocess.run(
            [*MODULE, "send", *reach, "--from", "a@example.com", "--to", "b@example.com"],
            input=b"x",
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout.startswith(b"refused   b@example.com: 550 Gr\\xfc\\xdfe")


def test_colours_only_on_a_terminal() -> None:
    """The same command, on a terminal and on a pipe."""
    with in_thread(Server()) as server:
        command = [*MODULE, "probe", server.host, "--port", str(server.port)]
        piped = subprocess.run(command, capture_output=True, check=True)
        ours, theirs = pty.openpty()
        subprocess.run(command, stdout=theirs, env={**os.environ, "TERM": "xterm"}, check=True)
        os.close(theirs)
        shown = os.read(ours, 100_000)
        os.close(ours)
    assert b"\x1b" not in piped.stdout
    assert b"\x1b" in shown


def test_standard_input_from_a_terminal() -> None:
    with in_thread(Server()) as server:
        ours, theirs = pty.openpty()
        command = [*MODULE, "send", "--host", server.host, "--port", str(server.port)]
        process = subprocess.Popen(
            [*command, "--from", "a@example.com", "--to", "b@example.com"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        assert process.stderr is not None
        assert process.stderr.readline() == b"Type the message, end with ^D:\n"
        os.write(ours, b"Hello\n\x04")
        _, err = process.communicate(timeout=20)
        os.close(ours)
    assert (process.returncode, err) == (0, b"")
    assert server.messages[0].message.get_content().strip() == "Hello"
