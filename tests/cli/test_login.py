"""``aiosmtplib send`` on encrypted connections and with credentials, which must not show anywhere."""

import base64
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from aiosmtplib.testing import Server

from ..support.scripted_server import Peer
from ..support.threaded_servers import EML, PASSWORD, Run, Serve, at, in_thread, run_send, serve_embedded  # noqa: F401

# TLS


@pytest.mark.parametrize("options", [["--tls"], ["--starttls"], []])
def test_encrypted(options: list[str], serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve(use_tls="--tls" in options, start_tls="--tls" not in options)
    (tmp_path / "ca.pem").write_bytes(server.ca_pem)
    code, _, err = run(*at(server), *options, "--cafile", tmp_path / "ca.pem", "-v", stdin=EML)
    assert code == 0
    assert ("C: STARTTLS" in err) is (not options or options == ["--starttls"])
    code, _, err = run(*at(server), *options, stdin=EML)
    assert code == 3
    assert "certificate verify failed" in err.lower()
    assert run(*at(server), *options, "--no-verify", stdin=EML)[0] == 0


def test_starttls_can_be_insisted_on_or_left_out(serve: Serve, run: Run) -> None:
    code, _, err = run(*at(serve()), "--starttls", stdin=EML)
    assert code == 4
    assert "STARTTLS extension not supported" in err
    code, _, err = run(*at(serve(start_tls=True)), "--no-starttls", "--verbose", stdin=EML)
    assert code == 0
    assert "C: STARTTLS" not in err


# Credentials


def hidden(*texts: str) -> None:
    """No secret in these texts, in any form."""
    for text in texts:
        for form in (
            PASSWORD,
            *(base64.b64encode(f.encode()).decode() for f in (PASSWORD, f"\0user\0{PASSWORD}")),
        ):
            assert form not in text


def test_password_from_the_environment(serve: Serve, run: Run) -> None:
    server = serve(users={"user": PASSWORD})
    code, out, err = run(*at(server), "--verbose", USERNAME="user", PASSWORD=PASSWORD, stdin=EML)
    assert code == 0
    assert server.messages[0].username == "user"
    assert "C: AUTH PLAIN <hidden>" in err
    assert "Anna" not in err
    # Four more on the wire: the line that is a dot has been stuffed, and a dot ends the content.
    assert f"C: <{len(server.messages[0].content) + 4} octets>" in err
    hidden(out, err)


def test_login_refused(serve: Serve, run: Run) -> None:
    server = serve(users={"user": "another"})
    code, out, err = run(*at(server), "--user", "user", PASSWORD=PASSWORD, stdin=EML)
    assert (code, out) == (4, "")
    assert err.startswith("aiosmtplib: error: The login was refused: 535")
    hidden(err)


def test_secret_that_the_server_repeats(run: Run) -> None:
    with in_thread(Peer({"AUTH": f"535 {PASSWORD} is wrong"}, extensions=["AUTH PLAIN"])) as peer:
        code, out, err = run(*at(peer), "--user", "user", "-v", PASSWORD=PASSWORD, stdin=EML)
    assert code == 4
    assert "S: 535 <hidden>" in err.splitlines()
    hidden(out, err)


def test_token(run: Run) -> None:
    with in_thread(Peer(extensions=["AUTH XOAUTH2"])) as peer:
        code, out, err = run(*at(peer), "--user", "user", "-v", TOKEN=PASSWORD, stdin=EML)
    assert code == 0
    sent = base64.b64encode(f"user=user\1auth=Bearer {PASSWORD}\1\1".encode())
    assert b"AUTH XOAUTH2 " + sent in peer.commands
    assert sent.decode() not in err
    hidden(out, err)


def test_password_from_a_file(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve(users={"user": PASSWORD})
    for text in (f"{PASSWORD}\n", PASSWORD, f"{PASSWORD}\r\n"):
        (tmp_path / "password").write_text(text, newline="")
        options = ["--user", "user", "--password-file", tmp_path / "password", "-v"]
        # It was said on the command line, the variable may be there for another program.
        code, out, err = run(*at(server), *options, PASSWORD="another", stdin=EML)
        assert code == 0
        assert server.messages.pop().username == "user"
        hidden(out, err)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty."),
        (b"\n", "is empty."),
        (b"a\nb\n", "is to have one line."),
        (b"x" * (1 << 16), "is to have one line."),
        (b"\xff", "is not UTF-8."),
        (None, "Cannot read "),
    ],
)
def test_password_files_that_are_none(
    content: bytes | None, complaint: str, serve: Serve, run: Run, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    options = ["--user", "user", "--password-file", tmp_path / "password"]
    code, out, err = run(*at(serve()), *options, stdin=EML)
    assert (code, out) == (2, "")
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_credentials_of_systemd(
    serve: Serve, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(users={"user": PASSWORD})
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert run(*at(serve()), stdin=EML)[0] == 0  # a service may have credentials for something else
    (tmp_path / "aiosmtplib.username").write_text("user\n")
    (tmp_path / "aiosmtplib.password").write_text(f"{PASSWORD}\n")
    code, out, err = run(*at(server), "-v", stdin=EML)
    assert code == 0
    assert server.messages[0].username == "user"
    hidden(out, err)
    code, _, err = run(*at(server), PASSWORD="another", stdin=EML)
    assert (code, "535" in err) == (4, True)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"PASSWORD": PASSWORD}, "AIOSMTPLIB_PASSWORD is set: add --user"),
        ({"TOKEN": PASSWORD}, "AIOSMTPLIB_TOKEN is set: add --user"),
        ({"USERNAME": "u", "PASSWORD": PASSWORD, "TOKEN": PASSWORD}, "unset the one that is not meant"),
    ],
)
def test_credentials_that_make_no_sense(
    environment: dict[str, str], complaint: str, serve: Serve, run: Run
) -> None:
    code, out, err = run(*at(serve()), stdin=EML, **environment)
    assert code == 2
    assert complaint in err
    hidden(out, err)


@pytest.mark.parametrize("host", ["mail.example", "192.0.2.1"])
def test_credentials_go_elsewhere_encrypted_only(host: str) -> None:
    """Nothing may connect there, so this asks for the options alone."""
    from argparse import ArgumentParser

    from aiosmtplib._cli import credentials, options, send

    parser = ArgumentParser()
    send.add_arguments(parser)
    login = credentials.Credentials("user", PASSWORD)

    def start_tls(*args: str, login: credentials.Credentials | None = login) -> object:
        return options.client_options(parser.parse_args([*args]), login)["start_tls"]

    assert start_tls("--host", host) is True
    assert start_tls("--host", host, login=None) is None
    assert start_tls("--host", host, "--no-starttls") is False
    assert start_tls("--host", host, "--tls") is None
    for local in (
        ["--host", "localhost"],
        ["--host", "127.0.0.1"],
        ["--host", "::1"],
        ["--socket-path", "/x"],
        [],
    ):
        assert start_tls(*local) is None


def command(server: Server) -> list[str]:
    return [sys.executable, "-m", "aiosmtplib", "send", *map(str, at(server)), "--user", "user", "-v"]


@pytest.mark.parametrize(
    ("typed", "code", "complaint"),
    [(PASSWORD, 0, ""), ("", 2, "An empty password cannot be used."), ("\x04", 2, "no terminal to ask")],
)
def test_password_is_asked_for_on_the_terminal(typed: str, code: int, complaint: str, serve: Serve) -> None:
    server = serve(users={"user": PASSWORD})
    ours, theirs = pty.openpty()

    def become_terminal() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command(server),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=become_terminal,
        pass_fds=[theirs],
    )
    assert process.stdin is not None
    process.stdin.write(EML)
    process.stdin.close()
    process.stdin = None
    os.close(theirs)
    shown = b""
    while not shown.endswith(b"Password for user: "):
        shown += os.read(ours, 1000)
    os.write(ours, typed.encode() + b"\n")
    out, err = process.communicate(timeout=20)
    try:
        shown += os.read(ours, 1000)
    except OSError:
        pass  # the terminal has gone with its process
    os.close(ours)
    assert process.returncode == code, err
    assert complaint in err.decode()
    assert [message.username for message in server.messages] == ["user"] * (code == 0)
    hidden(out.decode(), err.decode(), shown.decode())


def test_password_is_not_read_where_it_would_be_seen(serve: Serve) -> None:
    server = serve(users={"user": PASSWORD})
    done = subprocess.run(
        command(server), input=EML, capture_output=True, start_new_session=True, check=False
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.endswith(b"No password for user, and no terminal to ask: set AIOSMTPLIB_PASSWORD.")
    assert server.messages == []
