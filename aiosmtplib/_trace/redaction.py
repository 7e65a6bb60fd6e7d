"""What may be shown of commands and replies: everything but secrets, message content and what is too long."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from ..response import SMTPResponse
from ..status import SMTPStatus

_START_INPUT = SMTPStatus.start_input.value

#: Command lines as they were written, or a number of octets; and the replies that came. Lines in a tuple are
#: more than there are replies: these are to the last of them.
Entry: TypeAlias = tuple[bytes | int | tuple[bytes], tuple[SMTPResponse, ...]]

#: So many exchanges of command and reply, the last ones, are kept.
KEPT: Final = 32

#: Steps with more octets than this, written or received, are cut before they are kept.
LONG: Final = 4096

#: How commands begin that are kept as they were written: those of a mail transaction.
OF_A_MAIL: Final = (b"MAIL ", b"RCPT ", b"RSET\r", b"DATA\r", b"BDAT ")

#: So many characters of a long reply are kept.
_MAX_TEXT: Final = 1024

#: Stands for what must not be seen.
HIDDEN: Final = b"<hidden>"
UNKNOWN: Final = b"<hidden command>"

#: The commands that are shown. A line that starts with anything else may be an answer to a challenge that
#: came under a code of its own.
_VERBS: Final = frozenset(
    b"EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT STARTTLS ETRN ATRN TURN "
    b"XCLIENT XFORWARD".split()
)

_enhanced_code = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?= |$)").match


def form_of(first: bytes, size: int, code: int) -> tuple[bytes | int, bool]:
    """What may be kept of a step, and whether it holds a secret.

    :param first: what it wrote, or the first piece of that
    :param size: how many octets it wrote in all
    :param code: that of the reply before it, which decides what it is
    """
    if not size:
        return b"", False
    if code == _START_INPUT:
        return size, False
    if 300 <= code < 400:
        return HIDDEN, True
    if first.startswith(OF_A_MAIL):
        return header_of(first), False
    return described(first)


_MECHANISMS = frozenset(
    b"ANONYMOUS CRAM-MD5 DIGEST-MD5 EXTERNAL GSSAPI LOGIN NTLM OAUTHBEARER PLAIN SCRAM-SHA-1 "
    b"SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-512 SCRAM-SHA-512-PLUS XOAUTH2".split()
)


def described(line: bytes) -> tuple[bytes, bool]:
    """What may be kept of a command that is not part of a mail transaction, and whether it holds a secret."""
    words = line.split(None, 2)
    verb = words[0].upper() if words else b""
    if verb in _VERBS:
        return line, False
    if verb == b"AUTH":
        # In an exchange by hand the credentials may be where the mechanism should be.
        mechanism = words[1] if len(words) > 1 and words[1].upper() in _MECHANISMS else HIDDEN
        return b"AUTH " + mechanism + (b" " + HIDDEN if len(words) > 2 else b""), True
    return UNKNOWN, True


def header_of(group: bytes) -> bytes:
    """Command lines without the content that may follow a BDAT among them (RFC 3030 section 2)."""
    at = 0 if group.startswith(b"BDAT ") else group.find(b"\nBDAT ") + 1
    if not at and not group.startswith(b"BDAT "):
        return group
    return group[: group.index(b"\n", at) + 1]


def entry_of(
    said: bytes | int | list[bytes], replies: list[SMTPResponse], expected: int, secret: bool, heard: int
) -> Entry:
    """The entry for a step.

    :param said: command lines; octets; or the header lines of the last chunks of a stream
    :param replies: those that came
    :param expected: how many were to come
    :param heard: no more octets than this were received
    """
    if secret or heard > LONG or isinstance(said, list) or len(replies) < expected:
        return condensed(said, replies, expected, secret)
    if isinstance(said, bytes) and len(said) > LONG:
        said = b"\n".join(map(_cut, said.rsplit(b"\n", KEPT + 1)[-KEPT - 1 :]))
    elif expected <= KEPT:
        return said, tuple(replies)
    return (said,) if isinstance(said, bytes) else said, tuple(replies[-KEPT:])


def condensed(
    said: bytes | int | list[bytes], replies: Sequence[SMTPResponse], expected: int, secret: bool
) -> Entry:
    """The same for a step that is not kept as it is: because of a secret, or because it is long."""
    if secret:
        return said if isinstance(said, bytes) else HIDDEN, tuple(map(hidden_reply, replies))
    if isinstance(said, list):
        lines = said
        replies = replies[expected - len(said) :]
    else:
        lines = said.splitlines(keepends=True) if isinstance(said, bytes) else []
    if lines:
        start = max(0, min(len(lines), len(replies) + 1) - KEPT)
        said = b"".join(_cut(line) for line in lines[start : start + KEPT])
        replies = replies[start:]
    elif isinstance(said, list):
        said = b""
    return said, tuple(map(_shortened, replies[-KEPT:]))


def _cut(line: bytes) -> bytes:
    return line if len(line) <= LONG else line[:LONG] + b"\r\n"


def hidden_reply(reply: SMTPResponse) -> SMTPResponse:
    # A challenge is no one's business, and a server may repeat what it objects to.
    code = _enhanced_code(reply.message) if reply.code >= 400 else None
    hidden = HIDDEN.decode()
    return SMTPResponse(reply.code, hidden if code is None else f"{code[0]} {hidden}")


def _shortened(reply: SMTPResponse) -> SMTPResponse:
    return reply if len(reply[1]) <= _MAX_TEXT else SMTPResponse(reply[0], reply[1][:_MAX_TEXT])
