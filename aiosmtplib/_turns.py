"""Who speaks when on one connection: turns are queued, run, timed and told their end, and bytes are written.

The half of :class:`aiosmtplib.protocol.SMTPProtocol` below its public methods. Tasks that want to talk at the
same time queue up here; none holds a lock. A task wakes once, when its dialogue is over.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ._mail import Open
from ._session import LAST, Data, Dialogue, Session
from ._transcript import Transcript
from ._waiting import Deadline, FlowControlMixin, Ticket, Turn, wake
from ._wire import CommandHook, Wire, log_lost, numbers, wire_log
from .errors import (
    SMTPException,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from .status import SMTPStatus

T = TypeVar("T")

#: Larger content goes to the transport in pieces of this size (bytes), so that a slow server is noticed
#: between two pieces and memory is not taken twice.
_PIECE = 1 << 18

#: Smaller things (bytes) are copied into one write.
_JOINED = 1 << 14


class Turns(FlowControlMixin):
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
        self._wire: Wire | None = None
        #: What the server may have of a mail transaction.
        self.server = Open()
        self._session = Session()
        self._waiting: deque[Turn] = deque()
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
            self.tell(error)
            raise error

    @property
    def transcript(self) -> Transcript:
        """What was said up to now."""
        return self._session.transcript()

    def tell(self, error: SMTPException) -> None:
        """Let an error carry what was said up to now, unless it carries that of another time."""
        self._session.tell(error)

    def _listen(self) -> None:
        """Let those who want to know what is said be told of it, if there are any."""
        logging_it = wire_log.isEnabledFor(logging.DEBUG)
        if self._wire is None:
            if not logging_it and self.on_command is None:
                return
            self._wire = self._session.tap = Wire(self.number, self.on_command)
        self._wire.logging = logging_it

    def _deliver(self) -> None:
        if self._wire is not None:
            self._wire.deliver()

    # -- turns ---------------------------------------------------------------------------------------

    async def run(
        self,
        dialogue: Dialogue[T],
        timeout: float | None,
        *,
        exchange: bool = False,
        upgrade: bool = False,
    ) -> T:
        """Run a dialogue to its end, after those that were there before it.

        :param timeout: seconds for each reply, or ``None`` for no limit
        :param exchange: whether a 3yz reply asks for more, and so reserves the connection for this task
        :param upgrade: whether a 220 is to be followed by a TLS handshake
        """
        ticket = self.ticket(dialogue, timeout, exchange=exchange, upgrade=upgrade)
        self.submit(ticket)
        return cast(T, await self.wait_for(ticket))

    def ticket(
        self,
        dialogue: Dialogue[Any],
        timeout: float | None,
        *,
        exchange: bool = False,
        upgrade: bool = False,
        lane: object = None,
    ) -> Ticket:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        owner = asyncio.current_task() if exchange else None
        return Ticket(dialogue, timeout, self._loop.create_future(), owner, upgrade, lane)

    async def wait_for(self, ticket: Ticket) -> Any:
        """Wait for the end of a dialogue. Who is cancelled here gives it up."""
        try:
            await ticket.future
        except asyncio.CancelledError:
            self.abandon(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def submit(self, turn: Turn) -> None:
        """Begin a turn now, or put it behind those that wait.

        :raises SMTPServerDisconnected: if not connected
        """
        self._check_connected()
        reserved = self._reserved_for is not None and self._reserved_for is asyncio.current_task()
        if (self._waiting and not reserved) or not self._may_begin(turn):
            self._waiting.append(turn)
            return
        self._begin(turn)
        self._settle()
        self._flush()
        self._deliver()

    def withdraw(self, lane: object) -> None:
        """End the turns of a lane that have not begun."""
        self._withdraw([turn for turn in self._waiting if turn.lane is lane])

    def _withdraw(self, turns: list[Turn]) -> None:
        for turn in turns:
            self._waiting.remove(turn)
        for turn in turns:
            turn.dialogue.close()
            turn.error = given_up()
            self.tell(turn.error)
            turn.settle()

    def _may_begin(self, turn: Turn) -> bool:
        head = self._session.head
        if head is None:
            return self._reserved_for is None or self._reserved_for is asyncio.current_task()
        return turn.lane is not None and turn.lane is head.lane and self._session.follows == LAST

    def _begin(self, turn: Turn) -> None:
        session = self._session
        self._reserved_for = None
        # Replies must not be taken for those to other commands. So nobody begins to listen in the middle.
        if (self._wire is not None or wire_log.isEnabledFor(logging.DEBUG)) and session.head is None:
            self._listen()
        session.start(turn)
        if session.head is turn:
            assert self._loop is not None
            self._deadline.start(self._loop, turn.timeout)
            if turn.timeout is not None and turn.timeout <= 0:
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
            self._settle()
        if self._waiting:
            self._begin_next()
            self._settle()
        if session.out:
            self._flush()
        head = session.head
        if head is None:
            pass
        elif head.streaming and self._drained is None:
            self._deadline.pause()  # it is for our side to go on
            wake(cast(Ticket, head).wanted)
        elif head is before:
            self._deadline.restart()
        else:
            assert self._loop is not None
            self._deadline.start(self._loop, head.timeout)

    def _settle(self) -> None:
        """Tell the owners of the dialogues that are over."""
        session = self._session
        while session.done:
            done, session.done = session.done, []
            if session.head is None:
                self._deadline.pause()
            for turn in cast("list[Turn]", done):
                if isinstance(turn, Ticket):
                    self._reserve(turn)
                turn.settle()
            if self._waiting and session.head is None:
                self._begin_next()

    def _reserve(self, ticket: Ticket) -> None:
        """After a reply that asks for more, nobody else may speak."""
        if ticket.error is not None:
            return
        if ticket.upgrade and ticket.result.code == SMTPStatus.ready:
            self._reserved_for = self
            if self._session.interrupted:
                ticket.error = injected()
                self.tell(ticket.error)
                if self._lost:  # by what came too early
                    log_lost(self.number, injected().message, logging.WARNING)
                self._lose(injected(), level=logging.WARNING)
        elif ticket.owner is not None and 300 <= ticket.result.code < 400:
            self._reserved_for = ticket.owner
            self._deadline.restart()

    def abandon(self, turn: Turn) -> None:
        """Its owner was cancelled. A connection out of step is never used again."""
        if turn in self._waiting:
            self._waiting.remove(turn)
            turn.dialogue.close()
        elif turn in self._session or (
            isinstance(turn, Ticket)
            and self._reserved_for is (self if turn.upgrade else asyncio.current_task())
        ):
            turn.dialogue.close()
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
        self._settle()
        for turn in waiting:
            turn.dialogue.close()
            turn.error = SMTPServerDisconnected(error.message)
            self.tell(turn.error)
            turn.settle()
        wake(self._drained)
        self._on_lost()
        self._deliver()
        log_lost(self.number, error.message if abort else None, level)

    def _on_lost(self) -> None:
        """What else has to be told."""

    def _on_timeout(self) -> None:
        self._lose(SMTPReadTimeoutError("Timed out waiting for server response"))

    # -- writing -------------------------------------------------------------------------------------

    async def wait_until_wanted(self, ticket: Ticket) -> bool:
        """Wait until the server wants the content that a dialogue has to stream.

        :return: whether it does; else the dialogue is over
        """
        assert self._loop is not None
        ticket.wanted = wanted = self._loop.create_future()
        ticket.future.add_done_callback(lambda _: wake(wanted))
        try:
            await wanted
        except asyncio.CancelledError:
            self.abandon(ticket)
            raise
        return not ticket.future.done()

    async def push(self, turn: Turn, data: Data, replies: int = 0, *, last: bool = False) -> None:
        """Write the next piece of streamed content, and wait until most of it has been written."""
        if turn not in self._session:
            return
        self._session.push(turn, data, replies, last=last)
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
        data = out[0] if len(out) == 1 else b"".join(out) if sum(map(len, out)) <= _JOINED else None
        if data is not None and len(data) <= _PIECE and not self._unwritten and not self._paused:
            self._written += len(data)
            self.transport.write(data)
            return
        self._unwritten.extend(map(memoryview, out))
        self._write_pieces()

    def _write_pieces(self) -> None:
        assert self.transport is not None
        while self._unwritten and not self._paused:
            whole = self._unwritten[0]
            piece, rest = whole[:_PIECE], whole[_PIECE:]
            if rest:
                self._unwritten[0] = rest
            else:
                self._unwritten.popleft()
            self._written += len(piece)
            self.transport.write(piece)


def given_up() -> SMTPServerDisconnected:
    return SMTPServerDisconnected("Given up before it was sent")


def injected() -> SMTPResponseException:
    return SMTPResponseException(
        SMTPStatus.invalid_response.value,
        "Server sent data between its reply to STARTTLS and the TLS handshake",
    )
