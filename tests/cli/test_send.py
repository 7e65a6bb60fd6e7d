"""``aiosmtplib send`` against real servers: what arrives, what is printed, and the exit code."""

from pathlib import Path
from typing import Any

import pytest

from aiosmtplib.testing import Server

from ..support.actions import cut, cut_after
from ..support.scripted_server import Peer
from ..support.threaded_servers import EML, TEXT, Run, Serve, at, in_thread, run_send, serve_embedded  # noqa: F401

# What arrives


def test_complete_message_goes_out_as_it_is(serve: Serve, run: Run, tmp_path: Path) -> None:
    server = serve()
    (tmp_path / "m.EML").write_bytes(EML)
    code, out, err = run(tmp_path / "m.EML", *at(server))
    assert (code, err) == (0, "")
    recipients = [f"{name}@example.com" for name in "bcde"]
    assert out.splitlines() == [*(f"accepted  {each}" for each in recipients), "message   accepted: 2.0.0 Ok"]
    [message] = server.messages
    assert (message.sender, list(message.recipients)) == ("a@example.com", recipients)
    kept = EML.replace(b"Bcc: d@example.com,\n e@example.com\n", b"")
    assert message.content == kept.replace(b"\n", b"\r\n")


def test_envelope_of_a_complete_message_can_be_chosen(serve: Serve, run: Run) -> None:
    server = serve()
    options = ["--from", "<>", "--to", "X <x@example.com>", "--cc", "y@example.com", "--bcc", "x@example.com"]
    code, _, _ = run(*at(server), *options, "--header", "X-One: 1", "--header", "X-Two:2 ", stdin=EML)
    assert code == 0
    [message] = server.messages
    assert (message.sender, message.recipients) == ("", ("x@example.com", "y@example.com"))
    assert message.content.startswith(b"X-One: 1\r\nX-Two: 2\r\nFrom: Anna <a@example.com>\r\n")
    assert b"d@example.com" not in message.content


def test_hidden_recipients_stay_hidden_whatever_the_line_ends(serve: Serve, run: Run) -> None:
    server = serve()
    for message in (
        b"To: b@example.com\rBcc: d@example.com\r\rHello",
        b"To: b@example.com\r\nbcc: d@example.com",
        b"Resent-Date: x\nResent-To: b@example.com\nResent-Bcc: d@example.com\n\nbcc: text\n",
    ):
        assert run("--eml", *at(server), "--from", "a@example.com", stdin=message)[0] == 0
        received = server.messages.pop()
        assert received.recipients == ("b@example.com", "d@example.com")
        assert b"d@example.com" not in received.content
    assert received.content.endswith(b"\r\n\r\nbcc: text\r\n")


def test_hidden_recipients_stay_hidden_in_obsolete_syntax(serve: Serve, run: Run) -> None:
    """The standard library sees no header there, other readers do (RFC 5322 section 4.5.3)."""
    server = serve()
    message = b"From: a@example.com\nTo: b@example.com\nBcc : d@example.com\n\nHello\n"
    assert run(*at(server), stdin=message)[0] == 0
    assert b"d@example.com" not in server.messages[0].content


def test_text_gets_the_headers_of_a_message(serve: Serve, run: Run) -> None:
    server = serve()
    code, _, _ = run(
        *at(server),
        *("--from", "Anna <a@example.com>", "--to", "b@example.com", "--to", "Carl <c@example.com>"),
        *("--cc", "d@example.com", "--bcc", "e@example.com", "--subject", "Grüße", "--header", "X-One: 1"),
        stdin="\ufeffNote: größer\r\n.\n".encode(),
    )
    assert code == 0
    [received] = server.messages
    assert received.content.isascii()
    assert received.sender == "a@example.com"
    assert received.recipients == tuple(f"{name}@example.com" for name in "bcde")
    message = received.message
    assert {name: message[name] for name in ("From", "To", "Cc", "Bcc", "Subject", "X-One")} == {
        "From": "Anna <a@example.com>",
        "To": "b@example.com, Carl <c@example.com>",
        "Cc": "d@example.com",
        "Bcc": None,
        "Subject": "Grüße",
        "X-One": "1",
    }
    assert message["Date"] is not None
    assert message["Message-ID"].endswith("@example.com>")
    assert message.get_content().splitlines() == ["Note: größer", "."]


def test_headers_given_are_not_made_up(serve: Serve, run: Run) -> None:
    server = serve()
    given = ["--header", "From: x@example.com", "--header", "Date: Thu, 01 Jan 2026 00:00:00 +0000"]
    given += ["--header", "Message-ID: <1@example.com>"]
    assert run(*at(server), "--from", "", "--to", "b@example.com", *given, stdin=b"x")[0] == 0
    [received] = server.messages
    assert received.sender == ""
    assert received.message["From"] == "x@example.com"
    assert received.message["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert received.message["Message-ID"] == "<1@example.com>"
    # A null sender has no domain to make an identifier of.
    assert run(*at(server), "--from", "", "--to", "b@example.com", stdin=b"x")[0] == 0
    assert server.messages[-1].message["Message-ID"].endswith("@localhost>")
    assert server.messages[-1].message["From"] is None


@pytest.mark.parametrize(
    ("name", "flags", "complete"),
    [
        ("m.eml", [], True),
        ("m.txt", [], False),
        ("m.txt", ["--eml"], True),
        ("m.eml", ["--text"], False),
        ("message", [], True),
    ],
)
def test_kind_of_a_file(
    name: str, flags: list[str], complete: bool, serve: Serve, run: Run, tmp_path: Path
) -> None:
    server = serve()
    (tmp_path / name).write_bytes(EML)
    assert run(tmp_path / name, *flags, *at(server), *TEXT)[0] == 0
    assert (server.messages[0].message["Subject"] is not None) is complete


@pytest.mark.parametrize(
    ("content", "complete"),
    [
        (b"Subject: x\n\nHello\n", True),
        (b"X-One: 1\nReceived: by me\n for you\n\n", True),
        (b"Note: this\n\nis text\n", False),
        (b"Subject: this\nis text\n", False),
        (b" Subject: this\n\nis text\n", False),
        (b"Hello\n\nTo: be\n", False),
    ],
)
def test_kind_of_standard_input(content: bytes, complete: bool, serve: Serve, run: Run) -> None:
    server = serve()
    assert run(*at(server), *TEXT, stdin=content)[0] == 0
    assert (server.messages[0].message["Message-ID"] is None) is complete


def test_eight_bit_message(serve: Serve, run: Run) -> None:
    server = serve()
    body = EML.replace(b"Hello", "Grüße".encode())
    assert run(*at(server), stdin=body)[0] == 0
    assert "Grüße\r\n".encode() in server.messages[0].content
    assert "BODY=8BITMIME" in server.messages[0].mail_options
    # Headers beyond ASCII are encoded, the rest of the message says the same.
    assert run(*at(server), stdin=body.replace(b"odd", "ödd".encode()))[0] == 0
    received = server.messages[1]
    assert received.content.partition(b"\r\n\r\n")[0].isascii()
    assert received.message["Subject"].split() == ["ödd", "spacing"]
    assert received.message.get_content().splitlines() == ["Grüße", "."]


def test_eight_bit_message_for_a_server_without_8bitmime(run: Run) -> None:
    with in_thread(Peer(extensions=())) as peer:
        code, _, _ = run(*at(peer), stdin=EML.replace(b"Hello", "Grüße".encode()))
    assert code == 0
    assert peer.accepted[0].content.isascii()


def test_addresses_beyond_ascii(serve: Serve, run: Run) -> None:
    server = serve()
    code, out, _ = run(*at(server), "--to", "bärbel@example.com", stdin=EML)
    assert (code, out.splitlines()[0]) == (0, "accepted  bärbel@example.com")
    assert "SMTPUTF8" in server.messages[0].mail_options
    assert run(*at(server), "--from", "ä@bücher.example", "--to", "b@example.com", stdin=b"x")[0] == 0
    assert server.messages[1].message["Message-ID"].endswith("@localhost>")


def test_header_in_utf8_for_addresses_beyond_ascii(serve: Serve, run: Run) -> None:
    server = serve()
    message = EML.replace(b"To: b@", "To: bärbel@".encode()).replace(b"odd", "ödd".encode())
    assert run(*at(server), stdin=message)[0] == 0
    received = server.messages[0]
    assert received.recipients[0] == "bärbel@example.com"
    assert "To: bärbel@example.com, Carl <c@example.com>\r\n".encode() in received.content
    assert "ödd".encode() in received.content
    assert b"Hello\r\n.\r\n" in received.content


def test_options_of_the_envelope(run: Run) -> None:
    with in_thread(Peer()) as peer:
        options = ["--mail-option", "RET=HDRS", "--mail-option", "ENVID=1", "--rcpt-option", "NOTIFY=NEVER"]
        assert run(*at(peer), *options, *TEXT, stdin=EML)[0] == 0
        assert run(*at(peer), *options, *TEXT, stdin=b"text")[0] == 0
    for line in (each for each in peer.commands if each.startswith(b"MAIL")):
        assert b" RET=HDRS ENVID=1" in line
    assert peer.commands.count(b"RCPT TO:<b@example.com> NOTIFY=NEVER") == 2


def test_unix_socket(run: Run, tmp_path: Path) -> None:
    with in_thread(Peer(path=str(tmp_path / "socket"))) as peer:
        assert run("--socket-path", tmp_path / "socket", *TEXT, stdin=b"x")[0] == 0
    assert len(peer.accepted) == 1


# What is refused


def test_some_recipients_refused(serve: Serve, run: Run) -> None:
    server = serve(refuse={"c@example.com": "550 5.1.1 No\x1b[1m such user"})
    code, out, err = run(*at(server), stdin=EML)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "accepted  b@example.com",
        "refused   c@example.com: 550 5.1.1 No\\x1b[1m such user",
        "accepted  d@example.com",
        "accepted  e@example.com",
        "message   accepted: 2.0.0 Ok",
    ]


def test_all_recipients_refused(serve: Serve, run: Run) -> None:
    server = serve(refuse=["b@example.com", "x@example.com"])
    code, out, _ = run(*at(server), *TEXT, "--cc", "x@example.com", stdin=EML)
    assert code == 1
    assert out.splitlines() == [
        "refused   b@example.com: 550 5.1.1 No such mailbox here",
        "refused   x@example.com: 550 5.1.1 No such mailbox here",
        "message   not sent: every recipient was refused",
    ]


def test_refused_recipient_is_known_by_the_name_it_was_given(run: Run) -> None:
    with in_thread(Peer({"RCPT": only_b})) as peer:
        code, out, _ = run(*at(peer), *TEXT, "--to", "c@bücher.example", stdin=EML)
    assert code == 1
    assert "refused   c@bücher.example: 550 5.1.1 No" in out.splitlines()


async def only_b(conversation: Any) -> str:
    return str(await conversation.perform("250 Ok" if b"<b@" in conversation.line else "550 5.1.1 No"))


@pytest.mark.parametrize(("sender", "shown"), [("a@example.com", "a@example.com"), ("", "<>")])
def test_sender_refused(sender: str, shown: str, run: Run) -> None:
    with in_thread(Peer({"MAIL": "550 5.7.1 Not you"})) as peer:
        code, out, _ = run(*at(peer), "--from", sender, "--to", "b@example.com", stdin=EML)
    assert code == 1
    assert out.splitlines() == [f"refused   {shown} (sender): 550 5.7.1 Not you", "message   not sent"]
    assert peer.accepted == []


def test_a_refusal_comes_with_what_to_do_about_it(run: Run) -> None:
    with in_thread(Peer({"MAIL": "530 5.7.0 Authentication required"})) as peer:
        _, out, _ = run(*at(peer), *TEXT, stdin=EML)
    hint = next(line for line in out.splitlines() if line.startswith("hint      "))
    assert "--user" in hint
    assert f"port {peer.port}" in hint


def test_message_refused(serve: Serve, run: Run) -> None:
    code, out, _ = run(*at(serve(reply="554 5.7.1 Spam")), stdin=EML)
    assert (code, out.splitlines()) == (1, ["message   refused: 554 5.7.1 Spam"])


def test_goodbye_does_not_matter(run: Run) -> None:
    with in_thread(Peer({"QUIT": "554 Stay"})) as peer:
        assert run(*at(peer), stdin=EML)[0] == 0
    assert len(peer.accepted) == 1


# What goes wrong


@pytest.mark.parametrize(
    ("args", "stdin", "complaint"),
    [
        ([], b" \n", "The message is empty."),
        (["/nowhere.eml"], b"", "Cannot read /nowhere.eml: No such file or directory"),
        (["--subject", "x"], EML, "--subject is for text"),
        (["--header", "no colon"], EML, "--header takes 'Name: value' on one line"),
        (["--header", "X: a\nBcc: b@example.com"], EML, "--header takes 'Name: value' on one line"),
        (["--header", "b ad: x"], EML, "--header takes 'Name: value' on one line"),
        (["--to", "b@example.com> AUTH=<c"], EML, "is not an address"),
        (["--to", ""], EML, "'' is not an address"),
        (["--from", "nobody <"], EML, "is not an address"),
        ([], b"Subject: x\nTo: b@example.com\n\n", "no From header"),
        ([], b"Subject: x\nFrom: a@example.com\n\n", "no recipients"),
        ([], b"text", "Say who sends the text with --from."),
        (["--from", "a@example.com"], b"text", "Say who gets the text with --to."),
        (TEXT, b"\xff", "The text is not UTF-8"),
        ([*TEXT, "--header", "To: c@example.com"], b"text", "at most 1 To header"),
        (["--mail-option", "A\r\nRSET"], EML, "option"),
        (["--tls", "--starttls"], EML, "--tls and --starttls exclude each other."),
        (["--socket-path", "/x"], EML, "leave out the host"),
        (["--client-key", "/x"], EML, "--client-key needs the --client-cert"),
        (["--cafile", "/nowhere.pem"], EML, "Cannot read /nowhere.pem: No such file"),
        (["--host", "bad\nhost"], EML, "hostname"),
        (TEXT, EML.replace(b"odd", b"\xf6dd"), "The Subject header is neither ASCII nor UTF-8."),
    ],
)
def test_what_cannot_be_meant(args: list[str], stdin: bytes, complaint: str, serve: Serve, run: Run) -> None:
    server = serve()
    reach = at(server) if "--host" not in args else []
    code, out, err = run(*reach, *args, stdin=stdin)
    assert (code, out) == (2, "")
    assert err.startswith("aiosmtplib: error: ")
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert server.messages == []


@pytest.mark.parametrize(
    "args",
    [
        ["--port", "0"],
        ["--port", "x"],
        ["--timeout", "0"],
        ["--timeout", "inf"],
        ["--timeout", "x"],
        ["--eml", "--text"],
    ],
)
def test_what_is_no_option(args: list[str], run: Run) -> None:
    assert run(*args)[0] == 2


def test_nobody_listens(run: Run) -> None:
    with in_thread(Server()) as server:
        pass
    code, out, err = run(*at(server), stdin=EML)
    assert (code, out) == (3, "")
    assert err.startswith(f"aiosmtplib: error: Error connecting to 127.0.0.1 on port {server.port}")
    assert len(err.splitlines()) == 1


def test_server_hangs_up(run: Run) -> None:
    with in_thread(Peer({"MAIL": cut})) as peer:
        assert run(*at(peer), stdin=EML)[0] == 3


def test_verbose_shows_what_came_last(run: Run) -> None:
    with in_thread(Peer({"MAIL": cut_after(b"250 o")})) as peer:
        code, _, err = run(*at(peer), "--verbose", stdin=EML)
    assert code == 3
    assert "S: <incomplete reply> 250 o" in err.splitlines()


def test_server_is_silent(run: Run) -> None:
    with in_thread(Peer({"connect": b""})) as peer:
        code, _, err = run(*at(peer), "--timeout", "0.05", stdin=EML)
    assert code == 3
    assert "Timed out" in err


def test_something_else_listens_there(run: Run) -> None:
    with in_thread(Peer({"connect": b"HTTP/1.1 400 Bad Request\r\n"})) as peer:
        code, _, err = run(*at(peer), stdin=EML)
    assert code == 3
    assert err == (
        "aiosmtplib: error: The server sent no SMTP reply: "
        "Malformed SMTP response line: HTTP/1.1 400 Bad Request\n"
    )


def test_nobody_knows_what_became_of_it(run: Run) -> None:
    with in_thread(Peer({".": cut})) as peer:
        code, _, err = run(*at(peer), stdin=EML)
    assert code == 5
    assert "may have been accepted" in err


@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        ({"EHLO": "502 No", "HELO": "502 Neither"}, "The server replied 502 Neither"),
        ({"EHLO": b"gibberish\r\n"}, "The server sent no SMTP reply"),
    ],
)
def test_server_is_of_no_use(actions: dict[str, Any], complaint: str, run: Run) -> None:
    with in_thread(Peer(actions)) as peer:
        code, _, err = run(*at(peer), stdin=EML)
    assert code == 4
    assert complaint in err
    assert len(err.splitlines()) == 1
