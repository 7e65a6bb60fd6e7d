"""CPU of sending over loopback to smtp-sink, and the time of an import: the twins beside stock aiosmtplib.

The server is a process of its own, and so is each client, which measures itself (``loopback_client``). The
clients take turns, so that a machine that is busy for a while is unkind to all of them; the median counts.
Stock is installed by pip into ``.benchmarks`` and stays there for the next run.

The tables come after those of pytest-benchmark. With ``--benchmark-disable`` a handful of messages shows
that everything runs.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from tests.conftest import NO_EXTENSIONS

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".benchmarks"
STOCK = "5.1.3"
CONNECTIONS = 10
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
TIMED_IMPORT = "import time; t = time.perf_counter(); import aiosmtplib; print(time.perf_counter() - t)"


class Load(NamedTuple):
    """What is sent. Each connection sends ``times`` messages."""

    name: str
    octets: int
    recipients: int
    times: int


LOADS = (
    Load("2 KiB, 1 recipient", 2 << 10, 1, 400),
    Load("100 KiB, 1 recipient", 100 << 10, 1, 50),
    Load("2 KiB, 50 recipients", 2 << 10, 50, 40),
)


class Contestant(NamedTuple):
    """An aiosmtplib to measure: the environment that chooses it, and the codec it must turn out to have."""

    name: str
    environment: dict[str, str]
    codec: str


def stock() -> Contestant:
    """Stock aiosmtplib, installed if it is not there yet.

    :raises LookupError: if pip cannot install it, with what pip said
    """
    folder = WORK / f"stock-{STOCK}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=WORK) as scratch:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries=1", "--timeout=10"]
            what = ["--no-deps", f"--target={scratch}/stock", f"aiosmtplib=={STOCK}"]
            done = subprocess.run([*pip, "install", *what], capture_output=True, text=True)
            if done.returncode:
                said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
                raise LookupError(said[-1])
            os.rename(f"{scratch}/stock", folder)
    return Contestant("stock", {"PYTHONPATH": str(folder)}, "none")


@pytest.fixture(scope="module")
def contestants(tables: list[str]) -> list[Contestant]:
    """Whatever can run here. What cannot is named above the tables."""
    WORK.mkdir(exist_ok=True)
    found = []
    try:
        found.append(stock())
    except LookupError as error:
        tables.append(f"without stock aiosmtplib, because pip cannot install {STOCK}: {error}")
    here = {"PYTHONPATH": str(ROOT)}
    if importlib.util.find_spec("aiosmtplib._speedups") and not NO_EXTENSIONS:
        found.append(Contestant("compiled", here | {"AIOSMTPLIB_REQUIRE_EXTENSIONS": "1"}, "cython"))
    else:
        tables.append("without the compiled twin, because it is not built or not wanted")
    found.append(Contestant("pure", here | {"AIOSMTPLIB_NO_EXTENSIONS": "1"}, "python"))
    return found


@pytest.fixture(scope="module")
def smoke(request: pytest.FixtureRequest) -> bool:
    """Whether to show only that it runs."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.fixture(scope="module")
def sink() -> Iterator[int]:
    """The port of an smtp-sink (part of Postfix), which takes everything and keeps nothing."""
    program = shutil.which("smtp-sink", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if program is None:
        pytest.skip("smtp-sink is not installed (Debian and Ubuntu: postfix)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # As root it asks for a user to become.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [program, *user, f"127.0.0.1:{port}", "256"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_for(port, server)
            yield port
        finally:
            server.kill()


def wait_for(port: int, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                pytest.skip(f"smtp-sink does not start: {server.communicate()[1].strip()}")
            time.sleep(0.02)


def run(contestant: Contestant, *arguments: object) -> str:
    """Run Python with a contestant on its path, and return what it prints."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIOSMTPLIB_", "PYTHON"))
    }
    command = [sys.executable, *map(str, arguments)]
    environment = inherited | contestant.environment
    # Where it runs there is no other aiosmtplib for it to find.
    done = subprocess.run(
        command, cwd=WORK, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    return done.stdout


class Figures(NamedTuple):
    """For one message: CPU in µs, and how many of them were sent in a second."""

    cpu: float
    rate: float


def send(port: int, contestant: Contestant, load: Load, loop: str, times: int) -> Figures:
    printed = run(
        contestant,
        ROOT / "benchmarks" / "loopback_client.py",
        f"--loop={loop}",
        f"--port={port}",
        f"--connections={CONNECTIONS}",
        f"--octets={load.octets}",
        f"--recipients={load.recipients}",
        f"--times={times}",
        f"--warm-up={times // 5 + 1}",
    )
    result = json.loads(printed)
    assert result["codec"] == contestant.codec
    assert (result["version"] == STOCK) == (contestant.name == "stock")
    return Figures(result["cpu"] * 1e6, result["rate"])


NAMES = ("stock", "compiled", "pure")
RATIOS = (("compiled", "stock"), ("pure", "stock"), ("compiled", "pure"))
COMPARED = "".join(f"{name:>11}" for name in (*NAMES, "comp/stock", "pure/stock", "comp/pure"))
RATES = "".join(f"{name + '/s':>12}" for name in NAMES)


def compare(figures: dict[str, float]) -> str:
    """Figures and their ratios, as columns. What was not measured is a dash."""
    cells = [f"{figures[name]:.1f}" if name in figures else "-" for name in NAMES]
    cells += [f"{figures[a] / figures[b]:.2f}" if a in figures and b in figures else "-" for a, b in RATIOS]
    return "".join(f"{cell:>11}" for cell in cells)


def test_loopback(sink: int, contestants: list[Contestant], smoke: bool, tables: list[str]) -> None:
    """One command at a time on each connection: stock beside the twins, on both event loops."""
    rounds = 1 if smoke else 5
    measured: defaultdict[tuple[Load, str, str], list[Figures]] = defaultdict(list)
    for _ in range(rounds):
        for load in LOADS:
            for loop in LOOPS:
                for contestant in contestants:
                    figures = send(sink, contestant, load, loop, 1 if smoke else load.times)
                    measured[load, loop, contestant.name].append(figures)
    lines = [
        f"Sending to smtp-sink: CPU for one message in us, and messages per second "
        f"({CONNECTIONS} connections, median of {rounds})",
        f"{'':30}{COMPARED}{RATES}",
    ]
    for load in LOADS:
        for loop in LOOPS:
            rounds_of = {name: values for name in NAMES if (values := measured.get((load, loop, name)))}
            cpu = {name: median(figures.cpu for figures in values) for name, values in rounds_of.items()}
            rate = {name: median(figures.rate for figures in values) for name, values in rounds_of.items()}
            rates = "".join(f"{rate[name]:>12.0f}" if name in rate else f"{'-':>12}" for name in NAMES)
            lines.append(f"{load.name:22}{loop:8}{compare(cpu)}{rates}")
    tables.append("\n".join(lines))


def test_import(contestants: list[Contestant], smoke: bool, tables: list[str]) -> None:
    """The time of ``import aiosmtplib`` in a new process; most of it is asyncio's."""
    rounds = 1 if smoke else 21
    for contestant in contestants:  # compiles what has no .pyc yet
        run(contestant, "-c", TIMED_IMPORT)
    measured: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for contestant in contestants:
            measured[contestant.name].append(float(run(contestant, "-c", TIMED_IMPORT)) * 1e3)
    figures = compare({name: median(values) for name, values in measured.items()})
    tables.append(f"import aiosmtplib, in ms (median of {rounds})\n{'':30}{COMPARED}\n{'':30}{figures}")
