"""``aiosmtplib demo``: all of it, with few messages; and its two kinds of children in this process."""

import io
import json
import signal
import sys

import pytest

from aiosmtplib._cli import demo
from aiosmtplib._cli.console import UsageError
from aiosmtplib._codec import IMPLEMENTATION
from aiosmtplib.cli import main
from aiosmtplib.testing import Server

from ..support.actions import cut
from ..support.scripted_server import Peer
from ..support.threaded_servers import in_thread


@pytest.fixture(autouse=True)
def _demand(monkeypatch: pytest.MonkeyPatch) -> None:
    # The demo must not pass this on: it runs both twins, whatever this process was told.
    monkeypatch.setenv("AIOSMTPLIB_REQUIRE_EXTENSIONS", "1")


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--messages", "7", "--size", "500"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    lines = out.splitlines()
    twins = [line.split("  ")[0] for line in lines if line.endswith(" s")]
    built = "The compiled extension is not built here" not in out
    assert twins == (["compiled (cython)"] if built else []) + ["pure Python"]
    assert f"The server received {7 * len(twins)} messages." in lines[-1]
    assert built or IMPLEMENTATION == "python"


def test_twin_that_is_missing_is_said_plainly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "TWINS", {"fortran": "compiled (fortran)", "python": "pure Python"})
    assert main(["demo", "--messages", "1"]) == 0
    out = capsys.readouterr().out
    assert "The compiled extension is not built here. It needs a C compiler at installation.\n" in out
    assert "The server received 1 messages." in out


def test_aiosmtpd_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "aiosmtpd"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiosmtpd", None)  # what the import system takes for "not there"
    assert main(["demo"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == "aiosmtplib: error: aiosmtplib.testing needs aiosmtpd: pip install 'aiosmtplib[testing]'"


@pytest.mark.parametrize("number", ["0", "x", "-1"])
def test_numbers_that_make_no_sense(number: str) -> None:
    assert main(["demo", "--messages", number]) == 2


def test_client_child() -> None:
    out = io.StringIO()
    with in_thread(Server()) as server:
        assert demo.child(["client", IMPLEMENTATION, str(server.port), "100", "300"], io.StringIO(), out) == 0
    twin, *progress, figures = map(json.loads, out.getvalue().splitlines())
    assert twin == IMPLEMENTATION
    assert progress == list(range(2, 101, 2))
    assert figures["rate"] > 0
    assert figures["cpu"] >= 0
    assert [len(message.content) for message in server.messages] == [302] * 100  # and the last line end


def test_client_child_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(Peer({"MAIL": cut})) as peer:
        assert (
            demo.child(["client", IMPLEMENTATION, str(peer.port), "1", "1"], io.StringIO(), io.StringIO())
            == 3
        )
    assert capsys.readouterr().err.startswith("aiosmtplib: error: ")


def test_server_child() -> None:
    class Stdin(io.StringIO):
        """Ends when a message has been sent."""

        def read(self, size: int | None = -1) -> str:
            return str(demo.child(["client", IMPLEMENTATION, out.getvalue(), "1", "1"], self, io.StringIO()))

    out = io.StringIO()
    assert demo.child(["server"], Stdin(), out) == 0
    assert out.getvalue().splitlines()[1] == "1"


def test_child_that_ends_early() -> None:
    with demo._process("client", IMPLEMENTATION, "no port", "1", "1", twin=IMPLEMENTATION) as process:
        assert process.stdout is not None
        process.stdout.read()
        with pytest.raises(UsageError, match=r"ended early \(exit code 1\)"):
            demo._read(process)


def test_interrupted_demo_leaves_no_process() -> None:
    with pytest.raises(KeyboardInterrupt), demo._process("server") as process:
        demo._read(process)
        raise KeyboardInterrupt
    assert process.returncode == -signal.SIGKILL
