"""The mail transaction as a dialogue, and its delivery verdict: MAIL, RCPT, DATA or BDAT (RFC 5321).

With PIPELINING (RFC 2920), a transaction is the group ``[RSET] MAIL RCPT… DATA``, and after the 354 the
content. With CHUNKING too (RFC 3030), it is one group, the content included. Without PIPELINING, a group is
one command.

Every reply is checked. The error is the first negative reply in the order of the commands. The replies to the
rest of the group are read too, and these two matter:

* After a 354 the server waits for content. A lone dot ends that safely only if no recipient was accepted.
  Otherwise it would send an empty mail, so the connection is closed instead.
* A server that refused MAIL, but accepted a recipient and the content of a BDAT, has delivered the message.

:class:`~aiosmtplib._session.mail.ServerState` records whether the server may have a transaction open. If so,
the next group starts with RSET: the recipients of one message must never get the next.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final

from .._codec import start_transaction
from .._codec.types import CHUNKS, HANG_UP, LAST, MAX_GROUP, MORE, STREAM, Data, Dialogue
from ..errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from ..response import SMTPResponse
from ..status import Delivery, SMTPStatus
from .mail import PreparedMail, ServerState

_DATA = b"DATA\r\n"
RSET = b"RSET\r\n"
_DOT = b".\r\n"

_COMPLETED = SMTPStatus.completed.value
_START_INPUT = SMTPStatus.start_input.value
_SERVICE_CLOSING = SMTPStatus.domain_unavailable.value

#: Content of fewer octets is joined with the commands before it, for one write; a copy of more costs more.
_MAX_JOINED_CONTENT = 1 << 16

#: The refused recipients with the replies to them.
Refused = dict[str, SMTPResponse]
#: The refused recipients, and the final reply.
Outcome = tuple[Refused, SMTPResponse]

#: The errors that a negative reply raises. Any other ends the transaction without one.
_REFUSALS = (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError)


class _Record:
    """The replies of a mail transaction so far, and the error details that follow from them.

    :ivar mail: the message
    :ivar replies: the replies to MAIL, RCPT, DATA and the content, in this order; not that to RSET
    :ivar handed_over: whether the end of the content was handed to the session, which may have written it
    """

    __slots__ = ("handed_over", "mail", "replies")

    def __init__(self, mail: PreparedMail) -> None:
        self.mail = mail
        self.replies: list[SMTPResponse] = []
        self.handed_over = False

    def phase(self) -> str:
        """The phase in which the transaction ends now, as in :attr:`SMTPException.phase`."""
        count = len(self.replies)
        if count and self.replies[-1][0] == _SERVICE_CLOSING:
            count -= 1  # the phase is that of the command which the 421 answers
        if not count:
            return "mail"
        if count <= len(self.mail.recipients):
            return "rcpt"
        return "final" if self.handed_over else "data"

    def refusal(self) -> SMTPException | None:
        """The error for a refused MAIL, or for recipients of which all were refused; ``None`` for neither."""
        replies, mail = self.replies, self.mail
        if not replies:
            return None
        if replies[0][0] != _COMPLETED:
            return SMTPSenderRefused(*replies[0], mail.sender)
        count = len(mail.recipients)
        answers = replies[1 : count + 1]
        if len(answers) == count and not any(_accepted(answer) for answer in answers):
            pairs = zip(mail.recipients, answers, strict=True)
            return SMTPRecipientsRefused([SMTPRecipientRefused(*answer, who) for who, answer in pairs])
        return None

    def annotate(self, error: SMTPException) -> None:
        """Set ``delivery``, ``phase`` and ``replies`` of an error that ends the transaction."""
        error.replies = tuple(self.replies)
        if isinstance(error, _REFUSALS):
            taken = self._taken() if self.handed_over and self.mail.chunked else None
            if taken is not None:
                error.delivery = taken
            elif error.phase != "final" and any(reply[0] == _SERVICE_CLOSING for reply in self.replies):
                error.delivery = Delivery.NOT_SENT  # a 421 closes the connection and refuses no message
            return
        error.phase = self.phase()
        if self.handed_over:
            error.delivery = Delivery.UNKNOWN

    def _taken(self) -> Delivery | None:
        """The verdict on content sent by BDAT although MAIL was refused, by a server that contradicts itself.

        :return: ``DELIVERED`` if a recipient and the content were accepted, ``UNKNOWN`` if a recipient was
            and the final reply is missing, else ``None``: the message is refused
        """
        replies, count = self.replies, len(self.mail.recipients)
        if not any(_accepted(reply) for reply in replies[1 : count + 1]):
            return None
        if len(replies) == count + 1:
            return Delivery.UNKNOWN
        return Delivery.DELIVERED if _accepted(replies[-1]) else None


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
    record = _Record(mail)
    reset = server.mail is not None
    server.mail = mail
    try:
        if mail.chunked:
            return (yield from _by_bdat(record, server, reset))
        if reset or not mail.pipelined or len(mail.recipients) > MAX_GROUP:
            yield from _envelope(record, reset, _DATA)
        else:
            record.replies = yield mail.commands + _DATA, len(mail.recipients) + 2, MORE
            if mail.content is not None and not mail.per_recipient and _all_accepted(record.replies):
                # The fast path, if nothing was refused: the same steps as in _content.
                server.mail = None
                record.handed_over = True
                record.replies += yield mail.content, 1, LAST
                return _outcome(record, server, {}, record.replies[-1])
        return (yield from _content(record, server))
    except SMTPException as error:
        if not isinstance(error, _REFUSALS):
            record.replies += error.replies[reset and not record.replies :]
        refusal = None if isinstance(error, _REFUSALS) else record.refusal()
        if refusal is not None:
            record.annotate(refusal)
            raise refusal from error
        record.annotate(error)
        if isinstance(error, _REFUSALS) and not mail.pipelined:
            yield from _reset(server)
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
            if _accepted(replies[1]):
                return replies[1]
        raise SMTPDataError(*replies[-1])
    except SMTPException as error:
        error.phase = phase
        error.replies = tuple(replies)
        if phase == "final" and not isinstance(error, SMTPDataError):
            error.delivery = Delivery.UNKNOWN
        raise


def _content(record: _Record, server: ServerState) -> Dialogue[Outcome]:
    """The rest of a transaction by DATA, after the replies to MAIL, RCPT and DATA."""
    mail = record.mail
    replies = record.replies
    accepted, refused = _divide(record)
    answer = replies[len(mail.recipients) + 1]
    if replies[0][0] != _COMPLETED or not accepted:
        if answer[0] == _START_INPUT:
            if accepted:
                yield HANG_UP
            replies += yield _DOT, 1, MORE
        raise _refusal(record)
    if answer[0] != _START_INPUT:
        raise _data_error(answer, "data")
    finals = len(accepted) if mail.per_recipient else 1
    # The end of the content closes the transaction, whatever the reply (RFC 5321 section 4.1.1.4).
    server.mail = None
    record.handed_over = True
    if mail.content is None:
        last = yield b"", finals, STREAM
    else:
        last = yield mail.content, finals, LAST if mail.pipelined else MORE
    replies += last
    if not mail.per_recipient:
        return _outcome(record, server, refused, last[0])
    positive = []
    for recipient, reply in zip(accepted, last, strict=True):
        if _accepted(reply):
            positive.append(reply)
        else:
            refused[recipient] = reply
    return _outcome(record, server, refused, positive[0] if positive else last[0])


def _by_bdat(record: _Record, server: ServerState, reset: bool) -> Dialogue[Outcome]:
    """A transaction with the content by BDAT (RFC 3030).

    :param reset: whether to begin with RSET
    """
    mail = record.mail
    replies = record.replies
    count = len(mail.recipients)
    content = mail.content
    if isinstance(content, bytes) and mail.pipelined and count <= MAX_GROUP:
        record.handed_over = True
        header = b"%bBDAT %d LAST\r\n" % (mail.commands, len(content))
        if reset:
            header = RSET + header
        data: Data = header + content if len(content) < _MAX_JOINED_CONTENT else (header, content)
        replies += yield data, count + 2 + reset, LAST
        if reset:
            yield from _check_reset(replies)
        accepted, refused = _divide(record)
        if replies[0][0] != _COMPLETED or not accepted:
            raise _refusal(record)
    else:
        yield from _envelope(record, reset, b"")
        accepted, refused = _divide(record)
        if replies[0][0] != _COMPLETED or not accepted:
            raise _refusal(record)
        record.handed_over = True
        if isinstance(content, bytes):
            replies += yield (
                (b"BDAT %d LAST\r\n" % len(content), content),
                1,
                LAST if mail.pipelined else MORE,
            )
        else:
            last = yield b"", 0, CHUNKS
            if mail.aborted:
                yield from _give_up(record, server, last)
            replies += last
    if server.mail is mail:
        server.mail = None
    return _outcome(record, server, refused, replies[-1])


def _give_up(record: _Record, server: ServerState, replies: list[SMTPResponse]) -> Dialogue[None]:
    """The end of a stream that was given up: RSET was sent in place of the last chunk.

    :param replies: those to the chunks and to RSET
    :raises SMTPDataError: if the server refused a chunk
    :raises SMTPException: if the source of the content failed
    """
    record.handed_over = False
    chunks = replies[:-1]
    record.replies += chunks
    if replies[-1][0] != _COMPLETED:
        yield HANG_UP
    server.mail = None
    refusals = [reply for reply in chunks if not _accepted(reply)]
    if refusals:
        raise _data_error(refusals[0], "body")
    raise SMTPException("The message was given up")


def _envelope(record: _Record, reset: bool, data: bytes) -> Dialogue[None]:
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
        if reset:
            got = yield RSET + group, count + 2 + bool(data), MORE
            yield from _check_reset(got)
        else:
            got = yield group, count + 1 + bool(data), MORE
        replies += got
        return
    if reset:
        yield from _check_reset((yield RSET, 1, MORE))
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


def _check_reset(replies: list[SMTPResponse]) -> Dialogue[None]:
    """Remove the reply to RSET from a list. If negative, hang up: recipients could get the wrong message."""
    if replies.pop(0)[0] != _COMPLETED:
        yield HANG_UP


def _reset(server: ServerState) -> Dialogue[None]:
    """RSET after a refusal, at once: without PIPELINING, to send it later saves no round trip."""
    try:
        if (yield RSET, 1, MORE)[0][0] != _COMPLETED:
            yield HANG_UP
        server.mail = None
    except SMTPException:
        pass  # the refusal is the error to report


def _all_accepted(replies: list[SMTPResponse]) -> bool:
    """Whether the server accepted the sender and every recipient, and replied 354 to DATA."""
    if replies[0][0] != _COMPLETED or replies[-1][0] != _START_INPUT:
        return False
    return all(map(_accepted, replies[1:-1]))


def _divide(record: _Record) -> tuple[list[str], Refused]:
    """The accepted recipients, and the refused ones with the replies to them."""
    accepted = []
    refused = {}
    for recipient, reply in zip(record.mail.recipients, record.replies[1:], strict=False):
        if 200 <= reply[0] < 300:
            accepted.append(recipient)
        else:
            refused[recipient] = reply
    return accepted, refused


def _outcome(record: _Record, server: ServerState, refused: Refused, final: SMTPResponse) -> Outcome:
    """The result of a transaction by its final reply.

    Any 2yz code is an acceptance: the first digit decides (RFC 5321 section 4.2.1). An accepted message that
    is reported as refused would be sent twice.

    :raises SMTPDataError: if the final reply is negative; the server may have the transaction open then
    """
    if _accepted(final):
        return refused, final
    if server.mail is None:
        server.mail = record.mail
    raise _data_error(final, "final")


def _refusal(record: _Record) -> SMTPException:
    refusal = record.refusal()
    assert refusal is not None
    return refusal


def _data_error(reply: SMTPResponse, phase: str) -> SMTPDataError:
    error = SMTPDataError(*reply)
    error.phase = phase
    return error


def _accepted(reply: SMTPResponse) -> bool:
    return 200 <= reply[0] < 300
