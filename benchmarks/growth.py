"""Growth of the time that public functions take, for inputs made to be slow to parse.

    python -m benchmarks.growth [--size 8192] [--only TEXT] [--all]

Each function is given a text of one unit repeated, and then twice as much of it, twice. Printed is the time
of the process, the best of some runs, and what it is multiplied by when the text is doubled: 2 is linear, 4
is quadratic. Exits with 1 where that is more than 3. Times below a floor are noise: the text is doubled until
it takes longer, up to 256 times.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
import time
from collections.abc import Callable
from email.header import Header
from email.message import EmailMessage, Message
from typing import Any

import aiosmtplib
from aiosmtplib import auth, cli, esmtp, parameters
from aiosmtplib import email as messages
from aiosmtplib._cli import masking, send
from aiosmtplib._codec import ReplyParser, encode_command, encode_data, normalize_newlines
from aiosmtplib._message.fields import extract_addresses
from aiosmtplib._sasl.mechanisms import CramMD5, External, Login, OAuthBearer, Plain, XOAuth2
from aiosmtplib._sasl.scram import ScramSHA256
from aiosmtplib._session import Exchange, dialogues
from aiosmtplib._trace import redaction
from aiosmtplib._trace.transcript import ELLIPSIS
from aiosmtplib.protocol import SMTPProtocol

__all__ = ("FUNCTIONS", "UNITS", "main", "measure")

#: The most that the time may be multiplied by when the input is doubled.
MOST = 3.0
#: Seconds below which a time is not compared.
FLOOR = 0.004

UNITS = (
    *("(a)", "(", ")", "<", ">", '"', "\\", "=?", "=?utf-8?q?a?= ", " ", "\t", "\n", "\r", "\r\n ", "\n "),
    *(",", ";", ":", ".", "a.", "@", "a@", "a@b,", "a <", '"a" ', "[", "[]", "=", "a=b;", "-", "--=\n", "0"),
    *("a", "é", "é ", "É <a@b>, ", "\udcff", "2.", "250-a\r\n", "334 ", "%", "+", "\n.", "X: y\n", "AUTH "),
)


def _field(kind: str, name: str, function: Callable[[Any], Any]) -> Callable[[str], Any]:
    """A function of a message that has the text in a header field."""

    def call(text: str) -> Any:
        message: Any = Message() if kind == "legacy" else EmailMessage()
        value: Any = Header(text) if kind == "header" else text
        message._headers.append((name, value))
        return function(message)

    return call


def _assigned(name: str) -> Callable[[str], Any]:
    def call(text: str) -> Any:
        message = Message()
        message[name] = text
        message.set_payload("x\n")
        return messages.flatten_message(message)

    return call


def _body(text: str) -> Any:
    for kind in (EmailMessage, Message):
        message = kind()
        message["Content-Type"] = "multipart/mixed"
        part = kind()
        part.set_payload(text)
        message.set_payload([part, part])
        message.preamble = message.epilogue = text
        messages.flatten_message(message)


def _replies(text: str) -> Any:
    """A reply that comes in pieces."""
    parser = ReplyParser()
    octets = text.encode("utf-8", "surrogateescape")
    for start in range(0, len(octets), 16):
        parser.feed(octets[start : start + 16], 1 << 30, 1 << 30)


class _Transport(asyncio.Transport):
    """One that writes to nobody."""

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def _received(form: Callable[[bytes], bytes], size: int) -> Callable[[str], Any]:
    """Replies to commands in one pipeline, as a connection receives them.

    :param form: makes them of the text
    :param size: octets in each piece that comes
    """

    def call(text: str) -> Any:
        data = form(text.encode("utf-8", "surrogateescape"))
        protocol = SMTPProtocol()
        protocol.connection_made(_Transport())
        for _ in range(data.count(b"\r\n250 ") + 1):
            protocol.submit(Exchange(dialogues.command(b"NOOP\r\n"), None, protocol))
        for start in range(0, len(data), size):
            protocol.receive(data[start : start + size], 1 << 30, 1 << 30)
        protocol.connection_lost(None)

    return call


def _split(data: bytes) -> list[bytes]:
    """The text in pieces that fit on a line."""
    flat = data.replace(b"\r", b"").replace(b"\n", b"")
    return [flat[start : start + 64] for start in range(0, len(flat), 64)]


#: Octets from the server, made of a text: as they are, one long line, many lines, and many replies.
REPLIES: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data,
    "long line": lambda data: b"250 %b\r\n" % b"".join(_split(data)),
    "lines": lambda data: b"".join(b"250-%b\r\n" % line for line in _split(data)) + b"250 end\r\n",
    "replies": lambda data: b"\r\n".join(b"250 %b" % line for line in _split(data)) + b"\r\n",
}


def _arguments(*options: str) -> Callable[[str], Any]:
    """Options of the command line with the text as their value, in a command that then is refused."""

    def call(text: str) -> Any:
        text = text.replace("\0", "")
        others = ["send", __file__, "--text", "--from=a@b.example", "--to=c@d.example", "--tls", "--starttls"]
        for option in options:
            with contextlib.redirect_stdout(io.StringIO()):
                cli.main([*others, f"{option}{text}"])

    return call


def _masked(text: str) -> Any:
    secrets = masking.Secrets()
    secrets.protect(text, text)
    secrets.mask(masking.one_line(f"{text}x{text[: len(text) // 2]}") + ELLIPSIS)


def _redacted(text: str) -> Any:
    octets = text.encode("utf-8", "surrogateescape")
    redaction.described(octets)
    redaction.header_of(octets)
    reply = aiosmtplib.SMTPResponse(535, text)
    redaction.hidden_reply(reply)
    redaction.condensed(octets, [reply] * 40, 40, False)
    redaction.entry_of(octets, [reply], 1, False, len(octets))


def _announced(text: str) -> Any:
    extensions, _ = esmtp.parse_esmtp_extensions(f"hello\n{text}")
    for name in ("size", "deliverby", "futurerelease", "limits"):
        extensions[name] = text
    esmtp.parse_size_limit(extensions)
    esmtp.parse_deliverby(extensions)
    esmtp.parse_futurerelease(extensions)
    esmtp.parse_limits(extensions)


def _challenged(text: str) -> Any:
    """Names, passwords and challenges of the mechanisms."""
    challenge = text.encode("utf-8", "surrogateescape")
    for kind in (Plain, Login, CramMD5, XOAuth2, OAuthBearer, External, ScramSHA256):
        for arguments in ((text, text), ("user", "password"), ("user",)):
            with contextlib.suppress(Exception):
                mechanism: Any = kind(*arguments)
                mechanism.initial()
                mechanism.answer(challenge)


def _octets(function: Callable[[bytes], Any]) -> Callable[[str], Any]:
    return lambda text: function(text.encode("utf-8", "surrogateescape"))


FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "email.parse_address": messages.parse_address,
    "email.quote_address": messages.quote_address,
    "email.extract_addresses": extract_addresses,
    **{
        f"email.{function.__name__} ({kind})": _field(kind, name, function)
        for function, name in ((messages.extract_sender, "From"), (messages.extract_recipients, "To"))
        for kind in ("legacy", "header", "source")
    },
    **{
        f"email.flatten_message ({kind} {name})": _field(kind, name, messages.flatten_message)
        for name in ("To", "X", "Content-Type", "Content-Disposition")
        for kind in ("legacy", "source")
    },
    "email.flatten_message (body)": _body,
    **{
        f"send_message ({kind})": _field(
            kind, "To", lambda one: messages.flatten_for(one, True, "8bit", False)
        )
        for kind in ("legacy", "source")
    },
    "esmtp": _announced,
    "response.SMTPResponse": lambda text: aiosmtplib.SMTPResponse(550, text).enhanced_code,
    "errors": lambda text: repr(aiosmtplib.SMTPDataError(550, text)),
    "auth.auth_plain_encode": lambda text: auth.auth_plain_encode(text, text),
    "auth.auth_crammd5_verify": lambda text: auth.auth_crammd5_verify(text, text, text),
    "auth.auth_xoauth2_encode": lambda text: auth.auth_xoauth2_encode(text, text),
    "auth, mechanisms": _challenged,
    "parameters.EnvId": parameters.EnvId,
    "parameters.Orcpt": parameters.Orcpt,
    "parameters.Notify": parameters.Notify,
    "parameters.Body": parameters.Body,
    "Recipient": aiosmtplib.Recipient,
    "Envelope": lambda text: aiosmtplib.Envelope(text, [text], text.encode("utf-8", "surrogateescape")),
    "codec, commands": _octets(encode_command),
    "codec, content": _octets(lambda octets: (encode_data(octets), normalize_newlines(octets))),
    "codec, replies": _replies,
    **{
        f"protocol, {name} in pieces of {size}": _received(form, size)
        for name, form in REPLIES.items()
        for size in (1, 1 << 13)
    },
    "transcript": _redacted,
    "cli, addresses": _arguments("--from=", "--to=", "--cc=", "--bcc="),
    "cli, fields": _arguments("--header=", "--header=X: ", "--subject="),
    "cli, servers": _arguments("--host=", "--port=", "--timeout=", "--local-hostname=", "--cafile="),
    "cli, what is no option": _arguments("", "-", "--", "--x="),
    "cli, secrets": _masked,
    "cli, is it a message": _octets(lambda octets: send.MESSAGE_FIELD.search(octets)),
    "cli, header block": _octets(lambda octets: send.HEADER_BLOCK.match(octets)),
    "cli, Bcc": _octets(lambda octets: send.BCC_FIELDS.sub(b"", octets)),
}


def measure(function: Callable[[str], Any], unit: str, size: int, runs: int) -> float:
    """The least time that the function takes for a text of this size, in seconds."""
    text = unit * (size // len(unit))
    best = float("inf")
    for _ in range(runs):
        started = time.process_time()
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            function(text)
        best = min(best, time.process_time() - started)
        if best > 0.5:
            break
    return best


def growth(function: Callable[[str], Any], unit: str, size: int, runs: int) -> tuple[list[float], float]:
    """The times for sizes that are doubled until they can be compared, and the factor of the last doubling.

    At least three, and at most 256 times the first size; the factor is 0 for times below the floor.
    """
    times: list[float] = []
    while len(times) < 3 or (times[-1] < FLOOR and len(times) < 9):
        times.append(measure(function, unit, size << len(times), runs))
    if times[-1] < FLOOR or times[-2] < FLOOR / 8:
        return times, 0.0
    return times, times[-1] / times[-2]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=8192, help="characters of the shortest text (8192)")
    parser.add_argument("--runs", type=int, default=3, help="of which the best counts (3)")
    parser.add_argument("--only", default="", help="functions whose name holds this")
    parser.add_argument("--all", action="store_true", help="also print what is fast")
    options = parser.parse_args(arguments)
    steep = 0
    print(f"{'function':44} {'unit':16} {'factor':>6}  times for twice the text each")
    for name, function in FUNCTIONS.items():
        if options.only not in name:
            continue
        for unit in UNITS:
            times, factor = growth(function, unit, options.size, options.runs)
            if factor > MOST:  # once more: another process may have had the machine
                times, factor = growth(function, unit, options.size, options.runs + 2)
            if options.all or factor > MOST:
                shown = "  ".join(f"{one * 1e3:.2f} ms" for one in times)
                print(f"{name:44} {unit!r:16} {factor:6.2f}  {shown}{' STEEP' * (factor > MOST)}", flush=True)
            steep += factor > MOST
    print(f"{steep} of more than {MOST:g} times the time for twice the text")
    return int(steep > 0)


if __name__ == "__main__":
    sys.exit(main())
