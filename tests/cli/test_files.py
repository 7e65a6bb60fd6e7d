"""Where ``aiosmtplib send`` finds messages, and what it makes of them: files, mailboxes, attachments."""

import functools
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib._cli.console import Console, UsageError
from aiosmtplib._cli.sources import Base64, Joined, Part, find_sources

from ..support.scripted_server import PIPELINING, Peer
from ..support.threaded_servers import EML, TEXT, Run, Serve, at, in_thread, run_send, serve_embedded  # noqa: F401

HEAD = b"From: a@example.com\nTo: b@example.com\n\n"


def labels(*paths: Path) -> list[str]:
    return [Path(source.label).name for source in find_sources([*map(str, paths)], None, Console())]


def contents(path: Path) -> list[bytes]:
    return [b"".join(source.part) for source in find_sources([str(path)], None, Console())]


# Mailboxes


def test_a_directory_has_eml_files(tmp_path: Path) -> None:
    for name in ("b.eml", "a.EML", "c.txt", ".hidden.eml"):
        (tmp_path / name).write_bytes(HEAD)
    (tmp_path / "folder.eml").mkdir()
    assert labels(tmp_path) == ["a.EML", "b.eml"]


def test_a_maildir(tmp_path: Path) -> None:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"1.{folder}").write_bytes(HEAD)
    assert labels(tmp_path) == ["1.new", "1.cur"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_an_mbox(line_end: bytes, tmp_path: Path) -> None:
    first, second = HEAD + b"one\nFrom here\n\n", HEAD + b"two\n"
    text = b"From a@example.com Thu Jan  1 00:00:00 2026\n" + first + b"From b\n" + second
    (tmp_path / "box").write_bytes(text.replace(b"\n", line_end))
    assert labels(tmp_path / "box") == ["box#1", "box#2"]
    assert contents(tmp_path / "box") == [each.replace(b"\n", line_end) for each in (first, second)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "Cannot read {}: No such file or directory"),
        ({}, "{} has no messages"),
        ({"new": None, "cur": None}, "{} has no messages"),
        (b" \n", "{}: the message is empty."),
        ({"a.eml": b""}, "{}/a.eml: the message is empty."),
    ],
)
def test_where_there_are_none(content: Any, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
        for name, octets in content.items():
            (path / name).mkdir() if octets is None else (path / name).write_bytes(octets)
    with pytest.raises(UsageError) as caught:
        labels(path)
    assert complaint.format(path) in str(caught.value)


def test_what_is_no_mail(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.eml").write_bytes(HEAD)
    for content, complaint in (
        (b"\x89PNG\r\n\x1a\n\0\0", "m.eml is no message: it does not begin with a header field."),
        (b"X: " + b"x" * (1 << 20), "m.eml is no message: its header does not end."),
        (b"To: b@example.com\n\n", "m.eml has no From header"),
        (b"From: a@example.com\n\n", "m.eml has no recipients"),
    ):
        (tmp_path / "m.eml").write_bytes(content)
        with in_thread(Peer()) as peer:
            code, out, err = run(tmp_path / "good.eml", tmp_path / "m.eml", *at(peer))
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert complaint in err
        assert peer.verbs == []


def test_standard_input_twice(run: Run) -> None:
    code, _, err = run("-", "-", stdin=EML)
    assert (code, "only once" in err) == (2, True)


# Text with more


def test_html_attachments_and_where_to_reply(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "m.html").write_text("<p>Grüße</p>", encoding="utf-8")
    blob = bytes(range(256)) * 1000
    attached = {"a.pdf": blob, "b.txt": b"text\n", "c": b"", "d.eml": EML, "é.tar.gz": b"gz"}
    for name, octets in attached.items():
        (tmp_path / name).write_bytes(octets)
    options = [each for name in attached for each in ("--attach", tmp_path / name)]
    code, _, err = run(
        *at(server),
        *TEXT,
        "--reply-to",
        "r@example.com",
        "--html",
        tmp_path / "m.html",
        *options,
        stdin="Grüße\n".encode(),
    )
    assert (code, err) == (0, "")
    message = server.messages[0].message
    assert message["Reply-To"] == "r@example.com"
    alternative, *parts = message.iter_parts()
    assert [part.get_content_type() for part in alternative.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content().strip() for part in alternative.iter_parts()] == ["Grüße", "<p>Grüße</p>"]
    assert {part.get_filename(): part.get_payload(decode=True) for part in parts} == attached
    assert [part.get_content_type() for part in parts] == [
        "application/pdf",
        "text/plain",
        *["application/octet-stream"] * 3,
    ]
    # The whole as an object, for a server that has to be asked for SMTPUTF8.
    assert run(*at(server), "--from", "ä@example.com", "--to", "b@example.com", *options, stdin=b"x")[0] == 0
    again = server.messages[1].message
    assert {
        part.get_filename(): part.get_payload(decode=True) for part in again.iter_attachments()
    } == attached


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--html", "/nowhere.html"], "Cannot read /nowhere.html: No such file"),
        (["--attach", "/nowhere.pdf"], "Cannot read /nowhere.pdf: No such file"),
        (["--attach", "/"], "Cannot read /: Is a directory"),
        (["--html", sys.executable], "is not UTF-8"),
    ],
)
def test_what_cannot_be_attached(args: list[str], complaint: str, run: Run) -> None:
    code, out, err = run(*TEXT, *args, stdin=b"text")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert complaint in err


@pytest.mark.parametrize("option", ["--html", "--attach", "--reply-to"])
def test_what_a_complete_message_has_itself(option: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(EML)
    code, _, err = run(tmp_path / "m.eml", option, "x@example.com")
    assert code == 2
    assert f"{option} is for text, and {tmp_path / 'm.eml'} is a complete message" in err


# Large ones

LARGE = (b"0123456789" * 7 + b"\n") * 20_000  # more than is kept in memory


@pytest.mark.parametrize("body", [LARGE, LARGE.replace(b"9", "é".encode())])
def test_large_messages_are_streamed(body: bytes, run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(HEAD + body)
    with in_thread(Peer(extensions=PIPELINING)) as peer:
        assert run(tmp_path / "m.eml", *at(peer))[0] == 0
        assert run(*at(peer), stdin=HEAD + body)[0] == 0
    wire = (HEAD + body).replace(b"\n", b"\r\n")
    assert [each.content for each in peer.accepted] == [wire] * 2
    mails = [line for line in peer.commands if line.startswith(b"MAIL")]
    assert all(b"SIZE=%d" % len(wire) in line.upper() for line in mails)
    assert [b"BODY=8BITMIME" in line for line in mails] == [not body.isascii()] * 2


def test_large_text_is_streamed(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "m.txt").write_bytes(b"\xef\xbb\xbf" + LARGE)
    assert run(tmp_path / "m.txt", *at(server), *TEXT)[0] == 0
    received = server.messages[0]
    assert received.content.isascii()
    assert received.message.get_content().replace("\r\n", "\n").encode() == LARGE


def test_octets_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(bytes(range(200)))
    joined = Joined([b"head", Part(str(tmp_path / "m"), 10, 150), Base64(Part(str(tmp_path / "m")))])
    everything = joined.read()
    assert everything.startswith(b"head" + bytes(range(10, 150)))
    assert (joined.tell(), joined.read(5), len(joined)) == (len(everything), b"", 4 + 140 + 4 * 78)
    for size in (1, 7, 1000):
        assert joined.seek(2) == 2
        assert b"".join(iter(functools.partial(joined.read, size), b"")) == everything[2:]
    joined.seek(5)
    assert joined.read(1) == everything[5:6]
    shut = Part(io.BytesIO(b"abc"))
    assert b"".join(shut) == b"abc"
    assert re.fullmatch(rb"[\w+/=\n]+", Base64(Part(str(tmp_path / "m"))).read(100))


# A rehearsal


def test_dry_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(EML)
    with in_thread(Peer({"RCPT": "250 Fine"}, extensions=PIPELINING)) as peer:
        code, out, _ = run(tmp_path / "m.eml", "-", *at(peer), "--dry-run", stdin=EML)
    assert code == 0
    assert out.splitlines()[:10] == [
        f"message   {tmp_path / 'm.eml'} ({len(EML)} octets)",
        "from      a@example.com",
        *(f"accepted  {name}@example.com: 250 Fine" for name in "bcde"),
        "header    From: Anna <a@example.com>",
        "header    To: b@example.com, Carl <c@example.com>",
        "header    Subject:   odd   spacing",
        'header    Content-Type: text/plain; charset="utf-8"',
    ]
    assert peer.verbs == ["EHLO", *["MAIL", *["RCPT"] * 4, "RSET"] * 2, "QUIT"]
    assert peer.accepted == []


def test_dry_run_that_finds_something(serve: Serve, run: Run) -> None:
    server = serve(refuse={"b@example.com": "550 No", "x@example.com": "550 Not you"})
    code, out, _ = run(*at(server), *TEXT, "--dry-run", stdin=EML)
    assert (code, "refused   b@example.com: 550 No" in out.splitlines()) == (1, True)
    code, out, _ = run(*at(server), "--from", "x@example.com", "--dry-run", stdin=EML)
    assert (code, "refused   x@example.com (sender): 550 Not you" in out.splitlines()) == (1, True)
    code, out, _ = run(*at(server), "--to", "bärbel@example.com", "--dry-run", "--json", stdin=EML)
    assert (code, '"b\\u00e4rbel@example.com": "250 ' in out) == (0, True)
    code, _, err = run("--dry-run", "--report", "x", stdin=EML)
    assert (code, "--dry-run sends nothing" in err) == (2, True)
    assert server.messages == []
