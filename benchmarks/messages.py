"""How many times faster messages are written and addresses read than by others: tables, of one run.

    make bench-message

The first table has the figures to reach. The generator of the standard library is the reference for
``flatten_message``, and stock aiosmtplib for the rest; both are measured in turn with the twins, and of
several rounds the best counts. The second table has every mail of the corpus, and what is slower there than
the generator ends the run with an error.
"""

import argparse
import contextlib
import importlib
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests import corpus
from tests.conftest import NO_EXTENSIONS
from tests.support.serializing import by_generator

from . import bench_loopback
from .compare_table import markdown
from .message_cases import MESSAGES, with_codec
from .peers.message_functions import measure, seconds

CLIENT = Path(__file__).parent / "peers" / "message_functions.py"
#: How many times faster than its reference, compiled and pure. Of the latter, addresses have no figure.
ASKED = {f"flatten_message, {name}": (case.asked, case.asked_pure) for name, case in MESSAGES.items()}
ASKED |= {
    f"{door}, {of}": (15.0, 0.0) for door in ("parse_address", "quote_address") for of in ("bare", "named")
}
Figures = dict[str, float]


def twins_here() -> list[str]:
    """The twins that can run here."""
    return ["compiled", "pure"] if find_spec("aiosmtplib._speedups") and not NO_EXTENSIONS else ["pure"]


@contextlib.contextmanager
def codec(name: str) -> Iterator[Any]:
    """``aiosmtplib.email`` with one of the twins."""
    undo = with_codec(name)
    try:
        yield importlib.import_module("aiosmtplib.email")
    finally:
        undo()


def _by_generator(messages: dict[str, Any]) -> Figures:
    return {
        f"flatten_message, {name}": seconds(by_generator, one, False, "8bit")
        for name, one in messages.items()
    }


def _stock(messages: dict[str, Any]) -> Figures:
    environment = {"PYTHONPATH": bench_loopback.stock().environment["PYTHONPATH"]}
    command = [sys.executable, str(CLIENT)]
    pickled = pickle.dumps(messages)
    done = subprocess.run(
        command, cwd=bench_loopback.WORK, env=environment, input=pickled, stdout=subprocess.PIPE, check=True
    )
    found: Figures = json.loads(done.stdout)
    return found


def _least(rounds: list[Figures]) -> Figures:
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


def _row(name: str, reference: float | None, figures: dict[str, Figures]) -> tuple[str, ...]:
    cells = [f"{reference * 1e6:.2f}" if reference else "-"]
    for twin in figures.values():
        cells += [f"{twin[name] * 1e6:.2f}", f"{reference / twin[name]:.1f}" if reference else "-"]
    return name, *cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="make bench-message"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    twins = twins_here()
    messages = {name: case.build() for name, case in MESSAGES.items()}
    bench_loopback.WORK.mkdir(exist_ok=True)
    rounds: dict[str, list[Figures]] = {name: [] for name in ("stock", "generator", *twins)}
    for _ in range(options.rounds):
        try:
            rounds["stock"].append(_stock(messages))
        except LookupError as error:
            print(f"without stock aiosmtplib, because pip cannot install it: {error}")
        rounds["generator"].append(_by_generator(messages))
        for name in twins:
            with codec(name) as module:
                rounds[name].append(measure(module, messages))
    best = {name: _least(figures) for name, figures in rounds.items() if figures}
    figures = {name: best[name] for name in twins}
    references = best.get("stock", {}) | best["generator"]
    columns = [cell for name in twins for cell in (name, "times")]
    rows = [("CPU of a call in us", "reference", *columns, "asked")]
    for name in figures[twins[0]]:
        asked = ", ".join(f"{one:.0f}" for one in ASKED.get(name, ()) if one) or "-"
        rows.append((*_row(name, references.get(name), figures), asked))
    print(markdown(rows))
    rows = [("flatten_message, in us", "generator", *columns)]
    slower = []
    for name, build in corpus.realistic():
        message = build()
        reference = min(seconds(by_generator, message, False, "8bit") for _ in range(2))
        each = {}
        for twin in twins:
            with codec(twin) as module:
                each[twin] = {name: min(seconds(module.flatten_message, message) for _ in range(2))}
            if each[twin][name] > reference:
                slower.append(f"{name}, {twin}")
        rows.append(_row(name, reference, each))
    print(f"\n{markdown(rows)}")
    if slower:
        sys.exit(f"slower than the standard library: {'; '.join(slower)}")


if __name__ == "__main__":
    main()
