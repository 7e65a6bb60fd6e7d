"""A Redis of our own, which writes down every change, on a free port of 127.0.0.1.

The program is that of the machine, or one from packages that were fetched and are never installed.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from ..interop.debs import fetched
from .mta import LIFETIME, find, free_ports
from .scripted_server import PATIENCE

__all__ = ("RedisServer", "redis_server", "why_no_redis")


def why_no_redis() -> str | None:
    """Why Redis cannot be had here, if so."""
    if find("redis-server") is not None:
        return None
    if sys.platform == "linux" and fetched("redis") and find("dpkg") is not None:
        return None
    return "Redis is not installed, and was not fetched (make interop does, where there is apt-get)"


@cache
def _unpacked() -> Path:
    """A folder with the packages, for as long as the process lives."""
    folder = tempfile.mkdtemp(prefix="redis-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for package in fetched("redis"):
        subprocess.run(["dpkg", "-x", str(package), folder], check=True, timeout=60)
    return Path(folder)


class RedisServer:
    """One Redis, with its state in a folder. It can be started again.

    :param folder: the folder
    :param fsync: whether each change is on the disk before it is answered
    """

    def __init__(self, folder: Path, *, fsync: str = "everysec") -> None:
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers when this returns."""
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C"}
        program = find("redis-server")
        if program is None:
            program = str(_unpacked() / "usr/bin/redis-server")
            libraries = {path.parent for path in _unpacked().rglob("*.so*")}
            environment["LD_LIBRARY_PATH"] = ":".join(sorted(map(str, libraries)))
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "save": "",
            "logfile": self._folder / "redis.log",
        }
        command = [program, *(str(each) for name, value in options.items() for each in (f"--{name}", value))]
        # If the tests are killed, it ends by itself.
        guard = [] if shutil.which("timeout") is None else ["timeout", "--foreground", str(4 * LIFETIME)]
        self._process = subprocess.Popen(
            [*guard, *command], stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            # It tells nobody when it is ready, so there is nothing to wait for but this.
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = self._folder / "redis.log"
                pytest.fail(
                    f"Redis does not start:\n{log.read_text() if log.exists() else ''}", pytrace=False
                )
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                sock.sendall(b"PING\r\n")
                return sock.recv(5) == b"+PONG"  # and not that it is loading
        except OSError:
            return False

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """End it; idempotent."""
        if self._process is not None:
            if signal_number == signal.SIGKILL:  # which the one that ends it by itself cannot hand on
                os.killpg(self._process.pid, signal_number)
            else:
                self._process.send_signal(signal_number)
            self._process.wait(PATIENCE)
            self._process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running Redis, which ends with the block."""
    reason = why_no_redis()
    if reason is not None:
        pytest.skip(reason)
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
