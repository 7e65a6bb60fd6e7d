"""The streamed messages of a pool's ``send_many``: each goes by itself, in a task of its own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._client.bulk import addresses_of
from .._client.results import Envelope, SendResult, failed
from .._transport.exchange import cancelled_before_sent
from ..status import Delivery
from .send_one import ContentSubmission, Result, accepted, deliver

if TYPE_CHECKING:
    from ..smtp import SMTP
    from .manager import ConnectionManager


class _StreamSubmission(ContentSubmission):
    """One of the streamed messages.

    :ivar begun: whether a connection has it
    """

    def __init__(self, index: int, item: Envelope, timeout: float | None) -> None:
        sender, self.recipients = addresses_of(item)
        content: Any = item.message
        super().__init__(sender, content, item.mail_options, item.rcpt_options, timeout, None)
        self.index = index
        self.item = item
        self.begun = False

    async def send(self, client: SMTP, recipients: Sequence[str]) -> Result:
        self.begun = True
        return await super().send(client, recipients)


class Streams:
    """The streamed messages of one :meth:`SMTPPool.send_many` that are on their way.

    :param timeout: seconds for each reply, or ``None`` for no limit
    """

    def __init__(self, manager: ConnectionManager, timeout: float | None) -> None:
        self._manager = manager
        self._timeout = timeout
        self._tasks: dict[asyncio.Task[Result], _StreamSubmission] = {}

    def begin(self, index: int, item: Envelope, done: Callable[[SendResult[Any]], None]) -> None:
        """Send a message, as soon as there is a connection for it.

        :param done: called with its result
        :raises ValueError: if it is not addressed
        """
        message = _StreamSubmission(index, item, self._timeout)
        task = self._manager.loop.create_task(deliver(self._manager, message, message.recipients))
        self._tasks[task] = message
        task.add_done_callback(functools.partial(self._over, done))

    def _over(self, done: Callable[[SendResult[Any]], None], task: asyncio.Task[Result]) -> None:
        # Not in the task itself: one that is cancelled at once never runs.
        message = self._tasks.pop(task)
        error: BaseException | None = None
        if task.cancelled():
            error = cancelled_before_sent()
            if message.begun:
                error.delivery = Delivery.UNKNOWN
        else:
            error = task.exception()
        if error is None:
            done(accepted(message.index, message.item, task.result()))
        else:
            assert isinstance(error, Exception)
            done(failed(message.index, message.item, error))

    def withdraw(self) -> None:
        """Do not send what has not begun."""
        for task, message in self._tasks.items():
            if not message.begun:
                task.cancel()

    def stop(self) -> None:
        """Read none of them any further."""
        for task in self._tasks:
            task.cancel()
