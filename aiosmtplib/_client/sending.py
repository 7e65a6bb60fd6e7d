"""Sending one message: as octets, as a stream, or as an object of the email package."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._envelope.commands import EnvelopeCommands
from .._envelope.parameter import option_list
from .._session import dialogues
from .._session.transaction import Outcome, begin
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import Limit, within
from ..errors import SMTPException
from ..response import SMTPResponse
from ..typing import Default
from .completion import added_to_object, added_to_octets, completed
from .compose import Composer, envelope_of
from .connection import Connection, Timeout, effective_timeout, introduced_protocol, running_limit_of
from .content import Content, octets_of, rewinder_of
from .division import check_division, divided
from .error_context import attaches_transcript, explain
from .security import is_verified
from .streaming import Progress, end_with, measure, push_content

if TYPE_CHECKING:
    import email.message

    from .._session.mail import PreparedMail
    from ..protocol import SMTPProtocol

#: How long to wait for the reply to a QUIT that went out with a message, in seconds from the final reply. The
#: message has been taken, so nothing is lost with it; and some servers drop what they read behind content.
GOODBYE_PATIENCE: Final = 0.5


class Withdrawable(Protocol):
    """Messages of which those that have not begun may be withdrawn."""

    withdrawn: bool


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
            limit = running_limit_of(self, deadline)
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
            envelope = EnvelopeCommands(sender, recipients, mail_options, rcpt_options)
            content = message if type(message) is bytes else octets_of(message)
            seconds = effective_timeout(self, timeout)
            if divide_recipients is not False:
                check_division(divide_recipients)
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


def run_transaction(
    client: Sending,
    protocol: SMTPProtocol,
    mail: PreparedMail,
    timeout: float | None,
    limit: Limit | None,
    divide: bool,
) -> Awaitable[Outcome]:
    """The transaction of a message whose content is at hand, to be awaited; or its transactions."""
    if divide:
        return divided(lambda part: send_apart(client, protocol, part, timeout, limit, last=False), mail)
    if client._sends_last or limit is not None:
        return send_apart(client, protocol, mail, timeout, limit, last=client._sends_last)
    return protocol.run(begin(mail, protocol.server), timeout)


async def send_apart(
    client: Sending,
    protocol: SMTPProtocol,
    mail: PreparedMail,
    timeout: float | None,
    limit: Limit | None,
    *,
    last: bool,
) -> Outcome:
    """Send a message that has a limit, or is the last one: then QUIT goes out in the same group (RFC 2920
    section 3.1), where there are groups.

    The verdict is not kept waiting by the goodbye, whose reply :func:`~.lifetime.part` waits for.
    """
    exchange = protocol.exchange(begin(mail, protocol.server), timeout, pipeline=client if last else None)
    if limit is not None:
        end_with(limit, protocol, exchange)
    protocol.submit(exchange)
    if last and protocol.is_connected:
        patience = GOODBYE_PATIENCE if timeout is None else min(GOODBYE_PATIENCE, timeout)
        client._goodbye = protocol.exchange(dialogues.command(b"QUIT\r\n"), patience, pipeline=client)
        protocol.submit(client._goodbye)
    outcome: Outcome = await protocol.wait_for(exchange)
    return outcome


async def send_stream(
    client: Sending,
    envelope: EnvelopeCommands,
    source: Any,
    progress: Progress | None,
    timeout: float | None,
    limit: Limit | None = None,
    pipeline: Withdrawable | None = None,
    *,
    divide: bool,
) -> Outcome:
    """Send a message whose content comes in pieces.

    :param pipeline: what it shares the connection with; once that is withdrawn, nothing is sent any more
    :param divide: the option ``divide_recipients``
    """
    if client.complete_headers:
        source = completed(source, envelope.sender)
    rewind = rewinder_of(source) if divide else None
    length, size = await measure(source, envelope.binary)
    protocol = await introduced_protocol(client)
    binary = envelope.binary

    async def send(mail: PreparedMail) -> Outcome:
        if pipeline is not None and pipeline.withdrawn:
            raise cancelled_before_sent()
        return await push_content(protocol, mail, source, length, progress, timeout, binary, limit, pipeline)

    mail = composer_of(client).compose_stream(envelope, size)
    return await (send(mail) if rewind is None else divided(send, mail, rewind))


def composer_of(client: Connection) -> Composer:
    """The composer for the server that a client is connected to. EHLO has been sent.

    The options and what is known of the server are attributes that a program may assign.
    """
    composer = client._composer
    if (
        composer is None
        or composer.extensions is not client.esmtp_extensions
        or composer.pipelining is not client.pipelining
        or composer.chunking is not client.chunking
    ):
        composer = client._composer = Composer(
            client.esmtp_extensions,
            verified=is_verified(client.transport),
            pipelining=client.pipelining,
            chunking=client.chunking,
            per_recipient=client._variant.per_recipient,
        )
    return composer
