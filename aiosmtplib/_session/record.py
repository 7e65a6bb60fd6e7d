"""The record of a mail transaction: the replies so far, and the error and verdict that follow from them.

The error is the first negative reply in the order of the commands. The verdict is what the server can do:

* Content whose end was not handed over is not stored.
* After a 421 the server executes nothing (RFC 5321 section 3.8), nor the command that it answers.
* Content is delivered if the reply to its end is positive and a recipient was accepted, also where MAIL was
  refused: such a server contradicts itself, and has taken it. With a refused chunk, it has taken a part.
* Where the reply to the end is missing, the server may have taken it for every recipient that it has
  not refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._codec import PreparedMail
from ..errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from ..response import SMTPResponse
from ..status import Delivery, SMTPStatus

_COMPLETED = SMTPStatus.completed.value
_SERVICE_CLOSING = SMTPStatus.domain_unavailable.value
_TOO_MANY = SMTPStatus.insufficient_storage.value, 455

#: The errors that a negative reply raises. Any other ends the transaction without one.
REFUSALS = (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError)


class Record:
    """The record of one mail transaction.

    :ivar mail: the message
    :ivar replies: the replies to MAIL, RCPT, DATA and the content, in this order; not that to RSET
    :ivar resetting: whether the next reply is that to RSET
    :ivar handed_over: whether the end of the content was handed to the session, which may have written it
    :ivar complete: whether all replies to the content came
    """

    __slots__ = ("_closing", "complete", "handed_over", "mail", "replies", "resetting")

    def __init__(self, mail: PreparedMail, resetting: bool) -> None:
        self.mail = mail
        self.replies: list[SMTPResponse] = []
        self.resetting = resetting
        self.handed_over = False
        self.complete = False
        self._closing = False

    def add_lost(self, replies: Sequence[SMTPResponse]) -> None:
        """Add the replies to a step that was not answered whole."""
        # A 421 may answer RSET, which the record leaves out.
        self._closing = bool(replies) and replies[-1][0] == _SERVICE_CLOSING
        self.replies += replies[self.resetting :]

    def refusal(self) -> SMTPException | None:
        """The error for the first negative reply; for recipients only where all were refused.

        :return: ``None`` if there is no such reply, or only that of a server which leaves
        """
        replies, mail = self.replies, self.mail
        if not replies:
            return None
        if replies[0][0] != _COMPLETED:
            return SMTPSenderRefused(*replies[0], mail.sender)
        count = len(mail.recipients)
        if not self._may_be_served():
            pairs = zip(mail.recipients, replies[1 : count + 1], strict=True)
            return SMTPRecipientsRefused([SMTPRecipientRefused(*answer, who) for who, answer in pairs])
        if mail.chunked:
            for place, reply in enumerate(replies[count + 1 :], count + 2):
                if not accepted(reply) and (self.complete or reply[0] != _SERVICE_CLOSING):
                    return data_error(reply, "final" if self.complete and place == len(replies) else "body")
        return None

    def is_goodbye(self, error: SMTPException) -> bool:
        """Whether the only reply was about the connection, which was lost with it, and not about the mail.

        Some servers end an idle connection with a 451 or another 4yz code instead of 421. Where that meets a
        MAIL on its way, it looks like the reply to it. If the content was on its way, too, it may be either.

        :param error: what ended the transaction
        """
        if not isinstance(error, SMTPServerDisconnected) or self.handed_over or len(self.replies) != 1:
            return False
        return 400 <= self.replies[0][0] < 500 and self.replies[0][0] != _SERVICE_CLOSING

    def annotate(self, error: SMTPException) -> None:
        """Set ``delivery``, ``phase`` and ``replies`` of an error that ends the transaction."""
        error.replies = tuple(self.replies)
        if not isinstance(error, REFUSALS):
            error.phase = self._phase()
        error.delivery = self._verdict(error)

    def _phase(self) -> str:
        """The phase in which the transaction ends now, as in :attr:`SMTPException.phase`."""
        count = len(self.replies)
        if count and self.replies[-1][0] == _SERVICE_CLOSING:
            count -= 1  # the phase is that of the command which the 421 answers
        if not count:
            return "mail"
        if count <= len(self.mail.recipients):
            return "rcpt"
        return "final" if self.handed_over and not self.mail.aborted else "data"

    def _verdict(self, error: SMTPException) -> Delivery:
        replies, mail = self.replies, self.mail
        refused = isinstance(error, REFUSALS)
        after = len(mail.recipients) + 1
        if self._closing or (replies and replies[-1][0] == _SERVICE_CLOSING):
            if refused and error.phase == "final":
                return Delivery.REJECTED
            # A server of LMTP may have accepted the message for others before (RFC 2033 section 4.2).
            some = self.handed_over and mail.per_recipient and any(map(accepted, replies[after + 1 :]))
            return Delivery.UNKNOWN if some else Delivery.NOT_SENT
        if not self.handed_over or mail.aborted:
            return Delivery.REJECTED if refused else Delivery.NOT_SENT
        if not self._may_be_served():
            return Delivery.REJECTED
        if not self.complete:
            return Delivery.UNKNOWN
        if not accepted(replies[-1]):
            return Delivery.REJECTED
        # Else of a stream it has a part, or RSET was refused, and it may have gone to others.
        whole = refused and all(map(accepted, replies[after:]))
        return Delivery.DELIVERED if whole else Delivery.UNKNOWN

    def _may_be_served(self) -> bool:
        """Whether a recipient was accepted, or not answered yet."""
        count = len(self.mail.recipients)
        answers = self.replies[1 : count + 1]
        return len(answers) < count or any(map(accepted, answers))


def data_error(reply: SMTPResponse, phase: str) -> SMTPDataError:
    """The error for a negative reply to DATA or to content."""
    error = SMTPDataError(*reply)
    error.phase = phase
    return error


def accepted(reply: SMTPResponse) -> bool:
    """Whether a reply is positive: the first digit decides (RFC 5321 section 4.2.1)."""
    return 200 <= reply[0] < 300


def is_too_many(reply: SMTPResponse) -> bool:
    """Whether a negative reply to RCPT says that the transaction has as many recipients as the server takes.

    The code for that is 452 (RFC 5321 section 4.5.3.1.10), which also stands for a full mailbox; some servers
    say 455. An enhanced code tells more: X.5.3 is "too many recipients" (RFC 3463 section 3.6), and X.1 and
    X.2 are about this recipient (sections 3.2 and 3.3), who would be refused again.
    """
    enhanced = reply.enhanced_code
    if enhanced == (4, 5, 3):
        return True
    return reply.code in _TOO_MANY and (enhanced is None or enhanced.subject not in (1, 2))
