"""The clients that ``compare`` measures: what each needs, how it is installed, and how it is run once.

Nothing is installed outside ``.benchmarks``, and no toolchain is fetched: pip and npm bring libraries, and Go
is used where it is. What cannot be had raises ``Missing`` with the reason.
"""

import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import NO_EXTENSIONS
from tests.support import mta

from . import bench_loopback
from .bench_loopback import ROOT, WORK
from .compare_servers import CAFILE, Missing
from .loopback_client import message

__all__ = ("MESSAGE_DOORS", "Contestant", "Order", "Sample", "contestants")

CLIENTS = ROOT / "benchmarks" / "peers"
NODEMAILER = "10.6.0"
#: Seconds after which a run is given up.
LIMIT = 180
LOOPS = ("asyncio", "uvloop")
DOORS = ("sendmail", "send_many", "pool_sendmail", "pool_send_many")
#: Those for message objects, which take part where these are sent, and nowhere else.
MESSAGE_DOORS = ("send_message", "send_many_messages")


@dataclass(frozen=True)
class Order:
    """What a client is to send in one run, and where. Each connection sends ``times`` messages that count."""

    port: int
    octets: int
    connections: int
    recipients: int
    times: int
    warm_up: int
    tls: bool = False

    def arguments(self) -> list[str]:
        """The options that the clients in ``peers/`` share."""
        names = ("port", "connections", "recipients", "times")
        options = [f"--{name}={getattr(self, name)}" for name in names]
        options += [f"--warm-up={self.warm_up}", f"--message={text_file(self.octets)}"]
        return [*options, f"--cafile={CAFILE}"] if self.tls else options


@dataclass(frozen=True)
class Sample:
    """For one message: the client's CPU in seconds; and messages per second.

    ``process_cpu`` is what the client used from its start to its end as its parent sees it, for one message
    that counts: more than ``cpu``, because start and warm-up are in it.
    """

    cpu: float
    rate: float
    process_cpu: float
    version: str


@dataclass(frozen=True)
class Contestant:
    """A client to measure.

    :ivar name: what it is called in tables and in the JSON
    :ivar package: whose code sends: ``aiosmtplib``, ``stock`` or the peer's name
    :ivar twin: ``compiled`` or ``pure``, of ours
    """

    name: str
    package: str
    command: list[str]
    twin: str = ""
    loop: str = ""
    door: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, order: Order) -> Sample:
        """Run it once.

        :raises Missing: if it says that it cannot do this
        :raises subprocess.SubprocessError: if it fails
        """
        before = _children_cpu()
        printed = json.loads(self._call([*self.command, *order.arguments()]))
        if "skipped" in printed:
            raise Missing(printed["skipped"])
        wanted = {"compiled": "cython", "pure": "python"}.get(self.twin)
        assert printed.get("codec") in ("none", None, wanted), f"{self.name} ran with {printed['codec']}"
        spent = (_children_cpu() - before) / (order.connections * order.times)
        return Sample(printed["cpu"], printed["rate"], spent, printed["version"])

    def _call(self, command: list[str]) -> str:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIOSMTPLIB_", "PYTHON"))}
        done = subprocess.run(
            command,
            # Where it runs there is no other aiosmtplib for it to find.
            cwd=WORK,
            env=inherited | self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        if done.returncode:
            last = "\n".join(done.stderr.splitlines()[-8:])
            raise subprocess.SubprocessError(f"{self.name} ended with {done.returncode}: {last}")
        return done.stdout


class SmtpSource(Contestant):
    """Postfix's own load generator. It measures nothing, so its start is taken off by running it twice."""

    def run(self, order: Order) -> Sample:
        cpu, wall = self._spend(order, order.warm_up)
        all_cpu, all_wall = self._spend(order, order.warm_up + order.times)
        messages = order.connections * order.times
        # A run too short to tell apart from its warm-up proves only that it runs.
        rate = messages / max(all_wall - wall, 1e-6)
        return Sample(max(all_cpu - cpu, 0) / messages, rate, all_cpu / messages, version_of_postfix())

    def _spend(self, order: Order, times: int) -> tuple[float, float]:
        sizes = ["-s", order.connections, "-m", order.connections * times, "-l", order.octets]
        addresses = ["-r", order.recipients, "-f", "sender@example.com", "-t", "recipient@example.org"]
        options = [*sizes, *addresses, "-M", "client", "-d", f"127.0.0.1:{order.port}"]
        cpu, wall = _children_cpu(), time.perf_counter()
        self._call([*self.command, *map(str, options)])
        return _children_cpu() - cpu, time.perf_counter() - wall


def _children_cpu() -> float:
    """The CPU of the processes that this one started and that have ended: not that of the servers."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def text_file(octets: int) -> Path:
    """A file with the message of this size."""
    path = WORK / f"message-{octets}.eml"
    if not path.exists():
        path.write_bytes(message(octets))
    return path


def quiet(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a program that installs or tells something.

    :raises Missing: if it fails, with the last line of what it said
    """
    environment = os.environ | (environment or {})
    done = subprocess.run(command, cwd=WORK, env=environment, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise Missing(f"{Path(command[0]).name}: {said[-1]}")
    return done.stdout.strip()


def version_of_postfix() -> str:
    postconf = mta.find("postconf")
    return quiet([postconf, "-dh", "mail_version"]) if postconf else "unknown"


def _program(name: str, where: str, find: Callable[[str], str | None] = shutil.which) -> str:
    path = find(name)
    if path is None:
        raise Missing(f"{name} is not installed ({where})")
    return path


def _aio(
    package: str, twin: str, loop: str, door: str, environment: dict[str, str], *more: str
) -> Contestant:
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise Missing("uvloop is not installed")
    name = " ".join(part for part in (package, twin if twin == "pure" else "", loop, door, *more) if part)
    command = [sys.executable, str(CLIENTS / "aio_client.py"), f"--loop={loop}", f"--door={door}"]
    command += [f"--{option.replace(' ', '-')}" for option in more]
    return Contestant(name, package, command, twin, loop, door, environment)


def ours(twin: str, loop: str, door: str, *more: str) -> Contestant:
    """This project, on a twin."""
    here = {"PYTHONPATH": str(ROOT)}
    if twin == "pure":
        return _aio("aiosmtplib", twin, loop, door, here | {"AIOSMTPLIB_NO_EXTENSIONS": "1"}, *more)
    if NO_EXTENSIONS or importlib.util.find_spec("aiosmtplib._speedups") is None:
        raise Missing("the extension is not built here, or not wanted")
    return _aio("aiosmtplib", twin, loop, door, here | {"AIOSMTPLIB_REQUIRE_EXTENSIONS": "1"}, *more)


def stock(loop: str, door: str) -> Contestant:
    try:
        environment = bench_loopback.stock().environment
    except LookupError as error:
        raise Missing(f"pip cannot install it: {error}") from None
    return _aio("stock", "", loop, door, environment)


def smtplib_threads(door: str) -> Contestant:
    command = [sys.executable, str(CLIENTS / "smtplib_client.py")]
    if door == "sendmail":
        return Contestant("smtplib threads", "smtplib", command)
    option = {"send": "--each", "send_message": "--messages"}[door]
    return Contestant(f"smtplib threads {door}", "smtplib", [*command, option], door=door)


def nodemailer() -> Contestant:
    node, npm = _program("node", "Debian and Ubuntu: nodejs"), _program("npm", "Debian and Ubuntu: npm")
    folder = WORK / f"nodemailer-{NODEMAILER}"
    modules = folder / "node_modules"
    if not (modules / "nodemailer").exists():
        folder.mkdir(exist_ok=True)
        options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]
        quiet([npm, "install", *options, f"nodemailer@{NODEMAILER}"])
    command = [node, str(CLIENTS / "nodemailer_client.js"), f"--modules={modules}"]
    return Contestant("nodemailer pool", "nodemailer", command)


def go() -> Contestant:
    source = CLIENTS / "netsmtp_client.go"
    if shutil.which("go") is None:
        raise Missing("no go on PATH, and none is downloaded (https://go.dev/dl/)")
    program = WORK / "netsmtp_client"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        settings = {"GOCACHE": str(WORK / "go-cache"), "GOTOOLCHAIN": "local", "GOPROXY": "off"}
        quiet(["go", "build", "-o", str(program), str(source)], settings)
    return Contestant("Go net/smtp", "go", [str(program)])


def smtp_source() -> Contestant:
    return SmtpSource(
        "smtp-source", "smtp-source", [_program("smtp-source", "Debian and Ubuntu: postfix", mta.find)]
    )


def contestants() -> tuple[list[Contestant], dict[str, str]]:
    """All that can run here, in the order in which they are shown, and why each other cannot."""
    WORK.mkdir(exist_ok=True)
    wanted = {f"aiosmtplib {loop} {door}": (ours, "compiled", loop, door) for door in DOORS for loop in LOOPS}
    wanted |= {
        f"aiosmtplib pure {loop} {door}": (ours, "pure", loop, door) for door in DOORS[:2] for loop in LOOPS
    }
    wanted |= {f"stock {loop} sendmail": (stock, loop, "sendmail") for loop in LOOPS}
    wanted |= {
        f"aiosmtplib {loop} {door}": (ours, "compiled", loop, door)
        for door in MESSAGE_DOORS
        for loop in LOOPS
    }
    wanted |= {f"aiosmtplib pure asyncio {door}": (ours, "pure", "asyncio", door) for door in MESSAGE_DOORS}
    wanted |= {f"stock {loop} send_message": (stock, loop, "send_message") for loop in LOOPS}
    wanted["smtplib threads send_message"] = (smtplib_threads, "send_message")
    # A connection for each message.
    wanted |= {f"aiosmtplib {loop} send": (ours, "compiled", loop, "send") for loop in LOOPS}
    wanted["aiosmtplib pure asyncio send"] = (ours, "pure", "asyncio", "send")
    wanted |= {f"stock {loop} send": (stock, loop, "send") for loop in LOOPS}
    wanted["smtplib threads send"] = (smtplib_threads, "send")
    wanted |= {
        "smtplib threads": (smtplib_threads, "sendmail"),
        "nodemailer pool": (nodemailer,),
        "Go net/smtp": (go,),
        "smtp-source": (smtp_source,),
    }
    found, skipped = [], {}
    for name, (make, *arguments) in wanted.items():
        try:
            found.append(make(*arguments))
        except Missing as error:
            skipped[name] = str(error)
    return found, skipped
