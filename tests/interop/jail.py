"""A folder that a server takes for the whole machine: its packages, its libraries, its users, its files.

Servers have paths and users compiled in. In a changed root they find them, and nothing of the machine is
read or written. They still share its network, so each is told to listen on 127.0.0.1 alone.
"""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from ..support import certs
from ..support.mta import LIFETIME, find
from ..support.scripted_server import PATIENCE
from .debs import fetched

__all__ = ("ACCOUNTS", "Daemon", "Jail", "Process", "why_not")

#: By name: the user and group number, which are nobody's outside.
ACCOUNTS = {
    "root": 0,
    "mail": 8,
    "Debian-exim": 61001,
    "opensmtpd": 61002,
    "opensmtpq": 61003,
    "dovecot": 61004,
    "dovenull": 61005,
    "kept": 61006,
}
DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
#: What servers start to deliver a message.
TOOLS = ("/bin/sh", "/bin/cat", "/bin/mv")


def why_not(server: str) -> str | None:
    """Why a server cannot be had here, if so."""
    if sys.platform != "linux":
        return "unpacked packages are run on Linux alone"
    if os.geteuid() != 0:
        return "only root can change the root folder of a server"
    if not fetched(server):
        return f"{server} was not fetched (make interop does, where there is apt-get)"
    missing = [name for name in ("dpkg", "ldd", "ldconfig", "chroot", "timeout") if find(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Process:
    """A program in the foreground, in the jail, with all that it starts."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        # It leads a process group of its own, so that one signal reaches what the server has started too. And
        # it ends by itself where the tests were killed.
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["timeout", "--kill-after=5", str(LIFETIME), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"},
            )

    def log(self) -> str:
        """What it wrote to its standard output and error, the end of it."""
        return self._log.read_text(errors="replace")[-4000:]

    def listening(self, *ports: int) -> None:
        """Wait until it accepts connections on these ports."""
        deadline = time.monotonic() + PATIENCE
        for port in ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    # It tells nobody when it is ready, so there is nothing to wait for but this.
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"port {port} is not served:\n{self.log()}", pytrace=False)
                    time.sleep(0.01)

    def stop(self) -> None:
        """End it and what it has started; idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)


class Jail:
    """The folder of one server.

    :param root: an empty folder that everybody may enter
    :param server: a key of :data:`~tests.interop.debs.PACKAGES`
    :param programs: paths of what is started there, for the libraries that they need
    """

    def __init__(self, root: Path, server: str, programs: Sequence[str]) -> None:
        self.root = root
        for package in fetched(server):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True, timeout=60)
        # dpkg gives the folder the mode that it has in the package.
        root.chmod(0o755)
        self._borrow(programs)
        for name in ("dev", "run", "var/run", "home/kept"):
            self.folder(name)
        self.folder("tmp").chmod(0o1777)
        for name, (major, minor) in DEVICES.items():
            path = root / "dev" / name
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            path.chmod(0o666)
        self.write("etc/passwd", "".join(f"{name}:x:{n}:{n}::/:/bin/sh\n" for name, n in ACCOUNTS.items()))
        self.write("etc/group", "".join(f"{name}:x:{n}:\n" for name, n in ACCOUNTS.items()))
        self.write("etc/hosts", "127.0.0.1 localhost server.example\n")
        # Any question to a name server is refused at once.
        self.write("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")

    def _borrow(self, programs: Sequence[str]) -> None:
        """Copy the tools, and the libraries that the machine has and the packages lack."""
        folders = sorted(
            {str(path.parent) for path in self.root.rglob("*.so*") if "modules" not in path.parts}
        )
        for tool in TOOLS:
            self._copy(tool)
        inside = [str(self.root / program.lstrip("/")) for program in programs]
        environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(folders), "LC_ALL": "C"}
        listing = subprocess.run(
            ["ldd", *inside, *TOOLS], env=environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout
        for library in set(re.findall(r"(/\S+) \(0x", listing)):
            if not library.startswith(f"{self.root}/"):
                self._copy(library)
        libraries = sorted({str(path.parent) for path in self.root.rglob("*.so*")})
        self.write(
            "etc/ld.so.conf", "".join(f"/{Path(folder).relative_to(self.root)}\n" for folder in libraries)
        )
        ldconfig = find("ldconfig")
        assert ldconfig is not None
        subprocess.run([ldconfig, "-r", str(self.root)], check=True, capture_output=True, timeout=60)

    def _copy(self, path: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)

    def folder(self, name: str, owner: str = "root", mode: int = 0o755) -> Path:
        """Make a folder, with those above it."""
        path = self.root / name.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        os.chown(path, ACCOUNTS[owner], ACCOUNTS[owner])
        return path

    def write(self, name: str, text: str | bytes, owner: str = "root", mode: int = 0o644) -> Path:
        """Write a file, and the folders above it."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        os.chown(path, ACCOUNTS[owner], ACCOUNTS[owner])
        return path

    def maildir(self, owner: str = "kept") -> Path:
        """Make the maildir that messages go to."""
        for name in ("", "tmp", "new", "cur"):
            self.folder(f"home/kept/{name}", owner)
        return self.root / "home/kept/new"

    def certificate(self, chain: str, key: str) -> None:
        """Write the certificate of the server with its chain, and its key, to files of these names."""
        server = certs.authority().server
        self.write(chain, b"".join(blob.bytes() for blob in server.cert_chain_pems))
        self.write(key, server.private_key_pem.bytes(), mode=0o600)

    def start(self, *command: str) -> Process:
        """Start a program, which has to stay in the foreground."""
        chroot = find("chroot")
        assert chroot is not None
        return Process([chroot, str(self.root), *command], self.root / "log")

    def run(self, *command: str, text: str = "") -> str:
        """Run a program to its end, for what it prints."""
        chroot = find("chroot")
        assert chroot is not None
        done = subprocess.run(
            [chroot, str(self.root), *command], input=text, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            pytest.fail(f"{command[0]} fails: {done.stdout}{done.stderr}", pytrace=False)
        return done.stdout

    def find(self, pattern: str, *command: str) -> str:
        """Run a program to its end, for what the group of ``pattern`` is in what it prints."""
        found = re.search(pattern, self.run(*command))
        assert found is not None
        return found[1]


class Daemon:
    """A server that is one program in a jail, with all that it starts.

    Its constructor sets ``_jail``, and the ports that it is to listen on, in attributes whose names end so.
    """

    #: What starts it, in the foreground.
    command: ClassVar[tuple[str, ...]]

    _jail: Jail

    def start(self) -> None:
        """Start it; it listens when this returns."""
        self._process = self._jail.start(*self.command)
        self._process.listening(*(value for name, value in vars(self).items() if name.endswith("port")))

    def stop(self) -> None:
        """End it; idempotent."""
        self._process.stop()

    def log(self) -> str:
        """The end of what it has logged."""
        return self._process.log()
