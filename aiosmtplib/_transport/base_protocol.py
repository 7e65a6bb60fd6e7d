"""The exchanges on one connection: how long a reply may take, who is told, and their end.

The half of :class:`aiosmtplib.protocol.SMTPProtocol` below its public methods. Tasks that use a connection at
the same time queue up in :class:`~aiosmtplib._codec.ExchangeQueue`; none holds a lock. A task wakes once,
when its dialogue is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TypeVar

from .._codec import ExchangeQueue
from .._codec.types import WATCHED_SIZE, WRITE_SIZE
from .._codec.waiting import WaitingExchanges
from .._session import Exchange, ServerState
from .._trace.observer import CommandHook, CommandObserver, Server, log_lost, numbers, wire_log
from .._trace.transcript import Transcript
from ..errors import SMTPException, SMTPReadTimeoutError, SMTPServerDisconnected
from ..status import SMTPStatus
from .exchange import AwaitedExchange, injected_before_tls
from .progress import WriteProgress
from .timers import DEFAULT_TIMEOUT, FINAL_TIMEOUT, Deadline
from .wakeup import wake
from .writer import FlowControlMixin

T = TypeVar("T")


class BaseProtocol(ExchangeQueue, FlowControlMixin):
    """The exchanges on one connection, those that run and those that wait.

    :ivar transport: what is written to, or ``None`` until there is a connection
    :ivar on_command: called with each command and the reply to it, or ``None``
    :ivar destination: host and port, for the events
    :ivar final_timeout: seconds for the reply to a message, once the server has taken all its content, or
        ``None`` for no limit; while at its default, only where the time for other replies is, too
    :ivar number: what the log calls this connection
    :ivar server: what the server may have of a mail transaction
    """

    transport: asyncio.Transport | None
    _loop: asyncio.AbstractEventLoop | None

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        ExchangeQueue.__init__(self)
        FlowControlMixin.__init__(self, loop)
        self.on_command: CommandHook | None = None
        self.destination: Server = None, None
        self.final_timeout: float | None = FINAL_TIMEOUT
        self.number = next(numbers)
        self.server = ServerState()
        self._deadline = Deadline(self._on_timeout)
        self._progress = WriteProgress(self._looked)
        #: The task that pushes content waits here while too much of it is unwritten.
        self._drained: asyncio.Future[None] | None = None

    def take_unseen_loss(self) -> SMTPException | None:
        """Why the connection was lost, if that happened while nobody waited for anything."""
        unseen, self._session.unseen = self._session.unseen, None
        return unseen

    def _refuse(self) -> None:
        error = self.take_unseen_loss() or SMTPServerDisconnected("Connection lost")
        self.attach_transcript(error)
        raise error

    # -- what was said -------------------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """What was said up to now."""
        return self._session.transcript()

    def attach_transcript(self, error: SMTPException) -> None:
        """Let an error carry what was said up to now, unless it carries that of another time."""
        self._session.attach_transcript(error)

    def _observe(self) -> None:
        """Have what is said logged and passed to ``on_command``, if either is wanted."""
        logging_it = wire_log.isEnabledFor(logging.DEBUG)
        if self._observer is None:
            if not logging_it and self.on_command is None:
                return
            observer = CommandObserver(self.number, self.on_command, self.destination)
            self._observer = self._session.observer = observer
        self._observer.logging = logging_it

    def _attribute(self, exchange: Exchange | None) -> None:
        """Let the observer know what message the next commands belong to, as far as that has a tag."""
        if self._observer is not None:
            self._observer.tag = getattr(exchange, "tag", None)

    def _deliver(self) -> None:
        if self._observer is not None:
            self._observer.deliver()

    def _announce(self, exchange: Exchange) -> None:
        # One that began while replies are outstanding would take them for those to other commands.
        if self._session.head is None:
            self._observe()
        self._attribute(exchange)

    # -- reservation ---------------------------------------------------------------------------------

    def _is_its_holder(self) -> bool:
        return self._reserved_for is asyncio.current_task()

    def _intruded(self) -> None:
        self._lose(injected_before_tls(), level=logging.WARNING)

    def _reserve(self, exchange: Exchange) -> None:
        assert isinstance(exchange, AwaitedExchange)
        if exchange.error is not None:
            return
        if exchange.upgrade and exchange.result.code == SMTPStatus.ready:
            self._reserved_for = self
            if self._session.interrupted:
                exchange.error = injected_before_tls()
                self.attach_transcript(exchange.error)
                # It has ended the session already, by a reason that tells less.
                log_lost(self.number, injected_before_tls().message, logging.WARNING)
        elif exchange.owner is not None and 300 <= exchange.result.code < 400:
            self._reserved_for = exchange.owner
            self.expect_reply(exchange)

    # -- the deadline --------------------------------------------------------------------------------

    def _final_seconds(self, seconds: float | None) -> float | None:
        if seconds is DEFAULT_TIMEOUT or self.final_timeout is not FINAL_TIMEOUT:
            return self.final_timeout
        return seconds

    def _watch(self, seconds: float) -> None:
        assert self._loop is not None and self.transport is not None
        self._progress.watch(self._loop, self.transport, seconds)

    def _expect_content(self, exchange: Exchange) -> None:
        if self._drained is not None:  # more of it waits to be written
            self.expect_reply(exchange)
            return
        self._deadline.at = None
        assert isinstance(exchange, AwaitedExchange)
        wake(exchange.wanted)

    def _run_out(self) -> None:
        self._session.out.clear()
        self._on_timeout()

    def _looked(self, moved: bool) -> bool:
        """Give a server that has taken some of the content its time anew.

        :return: whether to go on looking
        """
        head = self._session.head
        if head is None or self._deadline.at is None or not _has_content(head):
            return False
        if moved:
            self.expect_reply(head)
        return True

    def _on_timeout(self) -> None:
        head = self._session.head
        if head is not None and head.limit is not None and head.limit.at == self._deadline.at:
            head.limit.passed = True
        elif head is not None and self._progress.has_any():
            self.expect_reply(head)
            return
        self._lose(SMTPReadTimeoutError("Timed out waiting for server response"))

    def _lose(self, error: SMTPException, *, abort: bool = True, level: int = logging.INFO) -> None:
        """End the connection, with this error for all that wait for it. Does nothing the second time."""
        if self.lost:
            return
        self.lost = True
        session = self._session
        session.fail(error, self._written)
        session.out.clear()
        self.pending.clear()
        self._deadline.end()
        self._progress.end()
        if self.transport is not None:
            if abort:
                self.transport.abort()
            else:
                self.transport.close()
                session.unseen = None  # no news to those who closed it
        waiting, self._waiting = self._waiting, WaitingExchanges()
        self.notify_done()
        for exchange in waiting:
            exchange.dialogue.close()
            exchange.error = SMTPServerDisconnected(error.message)
            self.attach_transcript(exchange.error)
            exchange.on_done()
        wake(self._drained)
        self._on_lost()
        self._deliver()
        log_lost(self.number, error.message if abort else None, level)

    def _on_lost(self) -> None:
        """Called once, when the connection is of no more use."""

    # -- writing -------------------------------------------------------------------------------------

    def _write_pieces(self, data: Sequence[bytes]) -> None:
        self.pending.extend(map(memoryview, data))
        self._write_pending()

    def _write_pending(self) -> None:
        """Give the transport what it takes now of what is pending."""
        assert self.transport is not None
        while self.pending and not self._paused:
            whole = self.pending[0]
            piece, rest = whole[:WRITE_SIZE], whole[WRITE_SIZE:]
            if rest:
                self.pending[0] = rest
            else:
                self.pending.popleft()
            self._written += len(piece)
            self.transport.write(piece)


def _has_content(exchange: Exchange) -> bool:
    """Whether its last step is large enough for a server to take it piece by piece."""
    return exchange.end - exchange.start > WATCHED_SIZE
