"""Proxies that people run: microsocks, for SOCKS5, and tinyproxy, for CONNECT. Each is one program.

One that is installed is used; else what ``python -m tests.interop.debs`` has fetched, unpacked in a temporary
folder.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from ..support.mta import find, free_ports
from .debs import fetched
from .jail import Process

__all__ = ("KINDS", "RealProxy", "real_proxy")

KINDS: Final = {"microsocks": "socks5", "tinyproxy": "http"}

TINYPROXY: Final = """
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 60
LogLevel Error
"""


class RealProxy(NamedTuple):
    """A proxy that runs.

    :ivar port: where it listens, on 127.0.0.1
    :ivar login: user name and password that it wants, as its URL has them with an ``@``, or nothing
    """

    name: str
    port: int
    login: str

    @property
    def url(self) -> str:
        return f"{KINDS[self.name]}://{self.login}127.0.0.1:{self.port}"


@contextlib.contextmanager
def real_proxy(name: str, folder: Path, *, login: bool) -> Iterator[RealProxy]:
    """Run a proxy, or skip the test where there is none.

    :param login: whether it wants a user name and a password
    """
    program = _program(name, folder)
    (port,) = free_ports(1)
    if name == "microsocks":
        command = [program, "-i", "127.0.0.1", "-p", str(port)]
        command += ["-u", "user", "-P", "pass.word"] if login else []
    else:
        settings = TINYPROXY.format(port=port) + ("BasicAuth user pass.word\n" if login else "")
        (folder / "tinyproxy.conf").write_text(settings, encoding="ascii")
        command = [program, "-d", "-c", str(folder / "tinyproxy.conf")]
    process = Process(command, folder / "log")
    try:
        process.listening(port)
        yield RealProxy(name, port, "user:pass.word@" if login else "")
    finally:
        process.stop()


def _program(name: str, folder: Path) -> str:
    installed = find(name)
    if installed is not None:
        return installed
    packages = fetched(name)
    if not packages or find("dpkg") is None:
        pytest.skip(f"{name} is not installed, nor fetched (make interop does, where there is apt-get)")
    for package in packages:
        subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True, timeout=60)
    program = folder / "root/usr/bin" / name
    missing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=60).stdout
    if "not found" in missing:
        pytest.skip(f"{name} was fetched, and needs libraries that are not installed: {missing}")
    return str(program)
