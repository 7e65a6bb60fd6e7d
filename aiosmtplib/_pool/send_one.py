"""One message over a pool: on another connection if the first was lost before the server had it, and in
several transactions if the server does not take all its recipients at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._client.completion import completed
from .._client.connection import Timeout
from .._client.content import Content, octets_of, rewinder_of
from .._client.division import check_division, merged
from .._client.hooked import HookedMessage
from .._client.results import SendResult, delivery_of, failed
from .._client.sending import Sending, added_fields, send_hooked, send_object
from .._client.streaming import Progress
from .._envelope.parameter import option_list
from .._transport.limit import Limit, within
from ..errors import SMTPNotSupported
from ..esmtp import split_recipients
from ..response import SMTPResponse
from ..status import Delivery, SMTPStatus
from .connection import PooledConnection
from .retry import condition_of, counts_as_move, may_retry
from .state import MAX_MOVES
from .states import Condition

if TYPE_CHECKING:
    import email.message

    from ..smtp import SMTP
    from .manager import ConnectionManager

Item = TypeVar("Item")

Result = tuple[dict[str, SMTPResponse], str]


class Submission(Protocol):
    """A message, and how to send it.

    :ivar octets: how long its content is, as far as that is known
    :ivar repeatable: whether it can be sent again once its content has been read
    :ivar limit: its deadline, or ``None``
    """

    repeatable: bool
    limit: Limit | None

    @property
    def octets(self) -> int: ...

    def rewind(self) -> None:
        """Be ready to be sent again."""

    async def send(self, client: SMTP, recipients: Sequence[str]) -> Result:
        """Send it to some of its recipients."""
        ...


class ContentSubmission:
    """What :meth:`SMTP.sendmail` takes.

    :param complete: whether to add the header fields that it lacks
    """

    def __init__(
        self,
        sender: str,
        message: Content,
        mail_options: Iterable[str] | None,
        rcpt_options: Iterable[str] | None,
        timeout: Timeout,
        progress: Progress | None,
        limit: Limit | None,
        divide: bool,
        *,
        complete: bool,
    ) -> None:
        check_division(divide)
        self._divide = divide
        self._sender = sender
        self.limit = limit
        content = octets_of(message)
        source: Any = message if content is None else content
        if complete:  # here, so that what is sent again is the same
            source = completed(source, sender)
        self._message = source
        self._mail_options = option_list(mail_options)
        self._rcpt_options = option_list(rcpt_options, "RCPT")
        self._timeout = timeout
        self._caller = progress
        self._progress = progress
        self._rewind: Callable[[], object] | None = None
        self.octets = 0
        self.repeatable = True
        if content is None:
            self._progress = self._count
            self._rewind = rewinder_of(source)
            self.repeatable = self._rewind is not None
        else:
            self.octets = len(source)

    def _count(self, sent: int, total: int | None) -> None:
        self.octets = sent
        if self._caller is not None:
            self._caller(sent, total)

    def rewind(self) -> None:
        if self._rewind is not None:
            self._rewind()

    async def send(self, client: SMTP, recipients: Sequence[str]) -> Result:
        option: dict[str, Any] = {"divide_recipients": True} if divides(client, self._divide) else {}
        return await client.sendmail(
            self._sender,
            recipients,
            self._message,
            self._mail_options,
            self._rcpt_options,
            self._timeout,
            progress=self._progress,
            **option,
            **_deadline(self.limit),
        )


class ObjectSubmission:
    """What :meth:`SMTP.send_message` takes."""

    repeatable = True

    def __init__(
        self,
        sender: str,
        message: email.message.EmailMessage | email.message.Message,
        mail_options: Iterable[str] | None,
        rcpt_options: Iterable[str] | None,
        timeout: Timeout,
        limit: Limit | None,
        divide: bool,
    ) -> None:
        check_division(divide)
        self._divide = divide
        self._sender = sender
        self.limit = limit
        self._message = message
        self._mail_options = option_list(mail_options)
        self._rcpt_options = option_list(rcpt_options, "RCPT")
        self._timeout = timeout
        self._added: bytes | None = None
        self.octets = 0

    def rewind(self) -> None:
        pass

    async def send(self, client: SMTP, recipients: Sequence[str]) -> Result:
        if self._added is None:  # else it is sent again, or to more recipients
            self._added = added_fields(client, self._message, self._sender)
        call = send_object(
            client,
            self._message,
            self._sender,
            recipients,
            self._mail_options,
            self._rcpt_options,
            self._timeout,
            self._added,
            self.limit,
            divide=divides(client, self._divide),
        )
        result, self.octets = await within(self.limit, call)
        return result


class HookedSubmission:
    """A message that goes through ``before_send``, on the first connection that it gets."""

    repeatable = True

    def __init__(
        self,
        message: HookedMessage,
        timeout: Timeout,
        progress: Progress | None,
        limit: Limit | None,
        divide: bool,
    ) -> None:
        check_division(divide)
        self._divide = divide
        self.limit = limit
        self._message = message
        self._timeout = timeout
        self._progress = progress

    @property
    def octets(self) -> int:
        return len(self._message.content or b"")

    def rewind(self) -> None:
        pass

    async def send(self, client: SMTP, recipients: Sequence[str]) -> Result:
        call = send_hooked(
            client,
            self._message,
            recipients,
            self._timeout,
            self._progress,
            self.limit,
            divide=self._divide,
        )
        return await within(self.limit, call)


def _deadline(limit: Limit | None) -> dict[str, Any]:
    """The limit as an argument, for a method of a class of the caller's, which may not take it."""
    return {} if limit is None else {"deadline": limit}


def divides(client: SMTP, divide_recipients: bool) -> bool:
    """Whether a client may divide recipients: a program's own ``sendmail`` need not know that option."""
    return divide_recipients and type(client).sendmail is Sending.sendmail


def accepted(index: int, item: Item, result: Result) -> SendResult[Item]:
    """The result for a message of which ``sendmail`` says that it was taken."""
    refused, text = result
    response = SMTPResponse(SMTPStatus.completed.value, text)
    return SendResult(index, item, Delivery.DELIVERED, response, refused, None)


async def deliver(manager: ConnectionManager, message: Submission, recipients: Sequence[str]) -> Result:
    """Send one message.

    :raises SMTPNotSupported: if it takes several transactions, and its content can be read only once
    """
    try:
        pooled = await _in_time(message, manager.acquire())
        groups = split_recipients(recipients, pooled.rcptmax)
        if len(groups) == 1:
            result = await _attempt(manager, pooled, message, recipients)
        else:
            result = await _divided(manager, pooled, message, groups)
    except Exception as error:
        manager.state.finished(delivery_of(error), message.octets)
        raise
    manager.state.finished(Delivery.DELIVERED, message.octets)
    return result


async def _attempt(
    manager: ConnectionManager,
    pooled: PooledConnection[SMTP],
    message: Submission,
    recipients: Sequence[str],
) -> Result:
    moves, again = 0, False
    while True:
        pooled.begin()
        try:
            if again:
                message.rewind()
            again = True
            result = await message.send(pooled.client, recipients)
        except BaseException as error:
            condition = condition_of(pooled, error)
            final = moves == MAX_MOVES or (message.limit is not None and message.limit.passed)
            if final or not may_retry(pooled, error, once=not message.repeatable):
                manager.release(pooled, condition)
                raise
            moves += counts_as_move(error, pooled.messages > 1)
        else:
            manager.release(pooled, Condition.KEEP)
            return result
        pooled = await _in_time(message, manager.replace(pooled, condition))


async def _in_time(
    message: Submission, connection: Awaitable[PooledConnection[SMTP]]
) -> PooledConnection[SMTP]:
    return await within(message.limit, connection, "connect")


async def _divided(
    manager: ConnectionManager,
    pooled: PooledConnection[SMTP],
    message: Submission,
    groups: Sequence[Sequence[str]],
) -> Result:
    if not message.repeatable:
        manager.release(pooled, Condition.KEEP)
        raise SMTPNotSupported(
            f"The server takes {pooled.rcptmax} recipients at once, so that the message has to be sent "
            f"{len(groups)} times, and a stream can be read only once"
        )
    parts = []
    for number, group in enumerate(groups):
        try:
            if number:
                message.rewind()
                pooled = await _in_time(message, manager.acquire(begun=True))
            part: SendResult[None] = accepted(0, None, await _attempt(manager, pooled, message, group))
        except Exception as error:
            part = failed(0, None, error)
        parts.append((group, part))
    whole = merged(0, None, parts)
    whole.raise_for_status()
    assert whole.response is not None
    return dict(whole.refused), whole.response.message
