"""Mail of your own beside stock aiosmtplib: how many times faster each is serialised and read, or slower.

    python -m benchmarks.real_mail FOLDER...                  each file is a message
    python -m benchmarks.real_mail FOLDER --sample 500 --worst 20

Each file is read as an ``EmailMessage`` and as a ``Message`` of the old kind, and written for a server with
8BITMIME and for one without it; then its sender and recipients are read. Each is done by both twins and by
the functions of stock aiosmtplib, in turn, in one process: of several rounds the best counts. What differs
from what stock returns is named.

Nothing is sent, and nothing of the mail is printed but the names of the files.
"""

import argparse
import email
import email.policy
import importlib.util
import itertools
import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from . import bench_loopback
from .compare_table import markdown
from .messages import codec, twins_here
from .peers.message_functions import seconds

__all__ = ("DOORS", "Row", "measure", "table")

KINDS = {"EmailMessage": email.policy.SMTP, "Message": email.policy.compat32}
#: What is measured: the function, and what it is given beside the message.
DOORS: dict[str, tuple[str, dict[str, str]]] = {
    "8bit": ("flatten_message", {"cte_type": "8bit"}),
    "7bit": ("flatten_message", {"cte_type": "7bit"}),
    "sender": ("extract_sender", {}),
    "recipients": ("extract_recipients", {}),
}


class Row(NamedTuple):
    """How many times faster one call is than stock's; ``same`` is whether it returns the same."""

    case: str
    twin: str
    file: str
    times: float
    same: bool


def stock_functions() -> Any:
    """The module ``email`` of stock aiosmtplib, beside ours.

    :raises LookupError: if it cannot be installed
    """
    bench_loopback.WORK.mkdir(exist_ok=True)
    path = Path(bench_loopback.stock().environment["PYTHONPATH"]) / "aiosmtplib/email.py"
    spec = importlib.util.spec_from_file_location("stock_email", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(function: Callable[[], Any]) -> Any:
    """What a call returns, or the type of what it raises."""
    try:
        return function()
    except Exception as error:
        return type(error)


def best(functions: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The least CPU of a call to each, in seconds, taken in turn."""
    turns = [[seconds(function, shortest=0.0005, again=0) for function in functions] for _ in range(rounds)]
    return [min(figures) for figures in zip(*turns, strict=True)]


def measure(files: list[Path], stock: Any, twins: list[str], rounds: int) -> Iterator[Row]:
    """Each file by each door: one row a twin."""
    for path, kind, door, twin in itertools.product(files, KINDS, DOORS, twins):
        message: Any = email.message_from_bytes(path.read_bytes(), policy=KINDS[kind])
        name, rest = DOORS[door]
        reference = partial(getattr(stock, name), message, **rest)
        with codec(twin) as module:
            function = partial(getattr(module, name), message, **rest)
            expected, got = outcome(reference), outcome(function)
            times = float("nan")  # a call that raises says nothing about speed
            if not isinstance(got, type) and not isinstance(expected, type):
                theirs, ours = best([reference, function], rounds)
                times = theirs / ours
        same = got == expected or _boundaries(expected, got)
        yield Row(f"{kind}, {door}", twin, str(path), times, same)


def _boundaries(one: Any, other: Any) -> bool:
    """Whether only boundaries may differ, which are drawn for each message that has none."""
    return (
        isinstance(one, bytes)
        and isinstance(other, bytes)
        and b"===============" in one
        and len(one) == len(other)
    )


def table(rows: list[Row], worst: int) -> str:
    """A line for each case and twin, and the names of what is slower or differs."""
    lines = [("case", "twin", "calls", "p10", "median", "least", "below 0.95", "differ")]
    for case, twin in dict.fromkeys((row.case, row.twin) for row in rows):
        these = [row for row in rows if (row.case, row.twin) == (case, twin)]
        times = sorted(row.times for row in these if row.times == row.times)
        if len(times) < 2:
            continue
        slower = sum(one < 0.95 for one in times)
        figures = (f"{one:.2f}" for one in (quantiles(times, n=10)[0], median(times), times[0]))
        differ = sum(not row.same for row in these)
        lines.append((case, twin, str(len(these)), *figures, str(slower), str(differ)))
    slowest = sorted((row for row in rows if row.times < 0.95), key=lambda row: row.times)
    named = [f"{row.times:.2f} {row.case}, {row.twin}: {row.file}" for row in slowest[:worst]]
    named += [f"differs: {row.case}, {row.twin}: {row.file}" for row in rows if not row.same][:worst]
    return "\n".join([markdown(lines), *named])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, help="so many of the files, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worst", type=int, default=10, help="how many to name")
    options = parser.parse_args()
    files = sorted(
        path
        for folder in options.folders
        for path in (folder.rglob("*") if folder.is_dir() else [folder])
        if path.is_file()
    )
    if options.sample and options.sample < len(files):
        files = sorted(random.Random(options.seed).sample(files, options.sample))
    try:
        stock = stock_functions()
    except LookupError as error:
        sys.exit(f"stock aiosmtplib cannot be installed here: {error}")
    rows = list(measure(files, stock, twins_here(), options.rounds))
    print(f"{len(files)} messages")
    print(table(rows, options.worst))


if __name__ == "__main__":
    main()
