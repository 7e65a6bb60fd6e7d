"""A whole message on its way over a pool: what it is composed of, its transactions, and its result."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .._client.compose import Composer
from .._client.connection import Timeout
from .._client.division import Part, merged
from .._client.results import SendResult, failed
from .._envelope.commands import envelope_commands
from .._session import PreparedMail
from .._session.transaction import Outcome
from ..esmtp import split_recipients
from ..response import SMTPResponse
from ..status import Delivery
from .connection import PooledConnection

if TYPE_CHECKING:
    import email.message

    from ..smtp import SMTP


class Messages(Protocol):
    """What sends messages."""

    def granted(self, message: WholeMessage) -> None:
        """A message that waited has a connection."""

    def failed(self, message: WholeMessage, error: Exception) -> None:
        """There is no connection for a message that waited."""


class WholeMessage:
    """A message, which waits for a connection or is sent on one.

    For the manager it is what a future is: it gets a connection, or why there is none.

    :param sender: the reverse-path
    :param recipients: the forward-paths
    :param source: header and body as octets, or an object of the email package, which is written when it is
        known for which server
    :param options: the parameters of MAIL and those of RCPT
    :param timeout: seconds for each reply, or ``None`` for no limit; by default the client's
    :param divide: whether those who are too many for one transaction get another
    :param added: the header fields that go before those that an object has
    :raises SMTPException: whatever :class:`~aiosmtplib._envelope.commands.EnvelopeCommands` raises
    :ivar messages: what sends it
    :ivar future: done when it is over
    :ivar exchange: its transaction that is on its way, or ``None``
    :ivar moves: how often that was moved to another connection, because of itself or of the connection
    :ivar moved: whether it was moved for whatever reason
    :ivar size: octets of its content, as far as that is known
    :ivar groups: who gets it in which transaction, where it takes several; else ``None``
    """

    __slots__ = (
        "_added",
        "_divide",
        "_envelope",
        "_options",
        "_parts",
        "_sender",
        "_source",
        "error",
        "exchange",
        "future",
        "groups",
        "messages",
        "moved",
        "moves",
        "outcome",
        "recipients",
        "size",
        "timeout",
    )

    messages: Messages
    future: asyncio.Future[None]
    outcome: Outcome

    def __init__(
        self,
        sender: str,
        recipients: Sequence[str],
        source: bytes | email.message.EmailMessage | email.message.Message,
        options: tuple[Sequence[str], Sequence[str]],
        timeout: Timeout,
        divide: bool,
        added: bytes = b"",
    ) -> None:
        if isinstance(source, bytes):
            # Of an object, the recipients decide its form.
            self._envelope = envelope_commands(sender, recipients, *options)
            self.size = len(source)
        else:
            self.size = 0
        self._sender = sender
        self._source: Any = source
        self._options = options
        self._added = added
        self._divide = divide
        self.recipients = recipients
        self.timeout = timeout
        self.exchange: Any = None
        self.error: Exception | None = None
        self.moves = 0
        self.moved = False
        self.groups: deque[Sequence[str]] | None = None
        #: What became of the transactions before.
        self._parts: list[Part] = []

    # -- as a waiter ---------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether it waits for nothing any more: it was cancelled."""
        return self.future.done()

    def set_result(self, pooled: PooledConnection[SMTP]) -> None:
        """It gets a connection."""
        self.messages.granted(self)

    def set_exception(self, error: Exception) -> None:
        """There is no connection for it."""
        self.messages.failed(self, error)

    def verdict(self) -> tuple[dict[str, SMTPResponse], str]:
        """What became of it, once that is known.

        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPException: if it was not accepted
        """
        if self.error is not None:
            raise self.error
        refused, response = self.outcome
        return refused, response.message

    # -- its transactions ----------------------------------------------------------------------------

    def compose(self, composer: Composer, rcptmax: int | None) -> PreparedMail:
        """Its next transaction.

        :param rcptmax: the server's limit of recipients in one, or ``None``
        """
        source = self._source
        recipients = self.recipients
        if self.groups is None and rcptmax is not None and len(recipients) > rcptmax:
            self.groups = deque(split_recipients(recipients, rcptmax))
        if self.groups is not None:
            recipients = self.groups[0]
        if not isinstance(source, bytes):
            mail, self.size = composer.compose_object(
                source, self._sender, recipients, *self._options, added=self._added
            )
            return mail
        if self.groups is None:
            return composer.compose(self._envelope, source)
        return composer.compose(envelope_commands(self._sender, recipients, *self._options), source)

    def is_over(self, mail: PreparedMail | None, result: Outcome | Exception) -> bool:
        """Note what became of a transaction.

        :param mail: the message in it, or ``None`` if it did not begin
        :return: whether it was the last one: then ``outcome`` or ``error`` is there
        """
        left_over: Sequence[int] = ()
        if mail is not None and self._divide and not isinstance(result, Exception):
            left_over = mail.left_over
        if self.groups is None:
            if not left_over:
                if isinstance(result, Exception):
                    self.error = result
                else:
                    self.outcome = result
                return True
            self.groups = deque([self.recipients])
        group = self.groups.popleft()
        self._parts.append((group, _result_of(result)))
        if left_over:
            self.groups.appendleft([group[place] for place in left_over])
        if self.groups:
            self.moves = 0
            self.moved = False
            return False
        whole = merged(0, None, self._parts)
        if whole.error is not None:
            self.error = whole.error
        else:
            assert whole.response is not None
            self.outcome = dict(whole.refused), whole.response
        return True


def _result_of(result: Outcome | Exception) -> SendResult[None]:
    if isinstance(result, Exception):
        return failed(0, None, result)
    return SendResult(0, None, Delivery.DELIVERED, result[1], result[0], None)
