"""The help of the command line: wrapped, complete, coloured where that is wanted; and completion of words."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiosmtplib._cli.console import Console, Exit
from aiosmtplib.cli import COMMANDS, main


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wishes of whoever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("command", ["", "send", "probe"])
@pytest.mark.parametrize("width", [20, 80, 120])
def test_it_is_as_wide_as_the_terminal(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([*filter(None, [command]), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    prose = [line for line in lines if " " in line.strip() and "aiosmtplib " not in line]
    # What cannot be broken is as long as it is.
    long = [line for line in prose if len(line) > max(width, 32) and width > 20]
    assert long == []
    assert max(map(len, prose)) > width / 2


@pytest.mark.parametrize("command", ["", "send"])
def test_every_exit_code_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*filter(None, [command]), "--help"]) == 0
    _, _, codes = capsys.readouterr().out.partition("exit codes:\n")
    assert [int(line[:6]) for line in codes.splitlines() if line[2].isdigit()] == [*map(int, Exit)]


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"help"}))
def test_help_of_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", command]) == 0
    asked = capsys.readouterr().out
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out == asked


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    everything = capsys.readouterr().out
    for argv in (["help"], ["help", "help"]):
        assert main(argv) == 0
        assert capsys.readouterr().out == everything
    assert main(["help", "nonsense"]) == 2


@pytest.mark.parametrize(
    ("argv", "usage"),
    [
        (["send", "--nonsense"], "usage: aiosmtplib send "),
        (["send", "--port", "x"], "usage: aiosmtplib send "),
        (["probe", "a", "b"], "usage: aiosmtplib probe "),
        (["nonsense"], "usage: aiosmtplib ["),
        (["--nonsense"], "usage: aiosmtplib ["),
    ],
)
def test_an_error_comes_with_the_usage_of_its_command(
    argv: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith(usage)
    assert ": error: " in second
    assert second.endswith(" --help)")


def shown(monkeypatch: pytest.MonkeyPatch, name: str, *argv: str) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, name, terminal)
    main(argv)
    return terminal.getvalue()


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich_argparse")
    assert "\x1b[" in shown(monkeypatch, "stdout", "send", "--help")
    for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            patch.setenv("PYTHON_COLORS", "0")  # Python 3.14 has colours of its own
            assert "\x1b[" not in shown(patch, "stdout", "send", "--help")
    monkeypatch.setenv("PYTHON_COLORS", "0")
    monkeypatch.setitem(sys.modules, "rich_argparse", None)
    assert "examples:\n" in shown(monkeypatch, "stdout", "send", "--help")


def test_the_word_error_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Console().complain("It is \x1b[1m wrong")
    monkeypatch.setenv("NO_COLOR", "1")
    Console().complain("It is wrong")
    assert terminal.getvalue() == (
        "\x1b[31maiosmtplib: error:\x1b[0m It is \\x1b[1m wrong\naiosmtplib: error: It is wrong\n"
    )


# Completion


def completed(line: str, answer: Path) -> list[str]:
    """What a shell is told, by the variables through which it asks."""
    asking = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    subprocess.run([sys.executable, "-m", "aiosmtplib"], env={**os.environ, **asking}, check=True)
    return answer.read_text().split("\n")


def test_words_are_completed(tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    assert completed("aiosmtplib pro", tmp_path / "answer") == ["probe"]
    assert completed("aiosmtplib probe --cli", tmp_path / "answer") == ["--client-cert", "--client-key"]


def test_a_shell_that_asks_for_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("aiosmtplib ")


def test_shells_find_out_that_words_are_completed() -> None:
    """The marker that argcomplete searches for, in the first 1024 octets."""
    import aiosmtplib.cli

    assert b"PYTHON_ARGCOMPLETE_OK" in Path(aiosmtplib.cli.__file__).read_bytes()[:1024]
