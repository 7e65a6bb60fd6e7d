"""How the command line names a server, and what it must not have on it."""

from argparse import ArgumentParser, Namespace

import pytest

from aiosmtplib import LMTP, SMTP
from aiosmtplib._cli import send
from aiosmtplib._cli.console import UsageError
from aiosmtplib._cli.target import find_target

from ..support.scripted_server import Peer
from ..support.threaded_servers import EML, PASSWORD, Run, Serve, in_thread, run_send, serve_embedded  # noqa: F401


def parsed(*args: str) -> Namespace:
    parser = ArgumentParser()
    send.add_arguments(parser)
    return parser.parse_args([*args])


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["mail.example"], {"host": "mail.example", "port": None, "tls": False}),
        (["mail.example:2525"], {"host": "mail.example", "port": 2525}),
        (["mail.example:465"], {"port": 465, "tls": True}),
        (["mail.example:465", "--no-starttls"], {"port": 465, "tls": False}),
        (["mail.example", "--port", "465"], {"tls": True}),
        (["mail.example:25", "--port", "25"], {"port": 25}),
        (["[::1]:2525"], {"host": "::1", "port": 2525}),
        (["[::1]"], {"host": "::1", "port": None}),
        (["::1"], {"host": "::1", "port": None}),
        (["smtps://me@mail.example"], {"host": "mail.example", "user": "me", "tls": True, "port": None}),
        (["smtp://mail.example:465"], {"tls": True}),
        (["smtp+starttls://[::1]:26"], {"host": "::1", "port": 26, "starttls": True, "tls": False}),
        (["unix:///run/mail"], {"host": None, "socket_path": "/run/mail"}),
    ],
)
def test_names_of_servers(args: list[str], expected: dict[str, object]) -> None:
    namespace = parsed("--host", *args)
    assert find_target(namespace) is SMTP
    assert expected.items() <= vars(namespace).items()


def test_the_protocol() -> None:
    namespace = parsed("--host", "lmtp://mail.example:24")
    assert find_target(namespace) is LMTP
    assert (namespace.host, namespace.port) == ("mail.example", 24)


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["mail.example:25", "--port", "26"], "--port and what names the server say different things."),
        (["smtps://a@mail.example", "--user", "b"], "--user and what names the server"),
        (["smtp+starttls://mail.example", "--no-starttls"], "--starttls and what names the server"),
        (["mail.example:0"], "0 is not a port"),
        (["mail.example:99999"], "99999 is not a port"),
        (["smtp://mail.example:99999"], "The port in the URL"),
        (["smtp://mail.example?timeout=5"], "timeout cannot be in a URL here"),
        (["http://mail.example"], "A URL begins with smtp://"),
        (["smtps://me:secret@mail.example"], "A password on the command line can be read"),
        (["smtps://mail.example?username=me&password=secret"], "A password on the command line can be read"),
    ],
)
def test_names_that_are_none(args: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_target(parsed("--host", *args))
    assert complaint in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_url_is_what_is_connected_to(serve: Serve, run: Run) -> None:
    server = serve(users={"me": PASSWORD})
    code, _, err = run("--host", f"smtp://me@{server.host}:{server.port}", PASSWORD=PASSWORD, stdin=EML)
    assert (code, err) == (0, "")
    assert server.messages[0].username == "me"


def test_lmtp(run: Run) -> None:
    with in_thread(Peer({"LHLO": "250 peer.example"}, lmtp=True)) as peer:
        code, out, _ = run("--host", f"lmtp://{peer.host}:{peer.port}", stdin=EML)
    assert code == 0
    assert peer.verbs[0] == "LHLO"
    assert "accepted  b@example.com" in out.splitlines()
    code, _, err = run("--host", "lmtp://127.0.0.1", stdin=EML)
    assert code == 2
    assert "LMTP has no default port" in err


@pytest.mark.parametrize(
    "args",
    [
        ["--host", "smtps://me:{}@mail.example"],
        ["--host", "smtps://me:{}@mail.example:99999"],
        ["--host", "smtps://me:a/{}@mail.example"],
        ["smtps://me:{}@mail.example"],
        ["--host", "mail.example", "a", "smtps://me:{}@mail.example", "--nonsense"],
        ["--port", "smtps://me:{}@mail.example"],
    ],
)
def test_a_password_on_the_command_line_is_not_repeated(args: list[str], run: Run) -> None:
    code, out, err = run(*(each.format("hunter2") for each in args), stdin=EML)
    assert (code, out) == (2, "")
    assert "hunter2" not in err
