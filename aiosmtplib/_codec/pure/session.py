"""Session in pure Python: replies are paired with commands (theory: :mod:`aiosmtplib._session`)."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any, Final

from ..._trace.redaction import LONG, OF_A_MAIL, entry_of, form_of, header_of
from ..._trace.transcript import EMPTY_TRANSCRIPT, KEPT, Entry, Transcript
from ...errors import SMTPException, SMTPServerDisconnected
from ...response import SMTPResponse
from ...status import SMTPStatus
from ..endings import fail, take_early, take_fragment, take_goodbye, take_unasked
from ..types import CHUNKS, LAST, MORE, STREAM, Data, Dialogue, SessionObserver
from .replies import ReplyParser

__all__ = ("Exchange", "Session")

_NEVER: Final = sys.maxsize
_SERVICE_CLOSING = SMTPStatus.domain_unavailable.value
_START_INPUT = SMTPStatus.start_input.value


class Exchange:
    """Exchange: a dialogue on its way on one connection, and its outcome.

    :param timeout: seconds for each reply, or ``None`` for no limit; kept for whoever has a clock
    :param pipeline: exchanges of the same pipeline may overlap (RFC 2920); ``None`` overlaps with none
    :ivar limit: that of the whole exchange, or ``None``; kept for whoever has a clock
    :ivar reserves: whether the reply that ends it may ask for more, from the task that it belongs to
    :ivar result: what the dialogue returned; or ``error``, what it raised
    :ivar replies: those that came of the ones its last step asked for
    :ivar follows: what may follow its last step: ``MORE``, ``LAST``, ``STREAM``, ``CHUNKS``,
        ``GROUP`` or ``ENDED``
    :ivar expected: how many replies its last step asks for
    :ivar start: where the octets of its last step lie in all that the session ever wrote, up to ``end``
    """

    __slots__ = (
        "_said",
        "_secret",
        "dialogue",
        "end",
        "error",
        "expected",
        "follows",
        "limit",
        "pipeline",
        "replies",
        "reserves",
        "result",
        "start",
        "timeout",
    )

    def __init__(
        self, dialogue: Dialogue[Any], timeout: float | None = None, pipeline: object = None
    ) -> None:
        self.dialogue = dialogue
        self.timeout = timeout
        self.pipeline = pipeline
        self.limit: Any = None
        self.reserves = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.replies: list[SMTPResponse] = []
        self.follows = MORE
        self.expected = 0
        self.start = 0
        self.end = 0
        # The last step in a form that may be kept, None where it has been; and whether it holds a secret.
        self._said: bytes | int | list[bytes] | None = None
        self._secret = False

    def on_done(self) -> None:
        """Called once, when ``result`` and ``error`` are there."""


class Session:
    """Session: the state of SMTP on one connection, without I/O.

    :param greeted: whether the server has greeted already (after STARTTLS it does not do so again)
    :ivar head: the exchange that the next reply is for, or ``None``
    :ivar last: the exchange that was started last, or ``None`` where it is over
    :ivar lost: why the session is over, or ``None`` while it is usable
    :ivar closing: whether the server answered a command by 421
    :ivar out: what is to be written, in order; whoever writes it clears the list
    :ivar done: the exchanges that are over; whoever tells their owners clears the list
    :ivar observer: is told of all that is said, as it is said; or ``None``
    :ivar running: the exchanges that are not over, in the order of their start
    :ivar scheduled: octets that were put into ``out``, in all
    :ivar greeted: whether no greeting is to come: it came, or a dialogue started that waits for it
    :ivar greeting: the greeting, where it came before a dialogue waited for it
    :ivar unseen: the error that ended the session, where no dialogue was running
    :ivar after_secret: whether the last reply was to a step that holds a secret
    """

    __slots__ = (
        "_code",
        "_entries",
        "_heard",
        "_parser",
        "after_secret",
        "closing",
        "done",
        "greeted",
        "greeting",
        "head",
        "last",
        "lost",
        "observer",
        "out",
        "running",
        "scheduled",
        "unseen",
    )

    def __init__(self, greeted: bool = False) -> None:
        self._parser = ReplyParser()
        self.running: deque[Exchange] = deque()
        self.greeted = greeted
        self.greeting: SMTPResponse | None = None
        self.scheduled = 0
        self.unseen: SMTPException | None = None
        self.head: Exchange | None = None
        self.last: Exchange | None = None
        self.lost: str | None = None
        self.closing = False
        self.out: list[bytes] = []
        self.done: list[Exchange] = []
        self.observer: SessionObserver | None = None
        # The transcript; the code of the last reply; and the octets received since then.
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._code = 0
        self._heard = 0
        self.after_secret = False

    def renewed(self) -> Session:
        """A new session after STARTTLS (RFC 3207 section 4.2), with the same transcript and observer."""
        session = Session(greeted=True)
        session._entries, session.observer = self._entries, self.observer
        return session

    @property
    def interrupted(self) -> bool:
        """Whether the server sent anything beyond the reply that ended the last dialogue."""
        return self.lost is not None or self._parser.pending

    def __contains__(self, exchange: Exchange) -> bool:
        return exchange in self.running

    def start(self, exchange: Exchange) -> None:
        """Run a dialogue up to its first wait. No other one may be running, or all are ``OVERLAPPING``."""
        greeted, self.greeted = self.greeted, True
        self.greeting = None
        self.running.append(exchange)
        self.head = self.head or exchange
        self.last = exchange
        self.step(exchange, None, 0)
        # Half a greeting, the rest of which would be the answer to a command.
        if not greeted and exchange.end > exchange.start and self._parser.pending:
            take_fragment(self, 0)

    def push(self, exchange: Exchange, data: Data, replies: int = 0, *, last: bool = False) -> None:
        """Write the next piece of streamed content.

        :param replies: how many more replies the piece asks for
        :param last: whether it is the last one
        """
        before = self.scheduled
        self._write(data)
        size = self.scheduled - before
        said, header = exchange._said, b""
        if isinstance(said, list):
            header = header_of(data if isinstance(data, bytes) else data[0])
            said.append(header)
            del said[: -2 * KEPT]
        else:
            assert isinstance(said, int)
            exchange._said = said + size
        if self.observer is not None:
            self.observer.pushed(header, size, replies, last)
        exchange.expected += replies
        if last:
            exchange.end = self.scheduled
            exchange.follows = LAST

    def receive(self, data: bytes, max_line: int, max_reply: int, written: int) -> bool:
        """Process octets from the server: pair the replies, and run the dialogues that waited for them.

        :param max_line: bound on one reply line, in bytes
        :param max_reply: bound on one whole reply, in bytes
        :param written: how many bytes of :attr:`out` have been written, in all
        :return: whether a reply was complete
        """
        if self.lost is not None:
            return False
        self._heard += len(data)
        replies = self._parser.feed(data, max_line, max_reply)
        count = len(replies)
        at = 0
        while at < count and self.lost is None:
            head = self.head
            if head is None:
                take_unasked(self, replies[at], written)
                at += 1
                continue
            if written < head.end and written <= head.start:
                take_unasked(self, replies[at], written)
                break
            held = head.replies
            if not at and len(held) + count <= head.expected:
                part = replies
            else:
                part = replies[at : at + head.expected - len(held)]
                if not part:  # to a piece of content that has not been pushed
                    take_unasked(self, replies[at], written)
                    break
            at += len(part)
            if self.observer is not None:
                self.observer.heard(part)
            for reply in part:
                if reply[0] == _SERVICE_CLOSING or reply[0] < 0:
                    take_goodbye(self, reply, part[: part.index(reply)], written)
                    return True
            held += part
            if len(held) == head.expected and head.follows != CHUNKS:
                head.replies = []
                self.keep(head, held)
                if written < head.end:
                    take_early(self, held, written)
                else:
                    self.step(head, held, written)
        if self._parser.pending and self.lost is None:
            head = self.head
            if self.greeted if head is None else head.start >= written < head.end:
                take_fragment(self, written)
        return count > 0

    def fail(self, error: SMTPException, written: int) -> None:
        """End the session because of ``error``, and let the running dialogues know, in order.

        :param written: how many bytes of :attr:`out` have been written, in all
        """
        fail(self, error, written)

    def step(self, exchange: Exchange, replies: list[SMTPResponse] | None, written: int) -> None:
        """Run the dialogue of an exchange up to its next wait, or to its end.

        :param replies: those to its last step, ``None`` at the start
        :param written: octets of :attr:`out` that have been written, in all
        """
        try:
            # A generator that has not started takes only None.
            data, expected, follows = exchange.dialogue.send(replies)  # type: ignore[arg-type]
        except StopIteration as stop:
            exchange.result = stop.value
        except Exception as error:
            if isinstance(error, SMTPException):
                self.attach_transcript(error)
            exchange.error = error
        else:
            if expected < 0:
                lost = SMTPServerDisconnected("Connection closed: replies no longer match commands")
                fail(self, lost, written)
                return
            start = exchange.start = self.scheduled
            self._write(data)
            exchange.end = end = self.scheduled
            exchange.expected = expected
            exchange.follows = follows
            if follows < STREAM and replies and replies[-1][0] == _START_INPUT:
                exchange._said = end - start
            else:
                self._describe(exchange, data, end - start, replies)
            if self.observer is not None:
                self.observer.said(exchange._said, end - start, expected, exchange._secret)
            return
        running = self.running
        running.remove(exchange)
        self.head = running[0] if running else None
        self.last = running[-1] if running else None
        self.done.append(exchange)

    def _describe(
        self, exchange: Exchange, data: Data, size: int, replies: list[SMTPResponse] | None
    ) -> None:
        """Set the form in which a step is kept in the transcript."""
        if exchange.follows >= STREAM:
            exchange.end = _NEVER
            exchange._said = 0 if exchange.follows == STREAM else []
            return
        # The reply before it decides: content after 354, an answer to a challenge after 334.
        code = replies[-1][0] if replies else self._code if len(self.running) == 1 else 0
        first = data if isinstance(data, bytes) else data[0]
        if size and not 300 <= code < 400 and first.startswith(OF_A_MAIL) and b"BDAT " not in first:
            exchange._said, exchange._secret = first, False  # what form_of() says, too
        else:
            exchange._said, exchange._secret = form_of(first, size, code)

    def keep(self, exchange: Exchange, replies: list[SMTPResponse]) -> None:
        """Add the last step of an exchange to the transcript, with the replies to it, once."""
        said = exchange._said
        if said is None:
            return
        exchange._said = None
        self.after_secret = exchange._secret
        short = type(said) is int or (type(said) is bytes and len(said) <= LONG)
        whole = exchange.expected <= len(replies) <= KEPT
        if short and whole and not self.after_secret and self._heard <= LONG:
            self._entries.append((said, tuple(replies)))  # type: ignore[arg-type]  # no list, it is short
        else:
            self._entries.append(entry_of(said, replies, exchange.expected, self.after_secret, self._heard))
        self._heard = 0
        if replies:
            self._code = replies[-1][0]

    def add_entry(self, entry: Entry) -> None:
        """Add an entry to the transcript."""
        self._entries.append(entry)

    def attach_transcript(self, error: SMTPException) -> None:
        """Give an error the transcript up to now, unless it has one."""
        if error.transcript is EMPTY_TRANSCRIPT:
            error.transcript = self.transcript()

    def transcript(self) -> Transcript:
        """The transcript: the last commands, and the replies to them."""
        return Transcript(self._entries)

    def write(self, data: bytes) -> None:
        """Append octets of any kind to ``out``. No reply is expected for them."""
        self._write(data)
        if data:
            self._entries.append((len(data), ()))
            if self.observer is not None:
                self.observer.said(len(data), len(data), 0, False)

    def _write(self, data: Data) -> None:
        if not data:
            return
        if isinstance(data, bytes):
            self.out.append(data)
            self.scheduled += len(data)
        else:
            self.out += data
            self.scheduled += sum(map(len, data))
