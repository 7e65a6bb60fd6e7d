"""``aiosmtplib probe``: what it shows of servers, good and bad."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib.cli import main
from aiosmtplib.testing import Server

from ..support import certs
from ..support.scripted_server import Peer
from ..support.threaded_servers import in_thread

Run = Callable[..., tuple[int, dict[str, str], list[list[str]], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``aiosmtplib probe``: exit code, facts, table, standard error."""

    def run(server: Any, *args: object) -> tuple[int, dict[str, str], list[list[str]], str]:
        reach = (
            ["--socket-path", server.path]
            if getattr(server, "path", None)
            else [server.host, "--port", server.port]
        )
        code = main(["probe", *map(str, reach), "--local-hostname", "me", *map(str, args)])
        out, err = capsys.readouterr()
        head, _, table = out.partition("\n\n")
        facts = {line[:13].rstrip(): line[13:] for line in head.splitlines()}
        return code, facts, [line.split("  ") for line in table.splitlines()], err

    return run


def cells(table: list[list[str]]) -> dict[str, list[str]]:
    return {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in table}


def test_without_tls(run: Run) -> None:
    with in_thread(Peer(extensions=["SIZE 1000", "8BITMIME", "X-\x1b[1m EVIL"])) as peer:
        code, facts, table, err = run(peer)
    assert (code, err) == (0, "")
    assert facts["server"] == f"127.0.0.1 port {peer.port}"
    assert facts["greeting"].startswith("220 peer.example ESMTP (after ")
    assert facts["TLS"] == "none: STARTTLS is not announced"
    assert "verified" not in facts
    shown = cells(table)
    assert shown["extension"] == ["without TLS"]
    assert {"8BITMIME": ["yes"], "SIZE": ["1000"], "X-\\x1b[1M": ["EVIL"]}.items() <= shown.items()
    assert peer.verbs == ["EHLO", "QUIT"]


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(Server(start_tls=True)) as server:
        target = f"smtp://{server.host}:{server.port}"
        assert main(["probe", target, "--json", "--no-verify", "--local-hostname", "me"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["tls"]["by"] == "by STARTTLS"
        assert found["verified"] == "not asked for (--no-verify)"
        assert "starttls" in found["extensions"]["plain"]
        assert "starttls" not in found["extensions"]["encrypted"]
        assert main(["probe", target, "--json", "--no-starttls", "--local-hostname", "me"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["greeting"].startswith("220 ")
    assert plain["tls"] == "none, as asked for (--no-starttls)"
    assert plain["extensions"]["encrypted"] is None
    assert set(plain) == {"server", "greeting", "seconds", "tls", "extensions"}


def test_before_and_after_starttls(run: Run, tmp_path: Path) -> None:
    with in_thread(Server(start_tls=True, users={"user": "password"})) as server:
        (tmp_path / "ca.pem").write_bytes(server.ca_pem)
        code, facts, table, _ = run(server, "--cafile", tmp_path / "ca.pem")
    assert code == 0
    assert facts["TLS"].startswith("TLSv1.")
    assert facts["TLS"].endswith(" bits), by STARTTLS")
    assert facts["verified"] == "yes, chain and name"
    assert "organizationName=trustme" in facts["subject"]
    assert "organizationName=trustme" in facts["issuer"]
    assert facts["names"] == "localhost, 127.0.0.1"
    assert facts["valid"].endswith(" days left)")
    assert len(facts["SHA-256"]) == 64
    shown = cells(table)
    assert shown["extension"] == ["before STARTTLS", "after STARTTLS"]
    assert shown["STARTTLS"] == ["yes", "-"]
    assert shown["AUTH"] == ["-", "LOGIN PLAIN"]
    assert shown["8BITMIME"] == ["yes", "yes"]


def test_tls_from_the_first_byte(run: Run) -> None:
    with in_thread(Server(use_tls=True)) as server:
        code, facts, table, _ = run(server, "--tls", "--no-verify")
    assert code == 0
    assert facts["TLS"].endswith(", from the first byte")
    assert facts["verified"] == "not asked for (--no-verify)"
    assert facts["names"] == "localhost, 127.0.0.1"
    assert cells(table)["extension"] == ["with TLS"]


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(
    ("kind", "verdict", "detail", "valid"),
    [
        ("untrusted", "NO: unable to get", "localhost", "days left)"),
        ("wrong_host", "NO: IP address mismatch", "elsewhere.example", "days left)"),
        ("expired", "NO: certificate has expired", "localhost", "(EXPIRED)"),
    ],
)
def test_certificate_that_cannot_be_verified(
    kind: str, verdict: str, detail: str, valid: str, implicit: bool, run: Run, certificates: certs.Files
) -> None:
    with in_thread(Peer(tls=certs.server_context(kind), implicit_tls=implicit)) as peer:
        code, facts, _, err = run(peer, "--cafile", certificates.ca, *["--tls"] * implicit)
    assert (code, err) == (3, "")
    assert facts["verified"].startswith(verdict)
    assert detail in facts["names"]
    assert facts["valid"].endswith(valid)


def test_certificate_that_says_little() -> None:
    """Without subject and names, as some appliances have it."""
    from aiosmtplib._cli.console import Console
    from aiosmtplib._cli.probe import Findings, TLSFacts, _print_facts
    from aiosmtplib.response import SMTPResponse

    dates = {"notBefore": "Jan  1 00:00:00 2020 GMT", "notAfter": "Jan  1 00:00:00 2021 GMT"}
    for certificate in ({"subject": (), "issuer": (), **dates}, {}):
        tls = TLSFacts("by STARTTLS", "TLSv1.3", "CIPHER", 256, "00", certificate)
        _print_facts(Findings("here", SMTPResponse(220, "hi"), 0, None, {}, tls), "yes", Console())


def test_starttls_can_be_left_out_or_insisted_on(run: Run) -> None:
    with in_thread(Server(start_tls=True)) as server:
        code, facts, table, _ = run(server, "--no-starttls")
    assert code == 0
    assert facts["TLS"] == "none, as asked for (--no-starttls)"
    assert cells(table)["extension"] == ["without TLS"]
    with in_thread(Server()) as server:
        code, facts, _, err = run(server, "--starttls")
    assert (code, facts) == (4, {})
    assert "STARTTLS extension not supported" in err


def test_server_that_knows_helo_only(run: Run) -> None:
    with in_thread(Peer({"EHLO": "502 What?"})) as peer:
        code, _, table, _ = run(peer)
    assert (code, table) == (0, [["no extensions"]])


def test_unix_socket_and_dialogue(run: Run, tmp_path: Path) -> None:
    with in_thread(Peer({"QUIT": "554 Stay"}, path=str(tmp_path / "socket"))) as peer:
        code, facts, _, err = run(peer, "--verbose")
    assert code == 0
    assert facts["server"] == str(tmp_path / "socket")
    assert err.splitlines()[0] == f"connected to '{tmp_path / 'socket'}'"
    assert err.splitlines()[1:3] == ["S: 220 peer.example ESMTP", "C: EHLO me"]


def test_no_tls_where_it_is_expected(run: Run) -> None:
    with in_thread(Peer()) as peer:
        code, facts, _, err = run(peer, "--tls")
    assert (code, facts) == (3, {})
    assert err.startswith("aiosmtplib: error: Error connecting to 127.0.0.1")
    assert len(err.splitlines()) == 1


def test_host_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe"]) == 2
    assert capsys.readouterr().err == "aiosmtplib: error: Say which host to probe.\n"


@pytest.mark.parametrize(
    ("args", "port"),
    [([], 25), (["--tls"], 465), (["--starttls"], 587), (["--no-starttls"], 25), (["--port", "26"], 26)],
)
def test_default_ports(args: list[str], port: int) -> None:
    from argparse import ArgumentParser

    from aiosmtplib._cli import probe

    parser = ArgumentParser()
    probe.add_arguments(parser)
    assert probe._port(parser.parse_args(["mail.example", *args])) == port


def test_certificates_are_decoded_alike() -> None:
    """What is shown of a certificate does not depend on whether it could be verified."""
    from aiosmtplib._cli.probe import _decode

    pem = certs.authority().server.cert_chain_pems[0].bytes().decode()
    decoded = _decode(ssl.PEM_cert_to_DER_cert(pem))
    assert ("DNS", "localhost") in decoded["subjectAltName"]
