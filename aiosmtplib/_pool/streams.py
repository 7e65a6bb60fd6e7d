"""Those of many messages over a pool whose content comes in pieces: each goes by itself, in a task."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .._client.pipeline import addresses_of, failed
from .._client.results import Envelope, SendResult
from .._transport.base_protocol import cancelled_before_sent
from ..smtp import SMTP
from ..status import Delivery
from .manager import ConnectionManager
from .send_one import Ready, Result, accepted, deliver


class _Pieces(Ready):
    """One of them.

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

    :param done: called with the result of each
    """

    def __init__(
        self, manager: ConnectionManager, timeout: float | None, done: Callable[[SendResult[Any]], None]
    ) -> None:
        self._manager = manager
        self._timeout = timeout
        self._done = done
        self._tasks: dict[asyncio.Task[Result], _Pieces] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, index: int, item: Envelope) -> None:
        """Send a message, as soon as there is a connection for it.

        :raises ValueError: if it is not addressed
        """
        work = _Pieces(index, item, self._timeout)
        task = self._manager.loop.create_task(deliver(self._manager, work, work.recipients))
        self._tasks[task] = work
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Result]) -> None:
        # A task that is cancelled at once never runs: what became of it is told here.
        work = self._tasks.pop(task)
        error: BaseException | None = None
        if task.cancelled():
            error = cancelled_before_sent()
            if work.begun:
                error.delivery = Delivery.UNKNOWN
        else:
            error = task.exception()
        if error is None:
            self._done(accepted(work.index, work.item, task.result()))
        else:
            assert isinstance(error, Exception)
            self._done(failed(work.index, work.item, error))

    def give_up(self) -> None:
        """Do not send what has not begun."""
        for task, work in self._tasks.items():
            if not work.begun:
                task.cancel()
