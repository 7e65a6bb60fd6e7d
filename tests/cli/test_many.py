"""``aiosmtplib send`` for several messages: what is printed, kept, and sent again or not."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ..support.actions import cut, in_turn, silence
from ..support.scripted_server import PATIENCE, PIPELINING, Conversation, Peer
from ..support.threaded_servers import Run, Serve, at, in_thread, run_send, serve_embedded  # noqa: F401


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_directory(serve: Serve, run: Run, outbox: Path) -> None:
    server = serve()
    code, out, err = run(outbox, *at(server), "--connections", "2", "-v")
    assert code == 0
    *accepted, summary = out.splitlines()
    assert sorted(accepted) == [f"accepted  {outbox}/{number}.eml: 250 2.0.0 Ok" for number in "1234"]
    assert summary.startswith("4 accepted; 234 B in ")
    assert len(server.messages) == 4
    assert "] C: MAIL" in err


def test_several_files_and_their_rate(serve: Serve, run: Run, outbox: Path) -> None:
    server = serve()
    code, out, _ = run(outbox / "1.eml", outbox / "2.eml", *at(server), "--rate", "1000", "--json")
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert {each["message"] for each in found} == {f"{outbox}/1.eml", f"{outbox}/2.eml"}
    assert found[0]["delivery"] == "delivered"
    assert found[0]["recipients"] == ["b@example.com", "c@example.com"]
    assert found[0]["reply"] == "250 2.0.0 Ok"


@pytest.mark.parametrize("option", ["--connections", "--rate"])
@pytest.mark.parametrize("number", ["0", "x", "-1", "inf"])
def test_numbers_that_are_none(option: str, number: str, run: Run) -> None:
    assert run(f"{option}={number}")[0] == 2


def test_refusals(serve: Serve, run: Run, outbox: Path) -> None:
    server = serve(refuse={"c@example.com": "550 No"})
    code, out, _ = run(outbox / "1.eml", outbox / "2.eml", *at(server))
    assert code == 1
    assert f"refused   {outbox}/1.eml: c@example.com: 550 No" in out.splitlines()
    assert f"accepted  {outbox}/1.eml: 250 2.0.0 Ok" in out.splitlines()
    server = serve(refuse={"b@example.com": "550 No", "c@example.com": "550 No", "x@example.com": "550 Go"})
    code, out, _ = run(outbox / "1.eml", outbox / "2.eml", *at(server))
    assert code == 1
    assert f"refused   {outbox}/1.eml: every recipient was refused" in out.splitlines()
    code, out, _ = run(outbox / "1.eml", outbox / "2.eml", *at(server), "--from", "x@example.com")
    assert code == 1
    assert f"refused   {outbox}/1.eml: x@example.com (sender): 550 Go" in out.splitlines()


def test_what_the_server_cannot_take(run: Run, outbox: Path) -> None:
    with in_thread(Peer(extensions=PIPELINING)) as peer:
        code, out, _ = run(outbox, *at(peer), "--to", "jürgen@example.com")
    assert code == 4
    assert f"not sent  {outbox}/1.eml: An address containing non-ASCII characters was provided" in out


def test_no_connection(run: Run, outbox: Path, tmp_path: Path) -> None:
    with in_thread(Peer()) as peer:
        pass
    for _ in range(2):  # nothing was sent, so nothing was kept
        code, out, err = run(outbox, *at(peer), "--report", tmp_path / "report")
        assert (code, out, len(err.splitlines())) == (3, "", 1)
        assert not (tmp_path / "report").exists()


def test_what_changes_after_it_was_looked_at(run: Run, outbox: Path) -> None:
    async def remove(conversation: Conversation) -> str:
        (outbox / "2.eml").unlink(missing_ok=True)
        (outbox / "3.eml").write_bytes(b"\x89PNG\n")
        return str(await conversation.perform("250 Ok"))

    with in_thread(Peer({"NOOP": remove}, extensions=PIPELINING)) as peer:
        code, out, _ = run(outbox, *at(peer))
    assert code == 2
    assert f"not sent  {outbox}/2.eml: Cannot read {outbox}/2.eml: No such file" in out
    assert f"not sent  {outbox}/3.eml: {outbox}/3.eml is no message" in out
    assert len(peer.accepted) == 2


# The report


def test_the_report_of_a_single_message(serve: Serve, run: Run, outbox: Path, tmp_path: Path) -> None:
    server = serve(refuse={"c@example.com": "550 No"})
    assert run(outbox / "1.eml", *at(server), "--report", tmp_path / "report")[0] == 1
    [record] = records(tmp_path / "report")
    assert record["refused"] == {"c@example.com": "550 No"}
    code, out, _ = run(outbox / "1.eml", *at(server), "--json")
    assert (code, json.loads(out)["key"]) == (1, record["key"])


def test_going_on(run: Run, outbox: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    # One is delivered, one is lost after its end, one is refused, one delivered.
    replies = in_turn("250 Ok", cut, "554 No", "250 Ok")
    with in_thread(Peer({".": replies}, extensions=PIPELINING)) as peer:
        code, out, _ = run(outbox, *at(peer), "--connections", "1", "--report", report)
    assert code == 5
    assert [record["delivery"] for record in records(report)].count("unknown") == 1
    delivered = [record["message"] for record in records(report) if record["delivery"] == "delivered"]
    [lost] = [record["message"] for record in records(report) if record["delivery"] == "unknown"]

    with in_thread(Peer(extensions=PIPELINING)) as peer:
        code, out, _ = run(outbox, *at(peer), "--resume", report)
    assert code == 5
    named = f"unknown   {lost}: may have been accepted for b@example.com, c@example.com; not sent again"
    assert named in out.splitlines()
    assert len(peer.accepted) == 4 - len(delivered) - 1
    # All has been said, and only the one that nobody knows about remains.
    with in_thread(Peer(extensions=PIPELINING)) as peer:
        code, out, _ = run(outbox, *at(peer), "--resume", report)
    assert (code, peer.accepted) == (5, [])
    assert "3 sent before" in out


def test_only_those_who_did_not_get_it(run: Run, outbox: Path, tmp_path: Path) -> None:
    report, another = tmp_path / "report", tmp_path / "another"
    with in_thread(Peer({"RCPT": in_turn("250 Ok", "450 Later")}, extensions=PIPELINING)) as peer:
        assert run(outbox / "1.eml", *at(peer), "--report", report)[0] == 1
    (outbox / "1.eml").rename(outbox / "renamed.eml")
    with in_thread(Peer(extensions=PIPELINING)) as peer:
        assert run(outbox / "renamed.eml", *at(peer), "--resume", report, "--report", another)[0] == 0
    assert [mail.recipients for mail in peer.accepted] == [(b"c@example.com",)]
    assert len(records(report)) == 1
    assert len(records(another)) == 2
    with in_thread(Peer(extensions=PIPELINING)) as peer:
        code, _, _ = run(outbox / "renamed.eml", *at(peer), "--resume", another, "--report", another)
    assert (code, peer.accepted) == (0, [])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff",
        b'{"delivery": "delivered", "recipients": [], "refused": {}}',
        b'{"key": 1, "delivery": "delivered", "recipients": [], "refused": {}}',
        b'{"key": "k", "delivery": "lost", "recipients": [], "refused": {}}',
        b'{"key": "k", "delivery": "delivered", "recipients": [1], "refused": {}}',
        b'{"key": "k", "delivery": "delivered", "recipients": null, "refused": {}}',
    ],
)
def test_damaged_lines(line: bytes, run: Run, outbox: Path, tmp_path: Path) -> None:
    good = b'{"key": "k", "delivery": "delivered", "recipients": ["b"], "refused": {}}\n'
    report = tmp_path / "report"
    for content, number in ((good + line + b"\n" + good, 2), (good + good[:-1], 2)):
        report.write_bytes(content)
        code, out, err = run(outbox, "--host", "192.0.2.1", "--resume", report)
        assert (code, out) == (2, "")
        assert err.startswith(f"aiosmtplib: error: Line {number} of {report} is damaged: ")
        assert len(err.splitlines()) == 1
        assert report.read_bytes() == content


def test_reports_that_cannot_be(run: Run, outbox: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    for options, complaint in (
        (["--report", tmp_path / "there"], "there exists: go on with --resume"),
        (["--report", tmp_path / "no" / "report"], "Cannot write"),
        (["--resume", tmp_path / "nowhere"], "Cannot read"),
    ):
        code, out, err = run(outbox, "--host", "192.0.2.1", *options)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert complaint in err
    assert (tmp_path / "there").read_text() == "precious"


# Ctrl-C


@pytest.mark.parametrize("patient", [True, False])
def test_ctrl_c_leaves_a_report(patient: bool, outbox: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    options = ["--connections", "1", "--report", str(report)]
    written = threading.Event()
    noticed = threading.Event()
    count = 0

    async def at_the_end(conversation: Conversation) -> str | None:
        nonlocal count
        count += 1
        if count == 1:
            return str(await conversation.perform("250 Ok"))
        written.set()
        if not patient:
            await silence(conversation)
        await asyncio.to_thread(noticed.wait, PATIENCE)
        return str(await conversation.perform("250 Ok"))

    with in_thread(Peer({".": at_the_end}, extensions=PIPELINING)) as peer:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiosmtplib", "send", str(outbox), *options, *map(str, at(peer))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        assert written.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        assert b"waiting for what is in flight" in process.stderr.readline()
        if patient:
            noticed.set()
        else:
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert err.endswith(b"Interrupted.\n")
    verdicts = {record["message"][-5]: record["delivery"] for record in records(report)}
    assert verdicts["1"] == "delivered"
    assert verdicts["2"] == ("delivered" if patient else "unknown")
    assert set(verdicts.values()) <= {"delivered", "unknown", "not sent"}
    assert len(peer.accepted) == sum(verdict == "delivered" for verdict in verdicts.values())
