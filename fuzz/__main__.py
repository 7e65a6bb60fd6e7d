"""``python -m fuzz [--seconds 60] [--runs N] [--engine atheris|plain] [TARGET...]``: run targets, and count.

Each target gets that long, in a process of its own. Exits 1 where there was a difference or a crash, with
the input. ``--keep 40`` takes what was found into fuzz/corpus, up to so many inputs a target. With
``--input FILE`` one target gets one input again.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from . import engines, seeds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the twins against each other.")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("atheris", "plain"))
    parser.add_argument("--fast", action="store_true", help="guided by the compiled twin alone")
    parser.add_argument("--keep", type=int, metavar="LIMIT")
    parser.add_argument("--input", type=Path, metavar="FILE")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    engine = args.engine or ("atheris" if engines.have_atheris() else "plain")
    seed = args.seed or time.time_ns() % (1 << 31)
    if args.child and engine == "atheris":
        engines.atheris(args.targets[0], args.seconds, args.runs, seed, args.fast)
    if args.child:
        count = engines.plain(args.targets[0], args.seconds, args.runs, seed)
        print(f"stat::number_of_executed_units: {count}", flush=True)
        return 0

    from .targets import TARGETS

    for target in args.targets:
        if target not in TARGETS:
            parser.error(f"no such target: {target}; there are {', '.join(TARGETS)}")
    if args.input is not None:
        for target in args.targets:
            TARGETS[target](args.input.read_bytes())
            print(f"{target}: no difference")
        return 0
    targets = args.targets or list(TARGETS)
    if args.keep is not None:
        for target in targets:
            seeds.keep(target, engines.small(target, args.keep))
        return 0
    options = [f"--seconds={args.seconds}", f"--runs={args.runs}", f"--seed={seed}", f"--engine={engine}"]
    print(f"engine: {engine}, seed: {seed}")
    return run(targets, options + ["--fast"] * args.fast)


def run(targets: list[str], options: list[str]) -> int:
    print(f"{'target':12}{'executions':>14}{'a second':>10}{'differences':>13}", flush=True)
    total = bad = 0
    for target in targets:
        started = time.monotonic()
        child = subprocess.run(
            [sys.executable, "-m", "fuzz", target, "--child", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=engines.FOLDER.parent.parent,
        )
        took = time.monotonic() - started
        text = child.stdout.decode(errors="replace")
        found = re.findall(r"stat::number_of_executed_units: (\d+)", text)
        count = int(found[-1]) if found else 0
        total += count
        failed = child.returncode != 0 or not count
        bad += failed
        print(f"{target:12}{count:14,}{count / took:10,.0f}{failed:13}", flush=True)
        if failed:
            print(text[-6000:], f"\ninput: {engines.reproducer(target)}", flush=True)
    print(f"{'in all':12}{total:14,}{bad:23}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
