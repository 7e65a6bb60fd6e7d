"""The README is true: every example in it runs, and every table agrees with the code.

``python`` blocks run as they stand, against live servers, each in a directory of its own with the files that
the README speaks of. Only the ports are replaced: 1025, 587 and 465 by those of the servers, and ``/run/`` by
nothing. What a block prints has to be what its ``# ->`` comments say, in their order. ``EXPECTED`` says what
the servers must have seen then; a block without an entry fails, and so does an entry without a block.

``console`` blocks run in a shell, with ``...`` standing for anything. ``sh`` blocks are advice that a test
cannot follow, such as installing; they may name only what is there.
"""

import asyncio
import builtins
import contextlib
import gc
import inspect
import io
import logging
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

import aiosmtplib.testing
from aiosmtplib import errors
from aiosmtplib._cli import console, options

from ..support import actions
from ..support.certs import Files
from ..support.readme_servers import Office
from ..support.scripted_server import Peer
from ..support.server_fixtures import PASSWORD
from ..support.threaded_servers import in_thread

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# aiosmtpd's opinion on login over implicit TLS, which it takes for plain
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

ME, YOU = "me@example.com", "you@example.com"
TO_YOU = [(ME, [YOU])]


# -- what the examples must have done ----------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What the servers have seen after a block.

    :ivar mail: sender and recipients of every message
    :ivar logins: the mechanisms of successful logins
    :ivar peer: makes the server at port 1025, where a well-behaved one will not do
    :ivar trusted: whether the system trusts the servers' certificates
    :ivar ask_client: whether the server at port 465 insists on a client certificate
    :ivar also: whether the rest is as the text says
    """

    mail: list[tuple[str, list[str]]]
    logins: tuple[str, ...] = ()
    peer: Callable[[], Peer] | None = None
    trusted: bool = False
    ask_client: bool = False
    also: Callable[[Office], bool] = lambda office: True


def _bcc_is_not_sent(office: Office) -> bool:
    return all(b"archive" not in (each.original_content or b"") for each in office.envelopes)


def _mail_with_all_parts(office: Office) -> bool:
    types = [part.get_content_type() for part in office.message().walk()]
    return types == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/csv"]


def _two_forms(office: Office) -> bool:
    return [part.get_content_type() for part in office.message().iter_parts()] == ["text/plain", "text/html"]


def _dots_survive(office: Office) -> bool:
    return (office.envelopes[0].original_content or b"").endswith(b"Hello!\r\n.hidden\r\n")


def _utf8_is_used(office: Office) -> bool:
    raw = office.envelopes[0].original_content or b""
    return "SMTPUTF8" in office.envelopes[0].mail_options and "jürgen@bücher.example".encode() in raw


def _options_are_sent(office: Office) -> bool:
    assert office.peer is not None
    return any(line.endswith(b" RET=HDRS") for line in office.peer.commands) and (
        b"RCPT TO:<you@example.com> NOTIFY=NEVER" in office.peer.commands
    )


def _one_connection(office: Office) -> bool:
    return office.commands.count("QUIT") == 1


EXPECTED = {
    "Quickstart 1": Expected(TO_YOU, also=lambda office: office.message()["Subject"] == "Hello"),
    "Quickstart 2": Expected(TO_YOU, logins=("CRAM-MD5",), trusted=True),
    "Message objects 1": Expected(
        [(ME, [YOU, "her@example.com", "archive@example.com"]), ("bounces@example.com", ["him@example.com"])],
        also=_bcc_is_not_sent,
    ),
    "What comes back 1": Expected(TO_YOU),
    "Multipart messages 1": Expected(TO_YOU, also=_mail_with_all_parts),
    "Multipart messages 2": Expected(TO_YOU, also=_two_forms),
    "Text and bytes 1": Expected(TO_YOU, also=_dots_survive),
    "Files and streams 1": Expected(TO_YOU),
    "Options of MAIL and RCPT 1": Expected(TO_YOU, peer=Peer, also=_options_are_sent),
    "Typed parameters 1": Expected(
        [(ME, [YOU, "them@example.com"])],
        peer=lambda: Peer(extensions=("DSN",)),
        also=lambda office: (
            b" ENVID=invoice+204711\r\nRCPT TO:<you@example.com> NOTIFY=SUCCESS,FAILURE\r\n"
            in getattr(office.peer, "received", b"")
        ),
    ),
    "Addresses with other characters than ASCII 1": Expected(
        [(ME, ["jürgen@bücher.example"])], also=_utf8_is_used
    ),
    "TLS 1": Expected([]),
    "Nothing without TLS 1": Expected(
        [],
        logins=("CRAM-MD5",),
        also=lambda office: "AUTH" not in str(office.commands[office.commands.index("QUIT") :]),
    ),
    "Certificates 1": Expected([]),
    "Certificates 2": Expected([], ask_client=True, also=lambda office: office.commands.count("NOOP") == 2),
    "STARTTLS by hand 1": Expected([], also=lambda office: "STARTTLS" in office.commands),
    "Logging in when connecting 1": Expected(TO_YOU, logins=("CRAM-MD5",)),
    "Logging in by hand 1": Expected([], logins=("PLAIN",)),
    "OAuth 2.0 1": Expected(TO_YOU, logins=("XOAUTH2",)),
    "As a context manager 1": Expected(
        [(ME, [f"{name}@example.com"]) for name in ("anna", "ben", "cleo")], also=_one_connection
    ),
    "By hand 1": Expected(TO_YOU * 2, also=_one_connection),
    "Single commands 1": Expected(TO_YOU, also=lambda office: "NOOP anybody there?" in office.commands),
    "Unix sockets 1": Expected(TO_YOU),
    "LMTP 1": Expected(
        TO_YOU, peer=lambda: Peer({".": actions.in_turn("250 Ok", "552 5.2.2 Mailbox full")}, lmtp=True)
    ),
    "Without asyncio 1": Expected(TO_YOU),
    "Timeouts 1": Expected([], peer=lambda: Peer({"connect": actions.silence})),
    "Timeouts 2": Expected(TO_YOU),
    "Sending many 1": Expected(
        [(ME, [f"{name}@example.com"]) for name in ("anna", "ben", "cleo")], also=_one_connection
    ),
    "Sending in parallel 1": Expected(
        [(ME, [f"you+{number}@example.com"]) for number in range(100)],
        also=lambda office: 1 <= office.commands.count("QUIT") <= 4,
    ),
    "Sending in parallel 2": Expected(
        [(ME, [f"{name}@example.com"]) for name in ("anna", "ben", "cleo")],
        also=lambda office: 1 <= office.commands.count("QUIT") <= 2,
    ),
    "Errors 1": Expected(TO_YOU, also=_one_connection),
    "What became of the message 1": Expected(
        TO_YOU, peer=lambda: Peer({"connect": actions.in_turn("421 4.3.2 Too busy", "220 peer.example")})
    ),
    "What became of the message 2": Expected([], peer=lambda: Peer({".": actions.cut})),
    "What was said 1": Expected(
        [],
        peer=lambda: Peer(
            {"RCPT": "550 5.1.1 No such mailbox", "DATA": "503 5.5.1 Nobody to send to"},
            extensions=["PIPELINING"],
        ),
    ),
    # What it switched on is off again for other tests.
    "The log 1": Expected(TO_YOU, also=lambda office: logging.getLogger("aiosmtplib").setLevel(0) is None),
    "A hook for each command 1": Expected(TO_YOU, peer=Peer),
    "Status codes 1": Expected([]),
    "Testing your program 1": Expected([]),
    "Moving from aiosmtplib 1.1 1": Expected([("root@localhost", ["somebody@example.com"])] * 3),
    "Moving from aiosmtplib 1.1 2": Expected([], also=lambda office: office.commands.count("STARTTLS") == 1),
    "Moving from smtplib 1": Expected(TO_YOU),
    "Moving from smtplib 2": Expected(TO_YOU),
}


# -- reading the README ------------------------------------------------------------------------------


class Block(NamedTuple):
    """A fenced block.

    :ivar name: the heading it stands under, and its number among those of its language there
    :ivar line: the line of the README before its first
    """

    name: str
    language: str
    text: str
    line: int


def read_blocks() -> Iterator[Block]:
    heading = ""
    counts: dict[tuple[str, str], int] = {}
    for match in re.finditer(
        r"(?ms)^(?:#+ (?P<heading>[^\n]+)|```(?P<language>\w*)\n(?P<text>.*?)^```)$", README
    ):
        if match["heading"] is not None:
            heading = match["heading"]
            continue
        place = heading, match["language"]
        counts[place] = counts.get(place, 0) + 1
        line = README.count("\n", 0, match.start("text"))
        yield Block(f"{heading} {counts[place]}", match["language"], match["text"], line)


BLOCKS = list(read_blocks())
PYTHON = [block for block in BLOCKS if block.language == "python"]
CONSOLE = [block for block in BLOCKS if block.language == "console"]


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    (match,) = re.finditer(rf"(?m)^\| {re.escape(first)} \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", README)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in match[1].splitlines()]


def names(cell: str) -> list[str]:
    """What stands between backticks, without calls and assignments."""
    return [re.split(r"[=(\[]", name)[0] for name in re.findall(r"`([^`]+)`", cell)]


def named(first: str) -> list[str]:
    return [name for row in table(first) for name in names(row[0])]


@contextlib.contextmanager
def running(expected: Expected, directory: Path) -> Iterator[Office]:
    with in_thread(Office(directory, expected.ask_client, expected.peer and expected.peer())) as office:
        yield office


@pytest.fixture
def desk(tmp_path: Path, certificates: Files, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that examples run in, with the files and the environment that they speak of."""
    for path, name in (
        (certificates.ca, "ca.pem"),
        (certificates.client_cert, "client.pem"),
        (certificates.client_key, "client.key"),
    ):
        shutil.copy(path, tmp_path / name)
    (tmp_path / "message.eml").write_bytes(b"From: me@example.com\nTo: you@example.com\nSubject: Hi\n\nHi!\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    # What this host is called is no matter of the README, and asking a name service takes its time.
    monkeypatch.setattr(socket, "getfqdn", lambda: "localhost")
    return tmp_path


def with_ports(text: str, office: Office) -> str:
    return re.sub(r"\b(1025|587|465)\b", lambda match: str(office.ports[match[0]]), text)


# -- the tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_example(
    block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = EXPECTED[block.name]
    if expected.trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(desk / "ca.pem"))
    if "socket_path" in block.text and not hasattr(socket, "AF_UNIX"):
        pytest.skip("no Unix sockets here")
    with running(expected, desk) as office:
        source = with_ports(block.text, office).replace("/run/", "")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            # Line numbers in tracebacks are those of the README.
            exec(compile("\n" * block.line + source, "README.md", "exec"), {"__name__": "__main__"})
        asyncio.set_event_loop(None)
        gc.collect()  # what was left open complains now, and not in another test
        mail, logins = office.mail, tuple(office.logins)
        assert expected.also(office)
    assert output.getvalue().splitlines() == re.findall(r"(?m)# -> (.*)$", source)
    assert sorted(mail) == sorted(expected.mail)
    assert logins == expected.logins
    assert PASSWORD not in capsys.readouterr().err


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.name)
def test_console(block: Block, desk: Path) -> None:
    with running(Expected([]), desk) as office:
        text = with_ports(block.text, office)
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
    assert [block.name for block in PYTHON] == list(EXPECTED)
    assert {block.language for block in BLOCKS} == {"python", "console", "sh"}


def test_what_cannot_run_names_what_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(
        r"`?make ([a-z-]+)`?$", "\n".join(b.text for b in BLOCKS if b.language == "sh"), re.M
    )
    for target in {*targets, *re.findall(r"`make ([a-z-]+)`", README)}:
        assert re.search(rf"(?m)^{target}:", makefile), target
    extras = re.search(
        r"(?s)\[project.optional-dependencies\](.*?)\n\n", (ROOT / "pyproject.toml").read_text()
    )
    assert extras is not None
    assert set(re.findall(r"(?m)^(\w+) =", extras[1])) == {"uvloop", "cli", "testing"}
    assert "[cli,uvloop,testing]" in README


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", README))
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def test_every_error_is_in_the_table() -> None:
    rows = table("error")
    assert sorted(names(row[0])[0] for row in rows) == sorted(errors.__all__)
    for name, kin, _ in rows:
        error = getattr(aiosmtplib, names(name)[0])
        for base in names(kin):
            assert issubclass(error, {**vars(builtins), **vars(aiosmtplib)}[base])


def test_verdicts_and_phases_are_those_of_the_code() -> None:
    assert named("`delivery`") == [f"Delivery.{verdict.name}" for verdict in aiosmtplib.Delivery]
    (phases,) = (row[1] for row in table("attribute of an error") if row[0] == "`phase`")
    documented = re.search(r"(?s):ivar phase:(.*?):ivar", errors.SMTPException.__doc__ or "")
    assert documented is not None
    assert re.findall(r'`"(\w+)"`', phases) == re.findall(r'"(\w+)"', documented[1])


def test_every_status_code_is_in_the_table() -> None:
    written = {names(row[0])[0]: int(row[1]) for row in table("name")}
    assert written == {status.name: status.value for status in aiosmtplib.SMTPStatus}


def test_options_attributes_and_commands_exist() -> None:
    of_client = inspect.signature(aiosmtplib.SMTP).parameters
    of_pool = inspect.signature(aiosmtplib.SMTPPool).parameters
    assert sorted(named("option")) == sorted(of_client)
    assert sorted(named("option of a pool")) == sorted(set(of_pool) - set(of_client))
    client = aiosmtplib.SMTP()
    assert [name for name in named("attribute of the client") if not hasattr(client, name)] == []
    (commands,) = re.findall(r"There are (.*?)\. They\s", README, re.DOTALL)
    assert [name for name in names(commands) if not hasattr(client, name)] == []
    assert sorted(named("parameter of `Server`")) == sorted(
        inspect.signature(aiosmtplib.testing.Server).parameters
    )


def test_the_command_line_is_as_described() -> None:
    assert [int(row[0]) for row in table("exit code")] == [int(code) for code in console.Exit]
    assert named("variable") == [options.USERNAME, options.PASSWORD, options.TOKEN]


def test_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## \[?([\d.]+)", changelog)[0] == aiosmtplib.__version__
