"""``aiosmtplib demo``: all of it, with few messages; and its server and clients in this process."""

import asyncio
import io
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

import pytest

import aiosmtplib
from aiosmtplib._cli import demo, demo_client, demo_sink
from aiosmtplib._cli.console import UsageError
from aiosmtplib._codec import IMPLEMENTATION
from aiosmtplib.cli import main

ROWS = ["sendmail", "send_message", "send_many", "pool"]
STOCK = """
__version__ = "5.0"

class SMTP:
    def __init__(self, **options): pass
    async def __aenter__(self): return self
    async def __aexit__(self, *exc): pass
    async def sendmail(self, *args): pass
    async def send_message(self, message): pass
"""


@pytest.fixture(autouse=True)
def _demand(monkeypatch: pytest.MonkeyPatch) -> None:
    # The demo must not pass this on: it runs both twins, whatever this process was told.
    monkeypatch.setenv("AIOSMTPLIB_REQUIRE_EXTENSIONS", "1")


@pytest.fixture
def sink() -> Iterator[int]:
    """The port of a server in a thread."""
    read, written = io.StringIO(), io.StringIO()
    ready, over = threading.Event(), threading.Event()
    read.read = lambda *_: str(over.wait())  # type: ignore[method-assign]
    written.flush = ready.set  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: asyncio.run(demo_sink.serve(read, written)))
    thread.start()
    assert ready.wait(10)
    yield int(written.getvalue())
    over.set()
    thread.join()


def test_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "aiosmtplib").mkdir()
    (tmp_path / "aiosmtplib" / "__init__.py").write_text(STOCK)
    assert main(["demo", "--messages", "20", "--size", "500", "--stock", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    lines = out.splitlines()
    built = "The compiled extension is not built here" not in out
    assert built or IMPLEMENTATION == "python"
    version = sys.version.split()[0]
    expected = [(f"smtplib {version}", door) for door in ROWS[:2]]
    expected += [("aiosmtplib 5.0", door) for door in ROWS[:2]]
    expected += [("pure Python", door) for door in ROWS]
    expected += [("compiled (cython)", door) for door in ROWS if built]
    table = [re.split(r"  +", line) for line in lines if "µs" in line]
    assert [(row[0], row[1]) for row in table] == expected
    assert all(set(row[3]) <= {"█", "#"} for row in table)
    # Each round of an aiosmtplib begins with a message that does not count.
    expected_number = 2 * 20 + (8 if built else 4) * 20 * 2
    assert lines[-2].startswith(f"{expected_number} messages of 500 bytes")
    ours = "compiled \\(cython\\)" if built else "pure Python"
    assert re.fullmatch(
        rf"send_many takes \d+ times less CPU than smtplib {version} "
        rf"and \d+ times less CPU than aiosmtplib 5\.0 \({ours}\)\.",
        lines[-1],
    )


def test_a_twin_that_is_not_built(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = demo._process
    # Each client is the pure twin.
    monkeypatch.setattr(
        demo, "_process", lambda *args, **_: process(*args, environment={"AIOSMTPLIB_NO_EXTENSIONS": "1"})
    )
    monkeypatch.setattr(demo, "ROUNDS", 1)
    assert main(["demo", "--messages", "1", "--size", "1"]) == 0
    out = capsys.readouterr().out
    assert "The compiled extension is not built here. It needs a C compiler at installation.\n" in out
    assert out.endswith("(pure Python).\n")


def test_bars_are_of_what_standard_output_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert demo._bar(0.1) == "###"
    assert demo._bar(0) == "#"


@pytest.mark.parametrize("arguments", [["--messages", "0"], ["--size", "x"], ["--stock", "nowhere"]])
def test_arguments_that_make_no_sense(arguments: list[str]) -> None:
    assert main(["demo", *arguments]) == 2


@pytest.mark.parametrize("kind", ["smtplib", "aiosmtplib"])
def test_clients(kind: str, sink: int) -> None:
    out = io.StringIO()
    doors = ROWS if kind == "aiosmtplib" else ROWS[:2]
    before = demo_sink.Sink.messages
    lines = "".join(f"{json.dumps([door, 10])}\n" for door in doors)
    demo_client.serve(kind, sink, 300, io.StringIO(lines), out)
    what, *measured = map(json.loads, out.getvalue().splitlines())
    assert what["doors"] == doors
    assert what["twin"] == (IMPLEMENTATION if kind == "aiosmtplib" else None)
    assert what["version"] == (aiosmtplib.__version__ if kind == "aiosmtplib" else sys.version.split()[0])
    assert len(measured) == len(doors)
    assert all(cpu >= 0 and wall > 0 for cpu, wall in measured)
    assert demo_sink.Sink.messages - before == len(doors) * (11 if kind == "aiosmtplib" else 10)


@pytest.mark.parametrize("size", [1, 500, 2048, 100_000])
def test_messages_are_about_as_long_as_asked_for(size: int) -> None:
    content = demo_client.octets(size)
    assert content.endswith(b".\r\n")
    assert abs(len(content) - size) < 160
    assert demo_client.built(size).items()[:3] == BytesParser().parsebytes(content).items()


class Written(asyncio.Transport):
    """What a server wrote."""

    data = b""

    def write(self, data: object) -> None:
        self.data += data  # type: ignore[operator]

    def close(self) -> None:
        self.data += b"closed"


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_the_server_takes_what_comes_in_pieces(step: int) -> None:
    before = demo_sink.Sink.messages
    dialogue = (
        b"EHLO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n.\r\nWHAT\r\n"
        b"DATA\r\none\r\n..\r\n.\r\nRSET\r\n"
        b"BDAT 5\r\nab\r\n.BDAT 3 LAST\r\nabcBDAT 0 LAST\r\nNOOP\r\nQUIT\r\n"
    )
    written = Written()
    server = demo_sink.Sink()
    server.connection_made(written)
    for start in range(0, len(dialogue), step):
        server.data_received(dialogue[start : start + step])
    codes = re.findall(rb"(?m)^(\d\d\d) ", written.data)
    assert b" ".join(codes) == b"220 250 250 250 354 250 500 354 250 250 250 250 250 250 221"
    assert written.data.endswith(b"closed")
    assert demo_sink.Sink.messages - before == 4


def test_the_server_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, str(demo.FOLDER / "demo_sink.py")], input="", capture_output=True, text=True
    )
    port, count = done.stdout.splitlines()
    assert int(port) > 0
    assert (count, done.stderr) == ("0", "")


def test_child_that_ends_early() -> None:
    with demo._process("demo_client", "[]", "nothing", "1") as process:
        assert process.stdout is not None
        process.stdout.read()
        with pytest.raises(UsageError, match=r"ended early \(exit code 1\)"):
            demo._read(process)


def test_interrupted_demo_leaves_no_process() -> None:
    with pytest.raises(KeyboardInterrupt), demo._process("demo_sink") as process:
        demo._read(process)
        raise KeyboardInterrupt
    assert process.returncode == -signal.SIGKILL
