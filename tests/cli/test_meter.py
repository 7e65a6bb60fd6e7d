"""The progress of ``aiosmtplib send`` on a terminal."""

import functools
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aiosmtplib._cli import meter
from aiosmtplib._cli.console import Console
from aiosmtplib._cli.meter import Meter, amount, metered

from ..support.threaded_servers import Run, Serve, at, run_send, serve_embedded  # noqa: F401


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Connect = Callable[[], Terminal]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Connect:
    return functools.partial(connected, monkeypatch)


def connected(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let standard error be a terminal, from now on: pytest replaces it before a test begins."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(meter, "INTERVAL", 0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    return shown


def test_progress_on_a_terminal(serve: Serve, run: Run, outbox: Path, terminal: Connect) -> None:
    server = serve(refuse={"c@example.com": "550 No"})
    shown = terminal()
    code, out, _ = run(outbox, *at(server))
    assert code == 1
    drawn = shown.getvalue().split("\r")
    assert drawn[1].startswith("[........................................] 0/4 messages, 0 B of ")
    last = f"[{'#' * 40}] 4/4 messages, 234 B of 234 B, "
    assert drawn[-1].startswith(last)
    assert drawn[-1].endswith("/s, 0:00 left\x1b[K\n")
    # The bar counts those that were accepted; the others are named.
    assert "accepted" not in out.partition(" accepted")[0]
    assert f"refused   {outbox}/1.eml: c@example.com: 550 No" in out.splitlines()


def test_progress_of_a_large_message(serve: Serve, run: Run, tmp_path: Path, terminal: Connect) -> None:
    server = serve()
    (tmp_path / "m.eml").write_bytes(b"From: a@example.com\nTo: b@example.com\n\n" + b"0123456\n" * (1 << 17))
    shown = terminal()
    assert run(tmp_path / "m.eml", *at(server))[0] == 0
    assert "1/1 messages, 1.0 MB of 1.0 MB" in shown.getvalue()


@pytest.mark.parametrize("width", [40, 80])
def test_progress_fits(width: int, terminal: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    with metered(Meter(1000, 10**9), Console()) as advanced:
        advanced()
    lines = [line.removesuffix("\n").removesuffix("\x1b[K") for line in shown.getvalue().split("\r")]
    assert max(map(len, lines)) < width


def test_progress_where_nothing_can_be_drawn(monkeypatch: pytest.MonkeyPatch, terminal: Connect) -> None:
    shown = terminal()
    monkeypatch.setenv("TERM", "dumb")
    with metered(Meter(1, 1), Console()) as advanced:
        advanced()
    assert shown.getvalue() == ""


def test_it_is_not_drawn_too_often(monkeypatch: pytest.MonkeyPatch, terminal: Connect) -> None:
    shown = terminal()
    monkeypatch.setattr(meter, "INTERVAL", 1000)
    with metered(Meter(1, 1), Console()) as advanced:
        advanced()
    assert shown.getvalue().count("\r") == 2


def test_amounts() -> None:
    assert [amount(10**power) for power in (0, 2, 3, 6, 9, 12)] == [
        "1 B",
        "100 B",
        "1.0 kB",
        "1.0 MB",
        "1.0 GB",
        "1000.0 GB",
    ]
    empty = Meter(2, 0)
    assert (str(empty), empty.done) == ("0/2 messages, 0 B of 0 B, 0 B/s", 0)
    empty.advance(1, 0)
    assert empty.done == 0.5
    long = Meter(2, 0)
    long.advance(1, 0)
    long._began -= 7200
    assert str(long).endswith("2:00:00 left")
