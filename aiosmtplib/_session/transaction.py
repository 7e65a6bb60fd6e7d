"""The mail transaction as a dialogue, and its delivery verdict: MAIL, RCPT, DATA or BDAT (RFC 5321).

With PIPELINING (RFC 2920), a transaction is the group ``[RSET] MAIL RCPT… DATA``, and after the 354 the
content. With CHUNKING too (RFC 3030), it is one group, the content included. Without PIPELINING, a group is
one command.

Every reply is checked. The error is the first negative reply in the order of the commands. The replies to the
rest of the group are read too, and these two matter:

* After a 354 the server waits for content. A lone dot ends that safely only if no recipient was accepted.
  Otherwise it would send an empty mail, so the connection is closed instead.
* A server that refused MAIL, but accepted a recipient and the content of a BDAT, has delivered the message.

:class:`~aiosmtplib._codec.ServerState` records whether the server may have a transaction open. If so,
the next group starts with RSET: the recipients of one message must never get the next.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final

from .._codec import PreparedMail, ServerState, start_transaction
from .._codec.types import (
    CHUNKS,
    ENDED,
    GROUP,
    HANG_UP,
    LAST,
    MAX_GROUP,
    MAX_JOINED_CONTENT,
    MORE,
    STREAM,
    Data,
    Dialogue,
)
from ..errors import SMTPDataError, SMTPException
from ..response import SMTPResponse
from ..status import Delivery, SMTPStatus
from .record import REFUSALS, Record, accepted, data_error, is_too_many

_DATA = b"DATA\r\n"
RSET = b"RSET\r\n"
_DOT = b".\r\n"

_COMPLETED = SMTPStatus.completed.value
_START_INPUT = SMTPStatus.start_input.value

#: The refused recipients with the replies to them.
Refused = dict[str, SMTPResponse]
#: The refused recipients, and the final reply.
Outcome = tuple[Refused, SMTPResponse]


def transaction(mail: PreparedMail, server: ServerState) -> Dialogue[Outcome]:
    """One mail transaction (RFC 5321 section 3.3).

    Errors have ``delivery``, ``phase`` and ``replies``.

    :param mail: the message
    :param server: the state of the server, which the transaction updates
    :return: the refused recipients with the replies to them, and the final reply
    :raises SMTPSenderRefused: if MAIL is refused
    :raises SMTPRecipientsRefused: if every recipient is refused
    :raises SMTPDataError: if DATA or the content is refused
    :raises SMTPException: if the connection is lost, or streaming is given up
    """
    reset = server.mail is not None
    record = Record(mail, reset)
    server.mail = mail
    try:
        if mail.chunked:
            return (yield from _by_bdat(record, server))
        if reset or not mail.pipelined or len(mail.recipients) > MAX_GROUP:
            yield from _envelope(record, server, _DATA)
        else:
            record.replies = yield mail.commands + _DATA, len(mail.recipients) + 2, MORE
            if mail.content is not None and not mail.per_recipient and _all_accepted(record.replies):
                # The fast path, if nothing was refused: the same steps as in _content.
                server.mail = None
                record.handed_over = True
                record.replies += yield mail.content, 1, LAST
                record.complete = True
                return _outcome(record, server, {}, record.replies[-1:])
        return (yield from _content(record, server))
    except SMTPException as error:
        cause: SMTPException | None = None
        if not isinstance(error, REFUSALS):
            record.add_lost(error.replies)
            refusal = record.refusal()
            if refusal is not None and not record.is_goodbye(error):
                error, cause = refusal, error
        record.annotate(error)
        server.failed = server.mail is not None
        if cause is not None:
            raise error from cause
        if isinstance(error, REFUSALS) and not mail.pipelined:
            yield from _reset(record, server)
        raise


#: :func:`transaction` as the session runs it: called with the message and the server state.
begin: Final[Callable[[PreparedMail, ServerState], Dialogue[Outcome]]] = functools.partial(
    start_transaction, general=transaction
)


def data(content: bytes) -> Dialogue[SMTPResponse]:
    """DATA and, after a 354, the content (RFC 5321 section 4.1.1.4).

    :param content: with dot-stuffing and the final dot, as ``encode_data`` returns it
    :return: the final reply
    :raises SMTPDataError: if either is refused
    :raises SMTPException: if the connection is lost
    """
    replies: list[SMTPResponse] = []
    phase = "data"
    try:
        replies += yield _DATA, 1, MORE
        if replies[0][0] == _START_INPUT:
            phase = "final"
            replies += yield content, 1, LAST
            if accepted(replies[1]):
                return replies[1]
        raise SMTPDataError(*replies[-1])
    except SMTPException as error:
        error.phase = phase
        error.replies = tuple(replies)
        if phase == "final" and not isinstance(error, SMTPDataError):
            error.delivery = Delivery.UNKNOWN
        raise


def _content(record: Record, server: ServerState) -> Dialogue[Outcome]:
    """The rest of a transaction by DATA, after the replies to MAIL, RCPT and DATA."""
    mail = record.mail
    replies = record.replies
    served, refused = _divide(record)
    answer = replies[len(mail.recipients) + 1]
    if replies[0][0] != _COMPLETED or not served:
        if answer[0] == _START_INPUT:
            if served:
                yield HANG_UP
            replies += yield _DOT, 1, MORE
        raise _refusal(record)
    if answer[0] != _START_INPUT:
        raise data_error(answer, "data")
    finals = len(served) if mail.per_recipient else 1
    # The end of the content closes the transaction, whatever the reply (RFC 5321 section 4.1.1.4).
    server.mail = None
    record.handed_over = True
    if mail.content is None:
        last = yield b"", finals, STREAM
    else:
        last = yield mail.content, finals, LAST if mail.pipelined else ENDED
    replies += last
    record.complete = True
    if not mail.per_recipient:
        return _outcome(record, server, refused, last)
    positive = []
    for recipient, reply in zip(served, last, strict=True):
        if accepted(reply):
            positive.append(reply)
        else:
            refused[recipient] = reply
    return _outcome(record, server, refused, positive[:1] or last[:1])


def _by_bdat(record: Record, server: ServerState) -> Dialogue[Outcome]:
    """A transaction with the content by BDAT (RFC 3030)."""
    mail = record.mail
    replies = record.replies
    count = len(mail.recipients)
    content = mail.content
    reset = record.resetting
    together = mail.pipelined and count <= MAX_GROUP and not (reset and server.failed)
    if together and isinstance(content, bytes):
        record.handed_over = True
        header = b"%bBDAT %d LAST\r\n" % (mail.commands, len(content))
        if reset:
            header = RSET + header
        data: Data = header + content if len(content) < MAX_JOINED_CONTENT else (header, content)
        replies += yield data, count + 2 + reset, GROUP
        record.complete = True
        if reset:
            yield from _check_reset(record, server, replies)
    else:
        yield from _envelope(record, server, b"")
    served, refused = _divide(record)
    if replies[0][0] != _COMPLETED or not served:
        raise _refusal(record)
    if not record.complete:
        record.handed_over = True
        if isinstance(content, bytes):
            chunk = (b"BDAT %d LAST\r\n" % len(content), content)
            replies += yield chunk, 1, LAST if mail.pipelined else ENDED
        else:
            last = yield b"", 0, CHUNKS
            if mail.aborted:
                yield from _give_up(record, server, last)
            replies += last
        record.complete = True
    if server.mail is mail:
        server.mail = None
    return _outcome(record, server, refused, replies[count + 1 :])


def _give_up(record: Record, server: ServerState, replies: list[SMTPResponse]) -> Dialogue[None]:
    """The end of a stream that was given up: RSET was sent in place of the last chunk.

    :param replies: those to the chunks and to RSET
    :raises SMTPDataError: if the server refused a chunk
    :raises SMTPException: if the source of the content failed
    """
    record.replies += replies[:-1]
    if replies[-1][0] != _COMPLETED:
        yield HANG_UP
    server.mail = None
    raise record.refusal() or SMTPException("The message was given up")


def _envelope(record: Record, server: ServerState, data: bytes) -> Dialogue[None]:
    """RSET if needed, MAIL, RCPT and DATA, in as few groups as possible, up to a refusal.

    After a single group, the caller checks the replies. Of several, a refused MAIL, or recipients of which
    all are refused, raise their error here.

    :param data: the DATA command line, or ``b""`` with BDAT
    """
    mail = record.mail
    replies = record.replies
    count = len(mail.recipients)
    if mail.pipelined and count <= MAX_GROUP:
        group = mail.commands + data
        if record.resetting:
            got = yield RSET + group, count + 2 + bool(data), MORE
            yield from _check_reset(record, server, got)
        else:
            got = yield group, count + 1 + bool(data), MORE
        replies += got
        return
    if record.resetting:
        yield from _check_reset(record, server, (yield RSET, 1, MORE))
    for group, size in _groups(mail):
        replies += yield group, size, MORE
        if replies[0][0] != _COMPLETED:
            raise _refusal(record)
    if (refusal := record.refusal()) is not None:
        raise refusal
    if data:
        replies += yield data, 1, MORE


def _groups(mail: PreparedMail) -> Iterator[tuple[bytes, int]]:
    """The MAIL and RCPT command lines in groups, each with its number of commands."""
    lines = mail.commands.splitlines(keepends=True)
    size = MAX_GROUP if mail.pipelined else 1
    for start in range(0, len(lines), size):
        group = lines[start : start + size]
        yield b"".join(group), len(group)


def _check_reset(record: Record, server: ServerState, replies: list[SMTPResponse]) -> Dialogue[None]:
    """Remove the reply to RSET from a list. If negative, hang up: recipients could get the wrong message."""
    record.resetting = False
    if replies.pop(0)[0] != _COMPLETED:
        yield HANG_UP
    server.failed = False


def _reset(record: Record, server: ServerState) -> Dialogue[None]:
    """RSET after a refusal, at once: without PIPELINING, to send it later saves no round trip."""
    try:
        (reply,) = yield RSET, 1, MORE
    except SMTPException as lost:  # else the refusal is the error to report
        if record.is_goodbye(lost):
            record.annotate(lost)
            raise
        return
    if reply[0] == _COMPLETED:
        server.mail = None
        server.failed = False
        return
    try:
        yield HANG_UP
    except SMTPException:
        pass  # the refusal is the error to report


def _all_accepted(replies: list[SMTPResponse]) -> bool:
    """Whether the server accepted the sender and every recipient, and replied 354 to DATA."""
    if replies[0][0] != _COMPLETED or replies[-1][0] != _START_INPUT:
        return False
    return all(200 <= reply[0] < 300 for reply in replies[1:-1])


def _divide(record: Record) -> tuple[list[str], Refused]:
    """The accepted recipients, and the refused ones with the replies to them.

    Those that are too many for one transaction are noted in the message. One that is named twice, and
    accepted once, is none of them.
    """
    mail = record.mail
    served = []
    refused = {}
    too_many = {}
    for place, (recipient, reply) in enumerate(zip(mail.recipients, record.replies[1:], strict=False)):
        if 200 <= reply[0] < 300:
            served.append(recipient)
        else:
            refused[recipient] = reply
            if is_too_many(reply):
                too_many[recipient] = place
    if too_many and served:
        for recipient in served:
            if too_many.pop(recipient, None) is not None:
                del refused[recipient]
        mail.left_over = tuple(too_many.values())
    return served, refused


def _outcome(record: Record, server: ServerState, refused: Refused, last: list[SMTPResponse]) -> Outcome:
    """The result of a transaction by the replies to its content, of which the first negative one counts.

    Any 2yz code is an acceptance: the first digit decides (RFC 5321 section 4.2.1). An accepted message that
    is reported as refused would be sent twice.

    :raises SMTPDataError: if a reply is negative; the server may have the transaction open then
    """
    for reply in last:
        if not 200 <= reply[0] < 300:
            if server.mail is None:
                server.mail = record.mail
            raise data_error(reply, "final" if reply is last[-1] else "body")
    return refused, last[-1]


def _refusal(record: Record) -> SMTPException:
    refusal = record.refusal()
    assert refusal is not None
    return refusal
