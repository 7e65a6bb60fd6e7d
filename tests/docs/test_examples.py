"""Every example of the pages runs, and prints what they say.

``python`` blocks run as they stand, against live servers, each in a directory of its own with the files that
the pages speak of. Only where the servers are is replaced: the ports 1025, 587 and 465, the names of servers
elsewhere, the user name there, and ``/run/``. What a block prints has to be what its ``# ->`` comments say,
in their order. ``EXPECTED`` says what the servers must have seen then; a block without an entry fails, and so
does an entry without a block.

``console`` blocks run in a shell, with ``...`` standing for anything. ``sh`` blocks are advice that a test
cannot follow, such as installing; they may name only what is there.
"""

import asyncio
import contextlib
import gc
import io
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.readme_servers import Office
from ..support.server_fixtures import PASSWORD
from ..support.threaded_servers import in_thread
from .expected import EXPECTED, Expected
from .pages import BLOCKS, ROOT, Block, blocks

# aiosmtpd's opinion on login over implicit TLS, which it takes for plain
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

# The others need packages of other projects, and run in tests of their own.
PYTHON = [block for block in blocks("python") if block.page not in ("cookbook", "opentelemetry")]
TESTS = [block for block in PYTHON if "import pytest" in block.text or "(smtp_server" in block.text]


@contextlib.contextmanager
def running(expected: Expected, directory: Path) -> Iterator[Office]:
    with in_thread(Office(directory, expected.ask_client, expected.peer and expected.peer())) as office:
        yield office


def moved(text: str, office: Office) -> str:
    """The example with the servers where they are."""
    text = re.sub(r"\bsmtp\.(example|gmail|office365)\.com\b", "localhost", text)
    text = re.sub(r'username="[^"]+@[^"]+"', 'username="user"', text)
    text = re.sub(r"https://(oauth2\.googleapis|login\.microsoftonline)\.com", office.token_url, text)
    return re.sub(r"\b(1025|587|465)\b", lambda match: str(office.ports[match[0]]), text)


@pytest.mark.parametrize(
    "block", [block for block in PYTHON if block not in TESTS], ids=lambda block: block.name
)
def test_example(
    block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = EXPECTED[block.name]
    if expected.trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(desk / "ca.pem"))
    if "socket_path" in block.text and not hasattr(socket, "AF_UNIX"):
        pytest.skip("no Unix sockets here")
    with running(expected, desk) as office:
        source = moved(block.text, office).replace("/run/", "")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            # Line numbers in tracebacks are those of the page.
            exec(compile("\n" * block.line + source, f"{block.page}.md", "exec"), {"__name__": "__main__"})
        asyncio.set_event_loop(None)
        gc.collect()  # what was left open complains now, and not in another test
        mail, logins = office.mail, tuple(office.logins)
        assert expected.also(office)
    assert output.getvalue().splitlines() == re.findall(r"(?m)# -> (.*)$", source)
    assert sorted(mail) == sorted(expected.mail)
    assert logins == expected.logins
    assert PASSWORD not in capsys.readouterr().err


@pytest.mark.parametrize("block", TESTS, ids=lambda block: block.name)
def test_example_of_a_test(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(block.text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-o",
        "asyncio_mode=auto",
        "-p",
        "no:cacheprovider",
        "-p",
        "pytest_aiosmtplib",  # which an installation has pytest find
        tmp_path,
    ]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert f"{block.text.count('def test_')} passed" in done.stdout, done.stdout


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.name)
def test_console(block: Block, desk: Path) -> None:
    with running(Expected([]), desk) as office:
        text = moved(block.text, office)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AIOSMTPLIB_")
        } | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        python = shlex.quote(sys.executable)
        script = f'python() {{ {python} "$@"; }}\naiosmtplib() {{ {python} -m aiosmtplib "$@"; }}\n'
        # The exit code has to outlive the mark, for those who ask for it.
        script += "\n".join(
            f"{command}\ncode=$?; echo '-- next --'; (exit $code)"
            for command in re.findall(r"(?m)^\$ (.*)$", text)
        )
        # A reader sees both streams on one terminal.
        done = subprocess.run(
            ["sh", "-c", script],
            env=environment,
            cwd=desk,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
    shown = [part.split("\n", 1)[1] for part in re.split(r"(?m)^\$ ", text)[1:]]
    printed = done.stdout.split("-- next --\n")[:-1]
    assert len(printed) == len(shown), done.stdout
    for want, got in zip(shown, printed, strict=True):
        pattern = re.escape(want).replace(r"\.\.\.", ".*").replace(r"\ ", r"\s+")
        assert re.fullmatch(pattern, got, re.DOTALL), f"{want}\n--- is not:\n{got}"


def test_every_block_is_accounted_for() -> None:
    assert sorted(block.name for block in PYTHON if block not in TESTS) == sorted(EXPECTED)
    assert len(TESTS) == 2
    assert {block.language for block in BLOCKS} == {"python", "console", "sh"}
