"""Flame graphs of sending 2 KiB over loopback to smtp-sink: where the client's CPU goes, before and after.

    make flames

writes ``benchmarks/results/flame-*.svg``. Before is the last commit that left message objects to the
generator of the standard library; it is taken out of the history and built in ``.benchmarks``. Each graph
is that of a client of ``compare``, a process of its own, which py-spy samples, functions in C among them.
What it spends waiting for the server is left out. It needs smtp-sink, a C compiler, git, and py-spy.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from .bench_loopback import ROOT, WORK
from .compare_peers import CLIENTS, Order
from .compare_servers import Missing, sink
from .flame_chart import draw

__all__ = ("record",)

BEFORE = "eebd44f"
DOORS = ("send_message", "sendmail")


def checkout(commit: str) -> Path:
    """A folder with the package as it was, its extension built."""
    folder = WORK / f"before-{commit}"
    if not list(folder.glob("aiosmtplib/_speedups*")):
        shutil.rmtree(folder, ignore_errors=True)
        archive = ["git", "-C", str(ROOT), "archive", commit]
        content = subprocess.run(archive, check=True, stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=BytesIO(content)) as files:
            files.extractall(folder)
        build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
        subprocess.run(build, cwd=folder, check=True, env=os.environ | {"AIOSMTPLIB_REQUIRE_EXTENSIONS": "1"})
    return folder


def record(package: Path, door: str, port: int, times: int) -> list[str]:
    """The stacks of a client that sends by this door, as py-spy has them: frames, and how often seen.

    :param package: the folder that holds the package
    """
    order = Order(port, octets=2 << 10, connections=10, recipients=1, times=times, warm_up=5)
    client = [sys.executable, str(CLIENTS / "aio_client.py"), f"--door={door}", *order.arguments()]
    profiler = Path(sysconfig.get_path("scripts"), "py-spy")
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder, "stacks")
        options = ["--format=raw", "--native", "--rate=500", f"--output={stacks}"]
        done = subprocess.run(
            [str(profiler), "record", *options, "--", *client],
            cwd=WORK,
            env=os.environ | {"PYTHONPATH": str(package), "AIOSMTPLIB_REQUIRE_EXTENSIONS": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Missing(f"py-spy says: {done.stderr.strip()}")
        return stacks.read_text().splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="make flames"
    )
    parser.add_argument("--times", type=int, default=2000, help="messages on each of ten connections")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    try:
        with sink() as port:
            for name, package in (("before", checkout(BEFORE)), ("after", ROOT)):
                for door in DOORS:
                    path = ROOT / "benchmarks/results" / f"flame-{door}-{name}.svg"
                    stacks = record(package, door, port, options.times)
                    path.write_text(draw(stacks, f"{door}, {name}"), encoding="utf-8")
                    print(os.path.relpath(path))
    except Missing as error:
        sys.exit(f"no flame graphs: {error}")


if __name__ == "__main__":
    main()
