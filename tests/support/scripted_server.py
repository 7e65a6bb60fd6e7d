"""A scripted SMTP peer on loopback, for what a well-behaved server would never do to a client.

Without overrides it is a plain, obliging server. An override replaces what it does at one *position* of the
dialogue: ``"connect"`` (the greeting), a verb in capitals (``"MAIL"``), ``"."`` (the end of the message),
``"BDAT"`` (a chunk that is not the last), ``"BDAT LAST"`` or ``"*"`` (a line inside an AUTH exchange).

Everything received is kept in a ledger, and so is what the peer took responsibility for.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

from .scripted_conversation import CONTENT, DEFAULTS, Action, Conversation
from .scripted_stream import Hangup
from .scripted_transaction import Accepted, Limits

__all__ = (
    "BINARYMIME",
    "CHUNKING",
    "CONTENT",
    "DEFAULTS",
    "PATIENCE",
    "PIPELINING",
    "Accepted",
    "Action",
    "Conversation",
    "Hangup",
    "Limits",
    "Peer",
)

#: Only a hang guard: far beyond what any step needs, so that a bug fails one test and does not stop the run.
PATIENCE = 10.0

#: Values for ``extensions``.
PIPELINING = ("SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING")
CHUNKING = (*PIPELINING, "CHUNKING")
BINARYMIME = (*CHUNKING, "BINARYMIME")


class Peer:
    """The listening side. Use it as an async context manager.

    :param actions: overrides by position
    :param extensions: the lines of the EHLO reply after the first; STARTTLS is added where ``tls`` is given
    :param strict: refuse commands that are out of order, as RFC 5321 and 3030 have it; overrides come first
    :param limits: refuse what goes beyond; ``extensions`` has to announce it where that is wanted
    :param lmtp: RFC 2033: LHLO instead of EHLO and HELO, and a final reply for each accepted recipient
    :param tls: a server context, for STARTTLS or, with ``implicit_tls``, from the first byte
    :param script: an async function that replaces the whole dialogue
    :param path: listen on this Unix socket instead of a port of 127.0.0.1
    :param receive_buffer: SO_RCVBUF, small to make the client feel a peer that does not read
    """

    def __init__(
        self,
        actions: dict[str, Action] | None = None,
        *,
        extensions: Sequence[str] = ("SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES"),
        strict: bool = False,
        limits: Limits | None = None,
        lmtp: bool = False,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        script: Callable[[Conversation], Awaitable[None]] | None = None,
        path: str | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self.actions = dict(actions or {})
        self.extensions = tuple(extensions)
        self.strict = strict
        self.limits = limits or Limits()
        self.lmtp = lmtp
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.script = script
        self.host = "127.0.0.1"
        self.port = 0
        self.path = path
        self.conversations: list[Conversation] = []
        self.accepted: list[Accepted] = []
        self.tls_errors: list[Exception] = []
        self._receive_buffer = receive_buffer
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[str, asyncio.Event] = {}

    @property
    def commands(self) -> list[bytes]:
        """Every command line of every connection, in order of connection."""
        return [line for conversation in self.conversations for line in conversation.commands]

    @property
    def verbs(self) -> list[str]:
        return [line.split(b" ")[0].decode("latin-1").upper() for line in self.commands]

    @property
    def received(self) -> bytes:
        return b"".join(bytes(conversation.received) for conversation in self.conversations)

    def note(self, position: str) -> None:
        self._seen.setdefault(position, asyncio.Event()).set()

    async def seen(self, position: str) -> None:
        """Wait until the client has reached this position."""
        await asyncio.wait_for(self._seen.setdefault(position, asyncio.Event()).wait(), PATIENCE)

    async def hung_up(self) -> None:
        """Wait until the client has closed every connection that it made."""
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=PATIENCE)
            assert not pending, f"the client left {len(pending)} connection(s) open"

    async def __aenter__(self) -> "Peer":
        listener = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET, socket.SOCK_STREAM)
        listener.setblocking(False)
        if self._receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        listener.bind(self.path or (self.host, 0))
        listener.listen(64)
        if not self.path:
            self.port = listener.getsockname()[1]
        self._listener = listener
        task = asyncio.current_task()
        assert task is not None
        self._hang_guard = asyncio.get_running_loop().call_later(3 * PATIENCE, task.cancel)
        # Not sock_accept(): asyncio's cannot be cancelled in the moment when a connection arrives.
        asyncio.get_running_loop().add_reader(listener, self._accept)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hang_guard.cancel()
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        if exc is None:
            for result in results:
                if isinstance(result, Exception):
                    raise result

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:  # the client has gone again
            return
        sock.setblocking(False)
        if not self.path:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversation = Conversation(self, sock)
        self.conversations.append(conversation)
        self._tasks.append(asyncio.create_task(self._serve(conversation)))

    async def _serve(self, conversation: Conversation) -> None:
        try:
            await (self.script(conversation) if self.script else conversation.converse())
        except Hangup:
            pass
        finally:
            conversation.close()
