"""The session, the dialogues it runs, and the transaction: both twins through the same story.

The oracle is a rule that neither twin computes: the replies that the dialogues were given, one after the
other, are those that the server sent, in its order, each at most once.
"""

from collections.abc import Generator, Sequence
from types import SimpleNamespace
from typing import Any

from aiosmtplib import _speedups
from aiosmtplib._codec import pure
from aiosmtplib._codec.types import CHUNKS, ENDED, GROUP, HANG_UP, LAST, MORE, OVERLAPPING, STREAM
from aiosmtplib._session.transaction import transaction
from aiosmtplib.errors import SMTPDataError, SMTPException, SMTPReadTimeoutError, SMTPServerDisconnected
from aiosmtplib.response import SMTPResponse
from aiosmtplib.status import Delivery
from tests.support.vectors import read_replies

from .source import Difference, Source, outcome, same

_LIMITS = [(8192, 32768), (8192, 32768), (12, 30), (40, 41)]
_CODES = [250, 354, 550, 250, 354, 451, 421, 221, 251, 503, 0, 999]
_DATA: list[Any] = [b"NOOP\r\n", b"", b"x" * 40, (b"one", b"two"), (b"",), (bytearray(b"abc"), b"d")]
_STEPS = [
    *((1, MORE), (1, LAST), (2, LAST), (3, MORE), (5, LAST), (1, STREAM), (2, STREAM), (0, CHUNKS)),
    *((3, GROUP), (1, ENDED)),
]
_LINES = [
    b"250 ok\r\n",
    b"354 go\r\n",
    b"550 no\r\n",
    b"250 ok\r\n250 ok\r\n354 go\r\n",
    b"250-a\r\n250 b\r\n",
    b"421 bye\r\n",
    b"221 bye\r\n",
    b"250",
    b" ok\r\n",
    b"rubbish\r\n",
    b"250 2.1.0 ok\r\n550 5.1.1 no\r\n354 go\r\n",
    b"250 ok\n",
]


def picture(error: BaseException | None) -> Any:
    """All that a caller can see of an error."""
    if error is None:
        return None
    cause = error.__cause__
    return (
        type(error),
        [[picture(one) for one in arg] if isinstance(arg, list) else arg for arg in error.args],
        getattr(error, "delivery", None),
        getattr(error, "phase", None),
        getattr(error, "replies", None),
        None if cause is None else (type(cause), cause.args),
    )


def _scripted(script: bytes, heard: list[Any]) -> Generator[Any, Any, Any]:
    """A dialogue that does what the script says, and writes down what it hears."""
    source = Source(script)
    while source.more:
        what = source.below(16)
        if what == 13:
            raise SMTPDataError(554, "refused by the dialogue")
        if what == 14:
            raise ValueError("a mistake of the dialogue")
        step = HANG_UP if what == 15 else (source.pick(_DATA), *source.pick(_STEPS))
        try:
            heard.append((yield step))
        except SMTPException as error:
            heard.append(picture(error))
            then = source.below(6)
            if then == 0:
                return "made the best of it"
            if then == 1:
                raise SMTPReadTimeoutError("another one") from error
            if then == 2:
                yield source.pick(_DATA), 1, MORE  # it is told to leave here
            error.delivery = Delivery.UNKNOWN
            error.phase = "final"
            raise
    return len(heard)


class _Side:
    """One twin with what it has been through."""

    def __init__(self, twin: Any, greeted: bool) -> None:
        self.twin = twin
        self.session = twin.Session(greeted)
        self.exchanges: list[Any] = []
        self.heard: list[list[Any]] = []
        self.server = twin.ServerState()
        self.mails: list[Any] = []

    def start(self, dialogue: Any, timeout: Any, pipeline: Any) -> Any:
        exchange = self.twin.Exchange(dialogue, timeout, pipeline)
        self.exchanges.append(exchange)
        return outcome(self.session.start, exchange)

    def scripted(self, script: bytes) -> Any:
        self.heard.append([])
        return self.start(_scripted(script, self.heard[-1]), 1.5, None)

    def mail(self, mail: Any) -> Any:
        self.mails.append(mail)
        return self.start(self.twin.start_transaction(mail, self.server, transaction), None, "mail")

    def fail(self, kind: type[SMTPException], written: int) -> Any:
        return outcome(self.session.fail, kind("lost"), written)

    def state(self) -> Any:
        session, index = self.session, self._index
        return (
            [bytes(piece) for piece in session.out],
            [index(exchange) for exchange in session.done],
            session.lost,
            None if session.head is None else index(session.head),
            None if session.last is None else index(session.last),
            session.interrupted,
            [exchange in session for exchange in self.exchanges],
            [
                (x.result, picture(x.error), x.replies, x.follows, x.timeout, x.pipeline)
                for x in self.exchanges
            ],
            self.heard,
            None if self.server.mail is None else self.server.mail.sender,
        )

    def _index(self, exchange: Any) -> int:
        return [x is exchange for x in self.exchanges].index(True)


def _compare(story: str, data: bytes, step: Any) -> None:
    source = Source(data)
    greeted = source.flag()
    sides = (_Side(_speedups, greeted), _Side(pure, greeted))
    limits = source.pick(_LIMITS)
    scheduled = written = 0
    sent = b""
    for _ in range(64):
        if not source.more:
            break
        what = source.below(12)
        if what < 3:
            results = step(source, sides)
        elif what < 8:
            chunk = source.pick(_LINES) if source.below(8) else source.take(source.below(24))
            sent += chunk
            results = [outcome(side.session.receive, chunk, *limits, written) for side in sides]
        elif what == 8:
            results = [(picture(side.session.unseen), side.session.greeting) for side in sides]
        elif what == 9:
            kind = source.pick([SMTPServerDisconnected, SMTPReadTimeoutError, SMTPException])
            results = [side.fail(kind, written) for side in sides]
        elif what == 10:
            piece = source.pick(_DATA)
            results = [outcome(side.session.write, piece) for side in sides]
        else:
            results = _push(source, sides)
        same(f"{story}: results of {what}", *results)
        first, second = [side.state() for side in sides]
        same(f"{story}: state after {what}", first, second)
        scheduled += sum(map(len, first[0]))
        for side in sides:
            side.session.out.clear()
        if source.below(4):
            written = scheduled
        else:
            written += (scheduled - written) * source.byte() // 255
    replies = read_replies(sent, *limits)
    _in_order(sides[0], replies)
    _true_verdicts(sides[0], replies)


def _may_begin(session: Any) -> bool:
    """Whether another dialogue may start: none runs, or the last one has said all it ever will."""
    return session.lost is None and (session.last is None or session.last.follows in OVERLAPPING)


def _push(source: Source, sides: tuple[_Side, _Side]) -> list[Any]:
    """Content where it is waited for, by the last exchange that runs."""
    data, last = source.pick(_DATA), source.below(3) == 0
    running = [x for x in sides[1].exchanges if x in sides[1].session]
    if not running or running[-1].follows < STREAM:
        return [None, None]
    replies = int(running[-1].follows == CHUNKS)
    at = sides[1].exchanges.index(running[-1])
    return [outcome(side.session.push, side.exchanges[at], data, replies, last=last) for side in sides]


def _true_verdicts(side: _Side, sent: list[SMTPResponse]) -> None:
    """A message counts as taken only by a positive reply that the server sent."""
    for exchange in side.exchanges:
        if side.mails and exchange.result is not None:
            _, final = exchange.result
            if final not in sent or not 200 <= final.code < 300:
                raise Difference(f"no acceptance: {final!r}\n  {sent!r}")


def _in_order(side: _Side, sent: list[SMTPResponse]) -> None:
    """Whatever the dialogues were given came from the server, in its order, and once."""
    given = [reply for heard in side.heard for one in heard for reply in _replies_of(one)]
    rest = iter(sent)
    for reply in given:
        if not any(reply == other for other in rest):
            raise Difference(f"given out of order, twice or from nowhere: {reply!r}\n  {given!r}\n  {sent!r}")


def _replies_of(heard: Any) -> list[SMTPResponse]:
    return list(heard if isinstance(heard, list) else heard[4])


def session(data: bytes) -> None:
    """Session and Exchange: scripted dialogues, overlapping where they may; the server sends anything."""

    def start(source: Source, sides: tuple[_Side, _Side]) -> list[Any]:
        script = source.take(source.below(24))
        if not _may_begin(sides[0].session):
            return [None, None]
        return [side.scripted(script) for side in sides]

    _compare("session", data, start)


def _mail(source: Source, number: int) -> tuple[Any, Any]:
    """The same message for both twins."""
    count = source.below(4) + 1
    addresses = [f"r{i}@example.com" for i in range(count)]
    commands = b"MAIL FROM:<s%d@example.com>\r\n" % number + b"".join(
        b"RCPT TO:<%b>\r\n" % address.encode() for address in addresses
    )
    chunked = source.below(4) == 0
    content: Any = source.pick([b"hi\r\n.\r\n", b"hi\r\n.\r\n", (b"large\r\n", b".\r\n"), None])
    if chunked and isinstance(content, tuple):
        content = b"large\r\n"
    pipelined = source.below(4) != 0
    per_recipient = not chunked and source.below(8) == 0
    fields = f"s{number}@example.com", addresses, commands, content, pipelined, chunked, per_recipient
    return _speedups.PreparedMail(*fields), pure.PreparedMail(*fields)


def connection(data: bytes) -> None:
    """Transactions one after the other and pipelined, through the sessions of both twins."""

    def start(source: Source, sides: tuple[_Side, _Side]) -> list[Any]:
        if not _may_begin(sides[0].session):
            return [None, None]
        copies = _mail(source, len(sides[0].exchanges))
        return [side.mail(mail) for side, mail in zip(sides, copies, strict=True)]

    _compare("connection", data, start)


class _Play(SimpleNamespace):
    """A transaction that is driven by hand."""

    def __init__(self, twin: Any, mails: Sequence[Any]) -> None:
        server = twin.ServerState()
        server.mail = mails[1]
        super().__init__(server=server, dialogue=twin.start_transaction(mails[0], server, transaction))

    def drive(self, name: str, *args: Any) -> Any:
        try:
            return getattr(self.dialogue, name)(*args)
        except StopIteration as stop:
            return "returned", stop.value
        except SMTPException as error:
            return "raised", picture(error)


def dialogue(data: bytes) -> None:
    """A transaction by itself: any replies, any loss, at any step."""
    source = Source(data)
    mails = _mail(source, 0)
    before = _mail(source, 1) if source.below(4) == 0 else (None, None)
    plays = [_Play(twin, pair) for twin, *pair in zip((_speedups, pure), mails, before, strict=True)]
    same_step = [play.drive("send", None) for play in plays]
    for _ in range(12):
        same("transaction: step", *same_step)
        same("transaction: server", *[play.server.mail and play.server.mail.sender for play in plays])
        step = same_step[0]
        if step is None or isinstance(step[0], str):
            break
        _, expected, follows = step
        if expected < 0 or source.below(12) == 11:
            kind = source.pick([SMTPServerDisconnected, SMTPReadTimeoutError])
            replies = [SMTPResponse(source.pick(_CODES), "r") for _ in range(source.below(max(expected, 1)))]
            losses = [kind("gone"), kind("gone")]
            for loss in losses:
                loss.replies = tuple(replies)
            same_step = [play.drive("throw", loss) for play, loss in zip(plays, losses, strict=True)]
            continue
        count = source.below(3) + 1 if follows == CHUNKS else expected
        if follows == CHUNKS:
            mails[0].aborted = mails[1].aborted = source.below(4) == 0
        replies = [SMTPResponse(source.pick(_CODES), f"r{i}") for i in range(count)]
        same_step = [play.drive("send", list(replies)) for play in plays]
    for play in plays:
        play.dialogue.close()
