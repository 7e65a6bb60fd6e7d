"""What ``--verbose`` shows: all that a person needs to find a mistake, and nothing that is secret."""

import base64
import io
import logging
import subprocess
import sys
from typing import Any

import pytest

from aiosmtplib._trace.observer import log, wire_log
from aiosmtplib.testing import Server

from ..support import certs
from ..support.actions import cut, cut_after, then
from ..support.sasl_server import Gate
from ..support.scripted_server import PIPELINING, Conversation, Peer
from ..support.threaded_servers import (  # noqa: F401
    EML,
    PASSWORD,
    TEXT,
    Run,
    Serve,
    at,
    in_thread,
    run_send,
    serve_embedded,
)

LOGIN = {"USERNAME": "user", "PASSWORD": PASSWORD}


def forms(*texts: str) -> set[str]:
    """These texts, as they are and in base64."""
    return {*texts, *(base64.b64encode(text.encode()).decode() for text in texts)}


SECRETS = forms(PASSWORD, f"\0user\0{PASSWORD}", f"user=user\1auth=Bearer {PASSWORD}\1\1")


def verbose(run: Run, peer: Peer | Server, *args: object, **environment: str) -> list[str]:
    """The lines on standard error."""
    _, out, err = run(*at(peer), "--verbose", *args, stdin=EML, **environment)
    assert not [secret for secret in SECRETS if secret in out + err]
    return err.splitlines()


# -- how it reads ------------------------------------------------------------------------------------


def test_a_message(run: Run) -> None:
    with in_thread(Peer(extensions=["SIZE 1000", "PIPELINING"])) as peer:
        lines = verbose(run, peer, "--to", "b@example.com", "--to", "c@example.com")
    size = len(peer.accepted[0].content)
    assert lines == [
        f"connected to 127.0.0.1:{peer.port}",
        *["S: 220 peer.example ESMTP", "C: EHLO me"],
        *["S: 250-peer.example", "S: 250-SIZE 1000", "S: 250 PIPELINING"],
        f"C: MAIL FROM:<a@example.com> size={size}",
        *["C: RCPT TO:<b@example.com>", "C: RCPT TO:<c@example.com>", "C: DATA"],
        *["S: 250 2.1.0 Ok", "S: 250 2.1.5 Ok", "S: 250 2.1.5 Ok", "S: 354 Go on"],
        f"C: <{len(peer.conversations[0].bodies[0])} octets>",
        "S: 250 2.0.0 Accepted",
        *["C: QUIT", "S: 221 2.0.0 Bye"],
        "closed",
    ]


def test_starttls(serve: Serve, run: Run) -> None:
    lines = verbose(run, serve(start_tls=True), "--no-verify")
    at_tls = lines.index("C: STARTTLS")
    assert lines[at_tls + 1].startswith("S: 220 ")
    assert lines[at_tls + 2].startswith("protected by TLSv1.3, TLS_")
    assert lines[at_tls + 3] == "C: EHLO me"


def test_tls_from_the_first_byte(serve: Serve, run: Run) -> None:
    lines = verbose(run, serve(use_tls=True), "--tls", "--no-verify")
    assert lines[0].startswith("connected to 127.0.0.1:")
    assert lines[1].startswith("protected by TLSv1.3, TLS_")
    assert lines[2].startswith("S: 220 ")


@pytest.mark.parametrize(
    ("actions", "last"),
    [
        ({"MAIL": then("421 bye", cut)}, ["S: 421 bye", "lost: Server closed the connection"]),
        (
            {"MAIL": cut_after(b"421-one\r\n421 t")},
            ["S: <incomplete reply> 421-one", "S: <incomplete reply> 421 t", "lost: Unexpected EOF received"],
        ),
        (
            {"MAIL": b"what\r\n"},
            ["S: <no reply> Malformed SMTP response line: what", "lost: Malformed SMTP response line"],
        ),
    ],
)
def test_what_ends_the_connection_is_shown(actions: dict[str, Any], last: list[str], run: Run) -> None:
    with in_thread(Peer(actions, extensions=PIPELINING)) as peer:
        lines = verbose(run, peer)
    said = lines[lines.index("C: DATA") + 1 :]
    assert [line for line in said if not line.startswith("aiosmtplib: error: ")] == last


def test_servers_get_no_hold_of_the_terminal(run: Run) -> None:
    greeting = "220 \x1b[2J\x07\u202e ok\tthen " + "x" * 5000
    with in_thread(Peer({"connect": greeting})) as peer:
        lines = verbose(run, peer)
    assert lines[1].startswith("S: 220 \\x1b[2J\\x07\\u202e ok\\tthen x")
    assert len(lines[1]) == 200
    assert all(line.isprintable() for line in lines)


def test_without_it_nothing_is_shown() -> None:
    """Not even a warning, which logging prints by itself in a process without handlers."""
    actions = {"STARTTLS": b"220 go\r\n250 injected\r\n"}
    with in_thread(Peer(actions, tls=certs.server_context())) as peer:
        command = [sys.executable, "-m", "aiosmtplib", "send", *map(str, at(peer))]
        done = subprocess.run(command, input=EML, capture_output=True, check=False)
    assert done.returncode == 4
    [line] = done.stderr.splitlines()
    assert line.startswith(b"aiosmtplib: error: ")
    assert line.endswith(b"between its reply to STARTTLS and the TLS handshake")


def test_loggers_are_left_as_they_were(run: Run) -> None:
    before = [(each.level, each.propagate) for each in (log, wire_log)]
    log.setLevel(logging.WARNING)
    try:
        with in_thread(Peer()) as peer:
            assert "C: QUIT" in verbose(run, peer)
            assert verbose(run, peer, "--from", "not an address")[0].startswith("aiosmtplib: error: ")
            assert log.level == logging.WARNING
            assert run(*at(peer), stdin=EML)[2] == ""
    finally:
        log.setLevel(before[0][0])
    assert [(each.level, each.propagate) for each in (log, wire_log)] == before
    assert {type(each) for each in log.handlers} == {logging.NullHandler}


def test_a_reader_that_has_gone_does_not_end_the_mail(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    with in_thread(Peer()) as peer:
        code, out, _ = run(*at(peer), "--verbose", stdin=EML)
    assert code == 0
    assert out.splitlines()[-1] == "message   accepted: 2.0.0 Accepted"
    assert len(peer.accepted) == 1


# -- what it hides -----------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", ["535 5.7.8 no", f"535 5.7.8 {PASSWORD}"])
@pytest.mark.parametrize("password", [PASSWORD, "another"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_credentials(mechanism: str, password: str, refusal: str, run: Run) -> None:
    gate = Gate(password=password, refusal=refusal)
    with in_thread(Peer(gate.actions, extensions=[f"AUTH {mechanism}"])) as peer:
        lines = verbose(run, peer, **LOGIN)
    start = lines.index(f"S: 250 AUTH {mechanism}") + 1
    verdict = "S: 235 <hidden>" if password == PASSWORD else "S: 535 5.7.8 <hidden>"
    said = lines[start : lines.index(verdict)]
    assert said[0].startswith(f"C: AUTH {mechanism}")
    assert set(said[1:]) <= {"C: <hidden>", "S: 334 <hidden>"}
    assert gate.logins == [mechanism] * (password == PASSWORD)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_tokens(mechanism: str, run: Run) -> None:
    gate = Gate(tokens=("another",))
    with in_thread(Peer(gate.actions, extensions=[f"AUTH {mechanism}"])) as peer:
        lines = verbose(run, peer, USERNAME="user", TOKEN=PASSWORD)
    said = lines[lines.index(f"S: 250 AUTH {mechanism}") + 1 :]
    assert said[:3] == [f"C: AUTH {mechanism} <hidden>", "S: 334 <hidden>", "C: <hidden>"]
    assert said[3] == "S: 535 5.7.8 <hidden>"


@pytest.mark.parametrize("code", ["235", "535", "250-", "334", "what"])
@pytest.mark.parametrize(
    ("mechanism", "position", "variable"),
    [
        ("PLAIN", "AUTH", "PASSWORD"),
        ("LOGIN", "*", "PASSWORD"),
        ("XOAUTH2", "AUTH", "TOKEN"),
        ("OAUTHBEARER", "AUTH", "TOKEN"),
    ],
)
def test_echoes(mechanism: str, position: str, variable: str, code: str, run: Run) -> None:
    """Also where the connection ends because of it, and in what is printed at last."""
    heard = set()

    async def echo(conversation: Conversation) -> None:
        response = conversation.line.split(b" ")[-1]
        heard.add(response.decode())
        await conversation.send(b"%b %b\r\n%b" % (code.encode(), conversation.line, response))
        await conversation.cut()

    actions = {"AUTH": "334 UGFzc3dvcmQ6", position: echo}  # "Password:"
    with in_thread(Peer(actions, extensions=[f"AUTH {mechanism}"])) as peer:
        lines = verbose(run, peer, **{"USERNAME": "user", variable: PASSWORD})
    shown = "\n".join(lines)
    [secret] = heard
    assert secret not in shown
    assert secret[-24:-8] not in shown  # the middle of the password or token, for all of them


def test_echoes_where_nothing_is_expected_of_them(run: Run) -> None:
    """What the command line knows to be secret is hidden in every reply."""
    encoded = base64.b64encode(f"\0user\0{PASSWORD}".encode()).decode()
    actions = {"MAIL": f"250 {PASSWORD}", "RCPT": f"250 {encoded}", "DATA": "354 " + "x" * 187 + PASSWORD}
    with in_thread(Peer(actions, extensions=["AUTH PLAIN"])) as peer:
        lines = verbose(run, peer, *["--to", "b@example.com"], **LOGIN)
    assert "S: 250 <hidden>" in lines
    assert f"S: 354 {'x' * 187}<hidden>\N{HORIZONTAL ELLIPSIS}" in lines
    assert lines.count("S: 250 <hidden>") == 2


def test_message_content(run: Run) -> None:
    with in_thread(Peer()) as peer:
        lines = verbose(run, peer)
    assert not [line for line in lines if "Anna" in line or "Hello" in line]
