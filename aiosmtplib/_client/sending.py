"""Sending one message: as octets, as a stream, or as an object of the email package."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._envelope.commands import envelope_commands
from .._envelope.parameter import option_list
from .._session.transaction import Outcome
from .._transport.limit import Limit, within
from ..errors import SMTPException
from ..response import SMTPResponse
from ..typing import Default
from .completion import added_to_object, added_to_octets
from .compose import envelope_of
from .connection import Connection, Timeout, effective_timeout, introduced_protocol, running_limit_of
from .content import Content, octets_of
from .division import check_division
from .error_context import attaches_transcript, explain
from .hooked import HookedMessage
from .streaming import Progress
from .transactions import composer_of, run_transaction, send_stream

if TYPE_CHECKING:
    import email.message


class Sending(Connection):
    """The part of the client that sends messages."""

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
        divide_recipients: bool = False,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message that is ready to go: one mail transaction (RFC 5321 section 3.3).

        Where the server announces PIPELINING (RFC 2920), its commands go out in one piece. After a refusal
        the envelope is reset, so that the connection can be used for the next message.

        :param sender: the reverse-path; ``""`` is the null one
        :param recipients: one forward-path or several, each a ``str`` or a
            :class:`~aiosmtplib.parameters.Recipient`
        :param message: header and body; line ends are normalised. A ``str`` must be ASCII. A binary file, an
            iterable or an asynchronous iterable of ``bytes`` is streamed: it is never in memory as a whole.
        :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of
            :mod:`aiosmtplib.parameters`. With ``"SMTPUTF8"`` addresses may have any characters (RFC 6531);
            without, a domain that is not ASCII goes as A-labels (RFC 5891).
            With ``"BODY=BINARYMIME"`` the content goes out as it is (RFC 3030 section 3).
        :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :param progress: called while content is written, with the number of bytes of ``message`` so far, and
            with their total, or ``None`` where that is not known
        :param deadline: seconds for the whole call, waiting for other tasks included; ``None`` for no limit
        :param divide_recipients: whether recipients that the server refuses as too many for one transaction
            (452 or 455), while it takes others, get the message in another one (RFC 5321 section
            4.5.3.1.10). What can be read only once is not sent again. If it is not known whether a further
            transaction arrived, its error is raised; else those whom it did not serve are among the refused.
        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPSenderRefused: if the server refuses the sender, or the message is larger than it takes
        :raises SMTPRecipientsRefused: if it refuses every recipient
        :raises SMTPDataError: if it refuses the message
        :raises SMTPNotSupported: if SMTPUTF8, BINARYMIME or another parameter that is required is wanted, and
            the server does not announce it
        :raises SMTPException: if a streamed message, or ``progress``, raises: the cause is what it raised.
            Without BDAT the connection is closed.
        :raises SMTPServerDisconnected: if the connection is not there, or gets lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPTimeoutError: after ``deadline``; the connection is closed if the transaction had begun
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        :raises ValueError: if an address or option is none, or there is no recipient; nothing has been sent
        :raises TypeError: if an argument is of the wrong type; nothing has been sent
        """
        try:
            limit = None if deadline is None else running_limit_of(self, deadline)
            if limit is not None and not limit.watched:
                call = Sending.sendmail(
                    self,
                    sender,
                    recipients,
                    message,
                    mail_options,
                    rcpt_options,
                    timeout,
                    progress=progress,
                    deadline=limit,
                    divide_recipients=divide_recipients,
                )
                return await within(limit, call)
            if divide_recipients is not False:
                check_division(divide_recipients)
            if self.before_send is not None:
                hooked = HookedMessage(
                    self.before_send,
                    message,
                    sender,
                    recipients,
                    mail_options,
                    rcpt_options,
                    complete=self.complete_headers,
                )
                return await send_hooked(
                    self, hooked, None, timeout, progress, limit, divide=divide_recipients
                )
            envelope = envelope_commands(sender, recipients, mail_options, rcpt_options)
            content = message if type(message) is bytes else octets_of(message)
            seconds = effective_timeout(self, timeout)
            if content is None or progress is not None:
                source = message if content is None else content
                refused, response = await send_stream(
                    self, envelope, source, progress, seconds, limit, divide=divide_recipients
                )
                return refused, response.message
            protocol = self.protocol
            if protocol is None or self._last_ehlo_response is None:
                protocol = await introduced_protocol(self)
            if self.complete_headers:
                content = added_to_octets(content, sender) + content
            mail = composer_of(self).compose(envelope, content)
            refused, response = await run_transaction(self, protocol, mail, seconds, limit, divide_recipients)
            return refused, response.message
        except SMTPException as error:
            explain(self, error)
            raise

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
        divide_recipients: bool = False,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message object.

        Bcc and Resent-Bcc are used and not sent. Where the server announces 8BITMIME or SMTPUTF8, they are
        used as far as the message needs them. The message is not changed.

        :param message: the object; of either kind, ``EmailMessage`` or the older ``Message``
        :param sender: the reverse-path; by default that of the message (Sender, or else From; RFC 5322
            section 3.6.2, or their Resent- forms)
        :param recipients: one forward-path or several; by default those of the message (To, Cc and Bcc, or
            their Resent- forms)
        :param mail_options: parameters of MAIL, as in :meth:`sendmail`
        :param rcpt_options: parameters of every RCPT, as in :meth:`sendmail`
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :param deadline: seconds for the whole call, as in :meth:`sendmail`
        :param divide_recipients: whether those that are too many for one transaction get another one, as in
            :meth:`sendmail`
        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPNotSupported: if an address needs SMTPUTF8, or a parameter is required, that the server
            does not announce
        :raises ValueError: if the message has no sender or no recipient; nothing has been sent
        :raises SMTPException: and whatever else :meth:`sendmail` raises
        """
        limit = running_limit_of(self, deadline)
        sender, recipients = envelope_of(message, sender, recipients)
        options = option_list(mail_options)
        rcpt_options = option_list(rcpt_options, "RCPT")
        check_division(divide_recipients)
        hooked = hooked_by(self, message, sender, recipients, options, rcpt_options)
        if hooked is not None:
            sent = send_hooked(self, hooked, None, timeout, None, limit, divide=divide_recipients)
            return await within(limit, sent)
        added = added_fields(self, message, sender)
        call = send_object(
            self,
            message,
            sender,
            recipients,
            options,
            rcpt_options,
            timeout,
            added,
            limit,
            divide=divide_recipients,
        )
        result, _ = await within(limit, call)
        return result


def added_fields(client: Connection, message: Any, sender: str) -> bytes:
    """The header fields to add to a message object, if a client is to do that."""
    return added_to_object(message, sender) if client.complete_headers else b""


@attaches_transcript
async def send_object(
    client: Sending,
    message: email.message.EmailMessage | email.message.Message,
    sender: str,
    recipients: Sequence[str],
    mail_options: Sequence[str],
    rcpt_options: Sequence[str],
    timeout: Timeout,
    added: bytes,
    limit: Limit | None = None,
    *,
    divide: bool = False,
) -> tuple[tuple[dict[str, SMTPResponse], str], int]:
    """Send a message object whose envelope is known.

    :param added: the header fields that go before those that it has
    :param divide: the option ``divide_recipients``
    :return: what :meth:`Sending.send_message` returns, and the octets of the content
    """
    protocol = await introduced_protocol(client)
    composer = composer_of(client)
    if type(client).sendmail is not Sending.sendmail:  # a program's own, which gets what it expects
        content, options = composer.flatten(message, sender, recipients, mail_options)
        content = added + content
        rest: dict[str, Any] = {} if limit is None else {"deadline": limit}
        if divide:
            rest["divide_recipients"] = True
        result = await client.sendmail(sender, recipients, content, options, rcpt_options, timeout, **rest)
        return result, len(content)
    mail, size = composer.compose_object(message, sender, recipients, mail_options, rcpt_options, added=added)
    seconds = effective_timeout(client, timeout)
    refused, response = await run_transaction(client, protocol, mail, seconds, limit, divide)
    return (refused, response.message), size


def hooked_by(
    client: Sending,
    message: Any,
    sender: str,
    recipients: Sequence[str],
    mail_options: Iterable[str] | None,
    rcpt_options: Iterable[str] | None,
) -> HookedMessage | None:
    """A message that goes through the ``before_send`` of a client.

    :return: ``None`` if it has none; or first a program's own ``sendmail`` gets the message
    """
    hook = client.before_send
    if hook is None or type(client).sendmail is not Sending.sendmail:
        return None
    complete = client.complete_headers
    return HookedMessage(hook, message, sender, recipients, mail_options, rcpt_options, complete=complete)


@attaches_transcript
async def send_hooked(
    client: Sending,
    message: HookedMessage,
    recipients: Sequence[str] | None,
    timeout: Timeout,
    progress: Progress | None,
    limit: Limit | None,
    *,
    divide: bool,
) -> tuple[dict[str, SMTPResponse], str]:
    """Send a message that goes through ``before_send``.

    :param recipients: those of one transaction; ``None`` for all
    :param divide: the option ``divide_recipients``
    :return: what :meth:`Sending.sendmail` returns
    """
    seconds = effective_timeout(client, timeout)
    protocol = await introduced_protocol(client)
    while not message.fits(composer_of(client)):
        message.write(composer_of(client))
        await message.finish()
        protocol = await introduced_protocol(client)  # meanwhile it may have been lost
    envelope, content = message.envelope(recipients), message.content
    assert content is not None
    if progress is not None:
        call: Awaitable[Outcome] = send_stream(
            client, envelope, content, progress, seconds, limit, divide=divide
        )
    else:
        mail = composer_of(client).compose(envelope, content)
        call = run_transaction(client, protocol, mail, seconds, limit, divide)
    refused, response = await call
    return refused, response.message
