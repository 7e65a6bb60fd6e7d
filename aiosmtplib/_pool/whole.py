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

    :param recipients: the forward-paths
    :param timeout: seconds for each reply, or ``None`` for no limit; by default the client's
    :param divide: whether those who are too many for one transaction get another
    :ivar messages: what sends it
    :ivar exchange: its transaction that is on its way, or ``None``
    :ivar moves: how often that was moved to another connection, because of itself or of the connection
    :ivar moved: whether it was moved for whatever reason
    """

    __slots__ = (
        "_divide",
        "_groups",
        "_parts",
        "error",
        "exchange",
        "future",
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

    def __init__(self, recipients: Sequence[str], timeout: Timeout, divide: bool) -> None:
        self.recipients = recipients
        self.timeout = timeout
        self._divide = divide
        self.exchange: Any = None
        self.error: Exception | None = None
        self.moves = 0
        self.moved = False
        self.size = 0
        #: Who gets it in which transaction, where it takes several, and what became of those before.
        self._groups: Any = ()
        self._parts: list[Part] | None = None

    # No abstract class: to ask whether something is of one takes long.
    def _compose(self, composer: Composer, recipients: Sequence[str]) -> PreparedMail:  # type: ignore[empty-body]
        """The message for these of its recipients. Sets ``size``."""

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

    # -- its transactions ----------------------------------------------------------------------------

    def compose(self, composer: Composer, rcptmax: int | None) -> PreparedMail:
        """Its next transaction.

        :param rcptmax: the server's limit of recipients in one, or ``None``
        """
        if not self._groups:
            everyone = self.recipients
            self._groups = (everyone,) if rcptmax is None else split_recipients(everyone, rcptmax)
        return self._compose(composer, self._groups[0])

    def is_over(self, mail: PreparedMail | None, result: Outcome | Exception) -> bool:
        """Note what became of a transaction.

        :param mail: the message in it, or ``None`` if it did not begin
        :return: whether it was the last one: then ``outcome`` or ``error`` is there
        """
        left_over = (
            () if mail is None or isinstance(result, Exception) or not self._divide else mail.left_over
        )
        if self._parts is None and not left_over and len(self._groups) <= 1:
            if isinstance(result, Exception):
                self.error = result
            else:
                self.outcome = result
            return True
        if self._parts is None:
            self._parts = []
            self._groups = deque(self._groups)
        group = self._groups.popleft()
        self._parts.append((group, _result_of(result)))
        if left_over:
            self._groups.appendleft([group[place] for place in left_over])
        if self._groups:
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


class WholeContent(WholeMessage):
    """Header and body as octets."""

    __slots__ = ("_content", "_envelope", "_options")

    def __init__(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        options: tuple[Sequence[str], Sequence[str]],
        timeout: Timeout,
        divide: bool,
    ) -> None:
        super().__init__(recipients, timeout, divide)
        self._envelope = envelope_commands(sender, recipients, *options)
        self._options = options
        self._content = content
        self.size = len(content)

    def _compose(self, composer: Composer, recipients: Sequence[str]) -> PreparedMail:
        envelope = self._envelope
        if recipients is not self.recipients:
            envelope = envelope_commands(envelope.sender, recipients, *self._options)
        return composer.compose(envelope, self._content)


class WholeObject(WholeMessage):
    """An object of the email package, which is written when it is known for which server.

    :param added: the header fields that go before those that it has
    """

    __slots__ = ("_added", "_message", "_options", "_sender")

    def __init__(
        self,
        sender: str,
        recipients: Sequence[str],
        message: email.message.EmailMessage | email.message.Message,
        options: tuple[Sequence[str], Sequence[str]],
        added: bytes,
        timeout: Timeout,
        divide: bool,
    ) -> None:
        super().__init__(recipients, timeout, divide)
        self._added = added
        self._sender = sender
        self._message = message
        self._options = options

    def _compose(self, composer: Composer, recipients: Sequence[str]) -> PreparedMail:
        mail, self.size = composer.compose_object(
            self._message, self._sender, recipients, *self._options, added=self._added
        )
        return mail
