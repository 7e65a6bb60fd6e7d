"""This project beside its peers: rate and CPU of sending, on loopback and over a road with a delay.

    make compare                                    everything: about an hour
    make compare ARGS="--quick"                     each case with each client once: shows that they run
    make compare ARGS="--cases 1x1 rtt --only Go"   some cases, and clients whose name holds one of the words
    make compare ARGS="--charts-only"               draw again what was measured last

Each client is a process of its own, and so is the server. A first short run tells how many messages take
about a second; then the clients take turns for seven rounds, so that a machine that is busy for a while is
unkind to all of them, and the median counts. Where the rounds of a client differ by more than a quarter it is
measured again, and marked. Warm-up and start are not counted. What a client needs is
installed into ``.benchmarks``; one that cannot be had is left out and named, with the reason.

A complete run writes ``compare.json`` and the charts into ``benchmarks/results``, any other into
``.benchmarks/compare``.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from .bench_loopback import ROOT, WORK
from .compare_peers import MESSAGE_DOORS, Contestant, Order, Sample, contestants, ours, version_of_postfix
from .compare_servers import Missing, postfix, relay, round_trip, sink, tls_sink
from .compare_table import table

KIB = 1 << 10


@dataclass(frozen=True)
class Case:
    """One thing to send.

    :ivar server: ``sink``, ``postfix``, or ``tls``: a sink of our own that speaks TLS from the first byte
    :ivar rtt: the round-trip time in seconds that a relay adds
    :ivar fixed: this many messages with our ``send_many``, instead of about a second's worth
    """

    group: str
    name: str
    octets: int = 2 * KIB
    connections: int = 10
    recipients: int = 1
    server: str = "sink"
    rtt: float = 0
    fixed: int = 0


#: In ms
ROUND_TRIPS = (0, 1, 5, 20, 40)
CASES = (
    Case("1x1", "2 KiB, 1 connection, 1 recipient", connections=1),
    Case("10x1", "2 KiB, 10 connections, 1 recipient"),
    Case("10x50", "2 KiB, 10 connections, 50 recipients", recipients=50),
    Case("100K", "100 KiB, 10 connections, 1 recipient", 100 * KIB),
    Case("5M", "5 MiB, 10 connections, 1 recipient", 5 * KIB * KIB),
    Case("message", "2 KiB EmailMessage, 10 connections, 1 recipient"),
    Case("tls", "2 KiB over TLS, 10 connections", server="tls"),
    Case("each", "2 KiB, one message a connection"),
    Case("tls-each", "2 KiB over TLS, one message a connection", server="tls"),
    *(Case("rtt", f"{ms} ms round trip", connections=1, rtt=ms / 1000) for ms in ROUND_TRIPS),
    *(
        Case("rtt", f"{ms} ms round trip, Postfix", connections=1, server="postfix", rtt=ms / 1000, fixed=500)
        for ms in ROUND_TRIPS
    ),
    Case("postfix", "Postfix, 40 ms round trip", connections=1, server="postfix", rtt=0.04, fixed=500),
)
#: Whose clients can be told to speak TLS.
SPEAK_TLS = ("aiosmtplib", "stock", "smtplib")
#: Only one of each kind where the time on the road decides.
ON_THE_ROAD = (
    "aiosmtplib asyncio sendmail",
    "aiosmtplib asyncio send_many",
    "stock asyncio sendmail",
    "smtplib threads",
    "nodemailer pool",
    "Go net/smtp",
)


def entered(case: Case, found: list[Contestant]) -> list[Contestant]:
    """Who runs in a case."""
    if case.group == "message":
        return [contestant for contestant in found if contestant.door in MESSAGE_DOORS]
    if case.group in ("each", "tls-each"):
        return [contestant for contestant in found if contestant.door == "send"]
    found = [contestant for contestant in found if contestant.door not in (*MESSAGE_DOORS, "send")]
    if case.server == "tls":
        return [contestant for contestant in found if contestant.package in SPEAK_TLS]
    if case.group == "rtt":
        return [contestant for contestant in found if contestant.name in ON_THE_ROAD]
    if case.group == "postfix":
        chosen = [one for one in found if one.loop == "asyncio" and one.name in ON_THE_ROAD]
        if any(one.door == "send_many" for one in chosen):
            # The other half of send_many: what it reaches without BDAT.
            chosen.append(ours("compiled", "asyncio", "send_many", "no chunking"))
        return chosen
    return found


#: Rounds that differ by more than this share of their median are measured again.
MAX_SPREAD = 0.25
#: A pilot of two messages is not taken at its word beyond this, in messages per second.
MAX_PILOT_RATE = 20_000.0


def spread(samples: list[Sample]) -> float:
    """By how much rounds differ in CPU, from the least to the most, as a share of their median."""
    cpu = [sample.cpu for sample in samples] or [0.0]
    return (max(cpu) - min(cpu)) / median(cpu) if median(cpu) else 0.0


def amount(rate: float, connections: int, seconds: float) -> tuple[int, int]:
    """From the messages per second: how many each connection sends, and how many before they count."""
    times = max(2, round(rate * seconds / connections))
    return times, times // 5 + 1


@contextlib.contextmanager
def road(case: Case) -> Iterator[int]:
    """The port that leads to the case's server."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context({"sink": sink, "postfix": postfix, "tls": tls_sink}[case.server]())
        yield stack.enter_context(relay(port, case.rtt / 2))


class Comparison:
    """All that is measured, by case and contestant."""

    def __init__(self, found: list[Contestant], skipped: dict[str, str], options: argparse.Namespace) -> None:
        self.options = options
        self.found = found
        self.skipped = skipped
        self.rounds: dict[str, dict[str, list[Sample]]] = {}
        self.trips: dict[str, float] = {}
        #: Who was measured again, by case.
        self.again: dict[str, set[str]] = {}

    def run(self, case: Case) -> None:
        """Run the rounds of a case."""
        self._say(f"{case.group}: {case.name}")
        try:
            with road(case) as port:
                self._rounds(case, port)
        except Missing as error:
            self._skip(case.name, error)

    def _rounds(self, case: Case, port: int) -> None:
        self.trips[case.name] = round_trip(port, tls=case.server == "tls")
        samples = self.rounds.setdefault(case.name, {})
        orders: list[tuple[Contestant, Order]] = []
        sent = (case.octets, case.connections, case.recipients)
        tls = case.server == "tls"
        turns = [contestant for contestant in entered(case, self.found) if self._chosen(contestant)]
        for one in turns:
            pilot = self._sample(one, Order(port, *sent, times=2, warm_up=1, tls=tls), case)
            if pilot is None:
                continue
            if self.options.quick:
                samples[one.name] = [pilot]
                continue
            if not case.rtt:
                # The start of a client is slow, and two messages say little about a thousand, or far too much
                # where they took no time that could be seen.
                rate = min(pilot.rate, MAX_PILOT_RATE)
                times, warm_up = amount(rate, case.connections, self.options.seconds / 5)
                pilot = self._sample(one, Order(port, *sent, times, warm_up, tls), case) or pilot
            times, warm_up = amount(pilot.rate, case.connections, self.options.seconds)
            if case.fixed and one.door == "send_many":
                times, warm_up = case.fixed, 1
            orders.append((one, Order(port, *sent, times, warm_up, tls)))
        self._take_turns(case, orders, samples)
        self.settle(case, orders, samples)

    def settle(
        self, case: Case, orders: list[tuple[Contestant, Order]], samples: dict[str, list[Sample]]
    ) -> None:
        """Measure again whose rounds differ, once, and keep whichever rounds agree better."""
        noisy = [(one, order) for one, order in orders if spread(samples.get(one.name, [])) > MAX_SPREAD]
        if not noisy:
            return
        self._say(f"  again, for their rounds differ: {', '.join(one.name for one, _ in noisy)}")
        self.again[case.name] = {one.name for one, _ in noisy}
        second: dict[str, list[Sample]] = {}
        self._take_turns(case, noisy, second)
        samples.update({name: min(samples[name], taken, key=spread) for name, taken in second.items()})

    def _take_turns(
        self, case: Case, orders: list[tuple[Contestant, Order]], samples: dict[str, list[Sample]]
    ) -> None:
        for number in range(self.options.rounds if orders else 0):
            self._say(f"  round {number + 1} of {self.options.rounds}")
            for one, order in orders:
                if (sample := self._sample(one, order, case)) is not None:
                    samples.setdefault(one.name, []).append(sample)

    def _chosen(self, one: Contestant) -> bool:
        words = self.options.only
        return not words or any(word.lower() in one.name.lower() for word in words)

    def _sample(self, one: Contestant, order: Order, case: Case) -> Sample | None:
        # A contestant that has said what it lacks is not asked again.
        if one.name in self.skipped:
            return None
        try:
            return one.run(order)
        except Missing as error:
            self._skip(one.name, error)
        except (subprocess.SubprocessError, ValueError) as error:
            self._skip(f"{one.name}, {case.name}", error)
        return None

    def _skip(self, what: str, why: Exception) -> None:
        self.skipped[what] = str(why)
        self._say(f"  without {what}: {why}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def document(self, seconds: float) -> dict[str, Any]:
        """What the JSON file holds."""
        cases = []
        for case in CASES:
            samples = self.rounds.get(case.name)
            if not samples:
                continue
            results = {
                one: {
                    "cpu_us": round(median(s.cpu for s in rounds) * 1e6, 2),
                    "rate": round(median(s.rate for s in rounds), 2),
                    "version": rounds[0].version,
                    "spread": round(spread(rounds), 3),
                    "measured_again": one in self.again.get(case.name, ()),
                    "rounds": [
                        {
                            "cpu_us": round(s.cpu * 1e6, 2),
                            "rate": round(s.rate, 2),
                            "process_cpu_us": round(s.process_cpu * 1e6, 2),
                        }
                        for s in rounds
                    ],
                }
                for one, rounds in samples.items()
            }
            trip = round(self.trips[case.name] * 1e3, 3)
            cases.append(asdict(case) | {"measured_rtt_ms": trip, "results": results})
        return {
            "machine": machine(),
            "rounds": 1 if self.options.quick else self.options.rounds,
            "took_minutes": round(seconds / 60, 1),
            "skipped": self.skipped,
            "cases": cases,
        }


def machine() -> dict[str, Any]:
    """Where it was measured, and with what."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": commit(),
    }
    with contextlib.suppress(metadata.PackageNotFoundError):
        facts["uvloop"] = metadata.version("uvloop")
    with contextlib.suppress(Missing):
        facts["postfix"] = version_of_postfix()
    return facts


def commit() -> str:
    """Which state of this project was measured; one with changes ends in a plus sign."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        git = ["git", "-C", str(ROOT)]
        name = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
        )
        code = ["aiosmtplib", "_speedups"]
        dirty = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *code], capture_output=True).returncode
        return name.stdout.strip() + ("+" if dirty else "")
    return "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="compare"
    )
    groups = list(dict.fromkeys(case.group for case in CASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1, help="about how long one run sends (default: 1)")
    parser.add_argument("--cases", nargs="+", choices=groups, metavar="CASE", help=", ".join(groups))
    parser.add_argument("--only", nargs="+", metavar="WORD", help="clients whose name holds one of the words")
    parser.add_argument("--quick", action="store_true", help="a handful of messages, once")
    parser.add_argument("--charts-only", action="store_true", help="measure nothing, draw the JSON of before")
    parser.add_argument("--output", type=Path, help="folder for the JSON and the charts")
    options = parser.parse_args()
    whole = not (options.cases or options.only or options.quick)
    folder = options.output or (ROOT / "benchmarks/results" if whole else WORK / "compare")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "compare.json"
    if not options.charts_only:
        started = time.monotonic()
        comparison = Comparison(*contestants(), options)
        for name, why in comparison.skipped.items():
            comparison._say(f"without {name}: {why}")
        for case in CASES:
            if options.cases is None or case.group in options.cases:
                comparison.run(case)
                # After each case, so that what was measured survives whatever comes.
                document = comparison.document(time.monotonic() - started)
                path.write_text(json.dumps(document, indent=1) + "\n")
    document = json.loads(path.read_text())
    print(table(document))
    try:
        from .charts import draw
    except ImportError as error:
        print(f"without charts: {error}")
    else:
        for chart in draw(document, folder):
            print(os.path.relpath(chart))


if __name__ == "__main__":
    main()
