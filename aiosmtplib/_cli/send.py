"""``aiosmtplib send``: send a message from a file or standard input, and print the result for each recipient.

A complete message (.eml) is sent without changes if the server supports that, because signatures depend on
it; only Bcc is removed. Text gets the header fields that a message needs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from .._client.connection import introduced_protocol
from .._codec import normalize_newlines
from .._message.addresses import parse_address
from .._message.fields import extract_recipients, extract_sender
from ..errors import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPSenderRefused
from ..smtp import SMTP
from .console import Console, Exit, UsageError, run_async
from .credentials import ABOUT, add_credential_options, credentials
from .options import add_server_options, client_options
from .parser import describe, exit_codes
from .target import find_target
from .verbose import closing

if TYPE_CHECKING:
    from email.message import EmailMessage, Message

    from ..response import SMTPResponse

__all__ = ("add_arguments", "run")

#: The header fields of which standard input has at least one if it is a complete message.
MESSAGE_FIELD = re.compile(
    rb"^(From|To|Subject|Date|Message-ID|MIME-Version|Received|Return-Path)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
#: Header fields up to an empty line or the end.
HEADER_BLOCK = re.compile(rb"(?:[!-9;-~]+[ \t]*:.*\r\n(?:[ \t].*\r\n)*)+(?:\r\n|\Z)")
#: The header fields that are removed.
BCC_FIELDS = re.compile(rb"^(?:Resent-)?Bcc[ \t]*:.*\r\n(?:[ \t].*\r\n)*", re.IGNORECASE | re.MULTILINE)

EXAMPLES = """examples:
  aiosmtplib send message.eml --host mail.example.com
  aiosmtplib send report.txt --from me@example.com --to you@example.com --subject Report
  echo done | aiosmtplib send --from me@example.com --to you@example.com --subject "The job"
  aiosmtplib send message.eml --host smtp.example.com --tls --user me"""


class Outgoing(NamedTuple):
    """A message and its envelope.

    :ivar sender: the reverse-path; ``""`` is the null one
    :ivar recipients: the forward-paths
    :ivar message: the message as an object, which can be serialised for a server without 8BITMIME
    :ivar content: the message as it was read, if it was complete
    """

    sender: str
    recipients: list[str]
    message: EmailMessage | Message
    content: bytes | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    describe(
        parser,
        "Send one message, and print the result for each recipient.",
        [EXAMPLES, ABOUT, exit_codes()],
        usage="[OPTIONS] [FILE]",
    )
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="default: standard input")
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
    envelope.add_argument("--subject", help="for text")
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
    parser.add_argument(
        "--host", metavar="HOST", help="or HOST:PORT, or a URL such as smtps://user@host; default: localhost"
    )
    add_credential_options(parser)
    add_server_options(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command: send the message, and print the results.

    :return: the exit code
    :raises UsageError: if the command line or the message is not valid
    :raises SMTPException: if the message was not sent for another reason than a refusal, or may not have been
    """
    client_class = find_target(args)
    raw = _read(args.file, console)
    outgoing = _complete(args, raw) if _is_complete(args, raw) else _text(args, raw)
    login = credentials(args, os.environ, console)
    client = client_class(**client_options(args, login))
    return run_async(_send(client, outgoing, args, console))


async def _send(client: SMTP, outgoing: Outgoing, args: argparse.Namespace, console: Console) -> int:
    with closing(client, args, console):
        await client.connect()
        await introduced_protocol(client)
        try:
            refused, reply = await _transaction(client, outgoing, args)
        except SMTPSenderRefused as exc:
            console.say(f"refused   {exc.sender or '<>'} (sender): {exc.code} {exc.message}")
            console.say("message   not sent")
            code = Exit.REFUSED
        except SMTPRecipientsRefused as exc:
            for each in exc.recipients:
                console.say(f"refused   {each.recipient}: {each.code} {each.message}")
            console.say("message   not sent: every recipient was refused")
            code = Exit.REFUSED
        except SMTPDataError as exc:
            console.say(f"message   refused: {exc.code} {exc.message}")
            code = Exit.REFUSED
        else:
            for recipient in outgoing.recipients:
                if reply_to := refused.get(recipient):
                    console.say(f"refused   {recipient}: {reply_to}")
                else:
                    console.say(f"accepted  {recipient}")
            console.say(f"message   accepted: {reply}")
            code = Exit.REFUSED if refused else Exit.OK
        try:
            await client.quit()
        except SMTPException:
            pass  # the result of the message is known
        return code


async def _transaction(
    client: SMTP, outgoing: Outgoing, args: argparse.Namespace
) -> tuple[dict[str, SMTPResponse], str]:
    sender, recipients, message, content = outgoing
    options = list(args.mail_option)
    if not all(address.isascii() for address in (sender, *recipients)):
        content = None  # sendmail() does not ask for SMTPUTF8 (RFC 6531), send_message() does
    elif content is not None and not content.isascii():
        if client.supports_extension("8bitmime") and _headers(content).isascii():
            options.append("BODY=8BITMIME")
        else:
            content = None  # without 8BITMIME (RFC 6152) it has to be serialised in ASCII
    if content is None:
        return await client.send_message(
            message,
            sender=sender,
            recipients=recipients,
            mail_options=args.mail_option,
            rcpt_options=args.rcpt_option,
        )
    return await client.sendmail(
        sender, recipients, content, mail_options=options, rcpt_options=args.rcpt_option
    )


def _read(path: str, console: Console) -> bytes:
    if path == "-":
        if sys.stdin.isatty():
            console.note("Type the message, end with ^D:")
        raw = sys.stdin.buffer.read()
    else:
        try:
            with open(path, "rb") as file:
                raw = file.read()
        except OSError as exc:
            raise UsageError(f"Cannot read {path}: {exc.strerror}") from exc
    if not raw.strip():
        raise UsageError("The message is empty.")
    raw = normalize_newlines(raw)
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def _is_complete(args: argparse.Namespace, raw: bytes) -> bool:
    if args.eml or args.text:
        return bool(args.eml)
    if args.file.lower().endswith((".eml", ".txt")):
        return bool(args.file.lower().endswith(".eml"))
    block = HEADER_BLOCK.match(raw)
    return block is not None and MESSAGE_FIELD.search(block.group()) is not None


def _complete(args: argparse.Namespace, raw: bytes) -> Outgoing:
    """A message that has its header fields. Addresses on the command line are for the envelope alone."""
    import email
    import email.policy

    if args.subject is not None:
        raise UsageError("--subject is for text, and this is a complete message: use --header, or --text.")
    headers = _headers(raw)
    added = "".join(f"{name}: {value}\r\n" for name, value in _added_headers(args)).encode()
    message = email.message_from_bytes(added + raw, policy=email.policy.SMTP)
    content = added + BCC_FIELDS.sub(b"", headers) + raw[len(headers) :]
    if not (added + headers).isascii():
        _encode_fields(message)
    if args.sender is not None:
        sender = _envelope_sender(args.sender)
    else:
        sender = extract_sender(message) or ""
        if not sender:
            raise UsageError("The message has no From header: say who sends it with --from.")
    recipients = _recipients(args) or list(dict.fromkeys(extract_recipients(message)))
    if not recipients:
        raise UsageError("The message has no recipients: say who gets it with --to.")
    return Outgoing(sender, recipients, message, content)


def _text(args: argparse.Namespace, raw: bytes) -> Outgoing:
    """A message made of text, with the header fields of the command line."""
    import email.message
    import email.policy
    import email.utils

    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            "The text is not UTF-8: convert it, or give a complete message with --eml."
        ) from None
    if args.sender is None:
        raise UsageError("Say who sends the text with --from.")
    sender, recipients = _envelope_sender(args.sender), _recipients(args)
    if not recipients:
        raise UsageError("Say who gets the text with --to.")
    # With this policy, text that is not ASCII is encoded: not every server has 8BITMIME.
    message = email.message.EmailMessage(policy=email.policy.SMTP.clone(cte_type="7bit"))
    for name, value in _added_headers(args):
        message[name] = value
    if sender and "From" not in message:
        message["From"] = args.sender
    for name in ("To", "Cc"):
        if addresses := getattr(args, name.lower()):
            message[name] = ", ".join(addresses)
    if args.subject is not None:
        message["Subject"] = args.subject
    if "Date" not in message:
        message["Date"] = email.utils.formatdate(localtime=True)
    if "Message-ID" not in message:
        domain = sender.rpartition("@")[2]
        message["Message-ID"] = email.utils.make_msgid(
            domain=domain if domain.isascii() and domain else "localhost"
        )
    message.set_content(text)
    return Outgoing(sender, recipients, message, None)


def _added_headers(args: argparse.Namespace) -> list[tuple[str, str]]:
    headers = []
    for header in args.header:
        name, colon, value = header.partition(":")
        if not colon or not re.fullmatch(r"[!-9;-~]+", name) or not value.strip().isprintable():
            raise UsageError(f"--header takes 'Name: value' on one line, not {header!r}.")
        headers.append((name, value.strip()))
    return headers


def _encode_fields(message: EmailMessage) -> None:
    """Replace header fields in UTF-8 by encoded words (RFC 2047), which need no extension of SMTP."""
    fields = list(message.raw_items())
    for name, _ in fields:
        del message[name]
    for name, value in fields:
        if value.isascii():
            message.set_raw(name, value)
            continue
        try:
            message[name] = re.sub(r"[\r\n]+", "", value).encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"The {name} header is neither ASCII nor UTF-8.") from None


def _envelope_sender(text: str) -> str:
    return "" if text in ("", "<>") else _address(text)


def _recipients(args: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys(_address(text) for text in (*args.to, *args.cc, *args.bcc)))


def _address(text: str) -> str:
    try:
        address = parse_address(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is not an address: {exc}") from exc
    if not address:
        raise UsageError(f"{text!r} is not an address.")
    return address


def _headers(message: bytes) -> bytes:
    head, blank, _ = message.partition(b"\r\n\r\n")
    return head + blank[:2]
