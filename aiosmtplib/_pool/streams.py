"""The streamed messages of a pool's ``send_many``: each goes by itself, in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._client.items import addresses_of
from .._client.results import Envelope, SendResult, failed
from .._client.streaming import current_tag
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import Limit
from ..status import Delivery
from .send_one import ContentSubmission, Result, accepted, deliver

if TYPE_CHECKING:
    from ..smtp import SMTP
    from .manager import ConnectionManager


class _StreamSubmission(ContentSubmission):
    """One of the streamed messages.

    :param is_paused: whether it is not to begin now
    :param done: called with its result
    :ivar begun: whether a connection has it
    :ivar postponed: whether it ended because it was not to begin
    """

    def __init__(
        self,
        index: int,
        item: Envelope,
        timeout: float | None,
        limit: Limit | None,
        complete: bool,
        is_paused: Callable[[], bool],
        done: Callable[[SendResult[Any]], None],
    ) -> None:
        sender, self.recipients = addresses_of(item)
        content: Any = item.message
        options = item.mail_options, item.rcpt_options
        super().__init__(sender, content, *options, timeout, None, limit, True, complete=complete)
        self.index = index
        self.item = item
        self.done = done
        self.begun = False
        self.postponed = False
        self._is_paused = is_paused

    async def send(self, client: SMTP, recipients: Sequence[str]) -> Result:
        if not self.begun and self._is_paused():
            self.postponed = True
            raise asyncio.CancelledError
        self.begun = True
        current_tag.set(self.item.tag)
        return await super().send(client, recipients)


class Streams:
    """The streamed messages of one :meth:`SMTPPool.send_many` that are on their way.

    :param timeout: seconds for each reply, or ``None`` for no limit
    :param complete: whether to add the header fields that they lack
    :param is_paused: whether none is to begin now
    """

    def __init__(
        self,
        manager: ConnectionManager,
        timeout: float | None,
        complete: bool,
        is_paused: Callable[[], bool],
    ) -> None:
        self._manager = manager
        self._timeout = timeout
        self._complete = complete
        self._is_paused = is_paused
        self._tasks: dict[asyncio.Task[Result], _StreamSubmission] = {}
        self._postponed: list[_StreamSubmission] = []
        self._withdrawn = False

    def begin(
        self, index: int, item: Envelope, limit: Limit | None, done: Callable[[SendResult[Any]], None]
    ) -> None:
        """Send a message, as soon as there is a connection for it.

        :param limit: its deadline, or ``None``
        :param done: called with its result
        :raises ValueError: if it is not addressed
        """
        submission = _StreamSubmission(
            index, item, self._timeout, limit, self._complete, self._is_paused, done
        )
        self._start(submission)

    def _start(self, message: _StreamSubmission) -> None:
        message.postponed = False
        task = self._manager.loop.create_task(deliver(self._manager, message, message.recipients))
        self._tasks[task] = message
        task.add_done_callback(self._over)

    def go_on(self) -> None:
        """Begin those that were not to begin."""
        postponed, self._postponed = self._postponed, []
        for message in postponed:
            self._start(message)

    def is_sent_by(self, task: object) -> bool:
        """Whether one of them is sent by this task."""
        return task in self._tasks

    def _over(self, task: asyncio.Task[Result]) -> None:
        # Not in the task itself: one that is cancelled at once never runs.
        message = self._tasks.pop(task)
        if message.postponed and not self._withdrawn:
            self._postponed.append(message)
            if not self._is_paused():  # the caller came back meanwhile
                self.go_on()  # pragma: no cover - in the turn in which the task ended
            return
        done = message.done
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
        self._withdrawn = True
        postponed, self._postponed = self._postponed, []
        for message in postponed:
            message.done(failed(message.index, message.item, cancelled_before_sent()))
        for task, message in self._tasks.items():
            if not message.begun:
                task.cancel()

    def stop(self) -> None:
        """Read none of them any further."""
        for task in self._tasks:
            task.cancel()
