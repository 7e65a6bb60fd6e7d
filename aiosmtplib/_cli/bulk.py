"""Many messages over a pool: what is printed of each, what is kept of it, and what remains to be done."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from .._client.results import Envelope, SendResult
from ..errors import SMTPException, SMTPNotSupported
from ..pool import SMTPPool
from ..smtp import SMTP
from ..status import Delivery
from .console import Console, Exit, UsageError
from .message import prepare
from .meter import Meter, amount, metered
from .report import Report, record_of
from .sources import Source
from .verbose import logged

__all__ = ("send_all",)

#: A message of less octets is read into memory: such messages are sent without waiting for replies.
WHOLE = 1 << 18

#: How many messages are under way for each connection.
WINDOW = 8


class _Begun(NamedTuple):
    """A message that was given to the pool."""

    key: str
    label: str
    octets: int
    envelope: Envelope


async def send_all(
    sources: Sequence[Source],
    client_class: type[SMTP],
    options: dict[str, Any],
    args: argparse.Namespace,
    console: Console,
) -> int:
    """Send messages over as many connections as are wanted, and print what became of them.

    :return: the exit code: that of the worst result
    :raises SMTPException: if no connection could be opened; nothing was sent
    :raises asyncio.CancelledError: after an interrupt, when the messages in flight have a verdict
    """
    with Report(args.report, args.resume) as report, logged(args, console):
        meter = Meter(len(sources), sum(len(source.part) for source in sources))
        connections = min(args.connections, len(sources))
        async with SMTPPool(
            **options, client_class=client_class, max_connections=connections, rate=args.rate
        ) as pool:
            extensions = (await pool.verify()).extensions
            run = _Run(sources, extensions, report, meter, args, console)
            with metered(meter, console) as advanced:
                run.advanced = advanced
                results = pool.send_many(run.messages(), window=connections * WINDOW)
                try:
                    async for result in results:
                        run.done(result)
                except asyncio.CancelledError:
                    console.note("Interrupted: waiting for what is in flight. Ctrl-C again: do not wait.")
                    for result in await results.aclose():
                        run.done(result)
                    run.summary()
                    raise
                finally:
                    run.abandon()
        return run.summary()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        sources: Sequence[Source],
        extensions: Any,
        report: Report,
        meter: Meter,
        args: argparse.Namespace,
        console: Console,
    ) -> None:
        self._sources = sources
        self._extensions = extensions
        self._report = report
        self._meter = meter
        self._args = args
        self._console = console
        self._begun: dict[int, _Begun] = {}
        self._count = 0
        self._octets = 0
        self._verdicts: Counter[str] = Counter()
        self._codes: set[Exit] = set()
        self.advanced: Any = None

    async def messages(self) -> AsyncIterator[Envelope]:
        """The messages that are not known to have been sent, each read when it is its turn."""
        for source in self._sources:
            try:
                begun = await asyncio.to_thread(self._prepare, source)
            except (UsageError, OSError) as exc:  # it has changed since it was looked at
                text = f"Cannot read {source.label}: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
                self._verdict(Delivery.NOT_SENT, source.label, text, Exit.USAGE)
                self._advance(len_or_nothing(source))
                continue
            if begun is not None:
                self._begun[self._count] = begun
                self._count += 1
                yield begun.envelope

    def _prepare(self, source: Source) -> _Begun | None:
        outgoing = prepare(source, self._args)
        key = self._report.key(outgoing)
        past = self._report.past(key)
        left = [each for each in outgoing.recipients if each not in past.delivered | past.unknown]
        octets = len(source.part)
        if past.unknown:
            self._verdicts["unknown"] += 1
            self._codes.add(Exit.UNKNOWN)
            who = ", ".join(each for each in outgoing.recipients if each in past.unknown)
            self._console.verdict(
                "unknown", f"{source.label}: may have been accepted for {who}; not sent again"
            )
        elif not left:
            self._verdicts["sent before"] += 1
        if not left:
            self._advance(octets)
            return None
        envelope = outgoing.envelope(self._args, self._extensions, left, whole=WHOLE)
        return _Begun(key, source.label, octets, envelope)

    def done(self, result: SendResult[Envelope]) -> None:
        """Print and keep what became of a message."""
        begun = self._begun.pop(result.index)
        record = record_of(begun.key, begun.label, result)
        self._report.write(record)
        if self._args.json:
            self._console.say(json.dumps(record))
        error = result.error
        code = {
            Delivery.DELIVERED: Exit.REFUSED if result.refused else Exit.OK,
            Delivery.REJECTED: Exit.REFUSED,
            Delivery.UNKNOWN: Exit.UNKNOWN,
            Delivery.NOT_SENT: _why_not(error),
        }[result.delivery]
        said = record["reply"] or record["error"] or ""
        for recipient, reply in record["refused"].items():
            self._say("refused", f"{begun.label}: {recipient}: {reply}")
        self._verdict(result.delivery, begun.label, said, code)
        if result.delivery is Delivery.DELIVERED:
            self._octets += begun.octets
        self._advance(begun.octets)

    def _verdict(self, delivery: Delivery, label: str, text: str, code: Exit) -> None:
        word = {Delivery.DELIVERED: "accepted", Delivery.REJECTED: "refused"}.get(delivery, delivery.value)
        self._verdicts[word] += 1
        self._codes.add(code)
        # On a terminal the bar says how many were accepted.
        if word != "accepted" or self._console.line is None:
            self._say(word, f"{label}: {text}" if text else label)

    def _say(self, word: str, text: str) -> None:
        if not self._args.json:
            self._console.verdict(word, text)

    def _advance(self, octets: int) -> None:
        self._meter.advance(1, octets)
        self.advanced()

    def abandon(self) -> None:
        """Keep that nobody knows what became of those without a result: there was no time to wait for it."""
        for index, begun in list(self._begun.items()):
            error = SMTPException("Interrupted")
            self.done(SendResult(index, begun.envelope, Delivery.UNKNOWN, None, {}, error))

    def summary(self) -> int:
        """Print how many messages had which result.

        :return: the exit code
        """
        if not self._args.json:
            counts = ", ".join(f"{count} {word}" for word, count in self._verdicts.items())
            seconds = self._meter.seconds
            self._console.say(f"{counts}; {amount(self._octets)} in {seconds:.1f} s")
        order = (Exit.UNKNOWN, Exit.CONNECTION, Exit.UNABLE, Exit.USAGE, Exit.REFUSED)
        return next((code for code in order if code in self._codes), Exit.OK)


def _why_not(error: Exception | None) -> Exit:
    if isinstance(error, SMTPNotSupported):
        return Exit.UNABLE
    return Exit.CONNECTION if isinstance(error, SMTPException) else Exit.USAGE


def len_or_nothing(source: Source) -> int:
    """The octets of a source, if it is still there."""
    try:
        return len(source.part)
    except OSError:
        return 0
