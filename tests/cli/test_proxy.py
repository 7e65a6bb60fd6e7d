"""``--proxy``: send and probe through a proxy, and what of one the command line does not take."""

import pytest

from aiosmtplib.cli import main

from ..support import certs
from ..support.proxies import LOGIN, Proxy
from ..support.scripted_server import Peer
from ..support.threaded_servers import EML, TEXT, Run, in_thread, run_send

__all__ = ("run_send",)

SERVER = ["--host", "mail.example.com", "--port", "2525", "--local-hostname", "me"]


def test_send(run: Run) -> None:
    with in_thread(Peer()) as peer, in_thread(Proxy("http", peer)) as proxy:
        code, _, err = run(*SERVER, "--proxy", proxy.url(), stdin=EML)
        assert (code, err) == (0, "")
        assert proxy.asked == [("mail.example.com", 2525)]
        assert len(peer.accepted) == 1


def test_probe(capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(Peer()) as peer, in_thread(Proxy("http", peer)) as proxy:
        code = main(["probe", "mail.example.com:2525", "--local-hostname", "me", "--proxy", proxy.url()])
        assert code == 0
        assert "server       mail.example.com port 2525" in capsys.readouterr().out
        assert proxy.asked == [("mail.example.com", 2525)]


def test_a_proxy_that_refuses(run: Run) -> None:
    with in_thread(Proxy("http", login=LOGIN)) as proxy:
        code, _, err = run(*SERVER, "--proxy", proxy.url(), *TEXT, stdin=b"x")
    assert code == 3
    assert f"the proxy 127.0.0.1 on port {proxy.port} refused the login: 407" in err
    assert "Check user name and password in --proxy, " in err


def test_a_login_goes_encrypted_also_to_the_localhost_of_a_proxy(run: Run) -> None:
    with (
        in_thread(Peer({"AUTH": "235 Welcome"}, extensions=["AUTH PLAIN"])) as peer,
        in_thread(Proxy("http", peer)) as proxy,
    ):
        where = ["--host", "localhost", "--port", "2525", "--local-hostname", "me", "--proxy", proxy.url()]
        code, _, err = run(*where, "--user", "me", *TEXT, stdin=b"x", PASSWORD="secret")
        assert code == 4
        assert "STARTTLS extension not supported" in err
        assert "AUTH" not in peer.verbs


def test_tls(run: Run) -> None:
    with (
        in_thread(Peer(tls=certs.server_context(), implicit_tls=True)) as peer,
        in_thread(Proxy("http", peer)) as proxy,
    ):
        code, _, err = run(*SERVER, "--tls", "--proxy", proxy.url(), *TEXT, stdin=b"x")
        assert code == 3
        assert "certificate verify failed" in err


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--proxy", "nonsense"], "The proxy option is not valid: The URL of a proxy begins with"),
        (["--proxy", "http://proxy"], "names no port"),
        (["--proxy", "http://me:hunter2@proxy:8080"], "A password on the command line can be read by"),
    ],
)
def test_what_is_not_taken(run: Run, args: list[str], complaint: str) -> None:
    code, _, err = run(*SERVER, *args, *TEXT, stdin=b"x")
    assert code == 2
    assert complaint in err
    assert "hunter2" not in err


def test_no_socket_path(run: Run) -> None:
    code, _, err = run("--socket-path", "/x", "--proxy", "http://proxy:8080", *TEXT, stdin=b"x")
    assert (code, err) == (
        2,
        "aiosmtplib: error: --socket-path says where to connect: leave out --proxy.\n",
    )
