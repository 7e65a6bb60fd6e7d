"""aiosmtpd in a process of its own, with a handler that writes a maildir: the one that runs everywhere."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import warnings
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from ..support import certs
from ..support.scripted_server import PATIENCE
from .server import KEPT, OTHER, PASSWORD, SIZE_LIMIT, USER, Server

with warnings.catch_warnings():
    # aiosmtpd 1.4.6 imports names that newer Pythons deprecate; there is no later release to move to.
    warnings.simplefilter("ignore", DeprecationWarning)
    import aiosmtpd
    from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

__all__ = ("Aiosmtpd",)


class Aiosmtpd(Server):
    """aiosmtpd, which has delivered when it answers."""

    title = "aiosmtpd"
    mechanisms = frozenset({"PLAIN", "LOGIN"})
    lacks: ClassVar[Mapping[str, str]] = {
        "PIPELINING": "not announced by aiosmtpd",
        "CHUNKING": "not announced by aiosmtpd",
        "DSN": "not announced by aiosmtpd",
        "long lines": "aiosmtpd refuses lines of more than 1,000 octets (RFC 5321 section 4.5.3.1.6)",
    }
    newline = b"\r\n"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.new = root / "new"
        self.new.mkdir()
        (root / "tmp").mkdir()
        certs.authority().server.private_key_and_cert_chain_pem.write_to_path(str(root / "server.pem"))

    @classmethod
    def why_not(cls) -> str | None:
        return None

    def start(self) -> None:
        # The sockets are made here and inherited, so that they listen before the process is up.
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.port, self.tls_port = (sock.getsockname()[1] for sock in sockets)
        numbers = [sock.fileno() for sock in sockets]
        command = [sys.executable, "-m", __name__, str(self._root), *map(str, numbers)]
        with (self._root / "log").open("wb") as log:
            # It ends with its standard input, should the tests be killed.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=numbers
            )
        for sock in sockets:
            sock.close()

    def stop(self) -> None:
        self._process.communicate(timeout=PATIENCE)

    def log(self) -> str:
        return (self._root / "log").read_text()[-4000:]

    @property
    def version(self) -> str:
        return str(aiosmtpd.__version__)


class _Handler:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = count()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address not in (KEPT, OTHER, KEPT.replace("kept", "größe")):
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        name = str(next(self._numbers))
        content = envelope.original_content
        assert content is not None
        (self._root / "tmp" / name).write_bytes(content)
        os.rename(self._root / "tmp" / name, self._root / "new" / name)
        return "250 2.0.0 Kept"


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(
        success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False
    )


async def _serve(root: Path, numbers: list[int]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "server.pem")
    handler = _Handler(root)
    loop = asyncio.get_running_loop()
    for number, implicit in zip(numbers, (False, True), strict=True):

        def factory(implicit: bool = implicit) -> SMTP:
            return SMTP(
                handler,
                hostname="aiosmtpd.example",
                tls_context=None if implicit else context,
                authenticator=_authenticate,
                auth_require_tls=not implicit,
                data_size_limit=SIZE_LIMIT,
                enable_SMTPUTF8=True,
            )

        await loop.create_server(
            factory, sock=socket.socket(fileno=number), ssl=context if implicit else None
        )
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]]))
