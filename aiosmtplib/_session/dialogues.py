"""What client and server say to each other outside of a mail transaction, as generators: no loop, no socket.

Each function here is a dialogue in the sense of :mod:`aiosmtplib._session` and can be driven by hand:

>>> dialogue = command(b"NOOP\\r\\n")
>>> next(dialogue)
(b'NOOP\\r\\n', 1, 0)
>>> dialogue.send([SMTPResponse(250, "OK")])
Traceback (most recent call last):
    ...
StopIteration: SMTPResponse(code=250, message='OK')
"""

from .._codec import encode_command
from ..response import SMTPResponse
from ..status import SMTPStatus
from . import MORE, Dialogue


def greeting() -> Dialogue[SMTPResponse]:
    """Wait for the reply that a server sends unasked when a connection opens (RFC 5321 section 3.1)."""
    (reply,) = yield b"", 1, MORE
    return reply


def command(line: bytes) -> Dialogue[SMTPResponse]:
    """Write one command line and return its reply."""
    # It may hold credentials, and the frame of an error is not to show them.
    unsaid = [line]
    del line
    (reply,) = yield unsaid.pop(), 1, MORE
    return reply


def hello(name: bytes, verb: bytes = b"EHLO") -> Dialogue[tuple[SMTPResponse, SMTPResponse | None]]:
    """EHLO, and HELO where the server does not know EHLO (RFC 5321 section 3.2).

    :param verb: ``LHLO`` for LMTP, which has nothing to fall back on (RFC 2033 section 4.1)
    :return: the reply to EHLO, and the one to HELO if it was needed
    """
    (ehlo,) = yield encode_command(verb, name), 1, MORE
    if verb != b"EHLO" or ehlo.code in (SMTPStatus.completed, SMTPStatus.domain_unavailable):
        return ehlo, None
    (helo,) = yield encode_command(b"HELO", name), 1, MORE
    return ehlo, helo
