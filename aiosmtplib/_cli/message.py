"""Messages made ready to go: complete ones as they are but for Bcc, and text with the headers it needs."""

from __future__ import annotations

import argparse
import base64
import codecs
import hashlib
import mimetypes
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from .._client.results import Envelope
from .._codec import normalize_newlines
from .._message.addresses import parse_address
from .._message.fields import extract_recipients, extract_sender
from .console import UsageError
from .sources import HEADER_END, Base64, Joined, Part, Source, first_octets

if TYPE_CHECKING:
    from email.message import EmailMessage, Message
    from email.policy import EmailPolicy

__all__ = ("Outgoing", "prepare")

#: The header fields of which a file has at least one if it is a complete message.
MESSAGE_FIELD = re.compile(
    rb"^(From|To|Subject|Date|Message-ID|MIME-Version|Received|Return-Path)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
#: One header field, with its line ends.
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:.*\r\n(?:[ \t].*\r\n)*")
#: Header fields up to an empty line or the end.
HEADER_BLOCK = re.compile(rb"(?:%b)+(?:\r\n|\Z)" % FIELD.pattern)
#: The header fields that are removed.
BCC_FIELDS = re.compile(rb"^(?:Resent-)?Bcc[ \t]*:.*\r\n(?:[ \t].*\r\n)*", re.IGNORECASE | re.MULTILINE)

#: The largest header, and the largest text that is kept in memory, in octets.
MAX_HEADER = 1 << 20


class Outgoing(NamedTuple):
    """A message and its envelope.

    :ivar label: what the user calls it
    :ivar sender: the reverse-path; ``""`` is the null one
    :ivar recipients: the forward-paths
    :ivar header: the header fields as they go out
    :ivar content: header and body
    :ivar body: what was read of a complete message, whose octets may not all be ASCII; else ``None``
    :ivar part: what was read
    :ivar make_object: makes an object of it, which can be written for any server; it is in memory then
    """

    label: str
    sender: str
    recipients: list[str]
    header: bytes
    content: Joined
    body: Part | None
    part: Part
    make_object: Callable[[], EmailMessage | Message]

    def key(self) -> str:
        """What identifies the message and its recipients, whatever its file is called."""
        digest = hashlib.sha256("\0".join([*self.recipients, ""]).encode("utf-8", "surrogateescape"))
        for piece in self.part:
            digest.update(piece)
        return digest.hexdigest()[:32]

    def envelope(
        self,
        args: argparse.Namespace,
        extensions: Iterable[str],
        recipients: Sequence[str] | None = None,
        *,
        whole: int = 0,
    ) -> Envelope:
        """The message as a server with these extensions takes it.

        :param recipients: some of the recipients
        :param whole: the size, in octets, up to which it is read into memory
        """
        everyone = self.recipients if recipients is None else list(recipients)
        options = list(args.mail_option)
        content: Any = self.content
        if not all(address.isascii() for address in (self.sender, *everyone)):
            content = self.make_object()  # which asks for SMTPUTF8 (RFC 6531), or does without
        elif self.body is not None and not all(piece.isascii() for piece in self.body):
            if "8bitmime" in extensions:
                options.append("BODY=8BITMIME")
            else:
                content = self.make_object()  # without 8BITMIME (RFC 6152) it has to be written in ASCII
        if content is self.content and len(self.content) < whole:
            content = self.content.read()
        return Envelope(self.sender, everyone, content, options, list(args.rcpt_option))


def prepare(source: Source, args: argparse.Namespace) -> Outgoing:
    """A message as the command line wants it.

    :raises UsageError: if it is not valid, or not with these arguments
    :raises OSError: if it cannot be read
    """
    head = first_octets(source.part, MAX_HEADER)
    complete = source.complete
    if complete is None:
        block = HEADER_BLOCK.match(_with_line_end(normalize_newlines(head)))
        complete = block is not None and MESSAGE_FIELD.search(block.group()) is not None
    return _complete(source, head, args) if complete else _text(source, head, args)


def _with_line_end(octets: bytes) -> bytes:
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def _complete(source: Source, head: bytes, args: argparse.Namespace) -> Outgoing:
    """A message that has its header fields. Addresses on the command line are for the envelope alone."""
    import email
    import email.policy

    for option in ("subject", "reply_to", "html", "attach"):
        if getattr(args, option):
            shown = f"--{option.replace('_', '-')}"
            what = "this" if source.label == "-" else source.label
            raise UsageError(
                f"{shown} is for text, and {what} is a complete message: use --header, or --text."
            )
    end = HEADER_END.search(head)
    if end is None and len(head) == MAX_HEADER:
        raise UsageError(f"{source.label} is no message: its header does not end.")
    given = _with_line_end(normalize_newlines(head[: end.end(1)] if end else head))
    if not FIELD.match(given):
        raise UsageError(f"{source.label} is no message: it does not begin with a header field.")
    added = "".join(f"{name}: {value}\r\n" for name, value in _added_headers(args)).encode()
    fields = email.message_from_bytes(added + given, policy=email.policy.SMTP)
    header = added + BCC_FIELDS.sub(b"", given)
    _check_fields(header)
    if args.sender is not None:
        sender = _envelope_sender(args.sender)
    else:
        sender = extract_sender(fields) or ""
        if not sender:
            raise UsageError(f"{_shown(source)} has no From header: say who sends it with --from.")
    recipients = _recipients(args) or list(dict.fromkeys(extract_recipients(fields)))
    if not recipients:
        raise UsageError(f"{_shown(source)} has no recipients: say who gets it with --to.")
    body = source.part.after(end.end() if end else len(head))

    as_given = header

    def make_object() -> Message:
        message = email.message_from_bytes(as_given + b"\r\n" + b"".join(body), policy=email.policy.SMTP)
        if not as_given.isascii():
            _decode_fields(message)
        return message

    if all(address.isascii() for address in (sender, *recipients)):
        header = _encoded(header)  # with others the object is sent, whose header may be in UTF-8
    content = Joined([header + b"\r\n", body] if end else [header])
    return Outgoing(source.label, sender, recipients, header, content, body, source.part, make_object)


def _shown(source: Source) -> str:
    return "The message" if source.label == "-" else source.label


def _text(source: Source, head: bytes, args: argparse.Namespace) -> Outgoing:
    """A message made of text, with the header fields of the command line."""
    if args.sender is None:
        raise UsageError("Say who sends the text with --from.")
    sender, recipients = _envelope_sender(args.sender), _recipients(args)
    if not recipients:
        raise UsageError("Say who gets the text with --to.")
    _check_utf8(source.part, _shown(source))
    skip = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    streams: dict[bytes, Base64] = {}

    def fill(message: EmailMessage, streamed: bool) -> None:
        """Add the text and the attachments; those that are streamed are represented by a mark."""

        def octets(part: Part, *, text: bool = False, skip: int = 0) -> bytes:
            if not streamed:
                return b"".join(part)[skip:]
            mark = secrets.token_bytes(24)
            streams[base64.b64encode(mark)] = Base64(part, text=text, skip=skip)
            return mark

        if len(source.part) < MAX_HEADER or not streamed:
            message.set_content(b"".join(source.part).decode("utf-8-sig"))
        else:
            message.set_content(octets(source.part, text=True, skip=skip), "text", "plain")
            message.set_param("charset", "utf-8")
        if args.html:
            message.add_alternative(_html(args.html), subtype="html")
        for path in args.attach:
            kind, encoding = mimetypes.guess_type(path)
            if kind is None or encoding or kind.startswith(("message/", "multipart/")):
                kind = "application/octet-stream"
            main, _, sub = kind.partition("/")
            message.add_attachment(octets(_attached(path)), main, sub, filename=os.path.basename(path))

    message = _addressed(args, sender)
    fields = list(message.raw_items())

    def make_object() -> EmailMessage:
        whole = _empty()
        for name, value in fields:
            whole.set_raw(name, value)
        fill(whole, False)
        return whole

    fill(message, True)
    utf8 = not all(address.isascii() for address in (sender, *recipients))
    with _writing():
        written = message.as_bytes(policy=_policy(utf8))
    pieces: list[bytes | Base64] = []
    for mark, stream in streams.items():
        before, _, written = written.partition(mark + b"\r\n")
        pieces += [before, stream]
    content = Joined([*pieces, written])
    header = pieces[0] if pieces else written
    assert isinstance(header, bytes)
    header = header.partition(b"\r\n\r\n")[0] + b"\r\n"
    return Outgoing(source.label, sender, recipients, header, content, None, source.part, make_object)


def _check_utf8(part: Part, label: str) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in part:
            decoder.decode(piece)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        part.rewind()
        shown = "The text" if label == "The message" else label
        raise UsageError(
            f"{shown} is not UTF-8: convert it, or give a complete message with --eml."
        ) from None


def _html(path: str) -> str:
    octets = b"".join(_attached(path))
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8: convert it.") from None


def _attached(path: str) -> Part:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as exc:
        raise UsageError(f"Cannot read {path}: {exc.strerror}") from exc
    return Part(path)


def _policy(utf8: bool = False) -> EmailPolicy[EmailMessage]:
    """A policy that encodes text that is not ASCII: not every server has 8BITMIME.

    :param utf8: whether header fields may be in UTF-8 (RFC 6532)
    """
    import email.policy

    return email.policy.SMTP.clone(cte_type="7bit", utf8=utf8)


def _empty() -> EmailMessage:
    import email.message

    return email.message.EmailMessage(policy=_policy())


def _addressed(args: argparse.Namespace, sender: str) -> EmailMessage:
    """A message without content, with the header fields of the command line and those that any has."""
    import email.utils

    message = _empty()
    for name, value in _added_headers(args):
        message[name] = value
    if sender and "From" not in message:
        message["From"] = args.sender
    for name in ("To", "Cc", "Reply-To"):
        if addresses := getattr(args, name.lower().replace("-", "_")):
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
    return message


def _added_headers(args: argparse.Namespace) -> list[tuple[str, str]]:
    headers = []
    for header in args.header:
        name, colon, value = header.partition(":")
        if not colon or not re.fullmatch(r"[!-9;-~]+", name) or not value.strip().isprintable():
            raise UsageError(f"--header takes 'Name: value' on one line, not {header!r}.")
        headers.append((name, value.strip()))
    return headers


def _encoded(header: bytes) -> bytes:
    """A header whose fields in UTF-8 are encoded words (RFC 2047), which need no extension of SMTP."""
    return header if header.isascii() else FIELD.sub(_encoded_field, header)


def _encoded_field(match: re.Match[bytes]) -> bytes:
    import email.policy

    if match[0].isascii():
        return match[0]
    name, _, value = match[0].decode().partition(":")
    policy = email.policy.SMTP
    name, parsed = policy.header_store_parse(name.strip(), re.sub(r"[\r\n]+", "", value).strip())
    with _writing():
        return policy.fold_binary(name, parsed)


@contextmanager
def _writing() -> Iterator[None]:
    """While header fields are written, an error is one that the user can correct."""
    import email.errors

    try:
        yield
    except email.errors.MessageError as exc:  # pragma: no cover - from Python 3.15 on, for addresses in UTF-8
        raise UsageError(f"A header cannot be written in ASCII: {exc}") from exc


def _check_fields(header: bytes) -> None:
    """:raises UsageError: if a field is neither ASCII nor UTF-8"""
    for field in FIELD.finditer(header):
        try:
            field[0].decode()
        except UnicodeDecodeError:
            name = field[0].partition(b":")[0].decode()
            raise UsageError(f"The {name} header is neither ASCII nor UTF-8.") from None


def _decode_fields(message: Message) -> None:
    """Let the fields in UTF-8 be text, which is written as the server takes it."""
    fields = list(message.raw_items())
    for name, _ in fields:
        del message[name]
    for name, value in fields:
        if value.isascii():
            message.set_raw(name, value)
        else:
            text = re.sub(r"[\r\n]+", "", value)
            message[name] = text.encode("utf-8", "surrogateescape").decode("utf-8")


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
