"""What goes in and what comes out where many messages are sent: ``Envelope`` and ``SendResult``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ..errors import SMTPException, SMTPRecipientsRefused, SMTPResponseException
from ..response import SMTPResponse
from ..status import Delivery
from .content import Content

if TYPE_CHECKING:
    import email.message

__all__ = ("Envelope", "SendResult")

Item = TypeVar("Item")

#: The usual types, which are known to be no iterators without asking, which takes long.
_READ_OFTEN: Final = (str, tuple, list)


@dataclass(frozen=True, slots=True, init=False)
class Envelope:
    """A message, and who it goes from and to (RFC 5321 section 2.3.1).

    :param sender: the reverse-path; ``""`` is the null one. ``None``: that of the message object.
    :param recipients: one forward-path or several, each a ``str`` or a
        :class:`~aiosmtplib.parameters.Recipient`. ``None``: those of the message object.
    :param message: a message object, or header and body as ``str`` (ASCII) or ``bytes``; or a stream of
        ``bytes``, as :meth:`SMTP.sendmail` takes it
    :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of :mod:`aiosmtplib.parameters`
    :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values. An
        iterator, of these or of recipients, is read once, when the envelope is made, and kept as a tuple.
    :param tag: anything that tells the program which message it is: the ``tag`` of its result
    """

    sender: str | None
    recipients: str | Sequence[str] | None
    message: email.message.EmailMessage | email.message.Message | Content = field(repr=False)
    mail_options: Sequence[str] = ()
    rcpt_options: Sequence[str] = ()
    tag: Any = None

    def __init__(
        self,
        sender: str | None,
        recipients: str | Sequence[str] | None,
        message: email.message.EmailMessage | email.message.Message | Content,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
        tag: Any = None,
    ) -> None:
        # A pool may send it more than once, and an iterator can be read only once.
        if not (
            type(recipients) in _READ_OFTEN
            and type(mail_options) in _READ_OFTEN
            and type(rcpt_options) in _READ_OFTEN
        ):
            recipients, mail_options, rcpt_options = map(_kept, (recipients, mail_options, rcpt_options))
        # Every message has an envelope, and a frozen dataclass would take twice the time.
        _set_sender(self, sender)
        _set_recipients(self, recipients)
        _set_message(self, message)
        _set_mail_options(self, mail_options)
        _set_rcpt_options(self, rcpt_options)
        _set_tag(self, tag)


_set_sender, _set_recipients, _set_message, _set_mail_options, _set_rcpt_options, _set_tag = (
    vars(Envelope)[each.name].__set__ for each in fields(Envelope)
)


def _kept(value: Any) -> Any:
    """What an envelope keeps of a value that may be an iterator."""
    return tuple(value) if isinstance(value, Iterator) else value


@dataclass(slots=True)
class SendResult(Generic[Item]):
    """What became of one of many messages.

    :ivar index: its place among the messages, from 0
    :ivar item: the message or envelope, as it came
    :ivar delivery: the verdict
    :ivar response: the final reply, or the one that refused it; ``None`` if there was none
    :ivar refused: the recipients that were refused, with the replies to them
    :ivar error: what :meth:`SMTP.sendmail` would have raised, or ``None``
    """

    index: int
    item: Item = field(repr=False)
    delivery: Delivery
    response: SMTPResponse | None
    refused: Mapping[str, SMTPResponse]
    error: Exception | None

    @property
    def tag(self) -> Any:
        """The ``tag`` of the envelope, ``None`` where the message came without one."""
        return self.item.tag if isinstance(self.item, Envelope) else None

    @property
    def ok(self) -> bool:
        """Whether the server accepted the message, for at least one recipient."""
        return self.error is None

    def raise_for_status(self) -> None:
        """Do nothing if the server accepted the message for at least one recipient.

        :raises SMTPException: what :meth:`SMTP.sendmail` would have raised
        :raises ValueError: if the message could not be sent as it is
        :raises TypeError: if it is none
        """
        if self.error is not None:
            raise self.error


def delivery_of(error: BaseException) -> Delivery:
    """The verdict that goes with an error. What is no error of this package came before anything was sent."""
    return error.delivery if isinstance(error, SMTPException) else Delivery.NOT_SENT


def failed(index: int, item: Any, error: Exception) -> SendResult[Any]:
    """The result for a message that was not accepted."""
    response = None
    refused = {}
    if isinstance(error, SMTPResponseException) and error.code > 0:
        response = SMTPResponse(error.code, error.message)
    elif isinstance(error, SMTPRecipientsRefused):
        refused = {each.recipient: SMTPResponse(each.code, each.message) for each in error.recipients}
    return SendResult(index, item, delivery_of(error), response, refused, error)
