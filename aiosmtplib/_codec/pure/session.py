"""The session in pure Python: replies are paired with commands (theory: :mod:`aiosmtplib._session`)."""

from collections import deque
from typing import Any, Final

from ..._trace.redaction import KEPT, LONG, OF_A_MAIL, Entry, condensed, entry_of, form_of, header_of
from ..._trace.transcript import EMPTY_TRANSCRIPT, Transcript
from ...errors import SMTPException, SMTPResponseException, SMTPServerDisconnected
from ...response import SMTPResponse
from ...status import Delivery, SMTPStatus
from ..types import CHUNKS, LAST, MORE, STREAM, Data, Dialogue, SessionObserver
from .replies import ReplyParser

__all__ = ("Exchange", "Session")

_NEVER: Final = float("inf")
_SERVICE_CLOSING = SMTPStatus.domain_unavailable.value
_START_INPUT = SMTPStatus.start_input.value


class Exchange:
    """A dialogue on its way, and what became of it.

    :param timeout: seconds for each reply, or ``None`` for no limit; kept for whoever has a clock
    :param pipeline: exchanges of the same pipeline may overlap (RFC 2920); ``None`` overlaps with none
    :ivar result: what the dialogue returned; or ``error``, what it raised
    :ivar replies: those that came of the ones its last step asked for
    :ivar follows: what may follow its last step: ``MORE``, ``LAST``, ``STREAM`` or ``CHUNKS``
    """

    __slots__ = (
        "_end",
        "_expected",
        "_said",
        "_secret",
        "_start",
        "dialogue",
        "error",
        "follows",
        "pipeline",
        "replies",
        "result",
        "timeout",
    )

    def __init__(
        self, dialogue: Dialogue[Any], timeout: float | None = None, pipeline: object = None
    ) -> None:
        self.dialogue = dialogue
        self.timeout = timeout
        self.pipeline = pipeline
        self.result: Any = None
        self.error: BaseException | None = None
        self.replies: list[SMTPResponse] = []
        self.follows = MORE
        self._expected = 0
        # What its last step said, in a form that may be kept; None where that was done.
        self._said: bytes | int | list[bytes] | None = None
        self._secret = False
        # Where the bytes of the last step lie in all that the session ever wrote.
        self._start = 0
        self._end: float = 0

    def on_done(self) -> None:
        """Called once, when ``result`` and ``error`` are there."""

    @property
    def streaming(self) -> bool:
        """Whether the server waits for content that is to be pushed."""
        return self.follows >= STREAM


class Session:
    """One connection's worth of SMTP.

    :param greeted: whether the server has greeted already (after STARTTLS it does not do so again)
    :ivar head: the exchange that the next reply is for, or ``None``
    :ivar last: the exchange that was started last, or ``None`` where it is over
    :ivar lost: why the session is over, or ``None`` while it is usable
    :ivar out: what is to be written, in order; whoever writes it clears the list
    :ivar done: the exchanges that are over; whoever tells their owners clears the list
    :ivar observer: is told of all that is said, as it is said; or ``None``
    """

    __slots__ = (
        "_code",
        "_entries",
        "_greeted",
        "_greeting",
        "_heard",
        "_parser",
        "_private",
        "_running",
        "_scheduled",
        "_unseen",
        "done",
        "head",
        "last",
        "lost",
        "observer",
        "out",
    )

    def __init__(self, greeted: bool = False) -> None:
        self._parser = ReplyParser()
        self._running: deque[Exchange] = deque()
        self._greeted = greeted
        self._greeting: SMTPResponse | None = None
        self._scheduled = 0
        self._unseen: SMTPException | None = None
        self.head: Exchange | None = None
        self.last: Exchange | None = None
        self.lost: str | None = None
        self.out: list[bytes] = []
        self.done: list[Exchange] = []
        self.observer: SessionObserver | None = None
        # What was said; the code of the last reply, whether it was to a secret, and the octets since then.
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._code = 0
        self._heard = 0
        self._private = False

    def renewed(self) -> "Session":
        """A session for the same connection after STARTTLS: all is forgotten but what was said."""
        session = Session(greeted=True)
        session._entries, session.observer = self._entries, self.observer
        return session

    @property
    def follows(self) -> int:
        """What may follow the last thing that was said: ``LAST`` where another dialogue may start."""
        return LAST if self.last is None else self.last.follows

    @property
    def interrupted(self) -> bool:
        """Whether the server sent anything beyond the reply that ended the last dialogue."""
        return self.lost is not None or self._parser.pending

    def __contains__(self, exchange: Exchange) -> bool:
        return exchange in self._running

    def take_greeting(self) -> SMTPResponse | None:
        """The greeting, if it came before anyone asked for it."""
        greeting, self._greeting = self._greeting, None
        return greeting

    def take_unseen(self) -> SMTPException | None:
        """The error that ended the session, if no dialogue was there to see it."""
        unseen, self._unseen = self._unseen, None
        return unseen

    def start(self, exchange: Exchange) -> None:
        """Run a dialogue up to its first wait. No other one may be running, or all of them said ``LAST``."""
        self._greeted = True
        self._greeting = None
        self._running.append(exchange)
        self.head = self.head or exchange
        self.last = exchange
        self._step(exchange, None, 0)

    def push(self, exchange: Exchange, data: Data, replies: int = 0, *, last: bool = False) -> None:
        """Go on with content that comes in pieces.

        :param replies: how many more replies the piece asks for
        :param last: whether it is the last one
        """
        before = self._scheduled
        self._write(data)
        size = self._scheduled - before
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
        exchange._expected += replies
        if last:
            exchange._end = self._scheduled
            exchange.follows = LAST

    def receive(self, data: bytes, max_line: int, max_reply: int, written: int) -> bool:
        """Take what the server sent.

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
                self._unasked(replies[at], written)
                at += 1
                continue
            if written < head._end and written <= head._start:
                self._unasked(replies[at], written)
                break
            held = head.replies
            if not at and len(held) + count <= head._expected:
                part = replies
            else:
                part = replies[at : at + head._expected - len(held)]
                if not part:  # to a piece of content that has not been pushed
                    self._unasked(replies[at], written)
                    break
            at += len(part)
            if self.observer is not None:
                self.observer.heard(part)
            for reply in part:
                if reply[0] == _SERVICE_CLOSING or reply[0] < 0:
                    self._end(head, reply, part[: part.index(reply)], written)
                    return True
            held += part
            if len(held) == head._expected and head.follows != CHUNKS:
                self._complete(head, written)
        return count > 0

    def _complete(self, head: Exchange, written: int) -> None:
        """All replies to a step are there."""
        replies, head.replies = head.replies, []
        self._keep(head, replies)
        if written < head._end:
            if replies[-1][0] < 400:
                head.replies = replies[:-1]
                self.fail(SMTPServerDisconnected("Server replied to what it had not received yet"), written)
                return
            self._step(head, replies, written)
            # Nothing may follow a body that a refusal cut short.
            error = SMTPServerDisconnected("Server refused the message before all of it was sent")
            self.fail(error, written)
        else:
            self._step(head, replies, written)

    def _end(self, head: Exchange, reply: SMTPResponse, before: list[SMTPResponse], written: int) -> None:
        """The server says goodbye, or something that is no SMTP."""
        head.replies += before
        if reply[0] < 0:
            self._keep(head, [*head.replies, reply])
            self.fail(SMTPResponseException(*reply), written)
            return
        head.replies.append(reply)
        if len(head.replies) == head._expected and head.follows != CHUNKS:
            replies, head.replies = head.replies, []
            self._keep(head, replies)
            self._step(head, replies, written)
        self.fail(SMTPServerDisconnected(f"Server closed the connection: {reply}"), written)

    def _unasked(self, reply: SMTPResponse, written: int) -> None:
        self._entries.append(condensed(b"", [reply], 1, self._private))
        if self.observer is not None:
            self.observer.unasked(reply, self._private)
        if reply[0] < 0:
            self.fail(SMTPResponseException(*reply), written)
        elif self._greeted:
            error = SMTPServerDisconnected(f"Server sent a reply that nothing asked for: {reply}")
            self.fail(error, written)
        else:
            self._greeted = True
            self._greeting = reply

    def fail(self, error: SMTPException, written: int) -> None:
        """End the session because of ``error``, and let the running dialogues know, in order.

        :param written: how many bytes of :attr:`out` have been written, in all
        """
        if self.lost is None:
            self.lost = error.message
            if self.head is None:
                self.attach_transcript(error)
                self._unseen = error
            if self.observer is not None:
                self.observer.broken(self._scheduled - written)
        running, self._running = self._running, deque()
        self.head = self.last = None
        for exchange in running:
            self._break(exchange, error, written)
            error = SMTPServerDisconnected(error.message)  # each has its own verdict

    def _break(self, exchange: Exchange, error: SMTPException, written: int) -> None:
        error.replies = tuple(exchange.replies)
        if written > exchange._start or exchange.replies:  # else it was not said
            self._keep(exchange, exchange.replies)
        try:
            exchange.dialogue.throw(error)
        except SMTPException as raised:
            error = raised
        except StopIteration:
            pass  # whatever it makes of the loss, its result is not one
        finally:
            exchange.dialogue.close()
        if error.delivery is Delivery.UNKNOWN and written < exchange._end:
            error.delivery = Delivery.NOT_SENT
            error.phase = "body"
        self.attach_transcript(error)
        exchange.error = error
        self.done.append(exchange)

    def _step(self, exchange: Exchange, replies: list[SMTPResponse] | None, written: int) -> None:
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
                lost = SMTPServerDisconnected("Connection closed: it could not be brought back in step")
                self.fail(lost, written)
                return
            start = exchange._start = self._scheduled
            self._write(data)
            exchange._end = end = self._scheduled
            exchange._expected = expected
            exchange.follows = follows
            if follows < STREAM and replies and replies[-1][0] == _START_INPUT:
                exchange._said = end - start
            else:
                self._describe(exchange, data, end - start, replies)
            if self.observer is not None:
                self.observer.said(exchange._said, end - start, expected, exchange._secret)
            return
        running = self._running
        running.remove(exchange)
        self.head = running[0] if running else None
        self.last = running[-1] if running else None
        self.done.append(exchange)

    def _describe(
        self, exchange: Exchange, data: Data, size: int, replies: list[SMTPResponse] | None
    ) -> None:
        """Find the form in which what a step says may be kept."""
        if exchange.follows >= STREAM:
            exchange._end = _NEVER
            exchange._said = 0 if exchange.follows == STREAM else []
            return
        # The reply before it decides what it is.
        code = replies[-1][0] if replies else self._code if len(self._running) == 1 else 0
        first = data if isinstance(data, bytes) else data[0]
        if size and not 300 <= code < 400 and first.startswith(OF_A_MAIL) and b"BDAT " not in first:
            exchange._said, exchange._secret = first, False  # what form_of() says, too
        else:
            exchange._said, exchange._secret = form_of(first, size, code)

    def _keep(self, exchange: Exchange, replies: list[SMTPResponse]) -> None:
        """Remember what was said and replied."""
        said = exchange._said
        if said is None:
            return
        exchange._said = None
        self._private = exchange._secret
        short = type(said) is int or (type(said) is bytes and len(said) <= LONG)
        whole = exchange._expected <= len(replies) <= KEPT
        if short and whole and not self._private and self._heard <= LONG:
            self._entries.append((said, tuple(replies)))  # type: ignore[arg-type]  # no list, it is short
        else:
            self._entries.append(entry_of(said, replies, exchange._expected, self._private, self._heard))
        self._heard = 0
        if replies:
            self._code = replies[-1][0]

    def attach_transcript(self, error: SMTPException) -> None:
        """Let an error carry what was said up to now, unless it carries that of another time."""
        if error.transcript is EMPTY_TRANSCRIPT:
            error.transcript = self.transcript()

    def transcript(self) -> Transcript:
        """The last things that were said."""
        return Transcript(self._entries)

    def write(self, data: bytes) -> None:
        """Put bytes behind what is to be written already, whatever they are."""
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
            self._scheduled += len(data)
        else:
            self.out += data
            self._scheduled += sum(map(len, data))
