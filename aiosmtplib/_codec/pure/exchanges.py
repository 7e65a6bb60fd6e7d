"""Queue of exchanges in pure Python: which may begin, and what follows from the replies."""

from __future__ import annotations

import math
from collections import deque
from logging import DEBUG
from typing import Any

from ..._trace.observer import CommandObserver, wire_log
from ...errors import SMTPException, SMTPServerDisconnected
from ..types import FINAL, GROUP, MAX_JOINED, OVERLAPPING, READ_SIZE, STREAM, WATCHED_SIZE, WRITE_SIZE
from ..waiting import WaitingExchanges, is_paused
from .session import Exchange, Session

__all__ = ("ExchangeQueue",)


class ExchangeQueue:
    """Queue of exchanges on one connection: those that run and those that wait, and what they write.

    What happens with every message is here. What needs a clock, tasks, or an end of the connection is left to
    methods of a subclass: those without a body.

    :ivar transport: what is written to, or ``None`` until there is a connection
    :ivar lost: whether the connection is of no more use
    :ivar pending: what the transport has not been given yet
    """

    _loop: Any
    _paused: bool

    def __init__(self) -> None:
        self.transport: Any = None
        self.lost = False
        self._session = Session()
        self._waiting = WaitingExchanges()
        self._observer: CommandObserver | None = None
        #: The task that got a 3yz reply, and alone may go on; or this object, while TLS is being set up.
        self._reserved_for: object = None
        #: Its ``at`` is the time by which something is expected, and ``timer_at`` that of its timer.
        self._deadline: Any = None
        self._read_buffer = memoryview(bytearray(READ_SIZE))
        self.pending: deque[memoryview] = deque()
        #: How many octets the transport has been given, in all.
        self._written = 0

    # -- what a subclass does ------------------------------------------------------------------------

    def _refuse(self) -> None:
        """Raise why commands cannot be sent."""

    def _is_its_holder(self) -> bool:  # type: ignore[empty-body]
        """Whether the connection is reserved for the task that runs now."""

    def _announce(self, exchange: Exchange) -> None:
        """Have it observed what an exchange says that is about to begin, if anybody wants to know."""

    def _expect_content(self, exchange: Exchange) -> None:
        """Wait for our side to go on, with content that is streamed."""

    def _final_seconds(self, seconds: float | None) -> float | None:
        """The time that the server has for a final reply, if it has this time for others."""

    def _watch(self, seconds: float) -> None:
        """Look whether the server takes any of large content, within so many seconds."""

    def _run_out(self) -> None:
        """End an exchange that was given no time at all."""

    def _reserve(self, exchange: Exchange) -> None:
        """Reserve the connection for the task whose command got a reply that asks for more."""

    def _write_pieces(self, data: list[bytes]) -> None:
        """Write what is large, or has to wait for what is."""

    def _intruded(self) -> None:
        """End a connection on which something came before the TLS handshake."""

    def _lose(self, error: SMTPException) -> None:
        """End the connection, with this error for all that wait for it."""

    # -- the queue -----------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        usable = self._session.lost is None and (self._loop is None or not self._loop.is_closed())
        return usable and self.transport is not None and not self.transport.is_closing()

    def submit(self, exchange: Exchange) -> None:
        """Begin an exchange now, or put it behind those that wait.

        :raises SMTPServerDisconnected: if not connected
        """
        if not self.is_connected:
            self._refuse()
        passes = self._reserved_for is not None and self._is_its_holder()
        others = self._waiting and not passes and self._waiting.next() is not None
        if others or is_paused(exchange) or not self._may_begin(exchange):
            self._waiting.append(exchange)
            return
        self._begin(exchange)
        self._begun()

    def go_on(self) -> None:
        """Begin what may begin, now that a pipeline is not paused any more."""
        if self._waiting:
            self._begin_waiting()
            self._begun()

    def _begun(self) -> None:
        if self._session.done:
            self.notify_done()
        self.flush()
        if self._observer is not None:
            self._observer.deliver()

    def _may_begin(self, exchange: Exchange) -> bool:
        """Whether an exchange whose pipeline is not paused may begin now."""
        session = self._session
        head = session.head
        if head is None:
            return self._reserved_for is None or self._is_its_holder()
        if exchange.pipeline is None or exchange.pipeline is not head.pipeline:
            return False
        assert session.last is not None  # where there is a head, there is a last
        return session.last.follows in OVERLAPPING

    def _begin(self, exchange: Exchange) -> None:
        session = self._session
        self._reserved_for = None
        if exchange.limit is not None:
            exchange.limit.begin()
        # One that is observed from amidst others on would take their replies for its own.
        if self._observer is not None or (session.head is None and wire_log.isEnabledFor(DEBUG)):
            self._announce(exchange)
        session.start(exchange)
        if session.head is exchange:
            self.expect_reply(exchange)
            if exchange.timeout is not None and exchange.timeout <= 0:
                self._run_out()
        elif session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))

    def _begin_waiting(self) -> None:
        while not self.lost and (exchange := self._waiting.next()) is not None:
            if not self._may_begin(exchange):
                return
            self._waiting.remove(exchange)
            self._begin(exchange)

    # -- replies -------------------------------------------------------------------------------------

    # Without a buffer of ours, asyncio allocates 256 KiB for every read, which costs more than all of SMTP.
    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer that the transport reads into."""
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many octets were read into the buffer."""
        self.data_received(bytes(self._read_buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Octets were received."""

    def receive(self, data: bytes, max_line: int, max_reply: int) -> None:
        """Do all that follows from what the server sent, then write once.

        :param max_line: bound on one reply line, in bytes
        :param max_reply: bound on one whole reply, in bytes
        """
        if self._reserved_for is self:  # between the 220 to STARTTLS and the handshake (RFC 3207 section 6)
            self._intruded()
            return
        observer = self._observer
        if observer is not None:
            observer.received(data)
        self._take_replies(data, max_line, max_reply)
        if observer is not None:
            observer.deliver()

    def _take_replies(self, data: bytes, max_line: int, max_reply: int) -> None:
        session = self._session
        progress = session.receive(data, max_line, max_reply, self._written)
        if session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))
            return
        if not progress:
            return
        if session.done:
            self.notify_done()
        if self._waiting:
            self._begin_waiting()
            self.notify_done()
        if session.out:
            self.flush()
        head = session.head
        if head is None:
            pass
        elif head.follows >= STREAM:
            self._expect_content(head)
        else:
            self.expect_reply(head)

    def notify_done(self) -> None:
        """Complete the exchanges whose dialogues are over."""
        session = self._session
        while session.done:
            done, session.done = session.done, []
            if session.head is None:
                self._deadline.at = None
            for exchange in done:
                if exchange.reserves:
                    self._reserve(exchange)
                exchange.on_done()
            if self._waiting and session.head is None:
                self._begin_waiting()

    # -- the deadline --------------------------------------------------------------------------------

    def expect_reply(self, exchange: Exchange) -> None:
        """Give the server its time for the next reply, or to take more of what is written, from now on."""
        deadline, loop = self._deadline, self._loop
        seconds = exchange.timeout
        if exchange.follows in FINAL and self._has_taken(exchange):
            seconds = self._final_seconds(seconds)
        limit = exchange.limit
        if loop is None or (seconds is None and limit is None):
            deadline.at = None
            return
        at = math.inf
        if seconds is not None:
            at = loop.time() + seconds
            if exchange.follows and exchange.end - exchange.start > WATCHED_SIZE:
                self._watch(seconds)
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
        beyond = self._written - exchange.end
        if beyond < 0 or not self._paused:
            return beyond >= 0
        size: int = self.transport.get_write_buffer_size()
        return size <= beyond

    # -- writing -------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand what the session wants to write to the transport: small things together, large ones alone."""
        out = self._session.out
        if not out or self.transport is None:
            return
        self._session.out = []
        data = out[0] if len(out) == 1 else b"".join(out) if sum(map(len, out)) <= MAX_JOINED else None
        if data is None or len(data) > WRITE_SIZE or self.pending or self._paused:
            self._write_pieces(out)
        else:
            self._written += len(data)
            self.transport.write(data)
