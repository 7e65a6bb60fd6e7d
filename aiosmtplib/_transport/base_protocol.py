"""The queue of exchanges on one connection: which may begin, how long a reply may take, and their end.

The half of :class:`aiosmtplib.protocol.SMTPProtocol` below its public methods. Tasks that use a connection at
the same time queue up here; none holds a lock. A task wakes once, when its dialogue is over.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TypeVar

from .._session import FINAL, GROUP, OVERLAPPING, STREAM, Exchange, Session
from .._session.mail import ServerState
from .._trace.observer import CommandHook, CommandObserver, Server, log_lost, numbers, wire_log
from .._trace.transcript import Transcript
from ..errors import SMTPException, SMTPReadTimeoutError, SMTPServerDisconnected
from ..status import SMTPStatus
from .exchange import AwaitedExchange, injected_before_tls
from .progress import WATCHED_SIZE, WriteProgress
from .timers import DEFAULT_TIMEOUT, FINAL_TIMEOUT, Deadline
from .waiting import WaitingExchanges, is_paused
from .wakeup import wake
from .writer import MAX_JOINED, WRITE_SIZE, FlowControlMixin, WriteBuffer

T = TypeVar("T")


class BaseProtocol(FlowControlMixin):
    """The exchanges on one connection, those that run and those that wait.

    :ivar transport: what is written to, or ``None`` until there is a connection
    :ivar on_command: called with each command and the reply to it, or ``None``
    :ivar destination: host and port, for the events
    :ivar final_timeout: seconds for the reply to a message, once the server has taken all its content, or
        ``None`` for no limit; while at its default, only where the time for other replies is, too
    :ivar number: what the log calls this connection
    :ivar server: what the server may have of a mail transaction
    :ivar lost: whether the connection is of no more use
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__(loop)
        self.transport: asyncio.Transport | None = None
        self.on_command: CommandHook | None = None
        self.destination: Server = None, None
        self.final_timeout: float | None = FINAL_TIMEOUT
        self.number = next(numbers)
        self.server = ServerState()
        self._observer: CommandObserver | None = None
        self._session = Session()
        self._waiting = WaitingExchanges()
        #: The task that got a 3yz reply, and alone may go on; or this object, while TLS is being set up.
        self._reserved_for: object = None
        self.lost = False
        self._buffer = WriteBuffer(self)
        self._deadline = Deadline(self._on_timeout)
        self._progress = WriteProgress(self._looked)
        #: The task that pushes content waits here while too much of it is unwritten.
        self._drained: asyncio.Future[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        usable = self._session.lost is None and (self._loop is None or not self._loop.is_closed())
        return usable and self.transport is not None and not self.transport.is_closing()

    def take_unseen_loss(self) -> SMTPException | None:
        """Why the connection was lost, if that happened while nobody waited for anything."""
        unseen, self._session.unseen = self._session.unseen, None
        return unseen

    def _check_connected(self) -> None:
        if not self.is_connected:
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

    # -- the queue -----------------------------------------------------------------------------------

    def submit(self, exchange: Exchange) -> None:
        """Begin an exchange now, or put it behind those that wait.

        :raises SMTPServerDisconnected: if not connected
        """
        self._check_connected()
        reserved = self._reserved_for is not None and self._reserved_for is asyncio.current_task()
        others = self._waiting and not reserved and self._waiting.next() is not None
        if others or is_paused(exchange) or not self._may_begin(exchange):
            self._waiting.append(exchange)
            return
        self._begin(exchange)
        self._begun()

    def _begun(self) -> None:
        if self._session.done:
            self._notify_done()
        self._flush()
        self._deliver()

    def go_on(self) -> None:
        """Begin what may begin, now that a pipeline is not paused any more."""
        if self._waiting:
            self._begin_waiting()
            self._begun()

    def _may_begin(self, exchange: Exchange) -> bool:
        """Whether an exchange whose pipeline is not paused may begin now."""
        session = self._session
        head = session.head
        if head is None:
            return self._reserved_for is None or self._reserved_for is asyncio.current_task()
        if exchange.pipeline is None or exchange.pipeline is not head.pipeline:
            return False
        assert session.last is not None  # where there is a head, there is a last
        return session.last.follows in OVERLAPPING

    def _begin(self, exchange: Exchange) -> None:
        session = self._session
        self._reserved_for = None
        if exchange.limit is not None:
            exchange.limit.begin()
        if self._observer is not None or wire_log.isEnabledFor(logging.DEBUG):
            # One that began while replies are outstanding would take them for those to other commands.
            if session.head is None:
                self._observe()
            self._attribute(exchange)
        session.start(exchange)
        if session.head is exchange:
            self._expect_reply(exchange)
            if exchange.timeout is not None and exchange.timeout <= 0:
                session.out.clear()
                self._on_timeout()
        elif session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))

    def _begin_waiting(self) -> None:
        while not self.lost and (exchange := self._waiting.next()) is not None:
            if not self._may_begin(exchange):
                return
            self._waiting.remove(exchange)
            self._begin(exchange)

    # -- replies -------------------------------------------------------------------------------------

    def receive(self, data: bytes, max_line: int, max_reply: int) -> None:
        """Do all that follows from what the server sent, then write once.

        :param max_line: bound on one reply line, in bytes
        :param max_reply: bound on one whole reply, in bytes
        """
        if self._reserved_for is self:  # between the 220 to STARTTLS and the handshake (RFC 3207 section 6)
            self._lose(injected_before_tls(), level=logging.WARNING)
            return
        observer = self._observer
        if observer is not None:
            observer.received(data)
        self._take_replies(data, max_line, max_reply)
        if observer is not None:
            observer.deliver()

    def _take_replies(self, data: bytes, max_line: int, max_reply: int) -> None:
        session = self._session
        progress = session.receive(data, max_line, max_reply, self._buffer.written)
        if session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))
            return
        if not progress:
            return
        if session.done:
            self._notify_done()
        if self._waiting:
            self._begin_waiting()
            self._notify_done()
        if session.out:
            self._flush()
        head = session.head
        if head is None:
            pass
        elif head.follows >= STREAM and self._drained is None:
            self._deadline.at = None  # it is for our side to go on
            assert isinstance(head, AwaitedExchange)
            wake(head.wanted)
        else:
            self._expect_reply(head)

    def _notify_done(self) -> None:
        """Complete the exchanges whose dialogues are over."""
        session = self._session
        while session.done:
            done, session.done = session.done, []
            if session.head is None:
                self._deadline.at = None
            for exchange in done:
                if isinstance(exchange, AwaitedExchange) and (exchange.upgrade or exchange.owner is not None):
                    self._reserve(exchange)
                exchange.on_done()
            if self._waiting and session.head is None:
                self._begin_waiting()

    def _reserve(self, exchange: AwaitedExchange) -> None:
        """Reserve the connection for the task whose command got a reply that asks for more."""
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
            self._expect_reply(exchange)

    # -- the deadline --------------------------------------------------------------------------------

    def _expect_reply(self, exchange: Exchange) -> None:
        """Give the server its time for the next reply, or to take more of what is written, from now on."""
        deadline, loop = self._deadline, self._loop
        seconds = exchange.timeout
        if exchange.follows in FINAL and self._has_taken(exchange):
            if seconds is DEFAULT_TIMEOUT or self.final_timeout is not FINAL_TIMEOUT:
                seconds = self.final_timeout
        limit = exchange.limit
        if loop is None or (seconds is None and limit is None):
            deadline.at = None
            return
        at = math.inf
        if seconds is not None:
            at = loop.time() + seconds
            if exchange.follows and _has_content(exchange):
                assert self.transport is not None
                self._progress.watch(loop, self.transport, seconds)
        if limit is not None and limit.at < at:
            at = limit.at
        if at < deadline.timer_at:
            deadline.move(loop, at)
        else:
            deadline.at = at

    def _has_taken(self, exchange: Exchange) -> bool:
        """Whether the server has all content of a message, and owes no other reply before that to it."""
        if exchange.follows == GROUP and len(exchange.replies) + 1 < exchange.expected:
            return False
        beyond = self._buffer.written - exchange.end
        if beyond < 0 or not self._paused:
            return beyond >= 0
        assert self.transport is not None
        return self.transport.get_write_buffer_size() <= beyond

    def _looked(self, moved: bool) -> bool:
        """Give a server that has taken some of the content its time anew.

        :return: whether to go on looking
        """
        head = self._session.head
        if head is None or self._deadline.at is None or not _has_content(head):
            return False
        if moved:
            self._expect_reply(head)
        return True

    def _on_timeout(self) -> None:
        head = self._session.head
        if head is not None and head.limit is not None and head.limit.at == self._deadline.at:
            head.limit.passed = True
        elif head is not None and self._progress.has_any():
            self._expect_reply(head)
            return
        self._lose(SMTPReadTimeoutError("Timed out waiting for server response"))

    def _lose(self, error: SMTPException, *, abort: bool = True, level: int = logging.INFO) -> None:
        """End the connection, with this error for all that wait for it. Does nothing the second time."""
        if self.lost:
            return
        self.lost = True
        session = self._session
        session.fail(error, self._buffer.written)
        session.out.clear()
        self._buffer.pending.clear()
        self._deadline.stop()
        self._progress.stop()
        if self.transport is not None:
            if abort:
                self.transport.abort()
            else:
                self.transport.close()
                session.unseen = None  # no news to those who closed it
        waiting, self._waiting = self._waiting, WaitingExchanges()
        self._notify_done()
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

    def _flush(self) -> None:
        """Hand what the session wants to write to the transport: small things together, large ones alone."""
        out = self._session.out
        if not out or self.transport is None:
            return
        self._session.out = []
        data = out[0] if len(out) == 1 else b"".join(out) if sum(map(len, out)) <= MAX_JOINED else None
        buffer = self._buffer
        if data is None or len(data) > WRITE_SIZE or buffer.pending or self._paused:
            buffer.write(self.transport, out)
        else:
            buffer.written += len(data)
            self.transport.write(data)


def _has_content(exchange: Exchange) -> bool:
    """Whether its last step is large enough for a server to take it piece by piece."""
    return exchange.end - exchange.start > WATCHED_SIZE
