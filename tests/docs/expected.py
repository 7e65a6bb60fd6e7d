"""What the servers must have seen after each example of the pages."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..support import actions
from ..support.readme_servers import Office
from ..support.scripted_server import Peer

ME, YOU = "me@example.com", "you@example.com"
TO_YOU = [(ME, [YOU])]


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
    "README: Send a message 1": Expected(TO_YOU, logins=("CRAM-MD5",), trusted=True),
    "index: aiosmtplib 1": Expected(TO_YOU),
    "quickstart: The first message 1": Expected(
        TO_YOU, also=lambda office: office.message()["Subject"] == "Hello"
    ),
    "quickstart: With a mail provider 1": Expected(TO_YOU, logins=("CRAM-MD5",), trusted=True),
    "quickstart: When it fails 1": Expected([]),
    "sending: Message objects 1": Expected(
        [(ME, [YOU, "her@example.com", "archive@example.com"]), ("bounces@example.com", ["him@example.com"])],
        also=_bcc_is_not_sent,
    ),
    "sending: What comes back 1": Expected(TO_YOU),
    "sending: Multipart messages 1": Expected(TO_YOU, also=_mail_with_all_parts),
    "sending: Multipart messages 2": Expected(TO_YOU, also=_two_forms),
    "sending: Text and bytes 1": Expected(TO_YOU, also=_dots_survive),
    "sending: Files and streams 1": Expected(TO_YOU),
    "sending: A hook for content 1": Expected(
        TO_YOU, also=lambda office: office.message()["X-Mailer"] == "example 1.0"
    ),
    "sending: Options of MAIL and RCPT 1": Expected(TO_YOU, peer=Peer, also=_options_are_sent),
    "sending: Typed parameters 1": Expected(
        [(ME, [YOU, "them@example.com"])],
        peer=lambda: Peer(extensions=("DSN",)),
        also=lambda office: (
            b" ENVID=invoice+204711\r\nRCPT TO:<you@example.com> NOTIFY=SUCCESS,FAILURE\r\n"
            in getattr(office.peer, "received", b"")
        ),
    ),
    "sending: Addresses with other characters than ASCII 1": Expected(
        [(ME, ["jürgen@bücher.example"])], also=_utf8_is_used
    ),
    "tls: TLS 1": Expected([]),
    "tls: Nothing without TLS 1": Expected(
        [],
        logins=("CRAM-MD5",),
        also=lambda office: "AUTH" not in str(office.commands[office.commands.index("QUIT") :]),
    ),
    "tls: Certificates 1": Expected([]),
    "tls: Certificates 2": Expected(
        [], ask_client=True, also=lambda office: office.commands.count("NOOP") == 2
    ),
    "tls: STARTTLS by hand 1": Expected([], also=lambda office: "STARTTLS" in office.commands),
    "login: Logging in when connecting 1": Expected(TO_YOU, logins=("CRAM-MD5",)),
    "login: Logging in by hand 1": Expected([], logins=("PLAIN",)),
    "login: OAuth 2.0 1": Expected(TO_YOU, logins=("XOAUTH2",)),
    "gmail: With an application password 1": Expected(
        [("user@gmail.com", [YOU])], logins=("CRAM-MD5",), trusted=True
    ),
    "gmail: With OAuth 2.0 1": Expected(
        [("user@gmail.com", [YOU])],
        logins=("XOAUTH2",),
        trusted=True,
        also=lambda office: office.token_requests == ["client_id client_secret grant_type refresh_token"],
    ),
    "microsoft365: As an application 1": Expected(
        [("sender@example.com", [YOU])],
        logins=("XOAUTH2",),
        trusted=True,
        also=lambda office: office.token_requests == ["client_id client_secret grant_type scope"],
    ),
    "security: What to use 1": Expected(TO_YOU, logins=("CRAM-MD5",), trusted=True),
    "client: As a context manager 1": Expected(
        [(ME, [f"{name}@example.com"]) for name in ("anna", "ben", "cleo")], also=_one_connection
    ),
    "client: By hand 1": Expected(TO_YOU * 2, also=_one_connection),
    "client: By URL 1": Expected([], also=lambda office: office.commands.count("NOOP") == 1),
    "client: Single commands 1": Expected(
        TO_YOU, also=lambda office: "NOOP anybody there?" in office.commands
    ),
    "client: Unix sockets 1": Expected(TO_YOU),
    "client: LMTP 1": Expected(
        TO_YOU, peer=lambda: Peer({".": actions.in_turn("250 Ok", "552 5.2.2 Mailbox full")}, lmtp=True)
    ),
    "client: Without asyncio 1": Expected(TO_YOU),
    "timeouts: Where the value comes from 1": Expected([], peer=lambda: Peer({"connect": actions.silence})),
    "timeouts: A deadline for the whole 1": Expected([], peer=lambda: Peer({"connect": actions.silence})),
    "many: Many messages 1": Expected(
        [(ME, [f"{name}@example.com"]) for name in ("anna", "ben", "cleo")], also=_one_connection
    ),
    "outbox: Another queue 1": Expected([(ME, ["you@example.com"])]),
    "pool: The pool 1": Expected(
        [(ME, [f"you+{number}@example.com"]) for number in range(100)],
        also=lambda office: 1 <= office.commands.count("QUIT") <= 4,
    ),
    "pool: Many messages 1": Expected(
        [(ME, [f"{name}@example.com"]) for name in ("anna", "ben", "cleo")],
        also=lambda office: 1 <= office.commands.count("QUIT") <= 2,
    ),
    "proxy: Any other way 1": Expected([], also=lambda office: office.commands.count("NOOP") == 1),
    "proxy: A certificate for another name 1": Expected([]),
    "pool: By URL 1": Expected([], also=_one_connection),
    "errors: Errors and verdicts 1": Expected(TO_YOU, also=_one_connection),
    "errors: What became of the message 1": Expected(
        TO_YOU, peer=lambda: Peer({"connect": actions.in_turn("421 4.3.2 Too busy", "220 peer.example")})
    ),
    "errors: What became of the message 2": Expected([], peer=lambda: Peer({".": actions.cut})),
    "errors: What was said 1": Expected(
        [],
        peer=lambda: Peer(
            {"RCPT": "550 5.1.1 No such mailbox", "DATA": "503 5.5.1 Nobody to send to"},
            extensions=["PIPELINING"],
        ),
    ),
    # What it switched on is off again for other tests.
    "logging: The log 1": Expected(
        TO_YOU, also=lambda office: logging.getLogger("aiosmtplib").setLevel(0) is None
    ),
    "logging: A hook for each command 1": Expected(TO_YOU, peer=Peer),
    "status-codes: Status codes 1": Expected([]),
    "testing: Testing your program 1": Expected([]),
    "testing: Programs that block their event loop 1": Expected([]),
    "testing: Failures 1": Expected([]),
    "moving: From aiosmtplib 1.1 1": Expected([("root@localhost", ["somebody@example.com"])] * 3),
    "moving: From aiosmtplib 1.1 2": Expected([], also=lambda office: office.commands.count("STARTTLS") == 1),
    "moving: From smtplib 1": Expected(TO_YOU),
    "moving: From smtplib 2": Expected(TO_YOU),
}
