"""What cannot be fetched is said, and fails nothing; a command that fails does."""

import sys
from pathlib import Path

import pytest

from . import __main__ as command
from .environment import UnreachableIndexError, checked

DOWNLOAD = (sys.executable, "-m", "pip", "download", "-q", "--retries", "0", "aiosmtplib")


@pytest.mark.parametrize("options", [["--no-index"], ["--isolated", "--index-url", "https://127.0.0.1:9/"]])
def test_an_index_that_is_not_there(options: list[str], tmp_path: Path) -> None:
    pytest.importorskip("pip")
    with pytest.raises(UnreachableIndexError, match="aiosmtplib"):
        checked(*DOWNLOAD, *options, cwd=tmp_path)


def test_a_command_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such command"):
        checked(sys.executable, "-c", "raise SystemExit('no such command')", cwd=tmp_path)


@pytest.mark.parametrize("failed", [False, True])
def test_what_was_skipped_is_said(
    failed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def everything(run: command.Run) -> None:
        if failed:
            run.fail("a suite: 1/2")
        raise UnreachableIndexError("no route")

    monkeypatch.setattr(command, "CACHE", tmp_path)
    monkeypatch.setattr(command.Run, "everything", everything)
    monkeypatch.setattr(sys, "argv", ["compat", "--python", sys.executable])
    assert command.main() == failed
    assert "skipped.\nno route\n" in capsys.readouterr().out
