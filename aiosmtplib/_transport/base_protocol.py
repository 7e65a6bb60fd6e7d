"""Who speaks when on one connection: turns are queued, run, timed and told their end, and bytes are written.

The half of :class:`aiosmtplib.protocol.SMTPProtocol` below its public methods. Tasks that want to talk at the
same time queue up here; none holds a lock. A task wakes once, when its dialogue is over.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .._session import LAST, Data, Dialogue, Exchange, Session
from .._session.mail import ServerState
from .._trace.observer import CommandHook, CommandObserver, log_lost, numbers, wire_log
from .._trace.transcript import Transcript
from ..errors import SMTPException, SMTPReadTimeoutError, SMTPResponseException, SMTPServerDisconnected
from ..status import SMTPStatus
from .exchange import AwaitedExchange
from .timers import Deadline
from .wakeup import wake
from .writer import FlowControlMixin

T = TypeVar("T")

#: Larger content goes to the transport in pieces of this size (bytes), so that a slow server is noticed
#: between two pieces and memory is not taken twice.
_WRITE_SIZE = 1 << 18

#: Smaller things (bytes) are copied into one write.
_MAX_JOINED = 1 << 14


class BaseProtocol(FlowControlMixin):
    """The turns on one connection, and what they write."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__(loop)
        self.transport: asyncio.Transport | None = None
        #: Called with ``("C", bytes)`` and ``("S", bytes)`` for all that is written and received.
        self.trace: Callable[[str, bytes], None] | None = None
        #: Called with each command and the reply to it.
        self.on_command: CommandHook | None = None
        #: What the log calls this connection.
        self.number = next(numbers)
        self._observer: CommandObserver | None = None
        #: What the server may have of a mail transaction.
        self.server = ServerState()
        self._session = Session()
        self._waiting: deque[Exchange] = deque()
        #: Who alone may go on: the task that got a 3yz reply, or this object while TLS is being set up.
        self._reserved_for: object = None
        self._lost = False
        self._unwritten: deque[memoryview] = deque()
        self._written = 0
        self._deadline = Deadline(self._on_timeout)
        #: The task that pushes content waits here while too much of it is unwritten.
        self._drained: asyncio.Future[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        return self.transport is not None and self._session.lost is None and not self.transport.is_closing()

    def take_unseen_loss(self) -> SMTPException | None:
        """Why the connection was lost, if that happened while nobody waited for anything."""
        return self._session.take_unseen()

    def _check_connected(self) -> None:
        if not self.is_connected:
            error = self.take_unseen_loss() or SMTPServerDisconnected("Connection lost")
            self.attach_transcript(error)
            raise error

    @property
    def transcript(self) -> Transcript:
        """What was said up to now."""
        return self._session.transcript()

    def attach_transcript(self, error: SMTPException) -> None:
        """Let an error carry what was said up to now, unless it carries that of another time."""
        self._session.attach_transcript(error)

    def _listen(self) -> None:
        """Let those who want to know what is said be told of it, if there are any."""
        logging_it = wire_log.isEnabledFor(logging.DEBUG)
        if self._observer is None:
            if not logging_it and self.on_command is None:
                return
            self._observer = self._session.observer = CommandObserver(self.number, self.on_command)
        self._observer.logging = logging_it

    def _deliver(self) -> None:
        if self._observer is not None:
            self._observer.deliver()

    # -- turns ---------------------------------------------------------------------------------------

    async def run(
        self,
        dialogue: Dialogue[T],
        timeout: float | None,
        *,
        reserve: bool = False,
        upgrade: bool = False,
    ) -> T:
        """Run a dialogue to its end, after those that were there before it.

        :param timeout: seconds for each reply, or ``None`` for no limit
        :param reserve: whether a 3yz reply asks for more, and so reserves the connection for this task
        :param upgrade: whether a 220 is to be followed by a TLS handshake
        """
        exchange = self.exchange(dialogue, timeout, reserve=reserve, upgrade=upgrade)
        self.submit(exchange)
        return cast(T, await self.wait_for(exchange))

    def exchange(
        self,
        dialogue: Dialogue[Any],
        timeout: float | None,
        *,
        reserve: bool = False,
        upgrade: bool = False,
        pipeline: object = None,
    ) -> AwaitedExchange:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        owner = asyncio.current_task() if reserve else None
        return AwaitedExchange(dialogue, timeout, self._loop.create_future(), owner, upgrade, pipeline)

    async def wait_for(self, exchange: AwaitedExchange) -> Any:
        """Wait for the end of a dialogue. Who is cancelled here gives it up."""
        try:
            await exchange.future
        except asyncio.CancelledError:
            self.abandon(exchange)
            raise
        if exchange.error is not None:
            raise exchange.error
        return exchange.result

    def submit(self, exchange: Exchange) -> None:
        """Begin a turn now, or put it behind those that wait.

        :raises SMTPServerDisconnected: if not connected
        """
        self._check_connected()
        reserved = self._reserved_for is not None and self._reserved_for is asyncio.current_task()
        if (self._waiting and not reserved) or not self._may_begin(exchange):
            self._waiting.append(exchange)
            return
        self._begin(exchange)
        self._notify_done()
        self._flush()
        self._deliver()

    def withdraw(self, pipeline: object) -> None:
        """End the exchanges of a pipeline that have not begun."""
        self._withdraw([exchange for exchange in self._waiting if exchange.pipeline is pipeline])

    def _withdraw(self, turns: list[Exchange]) -> None:
        for exchange in turns:
            self._waiting.remove(exchange)
        for exchange in turns:
            exchange.dialogue.close()
            exchange.error = cancelled_before_sent()
            self.attach_transcript(exchange.error)
            exchange.on_done()

    def _may_begin(self, exchange: Exchange) -> bool:
        head = self._session.head
        if head is None:
            return self._reserved_for is None or self._reserved_for is asyncio.current_task()
        return (
            exchange.pipeline is not None
            and exchange.pipeline is head.pipeline
            and self._session.follows == LAST
        )

    def _begin(self, exchange: Exchange) -> None:
        session = self._session
        self._reserved_for = None
        # Replies must not be taken for those to other commands. So nobody begins to listen in the middle.
        if (self._observer is not None or wire_log.isEnabledFor(logging.DEBUG)) and session.head is None:
            self._listen()
        session.start(exchange)
        if session.head is exchange:
            assert self._loop is not None
            self._deadline.start(self._loop, exchange.timeout)
            if exchange.timeout is not None and exchange.timeout <= 0:
                session.out.clear()
                self._on_timeout()

    def _begin_next(self) -> None:
        while self._waiting and not self._lost and self._may_begin(self._waiting[0]):
            self._begin(self._waiting.popleft())

    def _received(self, data: bytes, max_line: int, max_reply: int) -> None:
        """Do all that follows from what the server sent, then write once."""
        session = self._session
        before = session.head
        progress = session.receive(data, max_line, max_reply, self._written)
        if session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))
            return
        if not progress:
            return
        if session.done:
            self._notify_done()
        if self._waiting:
            self._begin_next()
            self._notify_done()
        if session.out:
            self._flush()
        head = session.head
        if head is None:
            pass
        elif head.streaming and self._drained is None:
            self._deadline.pause()  # it is for our side to go on
            wake(cast(AwaitedExchange, head).wanted)
        elif head is before:
            self._deadline.restart()
        else:
            assert self._loop is not None
            self._deadline.start(self._loop, head.timeout)

    def _notify_done(self) -> None:
        """Tell the owners of the dialogues that are over."""
        session = self._session
        while session.done:
            done, session.done = session.done, []
            if session.head is None:
                self._deadline.pause()
            for exchange in done:
                if isinstance(exchange, AwaitedExchange):
                    self._reserve(exchange)
                exchange.on_done()
            if self._waiting and session.head is None:
                self._begin_next()

    def _reserve(self, exchange: AwaitedExchange) -> None:
        """After a reply that asks for more, nobody else may speak."""
        if exchange.error is not None:
            return
        if exchange.upgrade and exchange.result.code == SMTPStatus.ready:
            self._reserved_for = self
            if self._session.interrupted:
                exchange.error = injected_before_tls()
                self.attach_transcript(exchange.error)
                if self._lost:  # by what came too early
                    log_lost(self.number, injected_before_tls().message, logging.WARNING)
                self._lose(injected_before_tls(), level=logging.WARNING)
        elif exchange.owner is not None and 300 <= exchange.result.code < 400:
            self._reserved_for = exchange.owner
            self._deadline.restart()

    def abandon(self, exchange: Exchange) -> None:
        """Its owner was cancelled. A connection out of step is never used again."""
        if exchange in self._waiting:
            self._waiting.remove(exchange)
            exchange.dialogue.close()
        elif exchange in self._session or (
            isinstance(exchange, AwaitedExchange)
            and self._reserved_for is (self if exchange.upgrade else asyncio.current_task())
        ):
            exchange.dialogue.close()
            self._lose(SMTPServerDisconnected("Connection closed: a command was cancelled"))

    def _lose(self, error: SMTPException, *, abort: bool = True, level: int = logging.INFO) -> None:
        """The connection is of no more use: tell everyone who waits for it, once."""
        if self._lost:
            return
        self._lost = True
        session = self._session
        session.fail(error, self._written)
        session.out.clear()
        self._unwritten.clear()
        self._deadline.stop()
        if self.transport is not None:
            if abort:
                self.transport.abort()
            else:
                self.transport.close()
                session.take_unseen()  # no news to those who closed it
        waiting, self._waiting = self._waiting, deque()
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
        """What else has to be told."""

    def _on_timeout(self) -> None:
        self._lose(SMTPReadTimeoutError("Timed out waiting for server response"))

    # -- writing -------------------------------------------------------------------------------------

    async def wait_until_wanted(self, exchange: AwaitedExchange) -> bool:
        """Wait until the server wants the content that a dialogue has to stream.

        :return: whether it does; else the dialogue is over
        """
        assert self._loop is not None
        exchange.wanted = wanted = self._loop.create_future()
        exchange.future.add_done_callback(lambda _: wake(wanted))
        try:
            await wanted
        except asyncio.CancelledError:
            self.abandon(exchange)
            raise
        return not exchange.future.done()

    async def push(self, exchange: Exchange, data: Data, replies: int = 0, *, last: bool = False) -> None:
        """Write the next piece of streamed content, and wait until most of it has been written."""
        if exchange not in self._session:
            return
        self._session.push(exchange, data, replies, last=last)
        self._flush()
        self._deliver()
        if last:
            self._deadline.restart()
        elif self._unwritten or self._paused:
            assert self._loop is not None
            self._deadline.restart()
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
                self._deadline.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unwritten:
            self._deadline.restart()  # the server took something: it is slow, not dead
            self._write_pieces()
        if not self._unwritten:
            wake(self._drained)

    def _flush(self) -> None:
        """Hand what the session wants to write to the transport: small things together, large ones alone."""
        out = self._session.out
        if not out or self.transport is None:
            return
        self._session.out = []
        if self.trace is not None:
            self.trace("C", b"".join(out))
        data = out[0] if len(out) == 1 else b"".join(out) if sum(map(len, out)) <= _MAX_JOINED else None
        if data is not None and len(data) <= _WRITE_SIZE and not self._unwritten and not self._paused:
            self._written += len(data)
            self.transport.write(data)
            return
        self._unwritten.extend(map(memoryview, out))
        self._write_pieces()

    def _write_pieces(self) -> None:
        assert self.transport is not None
        while self._unwritten and not self._paused:
            whole = self._unwritten[0]
            piece, rest = whole[:_WRITE_SIZE], whole[_WRITE_SIZE:]
            if rest:
                self._unwritten[0] = rest
            else:
                self._unwritten.popleft()
            self._written += len(piece)
            self.transport.write(piece)


def cancelled_before_sent() -> SMTPServerDisconnected:
    return SMTPServerDisconnected("Given up before it was sent")


def injected_before_tls() -> SMTPResponseException:
    return SMTPResponseException(
        SMTPStatus.invalid_response.value,
        "Server sent data between its reply to STARTTLS and the TLS handshake",
    )
