"""A PostgreSQL of our own, on a Unix socket in a temporary folder, with its state beside it.

The programs are those of the machine, or from packages that were fetched and are never installed.
"""

import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ..interop.debs import fetched
from .mta import LIFETIME, find
from .scripted_server import PATIENCE

__all__ = ("PostgresServer", "postgres_server", "why_no_postgres")

#: It is slow to begin with where the machine is busy.
STARTING = 6 * PATIENCE


@cache
def _folder() -> Path | None:
    """Where the programs are."""
    # Debian keeps them where no shell looks, in a folder for each version.
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3])
    on_path = find("initdb")
    if on_path is not None or installed:
        return (Path(on_path) if on_path is not None else installed[-1]).resolve().parent
    if not fetched("postgresql") or find("dpkg") is None:
        return None
    folder = tempfile.mkdtemp(prefix="postgresql-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder).chmod(0o755)
    for package in fetched("postgresql"):
        subprocess.run(["dpkg", "-x", str(package), folder], check=True, timeout=60)
    found = sorted(Path(folder).glob("usr/lib/postgresql/*/bin/initdb"))
    return found[-1].parent if found else None


def why_no_postgres() -> str | None:
    """Why PostgreSQL cannot be had here, if so."""
    if sys.platform == "win32":
        return "PostgreSQL is started on a Unix socket"
    if _folder() is None:
        return "PostgreSQL is not installed, and was not fetched (make interop does, where there is apt-get)"
    return None


def _somebody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: as whom it is started then."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {}


class PostgresServer:
    """One PostgreSQL, which can be started again.

    :ivar url: of an empty database

    :param folder: an empty folder, which becomes that of its user
    """

    def __init__(self, folder: Path) -> None:
        programs = _folder()
        assert programs is not None
        self.url = f"postgresql://mail@/postgres?host={folder}"
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._as = _somebody()
        if self._as:
            os.chown(folder, self._as["user"], self._as["group"])
        libraries = {path.parent for path in programs.parents[3].rglob("*.so*")} if _is_ours(programs) else ()
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "LC_ALL": "C",
            "LD_LIBRARY_PATH": ":".join(sorted(map(str, libraries))),
        }
        made = self._run(
            "initdb", "-D", folder / "data", "-U", "mail", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        if made.returncode:
            pytest.fail(f"initdb failed:\n{made.stdout.decode()}", pytrace=False)

    def start(self) -> None:
        """Start it; it answers when this returns."""
        # If the tests are killed, it ends by itself.
        guard = [] if shutil.which("timeout") is None else ["timeout", "--foreground", str(4 * LIFETIME)]
        options = {"listen_addresses": "", "unix_socket_directories": self._folder, "max_connections": 60}
        command = [*guard, self._programs / "postgres", "-D", self._folder / "data"]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                **self._as,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environment,
            )
        deadline = time.monotonic() + STARTING
        while self._run("pg_isready", "-q", "-h", self._folder, "-d", "postgres").returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(
                    f"PostgreSQL does not start:\n{(self._folder / 'log').read_text()}", pytrace=False
                )
            time.sleep(0.05)

    def query(self, text: str) -> list[list[str]]:
        """Run a statement: the rows of its result, as text."""
        done = self._run(
            "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", text, self.url
        )
        assert done.returncode == 0, done.stdout.decode()
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def stop(self, signal_number: int = signal.SIGINT) -> None:
        """End it at once, and its sessions; idempotent."""
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait(STARTING)
            self._process = None

    def _run(self, program: str, *arguments: object) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [str(self._programs / program), *map(str, arguments)],
            **self._as,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=self._environment,
            timeout=STARTING,
        )


@functools.cache
def _is_ours(programs: Path) -> bool:
    return programs.is_relative_to(tempfile.gettempdir())


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL, which ends with the block.

    Its folder is not that of a test: only the user of the test may enter that.
    """
    reason = why_no_postgres()
    if reason is not None:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
