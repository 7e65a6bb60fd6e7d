"""Every kind of session, cut, reset, stalled and damaged at every byte: is each verdict true of the ledger?

``make faults`` does all of it and prints a table; ``make faults ARGS="--step 7 --kind LMTP"`` a part.

``make faults ARGS="--seconds 600 --seed 1"`` runs random sessions of ``send_many`` instead, for so long
(:mod:`tests.faults.many_sessions`).

What has to hold, for whatever happens at whichever byte:

* ``DELIVERED`` is in the ledger once for each recipient that was not refused; ``REJECTED`` and ``NOT_SENT``
  are not there; ``UNKNOWN`` is there at most once.
* Each message has one verdict, and nothing hangs: where the fault is one that the client is told of, it does
  not even need its timeout.
* No task, timer, file or exception is left, every connection is closed, and a new one works.
* What was not damaged is in the ledger as it was sent, never a part of it.

**Damaged bytes** may make the server do something else, or the client read something else. From the client
to the server, content is what the server got; a command that it does not know is refused; where the end of a
line or of a message is lost, both sides wait, and the client's timeout ends it. From the server to the
client, what is no reply ends the connection. All of that the rules above cover. They cannot cover a reply
that says something else than the server did, or that answers something else than the client wrote: a 4 that
becomes a 2, or a BDAT that the server takes for a line of noise, and each line of its content for a command.
The client is *misled*, and its verdict then has to be one that a correct reader of the same bytes comes to
(:mod:`tests.faults.session_reader`). Where the damage is to what TLS protects, nobody can be misled, and no
such excuse is taken.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

from aiosmtplib import Delivery
from aiosmtplib._codec import IMPLEMENTATION

from . import verdicts
from .faulty_relay import BITS, ENDS, FAULTS, NONE, WAYS, Fault, FaultRelay
from .many_sessions import ManySession
from .session_reader import conclusions
from .sessions import AFTER, EXPECTED, KINDS, Kind, Session

__all__ = ("Tally", "contradictions", "left_over", "open_files", "sweep")

#: How many times its usual timeout a client waits, until it has come as far as the fault.
PATIENCE = (1, 4, 16)


@dataclass
class Tally:
    """What came of many sessions.

    :ivar offsets: at how many bytes something happened, in both directions
    :ivar late: sessions in which the client never came as far as the fault
    """

    offsets: int = 0
    sessions: int = 0
    misled: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.sessions += other.sessions
        self.misled += other.misled
        self.wrong += other.wrong


def contradictions(session: Session, ledger: "Counter[str]") -> list[Any]:
    """What was said of letters and is not so."""
    found = []
    for said in session.said:
        counts = {each: ledger[each] for each in said.letter.recipients}
        if said.delivery is Delivery.DELIVERED:
            true = all(count == (each not in said.refused) for each, count in counts.items())
        elif said.delivery is Delivery.UNKNOWN:
            true = all(count <= 1 for count in counts.values())
        else:
            true = not any(counts.values())
        if not true:
            found.append(said)
    return found


def _explained(said: Any, relay: FaultRelay, kind: Kind) -> bool:
    """Whether a correct reader of what passed comes to the same."""
    if kind.tls and not kind.inside:
        return False
    for line in relay.lines:
        read = conclusions(bytes(line.sent), bytes(line.got), kind.lmtp)
        if any(said.delivery in read.get(each, ()) for each in said.letter.recipients):
            return True
    return False


async def _one(kind: Kind, relay: FaultRelay, fault: Fault, whole: dict[str, bytes], tally: Tally) -> None:
    where = f"{kind.name}: {fault.kind} {fault.way} at {fault.at}"
    try:
        for patience in PATIENCE:  # on a busy machine it may not come as far as the fault
            session = await kind.run(relay, fault, patience)
            if struck := any(line.struck for line in relay.lines):
                break
    except Exception as error:  # whatever it is, it must not come out of a session
        tally.wrong.append(f"{where}: {type(error).__name__}: {error}")
        return
    tally.sessions += 1
    tally.late += not struck
    tally.verdicts.update(said.delivery.name for said in session.said)
    letters = sorted(said.letter for said in session.said)
    if letters != sorted(kind.letters):
        tally.wrong.append(f"{where}: {len(letters)} verdicts")
    ledger = Counter(each.decode("latin-1") for taken in relay.ledger for each in taken.recipients)
    for said in contradictions(session, ledger):
        if fault.kind in BITS and _explained(said, relay, kind):
            tally.misled += 1
        else:
            tally.wrong.append(f"{where}: {said} and {dict(ledger)}")
    if fault.kind not in BITS or (kind.tls and not kind.inside):
        for taken in relay.ledger:
            for recipient in taken.recipients:
                if whole.get(recipient.decode("latin-1")) != taken.content:
                    tally.wrong.append(f"{where}: {taken} is not what was sent")


def _reference(kind: Kind, session: Session, relay: FaultRelay) -> tuple[dict[str, bytes], dict[str, int]]:
    """What is taken, and how many bytes pass on the first connection, where nothing goes wrong."""
    ledger = Counter(each.decode() for taken in relay.ledger for each in taken.recipients)
    assert not contradictions(session, ledger)
    verdicts = {said.letter: said.delivery for said in session.said}
    assert verdicts == {letter: EXPECTED.get(letter, Delivery.DELIVERED) for letter in kind.letters}
    whole = {each.decode(): taken.content for taken in relay.ledger for each in taken.recipients}
    assert whole
    return {AFTER: kind.letters[0].content.replace(b"\n", b"\r\n"), **whole}, dict(relay.lines[0].passed)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


async def left_over(files: int) -> str:
    """What is left after sessions, once the event loop had its turns to get rid of it."""
    loop = asyncio.get_running_loop()
    left = ""
    for _ in range(500):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        timers = [each for each in getattr(loop, "_scheduled", ()) if not each.cancelled()]
        more = open_files() - files
        if not tasks and not timers and more <= 0:
            return ""
        left = f"left over: {tasks or ''} {timers or ''} {more} files"
        await asyncio.sleep(0)
    return left


@contextlib.contextmanager
def _complaints(tally: Tally) -> Iterator[None]:
    """What the event loop complains about is wrong."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def complain(_: object, context: dict[str, Any]) -> None:
        # As in test_tls: uvloop may begin a handshake on a connection that has just ended, and nobody can
        # catch what it raises. The client learns of the end all the same.
        if "SSLProtocol.connection_made of <uvloop.loop" not in context["message"]:
            tally.wrong.append(f"the event loop: {context}")

    loop.set_exception_handler(complain)
    try:
        yield
    finally:
        gc.collect()  # futures complain when they are collected
        loop.set_exception_handler(before)


def _places(passed: dict[str, int], fault: str, step: int, start: int) -> Iterator[Fault]:
    for way in WAYS:
        # An end can also come after the last byte.
        for at in range(start, passed[way] + (fault in ENDS), step):
            yield Fault(fault, way, at)


async def sweep(kind: Kind, faults: Sequence[str] = FAULTS, step: int = 1, start: int = 0) -> Tally:
    """Have these happen to sessions at every ``step``-th byte of each direction, from ``start``."""
    tally = Tally()
    if kind.tls and not kind.inside:  # which bits of a record are wrong makes no difference to TLS
        faults = [fault for fault in faults if fault != "swap"]
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_complaints(tally))
        relays = [await stack.enter_async_context(kind.relay()) for _ in range(kind.width)]
        whole, passed = _reference(kind, await kind.run(relays[0]), relays[0])
        tally.offsets = len(list(_places(passed, "cut", step, start)))
        jobs = [each for fault in faults for each in _places(passed, fault, step, start)]
        await left_over(0)
        files = open_files()
        for first in range(0, len(jobs), kind.width):
            some = jobs[first : first + kind.width]
            pairs = zip(relays, some, strict=False)
            await asyncio.gather(*(_one(kind, relay, each, whole, tally) for relay, each in pairs))
            for relay in relays:
                relay.arm(NONE)
            if left := await left_over(files):
                tally.wrong.append(f"{kind.name}: from {some[0]} to {some[-1]}: {left}")
    return tally


def _loops() -> Iterator[tuple[str, Any]]:
    yield "asyncio", asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        yield "uvloop", uvloop.new_event_loop


def replies() -> int:
    """Judge the verdicts on every combination of replies (:mod:`tests.faults.verdicts`).

    :return: how many are wrong
    """
    began = time.perf_counter()
    tallies = [verdicts.judge(each, verdicts.cases(each)) for each in verdicts.SCENARIOS]
    wrong = [text for tally in tallies for text in tally.wrong]
    said = sum((tally.verdicts for tally in tallies), Counter())
    counted = ", ".join(f"{count:,} {each}" for each, count in said.most_common())
    total = sum(tally.count for tally in tallies)
    seconds = time.perf_counter() - began
    print(f"{total:,} combinations of replies: {counted}; {len(wrong):,} wrong; {seconds:.1f} s", flush=True)
    for text in wrong[:10]:
        print(f"    {text}", flush=True)
    return len(wrong)


async def _random_sessions(seed: int, numbers: Iterator[int], until: float, tally: Tally) -> None:
    with _complaints(tally):
        while time.perf_counter() < until:
            session = ManySession(seed, next(numbers))
            await session.run()
            tally.sessions += 1
            tally.verdicts.update(each.delivery.name for each in session.results)
            tally.wrong += [f"{session.name}: {text}" for text in session.wrong]
            if left := await left_over(sys.maxsize):
                tally.wrong.append(f"{session.name}: {left}")


def random_sessions(seconds: float, seed: int, first: int = 0) -> int:
    """Run random sessions for so many seconds, on each event loop in turn.

    :param first: the number of the first one
    :return: how many violations there were
    """
    total, numbers = Tally(), count(first)
    until = time.perf_counter() + seconds
    for name, loop in cycle(list(_loops())):
        tally, runner = Tally(), loop()
        # No longer than the others wait for their turn.
        end = min(until, time.perf_counter() + 10)
        try:
            runner.run_until_complete(_random_sessions(seed, numbers, end, tally))
        finally:
            runner.close()
        for text in tally.wrong[:10]:
            print(f"    {name}: {text}", flush=True)
        total.add(tally)
        total.verdicts += tally.verdicts
        if time.perf_counter() >= until:
            break
    said = ", ".join(f"{number:,} {each}" for each, number in total.verdicts.most_common())
    counts = f"{total.sessions:,} sessions; {said}; {len(total.wrong):,} violations"
    print(f"{IMPLEMENTATION} twin, seed {seed}: {counts}")
    return len(total.wrong)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("--step", type=int, default=1, help="every so many bytes (default: every byte)")
    parser.add_argument("--kind", action="append", help="only sessions whose name has this in it")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this fault")
    parser.add_argument("--loop", action="append", help="only this event loop")
    parser.add_argument("--seconds", type=float, help="random sessions instead, for so long")
    parser.add_argument("--seed", type=int, default=1, help="of those (default: 1)")
    parser.add_argument("--session", type=int, default=0, help="the number of the first of them (default: 0)")
    args = parser.parse_args(arguments)
    if args.seconds is not None:
        return 1 if random_sessions(args.seconds, args.seed, args.session) else 0
    wrong = replies() if not (args.kind or args.fault or args.loop) else 0
    total = Tally()
    columns = "{:24}{:9}{:>8}{:>10}{:>8}{:>7}{:>7}{:>8}  {}"
    print(
        columns.format("session", "loop", "offsets", "sessions", "misled", "late", "wrong", "s", "verdicts")
    )
    for name, loop in _loops():
        if args.loop and name not in args.loop:
            continue
        for kind in KINDS:
            if args.kind and not any(each in kind.name for each in args.kind):
                continue
            began, runner = time.perf_counter(), loop()
            try:
                tally = runner.run_until_complete(sweep(kind, args.fault or FAULTS, args.step))
            finally:
                runner.close()
            verdicts = ", ".join(f"{count} {each}" for each, count in tally.verdicts.most_common())
            numbers = tally.offsets, tally.sessions, tally.misled, tally.late, len(tally.wrong)
            seconds = f"{time.perf_counter() - began:.1f}"
            print(columns.format(kind.name, name, *numbers, seconds, verdicts), flush=True)
            for text in tally.wrong[:10]:
                print(f"    {text}", flush=True)
            total.add(tally)
    counts = f"{total.sessions:,} sessions, {total.misled:,} misled, {len(total.wrong):,} wrong"
    print(f"{IMPLEMENTATION} twin: {counts}")
    return 1 if total.wrong or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
