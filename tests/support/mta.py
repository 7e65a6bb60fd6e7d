"""Real mail servers for the tests marked ``interop``: a private Postfix, and smtp-sink, which comes with it.

Each Postfix lives in a temporary folder of its own, with its own configuration, queue and log, and listens on
127.0.0.1 alone. It shares nothing with a Postfix of the machine, and never sends mail anywhere.
"""

import asyncio
import contextlib
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest

from . import certs
from .scripted_server import PATIENCE

__all__ = (
    "DOMAIN",
    "Postfix",
    "private_postfix",
    "sink_folder",
    "smtp_sink",
)

#: Recipients here: ``kept@`` goes to a file, ``dropped@`` is accepted and discarded, others are unknown.
DOMAIN = "here.example"
#: Longer than the tests take: if they are killed, the servers end by themselves.
LIFETIME = 900

MAIN = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log
maillog_file_prefixes = {root}
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
import_environment = MAIL_CONFIG LANG=C
# No name service, and no mail that leaves the machine.
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
default_transport = discard
relay_transport = discard
# Refusals, each at the command it is about.
smtpd_delay_reject = no
smtpd_sender_restrictions = check_sender_access inline:{{ {{refused@{domain} = 553 5.7.1 Not from you}} }}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{barred@{domain} = 450 4.2.1 Not now}} }}
# Else Postfix would make a client wait that is refused often.
smtpd_error_sleep_time = 0
smtpd_client_event_limit_exceptions = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{ {{kept@{domain} = kept}}, {{dropped@{domain} = dropped}} }}
virtual_transport = discard
transport_maps = inline:{{ {{kept@{domain} = keep:}} }}
message_size_limit = {size_limit}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
smtpd_tls_security_level = may
smtpd_tls_chain_files = {root}/server.pem
smtpd_tls_loglevel = 1
smtputf8_enable = yes
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{strict_port} inet n - n - - smtpd
    -o smtpd_hard_error_limit=3
    -o smtpd_tls_security_level=none
    -o smtpd_discard_ehlo_keywords=pipelining,8bitmime,smtputf8,size,chunking
127.0.0.1:{shut_port} inet n - n - - smtpd
    -o {{ smtpd_client_restrictions = inline:{{ {{127.0.0.1 = 554 5.7.1 Closed}} }} }}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
error unix - - n - - error
discard unix - - n - - discard
keep unix - n n - - pipe flags=X user=nobody
    argv=/bin/sh {root}/keep {root}/kept ${{queue_id}}
postlog unix-dgram n - n - 1 postlogd
"""

# A line in the FIFO says that a message is there, so that no test has to look again and again.
KEEP = """\
set -e
cat >"$1/tmp/$2"
mv "$1/tmp/$2" "$1/new/$2"
echo "$2" >"$1/arrivals"
"""

QUEUES = "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace"


def find(program: str) -> str | None:
    """The path of a program that may be installed where only root looks."""
    return shutil.which(program, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin:/sbin")


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


class Postfix:
    """A Postfix of our own.

    :ivar port: plain, with STARTTLS
    :ivar tls_port: TLS from the first byte
    :ivar strict_port: with few extensions; closes after three errors
    :ivar shut_port: refuses every client in its greeting
    """

    SIZE_LIMIT = 6 * 2**20

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config"
        self.port, self.tls_port, self.strict_port, self.shut_port = free_ports(4)
        self._pid = 0
        self._write()

    def _write(self) -> None:
        # Postfix changes to users of its own, and they must reach what is theirs.
        self.root.chmod(0o755)
        for name in ("config", "queue", "data", "kept", "kept/tmp", "kept/new"):
            (self.root / name).mkdir()
        owner, nobody = pwd.getpwnam(self._default("mail_owner")), pwd.getpwnam("nobody")
        os.chown(self.root / "data", owner.pw_uid, owner.pw_gid)
        for name in QUEUES.split():
            (self.root / "queue" / name).mkdir(mode=0o700)
            if name != "pid":
                os.chown(self.root / "queue" / name, owner.pw_uid, owner.pw_gid)
        os.mkfifo(self.root / "kept/arrivals")
        for path in (self.root / "kept").iterdir():
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        values = {name: value for name, value in vars(self).items() if name.endswith("port")}
        values |= {"root": self.root, "domain": DOMAIN, "size_limit": self.SIZE_LIMIT}
        (self.config / "main.cf").write_text(MAIN.format(**values))
        (self.config / "master.cf").write_text(MASTER.format(**values))
        (self.root / "keep").write_text(KEEP)
        pem = self.root / "server.pem"
        pem.touch(mode=0o600)
        certs.authority().server.private_key_and_cert_chain_pem.write_to_path(str(pem))

    @staticmethod
    @cache
    def _default(name: str) -> str:
        postconf = find("postconf")
        assert postconf is not None
        return subprocess.run(
            [postconf, "-dxh", name], check=True, capture_output=True, text=True
        ).stdout.strip()

    def setting(self, name: str) -> str:
        """What ``postconf`` says of a parameter of this instance."""
        postconf = find("postconf")
        assert postconf is not None
        command = [postconf, "-c", str(self.config), "-xh", name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def start(self) -> None:
        """Start the master daemon; it listens when this returns."""
        master = Path(self._default("daemon_directory")) / "master"
        command = [str(master), "-c", str(self.config), "-w", "-e", str(LIFETIME)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode:
            pytest.fail(f"Postfix does not start: {done.stderr}\n{self.log()}", pytrace=False)
        self._pid = int((self.root / "queue/pid/master.pid").read_text())

    def stop(self) -> None:
        """End the master daemon and with it all of its processes; idempotent."""
        if not self._pid:
            return
        # The daemon is no child of ours, so there is nothing to wait for but this.
        ended = os.pidfd_open(self._pid)
        try:
            os.kill(self._pid, signal.SIGTERM)
            assert select.select([ended], [], [], PATIENCE)[0], "Postfix does not end"
        finally:
            os.close(ended)
        self._pid = 0

    def log(self) -> str:
        """What Postfix has logged."""
        path = self.root / "log"
        return path.read_text() if path.exists() else ""

    @asynccontextmanager
    async def arrivals(self) -> AsyncIterator["asyncio.Queue[str]"]:
        """The queue identifiers of the messages for ``kept@``, as they are written to their files."""
        loop = asyncio.get_running_loop()
        names: asyncio.Queue[str] = asyncio.Queue()
        # Open for writing too: without a writer the FIFO would be at its end.
        fifo = os.open(self.root / "kept/arrivals", os.O_RDWR | os.O_NONBLOCK)

        def read() -> None:
            # Lines this short are written whole (POSIX, PIPE_BUF).
            for name in os.read(fifo, 65536).decode().split():
                names.put_nowait(name)

        loop.add_reader(fifo, read)
        try:
            yield names
        finally:
            loop.remove_reader(fifo)
            os.close(fifo)

    def kept(self, name: str) -> bytes:
        """A delivered message, byte for byte, with the line ends of Unix."""
        return (self.root / "kept/new" / name).read_bytes()


def why_not() -> str | None:
    """Why Postfix cannot be had here, if so."""
    if sys.platform != "linux":
        return "a private Postfix is started on Linux alone"
    if find("postfix") is None:
        return "Postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix is installed, and only root can start one"
    return None


@contextlib.contextmanager
def private_postfix() -> Iterator[Postfix]:
    """A running Postfix, which ends with the block."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    # Not in pytest's temporary folder, which only its owner may enter. The master's children end a moment
    # after it, and may still write.
    with tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True) as folder:
        server = Postfix(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def sink_folder() -> Iterator[Path]:
    """A folder that smtp-sink may write to, whose user is not ours when we are root."""
    with tempfile.TemporaryDirectory(prefix="smtp-sink-") as folder:
        path = Path(folder)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        yield path


@asynccontextmanager
async def smtp_sink(*options: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """smtp-sink on a port of its own: ``(port, process)``."""
    program = find("smtp-sink")
    if program is None:
        pytest.skip("smtp-sink is not installed (it comes with Postfix)")
    (port,) = free_ports(1)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        program, *user, *options, f"127.0.0.1:{port}", "100", stderr=asyncio.subprocess.PIPE
    )
    try:
        await _listening(port, process)
        yield port, process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.returncode is None and time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            # It says nothing when it is ready, so there is nothing to wait for but this.
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return
    assert process.stderr is not None
    pytest.fail(f"smtp-sink does not start: {(await process.stderr.read()).decode()}", pytrace=False)
