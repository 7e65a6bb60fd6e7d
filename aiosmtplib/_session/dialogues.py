"""The dialogues outside of a mail transaction: greeting, single commands, EHLO and HELO (RFC 5321).

Each function is a dialogue in the sense of :mod:`aiosmtplib._session`, and can be run by hand:

>>> dialogue = command(b"NOOP\\r\\n")
>>> next(dialogue)
(b'NOOP\\r\\n', 1, 0)
>>> dialogue.send([SMTPResponse(250, "OK")])
Traceback (most recent call last):
    ...
StopIteration: SMTPResponse(code=250, message='OK')
"""

from __future__ import annotations

from .._codec import encode_command
from ..response import SMTPResponse
from ..status import SMTPStatus
from . import MORE, Dialogue


def greeting() -> Dialogue[SMTPResponse]:
    """The reply that the server sends when the connection opens, without a command (RFC 5321 section 3.1)."""
    (reply,) = yield b"", 1, MORE
    return reply


def command(line: bytes) -> Dialogue[SMTPResponse]:
    """One command and its reply.

    :param line: the command line, with CRLF
    """
    # Popped, so that the frame of an error does not hold the line: it may be a credential.
    unsent = [line]
    del line
    (reply,) = yield unsent.pop(), 1, MORE
    return reply


def hello(name: bytes, verb: bytes = b"EHLO") -> Dialogue[tuple[SMTPResponse, SMTPResponse | None]]:
    """EHLO, and HELO if the server refuses that (RFC 5321 section 3.2).

    :param name: the host name of the client, or its address literal
    :param verb: ``LHLO`` for LMTP, which has no HELO to fall back to (RFC 2033 section 4.1)
    :return: the reply to EHLO, and the one to HELO, or ``None`` if it was not needed
    """
    (ehlo,) = yield encode_command(verb, name), 1, MORE
    if verb != b"EHLO" or ehlo.code in (SMTPStatus.completed, SMTPStatus.domain_unavailable):
        return ehlo, None
    (helo,) = yield encode_command(b"HELO", name), 1, MORE
    return ehlo, helo
