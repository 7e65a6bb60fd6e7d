"""Sending over a pool: one message, or many."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .._client.completion import added_to_octets
from .._client.compose import envelope_of
from .._client.connection import Timeout, effective_timeout, running_limit_of
from .._client.content import Content, MessageKind, kind_of, octets_of
from .._client.division import check_division
from .._client.options import destination_of
from .._client.send_many import SendMany
from .._client.sending import added_fields, hooked_by
from .._client.streaming import Progress
from .._envelope.parameter import option_list
from .._envelope.recipient import recipient_list
from .._transport.limit import limit_of
from ..response import SMTPResponse
from ..typing import Default
from .dispatcher import Dispatcher
from .messages import WholeMessages
from .send_one import ContentSubmission, HookedSubmission, ObjectSubmission, Submission, deliver
from .streams import Streams
from .whole import WholeMessage

if TYPE_CHECKING:
    import email.message

    from ..smtp import SMTP
    from .manager import ConnectionManager

Item = TypeVar("Item")


class PoolSending:
    """The part of a pool that sends messages."""

    _manager: ConnectionManager
    #: A client with the options of the pool.
    _model: SMTP
    _messages: WholeMessages
    #: Whether messages can begin at once, and by no method of a program's own.
    _sends_whole: bool

    async def send(
        self,
        message: email.message.EmailMessage | email.message.Message | Content,
        sender: str | None = None,
        recipients: str | Sequence[str] | None = None,
        *,
        mail_options: Sequence[str] | None = None,
        rcpt_options: Sequence[str] | None = None,
        timeout: Timeout = Default.token,
        deadline: float | None = None,
        divide_recipients: bool = True,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send one message, as :func:`aiosmtplib.send` does.

        :param message: a message object, or one that is ready to go, as in :meth:`SMTP.sendmail`
        :param sender: the reverse-path; by default that of the message object
        :param recipients: one forward-path or several; by default those of the message object
        :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of
            :mod:`aiosmtplib.parameters`
        :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the pool's. Waiting
            for a connection is not part of it.
        :param deadline: seconds for the whole call, waiting for a connection and moves to another included;
            ``None`` for no limit
        :param divide_recipients: whether those that are too many for one transaction get another one, as in
            :meth:`sendmail`
        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises ValueError: if an address is none, or ``sender`` or ``recipients`` is missing where the
            message is no object; nothing has been sent
        :raises SMTPException: whatever :meth:`SMTP.connect`, :meth:`SMTP.sendmail` and
            :meth:`SMTP.send_message` raise. Its ``delivery`` says what became of the message.
        """
        content: Any = message
        if kind_of(message) is MessageKind.OBJECT:
            return await self.send_message(
                content,
                sender,
                recipients,
                mail_options,
                rcpt_options,
                timeout,
                deadline=deadline,
                divide_recipients=divide_recipients,
            )
        if not recipients:
            raise ValueError("Recipients must be provided with raw messages.")
        if not sender:
            raise ValueError("Sender must be provided with raw messages.")
        return await self.sendmail(
            sender,
            recipients,
            content,
            mail_options,
            rcpt_options,
            timeout,
            deadline=deadline,
            divide_recipients=divide_recipients,
        )

    async def sendmail(
        self,
        sender: str,
        recipients: str | Sequence[str],
        message: Content,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        timeout: Timeout = Default.token,
        *,
        progress: Progress | None = None,
        deadline: float | None = None,
        divide_recipients: bool = True,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message that is ready to go, as :meth:`SMTP.sendmail` does, with its options.

        If the message took several transactions, recipients of one that failed are among the refused, those
        without a reply with code -1; if one is ``Delivery.UNKNOWN``, its error is raised.

        :param sender: the reverse-path; ``""`` is the null one
        :param recipients: one forward-path or several, each a ``str`` or a
            :class:`~aiosmtplib.parameters.Recipient`
        :param message: header and body, or a stream of them, as in :meth:`SMTP.sendmail`
        :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of
            :mod:`aiosmtplib.parameters`
        :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the pool's. Waiting
            for a connection is not part of it.
        :param progress: called while content is written, as in :meth:`SMTP.sendmail`
        :param deadline: seconds for the whole call, as in :meth:`send`
        :param divide_recipients: whether recipients that the server refuses as too many for one transaction
            (452 or 455), while it takes others, get the message in another one (RFC 5321 section 4.5.3.1.10)
        :raises SMTPServerDisconnected: if the pool is closed, or the connection was lost
        :raises SMTPTimeoutError: after ``deadline``, with the verdict in ``delivery``
        :raises SMTPNotSupported: if it takes several transactions, and is a stream that can be read only once
        :raises SMTPException: and whatever else :meth:`SMTP.connect` and :meth:`SMTP.sendmail` raise
        """
        limit = None if deadline is None else running_limit_of(self._model, deadline)
        content = message if type(message) is bytes else octets_of(message)
        if content is not None and progress is None and limit is None and self._sends_whole:
            if divide_recipients is not True:
                check_division(divide_recipients)
            everyone = [recipients] if isinstance(recipients, str) else list(recipients)
            options = (
                option_list(mail_options) if mail_options else (),
                option_list(rcpt_options, "RCPT") if rcpt_options else (),
            )
            if self._model.complete_headers:
                content = added_to_octets(content, sender) + content
            whole = WholeMessage(sender, everyone, content, options, timeout, divide_recipients)
            self._messages.submit(whole)
            try:  # as send has it: a coroutine less for every message
                await whole.future
            except asyncio.CancelledError:
                self._messages.cancel(whole)
                raise
            return whole.verdict()
        everyone = recipient_list(recipients)
        hooked = hooked_by(self._model, message, sender, everyone, mail_options, rcpt_options)
        submission: Submission
        if hooked is not None:
            submission = HookedSubmission(hooked, timeout, progress, limit, divide_recipients)
        else:
            submission = ContentSubmission(
                sender,
                message,
                mail_options,
                rcpt_options,
                timeout,
                progress,
                limit,
                divide_recipients,
                complete=self._model.complete_headers,
            )
        return await deliver(self._manager, submission, everyone)

    async def send_message(
        self,
        message: email.message.EmailMessage | email.message.Message,
        sender: str | None = None,
        recipients: str | Sequence[str] | None = None,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        timeout: Timeout = Default.token,
        *,
        deadline: float | None = None,
        divide_recipients: bool = True,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message object, as :meth:`SMTP.send_message` does, with its options.

        :param message: the object; of either kind, ``EmailMessage`` or the older ``Message``
        :param sender: the reverse-path; by default that of the message
        :param recipients: one forward-path or several; by default those of the message
        :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of
            :mod:`aiosmtplib.parameters`
        :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the pool's. Waiting
            for a connection is not part of it.
        :param deadline: seconds for the whole call, as in :meth:`send`
        :param divide_recipients: as in :meth:`sendmail`
        :raises SMTPServerDisconnected: if the pool is closed, or the connection was lost
        :raises SMTPTimeoutError: after ``deadline``, with the verdict in ``delivery``
        :raises SMTPException: and whatever else :meth:`SMTP.connect` and :meth:`SMTP.send_message` raise
        """
        limit = running_limit_of(self._model, deadline)
        sender, everyone = envelope_of(message, sender, recipients)
        if limit is None and self._sends_whole:
            check_division(divide_recipients)
            options = option_list(mail_options), option_list(rcpt_options, "RCPT")
            added = added_fields(self._model, message, sender)
            whole = WholeMessage(sender, everyone, message, options, timeout, divide_recipients, added)
            return await self._messages.send(whole)
        hooked = hooked_by(self._model, message, sender, everyone, mail_options, rcpt_options)
        submission: Submission
        if hooked is not None:
            submission = HookedSubmission(hooked, timeout, None, limit, divide_recipients)
        else:
            submission = ObjectSubmission(
                sender, message, mail_options, rcpt_options, timeout, limit, divide_recipients
            )
        return await deliver(self._manager, submission, everyone)

    def send_many(
        self,
        messages: Iterable[Item] | AsyncIterable[Item],
        *,
        window: int = 256,
        timeout: Timeout = Default.token,
        deadline: float | None = None,
    ) -> SendMany[Item]:
        """Send many messages over as many connections as there may be.

        >>> async for result in pool.send_many(messages):
        ...     print(result.index, result.delivery.value)

        On each connection messages follow each other as in :meth:`SMTP.send_many`. A message that is refused,
        or cannot be sent, fails alone: its result says so. If the source of the messages raises, the results
        of those before come first, then its error.

        :param messages: message objects or :class:`Envelope`, from an iterable or asynchronous iterable. They
            are pulled as they are needed.
        :param window: at most this many are pulled and not yet handed back
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the pool's
        :param deadline: seconds for each message, from when it is pulled, waiting for a connection included;
            ``None`` for no limit. After them its result has :class:`SMTPTimeoutError`. If its transaction had
            begun, the connection is closed, and what was behind it goes over others.
        :return: an asynchronous iterator of :class:`SendResult`, in the order in which they come; ``index``
            is the place of the message
        :raises TypeError: if ``messages`` is a single one, or ``window`` is no number
        :raises ValueError: if ``window`` is less than 1, or ``deadline`` not positive
        """
        seconds = effective_timeout(self._model, timeout)
        limit = limit_of(deadline, destination_of(self._model))
        manager = self._manager

        async def open_dispatcher() -> Dispatcher:
            make_streams = functools.partial(Streams, manager, seconds, self._model.complete_headers)
            return Dispatcher(manager, make_streams, window, seconds, limit)

        return SendMany(messages, window, open_dispatcher)
