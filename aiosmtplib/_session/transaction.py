"""The mail transaction as a dialogue: MAIL, RCPT, DATA or BDAT, and what became of the message.

With PIPELINING (RFC 2920) a transaction is one group, ``[RSET] MAIL RCPT… DATA``, and after a 354 the
content; with CHUNKING (RFC 3030) one group with the content in it. Without, groups of one command.

Every status is checked. The first negative reply, in the order of the commands, is the error. Replies to
the rest of the group are read and count where they decide what has to be written or believed:

* After a 354 the server waits for content. A lone dot is right only where no recipient was accepted. With
  one accepted it would send an empty mail, so that the connection is dropped instead.
* A server that refused MAIL or DATA and still took the content of a BDAT has delivered it.

:class:`~aiosmtplib._session.mail.ServerState` remembers whether the server may still have a transaction
open. If so, the next group starts with RSET: recipients of one message must never get the next.
"""

from collections.abc import Iterator

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

#: Below this many bytes, content goes out in one piece with the commands before it.
_MAX_JOINED_CONTENT = 1 << 16

Refused = dict[str, SMTPResponse]
Outcome = tuple[Refused, SMTPResponse]

_REFUSALS = (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError)


class _Progress:
    """How far a mail transaction has come: what an error has to say about it."""

    __slots__ = ("handed_over", "mail", "replies")

    def __init__(self, mail: PreparedMail) -> None:
        self.mail = mail
        #: Those to MAIL, RCPT, DATA and the content.
        self.replies: list[SMTPResponse] = []
        #: Whether the end of the content is among what was to be written.
        self.handed_over = False

    def phase(self) -> str:
        count = len(self.replies)
        if count and self.replies[-1][0] == _SERVICE_CLOSING:
            count -= 1  # it happened at the command that this answers
        if not count:
            return "mail"
        if count <= len(self.mail.recipients):
            return "rcpt"
        return "final" if self.handed_over else "data"

    def refusal(self) -> SMTPException | None:
        """The first negative reply in the order of the commands, as the error that it is."""
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
        """Put verdict, phase and replies on ``error`` (design: what became of the message)."""
        error.replies = tuple(self.replies)
        if isinstance(error, _REFUSALS):
            taken = self._taken() if self.handed_over and self.mail.chunked else None
            if taken is not None:
                error.delivery = taken
            elif error.phase != "final" and any(reply[0] == _SERVICE_CLOSING for reply in self.replies):
                error.delivery = Delivery.NOT_SENT  # the server leaves: another connection may do better
            return
        error.phase = self.phase()
        if self.handed_over:
            error.delivery = Delivery.UNKNOWN

    def _taken(self) -> Delivery | None:
        """The verdict where the server contradicts itself: MAIL refused, a recipient and the content not."""
        replies, count = self.replies, len(self.mail.recipients)
        if not any(_accepted(reply) for reply in replies[1 : count + 1]):
            return None
        if len(replies) == count + 1:
            return Delivery.UNKNOWN
        return Delivery.DELIVERED if _accepted(replies[-1]) else None


def transaction(mail: PreparedMail, server: ServerState) -> Dialogue[Outcome]:
    """One mail transaction (RFC 5321 section 3.3).

    :param server: what the server may have open; kept up to date
    :return: the refused recipients with the replies to them, and the final reply
    :raises SMTPSenderRefused: if MAIL is refused
    :raises SMTPRecipientsRefused: if every recipient is refused
    :raises SMTPDataError: if DATA or the content is refused
    """
    progress = _Progress(mail)
    reset = server.mail is not None
    server.mail = mail
    try:
        if mail.chunked:
            return (yield from _by_bdat(progress, server, reset))
        if reset or not mail.pipelined or len(mail.recipients) > MAX_GROUP:
            yield from _envelope(progress, reset, _DATA)
        else:
            progress.replies = yield mail.commands + _DATA, len(mail.recipients) + 2, MORE
            if mail.content is not None and not mail.per_recipient and _wants_all(progress.replies):
                # Nothing was refused: the same as below, without the detours.
                server.mail = None
                progress.handed_over = True
                progress.replies += yield mail.content, 1, LAST
                return _judged(progress, server, {}, progress.replies[-1])
        return (yield from _content(progress, server))
    except SMTPException as error:
        if not isinstance(error, _REFUSALS):
            progress.replies += error.replies[reset and not progress.replies :]
        refusal = None if isinstance(error, _REFUSALS) else progress.refusal()
        if refusal is not None:
            progress.annotate(refusal)
            raise refusal from error
        progress.annotate(error)
        if isinstance(error, _REFUSALS) and not mail.pipelined:
            yield from _reset(server)
        raise


def begin(mail: PreparedMail, server: ServerState) -> Dialogue[Outcome]:
    """:func:`transaction` as the session runs it."""
    return start_transaction(mail, server, transaction)


def data(content: bytes) -> Dialogue[SMTPResponse]:
    """DATA and, after a 354, the content (RFC 5321 section 4.1.1.4).

    :param content: stuffed and terminated, as ``encode_data`` returns it
    :raises SMTPDataError: if either is refused
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


def _content(progress: _Progress, server: ServerState) -> Dialogue[Outcome]:
    """What the replies to MAIL, RCPT and DATA ask for."""
    mail = progress.mail
    replies = progress.replies
    accepted, refused = _sorted_out(progress)
    answer = replies[len(mail.recipients) + 1]
    if replies[0][0] != _COMPLETED or not accepted:
        if answer[0] == _START_INPUT:
            if accepted:
                yield HANG_UP
            replies += yield _DOT, 1, MORE
        raise _refusal(progress)
    if answer[0] != _START_INPUT:
        raise _data_error(answer, "data")
    finals = len(accepted) if mail.per_recipient else 1
    server.mail = None  # the end of the content closes the transaction, whatever the reply (section 4.1.1.4)
    progress.handed_over = True
    if mail.content is None:
        last = yield b"", finals, STREAM
    else:
        last = yield mail.content, finals, LAST if mail.pipelined else MORE
    replies += last
    if not mail.per_recipient:
        return _judged(progress, server, refused, last[0])
    takers = []
    for recipient, reply in zip(accepted, last, strict=True):
        if _accepted(reply):
            takers.append(reply)
        else:
            refused[recipient] = reply
    return _judged(progress, server, refused, takers[0] if takers else last[0])


def _by_bdat(progress: _Progress, server: ServerState, reset: bool) -> Dialogue[Outcome]:
    mail = progress.mail
    replies = progress.replies
    count = len(mail.recipients)
    content = mail.content
    if isinstance(content, bytes) and mail.pipelined and count <= MAX_GROUP:
        progress.handed_over = True
        header = b"%bBDAT %d LAST\r\n" % (mail.commands, len(content))
        if reset:
            header = RSET + header
        data: Data = header + content if len(content) < _MAX_JOINED_CONTENT else (header, content)
        replies += yield data, count + 2 + reset, LAST
        if reset:
            yield from _check_reset(replies)
        accepted, refused = _sorted_out(progress)
        if replies[0][0] != _COMPLETED or not accepted:
            raise _refusal(progress)
    else:
        yield from _envelope(progress, reset, b"")
        accepted, refused = _sorted_out(progress)
        if replies[0][0] != _COMPLETED or not accepted:
            raise _refusal(progress)
        progress.handed_over = True
        if isinstance(content, bytes):
            replies += yield (
                (b"BDAT %d LAST\r\n" % len(content), content),
                1,
                LAST if mail.pipelined else MORE,
            )
        else:
            last = yield b"", 0, CHUNKS
            if mail.aborted:
                yield from _give_up(progress, server, last)
            replies += last
    if server.mail is mail:
        server.mail = None
    return _judged(progress, server, refused, replies[-1])


def _give_up(progress: _Progress, server: ServerState, replies: list[SMTPResponse]) -> Dialogue[None]:
    """RSET went out instead of the last chunk: the source failed, or the server refused a chunk."""
    progress.handed_over = False
    chunks = replies[:-1]
    progress.replies += chunks
    if replies[-1][0] != _COMPLETED:
        yield HANG_UP
    server.mail = None
    refusals = [reply for reply in chunks if not _accepted(reply)]
    if refusals:
        raise _data_error(refusals[0], "body")
    raise SMTPException("The message was given up")


def _envelope(progress: _Progress, reset: bool, data: bytes) -> Dialogue[None]:
    """RSET, MAIL, RCPT and DATA where there is one, in as few groups as possible. Ends where it is no use."""
    mail = progress.mail
    replies = progress.replies
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
            raise _refusal(progress)
    if (refusal := progress.refusal()) is not None:
        raise refusal
    if data:
        replies += yield data, 1, MORE


def _groups(mail: PreparedMail) -> Iterator[tuple[bytes, int]]:
    lines = mail.commands.splitlines(keepends=True)
    size = MAX_GROUP if mail.pipelined else 1
    for start in range(0, len(lines), size):
        group = lines[start : start + size]
        yield b"".join(group), len(group)


def _check_reset(replies: list[SMTPResponse]) -> Dialogue[None]:
    """Take the reply to RSET off the list. Where it is refused, recipients could get the wrong message."""
    if replies.pop(0)[0] != _COMPLETED:
        yield HANG_UP


def _reset(server: ServerState) -> Dialogue[None]:
    """RSET after a refusal, at once: without PIPELINING there is no group that it could be folded into."""
    try:
        if (yield RSET, 1, MORE)[0][0] != _COMPLETED:
            yield HANG_UP
        server.mail = None
    except SMTPException:
        pass  # the first error is the one that says what happened


def _wants_all(replies: list[SMTPResponse]) -> bool:
    """Whether the server accepted sender and recipients, and waits for the content."""
    if replies[0][0] != _COMPLETED or replies[-1][0] != _START_INPUT:
        return False
    return all(map(_accepted, replies[1:-1]))


def _sorted_out(progress: _Progress) -> tuple[list[str], Refused]:
    """The recipients that were accepted, and those that were refused with the replies to them."""
    accepted = []
    refused = {}
    for recipient, reply in zip(progress.mail.recipients, progress.replies[1:], strict=False):
        if 200 <= reply[0] < 300:
            accepted.append(recipient)
        else:
            refused[recipient] = reply
    return accepted, refused


def _judged(progress: _Progress, server: ServerState, refused: Refused, final: SMTPResponse) -> Outcome:
    """What the final reply means. Any 2yz is acceptance (RFC 5321 section 4.2.1: the first digit decides).

    What was accepted must not look refused, or the caller sends it twice.
    """
    if _accepted(final):
        return refused, final
    if server.mail is None:
        server.mail = progress.mail
    raise _data_error(final, "final")


def _refusal(progress: _Progress) -> SMTPException:
    refusal = progress.refusal()
    assert refusal is not None
    return refusal


def _data_error(reply: SMTPResponse, phase: str) -> SMTPDataError:
    error = SMTPDataError(*reply)
    error.phase = phase
    return error


def _accepted(reply: SMTPResponse) -> bool:
    return 200 <= reply[0] < 300
