"""Redaction of commands and replies: removes credentials and message content, and cuts what is long.

What may be shown of a connection is decided here, for transcripts, the log, ``on_command`` and ``--verbose``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..response import SMTPResponse
from ..status import SMTPStatus
from .transcript import KEPT, Entry

_START_INPUT = SMTPStatus.start_input.value

#: The number of octets, written or received, above which the entry of a step is cut.
LONG: Final = 4096

#: The beginnings of the commands of a mail transaction, which are kept as they are.
OF_A_MAIL: Final = (b"MAIL ", b"RCPT ", b"RSET\r", b"DATA\r", b"BDAT ")

#: The number of characters to which the text of a long reply is cut.
_MAX_TEXT: Final = 1024

#: Replaces credentials, in commands and replies.
HIDDEN: Final = b"<hidden>"
#: Replaces a command line whose verb is unknown.
UNKNOWN: Final = b"<hidden command>"

#: The verbs of the commands that are kept whole. A line that starts with anything else may be a response to a
#: challenge of AUTH that came with another code than 334.
_VERBS: Final = frozenset(
    b"EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT STARTTLS ETRN ATRN TURN "
    b"XCLIENT XFORWARD".split()
)

_ENHANCED_CODE: Final = r"[245]\.\d{1,3}\.\d{1,3}(?= |$)"


def form_of(first: bytes, size: int, code: int) -> tuple[bytes | int, bool]:
    """The redacted form of what a step wrote, and whether that contained credentials.

    :param first: the octets that the step wrote, or the first piece of them
    :param size: the number of octets that it wrote in all
    :param code: the code of the reply before it: after 354 the octets are content, after another 3yz they are
        a response to a challenge (RFC 4954 section 4)
    :return: command lines, or the number of octets of content
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
    """The redacted form of a command outside of a mail transaction, and whether it contained credentials."""
    words = line.split(None, 2)
    verb = words[0].upper() if words else b""
    if verb in _VERBS:
        return line, False
    if verb == b"AUTH":
        # With execute_command() the credentials may be in the place of the mechanism.
        mechanism = words[1] if len(words) > 1 and words[1].upper() in _MECHANISMS else HIDDEN
        return b"AUTH " + mechanism + (b" " + HIDDEN if len(words) > 2 else b""), True
    return UNKNOWN, True


def without_auth(line: bytes) -> bytes:
    """A line that is no reply, redacted from the word AUTH on: it may repeat a command of this client."""
    return re.sub(rb"(?is)(\bauth)(?![a-z]).*", rb"\1 " + HIDDEN, line)


def header_of(group: bytes) -> bytes:
    """Command lines without the content that may follow a BDAT among them (RFC 3030 section 2)."""
    at = 0 if group.startswith(b"BDAT ") else group.find(b"\nBDAT ") + 1
    if not at and not group.startswith(b"BDAT "):
        return group
    return group[: group.index(b"\n", at) + 1]


def entry_of(
    said: bytes | int | list[bytes], replies: list[SMTPResponse], expected: int, secret: bool, heard: int
) -> Entry:
    """The entry of a step that cannot be kept as it is: it is long, incomplete or contained credentials.

    :param said: the redacted command lines; a number of octets; or the BDAT lines of the last chunks of a
        stream
    :param replies: the replies that came
    :param expected: the number of replies to the whole step
    :param secret: whether the step contained credentials
    :param heard: an upper bound of the octets of the replies
    """
    if secret or heard > LONG or isinstance(said, list) or len(replies) < expected:
        return condensed(said, replies, expected, secret)
    if isinstance(said, bytes) and len(said) > LONG:
        said = b"\n".join(map(_cut, said.rsplit(b"\n", KEPT + 1)[-KEPT - 1 :]))
    return (said,) if isinstance(said, bytes) else said, tuple(replies[-KEPT:])


def condensed(
    said: bytes | int | list[bytes], replies: Sequence[SMTPResponse], expected: int, secret: bool
) -> Entry:
    """The entry of a step that is not kept as it is: because of credentials, or because it is long."""
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
    """A reply to AUTH or to a response: the code and the enhanced code of a refusal, without text.

    The text of a 334 is the challenge, and that of a refusal may repeat the credentials.
    """
    code = re.match(_ENHANCED_CODE, reply.message) if reply.code >= 400 else None
    hidden = HIDDEN.decode()
    return SMTPResponse(reply.code, hidden if code is None else f"{code[0]} {hidden}")


def _shortened(reply: SMTPResponse) -> SMTPResponse:
    return reply if len(reply[1]) <= _MAX_TEXT else SMTPResponse(reply[0], reply[1][:_MAX_TEXT])
