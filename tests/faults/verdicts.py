"""Every combination of replies that a server can give to one or two messages, and the verdicts on them.

The session and its transactions are run without a connection, against :mod:`tests.faults.server_model`. A
scenario says what is sent and how; of each, all combinations of replies are tried: accepted, refused,
closing, malformed, and the connection cut in place of a reply.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, NamedTuple

from aiosmtplib import Delivery
from aiosmtplib._session import CHUNKS, OVERLAPPING, Exchange, PreparedMail, ServerState, Session
from aiosmtplib._session.transaction import begin
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from .server_model import CUT, GARBAGE, Command, Message, Server, allowed, misdirected

__all__ = ("SCENARIOS", "Scenario", "cases", "judge", "some_cases")

#: The replies to a command: the ones after which a session may go on come first.
FEW = (250, 550, 421, GARBAGE, CUT)
MANY = (250, 450, 550, 421, GARBAGE, CUT)
ODD = (354, *MANY)


class Scenario(NamedTuple):
    """What is sent, and how.

    :ivar recipients: the number of recipients of each message
    :ivar content: how content is sent: ``"DATA"``, ``"BDAT"``, or ``"chunks"``, all of which are out before a
        reply to any of them is read
    :ivar overlap: whether a message is begun as soon as the session lets it
    :ivar short: how many octets of the content are never written
    :ivar singly: whether each reply arrives by itself
    """

    recipients: tuple[int, ...]
    content: str
    pipelined: bool
    overlap: bool = False
    short: bool = False
    singly: bool = False
    lmtp: bool = False
    replies: tuple[int, ...] = MANY
    first: tuple[int, ...] = ()

    def __str__(self) -> str:
        words = [self.content, "pipelined" if self.pipelined else "one by one", f"{self.recipients}"]
        words += [word for word in ("overlap", "short", "singly", "lmtp") if getattr(self, word)]
        return ", ".join(words)


def _scenarios() -> Iterator[Scenario]:
    counts = (1, 2, 3)
    for count, content, pipelined in itertools.product(counts, ("DATA", "BDAT"), (True, False)):
        for singly in (False, True):
            yield Scenario((count,), content, pipelined, singly=singly, replies=ODD)
        yield Scenario((count,), content, pipelined, short=True)
    for count, content in itertools.product((1, 2), ("DATA", "BDAT")):
        for pipelined in (True, False):
            yield Scenario((1, count), content, pipelined, first=FEW)
        yield Scenario((1, count), content, True, overlap=True, first=FEW)
        yield Scenario((1, count), content, True, overlap=True, first=FEW, singly=True)
    for content in ("DATA", "BDAT"):
        yield Scenario((1, 3), content, True, replies=FEW, first=FEW)
        yield Scenario((1, 3), content, False, replies=FEW, first=FEW)
        yield Scenario((1, 1, 1), content, True, overlap=True, replies=FEW, first=FEW)
    for count in counts:
        yield Scenario((count,), "chunks", True, replies=MANY)
        yield Scenario((count,), "DATA", True, lmtp=True)
        yield Scenario((count,), "DATA", False, lmtp=True, replies=FEW)


SCENARIOS = list(_scenarios())


class Case:
    """One combination of replies in a scenario.

    :param path: the replies, as places among those to choose from
    :param pick: the same for replies beyond them, by how many there are; by default the first
    """

    def __init__(self, scenario: Scenario, path: list[int], pick: Callable[[int], int] | None = None) -> None:
        self._pick = pick
        self.scenario = scenario
        self.path = path
        self.sizes: list[int] = []
        self.server = Server(self._choose, scenario.lmtp)
        self.exchanges: list[Exchange] = []
        self._state = ServerState()
        self._session = Session(greeted=True)
        self._written = 0
        self._incoming: list[int] = []

    def _choose(self, command: Command) -> int:
        scenario = self.scenario
        choices = scenario.first if command.message == 1 and scenario.first else scenario.replies
        place = len(self.sizes)
        if place == len(self.path):
            self.path.append(0 if self._pick is None else self._pick(len(choices)))
        self.sizes.append(len(choices))
        code = choices[self.path[place]]
        # What goes on is another code there.
        return {250: 354, 354: 250}.get(code, code) if command.verb == "DATA" else code

    def run(self) -> None:
        """Send the messages, until each has a verdict."""
        session, scenario = self._session, self.scenario
        pipeline = object() if scenario.overlap else None
        left = list(range(1, len(scenario.recipients) + 1))
        while session.lost is None and (left or session.head is not None):
            if left and (session.head is None or (pipeline and session.last.follows in OVERLAPPING)):  # type: ignore[union-attr]
                exchange = Exchange(begin(self._mail(left.pop(0)), self._state), None, pipeline)
                self.exchanges.append(exchange)
                session.start(exchange)
            elif self._incoming or (scenario.short and self._early()):
                self._receive()
            else:
                session.fail(SMTPServerDisconnected("cut"), self._written)
            self._write()

    def _early(self) -> bool:
        self._incoming += self.server.interrupt()
        return bool(self._incoming)

    def _receive(self) -> None:
        count = 1 if self.scenario.singly else len(self._incoming)
        codes, self._incoming = self._incoming[:count], self._incoming[count:]
        data = b"".join(b"garbage\r\n" if code == GARBAGE else b"%d x\r\n" % code for code in codes if code)
        if data:
            self._session.receive(data, 512, 512, self._written)
        if CUT in codes:
            self._session.fail(SMTPServerDisconnected("cut"), self._written)

    def _write(self) -> None:
        session = self._session
        head = session.head
        if head is not None and head.follows == CHUNKS and not head.expected:
            session.push(head, b"BDAT 4\r\nm1\r\n", 1)
            session.push(head, b"BDAT 4\r\nm1\r\n", 1)
            session.push(head, b"BDAT 0 LAST\r\n", 1, last=True)
        data = b"".join(session.out)
        session.out.clear()
        if session.lost is not None:
            return
        if self.scenario.short and data.endswith((b"m1\r\n", b"m1\r\n.\r\n")):
            data = data[:-2]
        self._written += len(data)
        self._incoming += self.server.read(data)

    def _mail(self, number: int) -> PreparedMail:
        scenario = self.scenario
        who = [f"r{number}{place}" for place in range(scenario.recipients[number - 1])]
        commands = b"MAIL FROM:<s%d>\r\n" % number
        commands += b"".join(b"RCPT TO:<%b>\r\n" % each.encode() for each in who)
        content = None
        if scenario.content != "chunks":
            content = b"m%d\r\n" % number + (b".\r\n" if scenario.content == "DATA" else b"")
        chunked = scenario.content != "DATA"
        return PreparedMail(f"s{number}", who, commands, content, scenario.pipelined, chunked, scenario.lmtp)

    def verdicts(self) -> list[str]:
        """The verdict on each message that was begun."""
        return [_verdict(each).name for each in self.exchanges]

    def wrong(self) -> list[str]:
        """What is wrong with the verdicts, and with where the messages went."""
        found = []
        if not self.scenario.overlap and misdirected(self.server):
            found.append("content went to the recipients of another message")
        hung_up_at = min(self.server.not_reset, default=len(self.exchanges))
        for number, exchange in enumerate(self.exchanges, 1):
            message = self.server.messages.get(number)
            error = exchange.error
            if error is not None and not isinstance(error, SMTPException):
                found.append(f"{number} raised {error!r}")
                continue
            verdict = _verdict(exchange)
            right = allowed(message)
            if number > hung_up_at and message is not None and message.ends:
                right.add(Delivery.UNKNOWN)  # its replies are not read any more
            if verdict not in right:
                found.append(f"{number} is {verdict.name}, not {' or '.join(each.name for each in right)}")
            elif message is not None:
                found += wrong_detail(number, message, exchange, verdict)
        return found


def _verdict(exchange: Exchange) -> Delivery:
    error = exchange.error
    return error.delivery if isinstance(error, SMTPException) else Delivery.DELIVERED


def wrong_detail(number: int, message: Message, exchange: Exchange, verdict: Delivery) -> Iterator[str]:
    """What is wrong with the result or the error, besides the verdict."""
    error: Any = exchange.error
    if error is None:
        refused = {each.recipient: each.code for each in message.refused}
        reported = {recipient: reply.code for recipient, reply in exchange.result[0].items()}
        if refused != reported:
            yield f"{number} reports {reported} as refused, not {refused}"
    elif verdict is Delivery.REJECTED:
        code = message.first_refusal
        kind: type[SMTPException] = SMTPRecipientsRefused if code is None else SMTPDataError
        if message.mail is not None and message.mail.code != 250:
            kind = SMTPSenderRefused
        if not isinstance(error, kind):
            yield f"{number} is a {type(error).__name__}"
        elif code is not None and error.code != code:
            yield f"{number} is a {error.code}, not a {code}"


def cases(scenario: Scenario) -> Iterator[Case]:
    """All combinations of replies in a scenario, each carried out."""
    path: list[int] = []
    while True:
        case = Case(scenario, path)
        case.run()
        yield case
        path = path[: len(case.sizes)]
        while path and path[-1] + 1 == case.sizes[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


class Tally(NamedTuple):
    """What came of the cases of a scenario."""

    count: int
    verdicts: Counter[str]
    wrong: list[str]


def some_cases(scenario: Scenario, count: int, seed: int) -> Iterator[Case]:
    """Combinations of replies at random, rather those with which a session goes on."""
    random = Random(seed)
    for _ in range(count):
        case = Case(scenario, [], lambda choices: int(choices * random.random() ** 2))
        case.run()
        yield case


def judge(scenario: Scenario, cases: Iterable[Case]) -> Tally:
    """What came of some cases of a scenario."""
    count = 0
    verdicts: Counter[str] = Counter()
    wrong: list[str] = []
    for case in cases:
        count += 1
        verdicts.update(case.verdicts())
        wrong += [f"{scenario}: {case.server.said}: {text}" for text in case.wrong()]
    return Tally(count, verdicts, wrong)
