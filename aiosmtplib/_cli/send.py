"""``aiosmtplib send``: send messages from files, mailboxes or standard input, and print the results.

A complete message (.eml) is sent without changes if the server supports that, because signatures depend on
it; only Bcc is removed. Text gets the header fields that a message needs.
"""

from __future__ import annotations

import argparse
import math
import os

from .bulk import send_all
from .console import Console, UsageError, run_async
from .credentials import ABOUT, add_credential_options, credentials
from .message import prepare
from .options import add_server_options, client_options
from .parser import describe, exit_codes
from .single import rehearse, send_one
from .sources import find_sources, reading
from .target import find_target

__all__ = ("add_arguments", "run")

EXAMPLES = """examples:
  aiosmtplib send message.eml --host mail.example.com
  aiosmtplib send report.txt --from me@example.com --to you@example.com
  echo done | aiosmtplib send --from me@example.com --to you@example.com
  aiosmtplib send text.txt --html text.html --attach plan.pdf ...
  aiosmtplib send message.eml --host smtps://me@smtp.example.com
  aiosmtplib send outbox/ --rate 20 --report results.jsonl
  aiosmtplib send outbox/ --resume results.jsonl"""

ABOUT_FILES = """A FILE is a message (.eml), a text, an mbox, a maildir, or a directory with .eml files. A
complete message goes out as it is, but for Bcc; a text gets the header fields that it needs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    describe(
        parser,
        "Send messages, and print what became of each.",
        [ABOUT_FILES, EXAMPLES, ABOUT, exit_codes()],
        usage="[OPTIONS] [FILE ...]",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="default: standard input")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--eml", action="store_true", help="the input is a complete message; default: if it looks so"
    )
    kind.add_argument("--text", action="store_true", help="the input is text, in UTF-8")
    envelope = parser.add_argument_group("message")
    envelope.add_argument("--from", dest="sender", metavar="ADDRESS", help='"" or "<>" for the null sender')
    for name in ("to", "cc", "bcc"):
        envelope.add_argument(
            f"--{name}", action="append", default=[], metavar="ADDRESS", help="may be repeated"
        )
    envelope.add_argument("--reply-to", action="append", default=[], metavar="ADDRESS", help="for text")
    envelope.add_argument("--subject", help="for text")
    envelope.add_argument("--html", metavar="FILE", help="for text: the same in HTML, which readers prefer")
    envelope.add_argument(
        "--attach", action="append", default=[], metavar="FILE", help="for text; may be repeated"
    )
    envelope.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="one more header; may be repeated",
    )
    envelope.add_argument(
        "--mail-option", action="append", default=[], metavar="OPTION", help="of MAIL, such as RET=HDRS"
    )
    envelope.add_argument(
        "--rcpt-option", action="append", default=[], metavar="OPTION", help="of RCPT, such as NOTIFY=NEVER"
    )
    many = parser.add_argument_group("several messages")
    many.add_argument(
        "--connections", type=_connections, default=4, metavar="N", help="at most so many; default: 4"
    )
    many.add_argument("--rate", type=_rate, metavar="N", help="messages per second; default: no limit")
    many.add_argument("--report", metavar="FILE", help="write the results to this new file, as JSON lines")
    many.add_argument(
        "--resume",
        metavar="FILE",
        help="go on where this report ends: send what was not delivered, and name what may have been",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show envelopes and headers, and ask the server about the addresses; send nothing",
    )
    parser.add_argument(
        "--host", metavar="HOST", help="or HOST:PORT, or a URL such as smtps://user@host; default: localhost"
    )
    add_credential_options(parser)
    add_server_options(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command: send the messages, and print the results.

    :return: the exit code
    :raises UsageError: if the command line or a message is not valid; nothing was sent
    :raises SMTPException: if a single message was not sent for another reason than a refusal, or may not have
        been; or there is no connection
    """
    client_class = find_target(args)
    if args.dry_run and (args.report or args.resume):
        raise UsageError("--dry-run sends nothing that --report or --resume could be about.")
    files = args.files or ["-"]
    if files.count("-") > 1:
        raise UsageError("Standard input can be read only once.")
    sources = find_sources(files, True if args.eml else False if args.text else None, console)
    try:
        # All are looked at before anything is sent.
        with reading():
            messages = [prepare(sources[0], args)]
            for source in sources[1:]:
                outgoing = prepare(source, args)
                if args.dry_run:
                    messages.append(outgoing)
        login = credentials(args, os.environ, console)
        options = client_options(args, login)
        if args.dry_run:
            return run_async(rehearse(client_class(**options), messages, args, console))
        if len(sources) > 1 or args.report or args.resume:
            return run_async(send_all(sources, client_class, options, args, console))
        return run_async(send_one(client_class(**options), messages[0], args, console))
    finally:
        for source in sources:
            source.part.close()


def _connections(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of connections (1 to 1000)")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not (rate > 0 and math.isfinite(rate)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages per second above 0")
    return rate
