"""A scripted SMTP peer on loopback, for what a well-behaved server would never do to a client.

Without overrides it is a plain, obliging server. An override replaces what it does at one *position* of the
dialogue: ``"connect"`` (the greeting), a verb in capitals (``"MAIL"``), ``"."`` (the end of the message) or
``"*"`` (a line inside an AUTH exchange).

Everything received is kept in a ledger, and so is what the peer took responsibility for.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import NamedTuple, TypeAlias

from .wire import Hangup, Wire

__all__ = ("PATIENCE", "Accepted", "Action", "Conversation", "Hangup", "Peer")

#: What happens at a position: a reply (CRLF is added), raw bytes (nothing is added), or a function.
#: A function returns the reply that it sent where the dialogue should go on as after that reply.
Action: TypeAlias = "str | bytes | Callable[[Conversation], Awaitable[str | None]]"

#: Only a hang guard: far beyond what any step needs, so that a bug fails one test and does not stop the run.
PATIENCE = 10.0

GREETING = "220 peer.example ESMTP"
DEFAULTS: dict[str, Action] = {
    "connect": GREETING,
    "HELO": "250 peer.example",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 Go on",
    ".": "250 2.0.0 Accepted",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "VRFY": "252 2.0.0 Perhaps",
    "EXPN": "250 2.0.0 <b@example.com>",
    "HELP": "214 Help yourself",
    "QUIT": "221 2.0.0 Bye",
    "STARTTLS": "220 2.0.0 Ready",
    "AUTH": "235 2.7.0 Welcome",
    "*": "235 2.7.0 Welcome",
}


class Accepted(NamedTuple):
    """A message that the peer took responsibility for, with dots and terminator removed."""

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes


class Conversation(Wire):
    """One accepted connection, seen from the peer's side."""

    def __init__(self, peer: "Peer", sock: socket.socket) -> None:
        super().__init__(sock)
        self.peer = peer
        self.commands: list[bytes] = []  # lines outside of message text, without CRLF
        self.answers: list[bytes] = []  # those of the commands that answered a challenge of AUTH
        self.bodies: list[bytes] = []  # complete message texts as they were on the wire
        self.partial: bytes | None = None  # a message text that the client broke off
        self.line = b""  # the line that is being answered
        self._sender = b""
        self._recipients: list[bytes] = []
        self._content: bytes | None = None  # a message that is complete, and not yet answered

    # What scripts use

    async def send(self, data: bytes) -> None:
        if data.startswith(b"2"):
            self.accept()  # before the first byte leaves, so that a client that has the reply finds the entry
        await super().send(data)

    async def start_tls(self, context: ssl.SSLContext | None = None) -> None:
        """A real handshake, on what the client sends next."""
        context = context or self.peer.tls
        assert context is not None, "this peer was given no TLS context"
        try:
            await super().start_tls(context)
        except Hangup as exc:
            if isinstance(exc.__cause__, ssl.SSLError):
                self.peer.tls_errors.append(exc.__cause__)
            raise

    async def reply(self, text: str) -> None:
        await self.send(text.encode("utf-8") + b"\r\n")

    async def read_line(self) -> bytes:
        """The next line without its CRLF."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def expect(self, command: bytes) -> None:
        """Read a line that has to be this one."""
        line = await self.read_line()
        self.commands.append(line)
        assert line == command, f"expected {command!r}, got {line!r}"

    async def read_body(self) -> bytes:
        """Read message text up to and including the lone dot, and keep it; return it without stuffing."""
        scanned = 0
        try:
            while not self._buffer.startswith(b".\r\n"):
                end = self._buffer.find(b"\r\n.\r\n", max(0, scanned - 5))
                if end >= 0:
                    end += 5
                    break
                scanned = len(self._buffer)
                await self._fill()
            else:
                end = 3
        except Hangup:
            self.partial = bytes(self._buffer)
            raise
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        self.bodies.append(raw)
        lines = raw.split(b"\r\n")[:-2]
        return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines)

    def accept(self) -> None:
        """Enter the message that is waiting for its reply into the ledger of those the peer answers for."""
        if self._content is not None:
            self.peer.accepted.append(Accepted(self._sender, tuple(self._recipients), self._content))
            self._content = None

    # The obliging server

    async def converse(self) -> None:
        if self.peer.implicit_tls:
            await self.start_tls()
        await self.at("connect")
        while True:
            self.line = await self.read_line()
            self.commands.append(self.line)
            verb = self.line.split(b" ")[0].decode("latin-1").upper()
            self.peer.note(verb)
            await self._command(verb)

    async def at(self, position: str) -> str:
        """Do what the script has for this position; return the reply where it is a plain one."""
        return await self.perform(self.peer.action(position))

    async def perform(self, action: Action) -> str:
        if isinstance(action, str):
            await self.reply(action)
            return action
        if isinstance(action, bytes):
            await self.send(action)
            return action.decode("latin-1")
        return await action(self) or ""

    async def _command(self, verb: str) -> None:
        if verb == "AUTH":
            await self._auth()
            return
        if verb == "EHLO" and "EHLO" not in self.peer.actions:
            await self._ehlo()
            return
        if not self.peer.knows(verb):
            await self.reply("500 5.5.1 What?")
            return
        reply = await self.at(verb)
        if verb == "MAIL" and reply.startswith("2"):
            self._sender, self._recipients = _path(self.line), []
        elif verb == "RCPT" and reply.startswith("2"):
            self._recipients.append(_path(self.line))
        elif verb == "DATA" and reply.startswith("354"):
            await self.finish_body()
        elif verb == "STARTTLS" and reply.startswith("2"):
            await self.start_tls()
        elif verb == "QUIT" and reply.startswith("2"):
            await self.cut()
        elif verb in ("RSET", "HELO", "EHLO"):
            self._sender, self._recipients = b"", []

    async def finish_body(self) -> None:
        """Read the message text and do what the script has for its end."""
        self._content = await self.read_body()
        self.peer.note(".")
        await self.at(".")
        self._content = None
        self._sender, self._recipients = b"", []

    async def _ehlo(self) -> None:
        lines = ["peer.example", *self.peer.extensions]
        if self.peer.tls is not None and not self.encrypted:
            lines.append("STARTTLS")
        await self.send(
            b"".join(b"250-%s\r\n" % line.encode() for line in lines[:-1])
            + b"250 %s\r\n" % lines[-1].encode()
        )
        self._sender, self._recipients = b"", []

    async def _auth(self) -> None:
        reply = await self.at("AUTH")
        while reply.startswith("334"):
            self.line = await self.read_line()
            self.commands.append(self.line)
            self.answers.append(self.line)
            self.peer.note("*")
            if self.line == b"*":  # RFC 4954 section 4: the client cancels the exchange
                await self.reply("501 5.7.0 Cancelled")
                return
            reply = await self.at("*")


class Peer:
    """The listening side. Use it as an async context manager.

    :param actions: overrides by position
    :param extensions: the lines of the EHLO reply after the first; STARTTLS is added where ``tls`` is given
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
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        script: Callable[[Conversation], Awaitable[None]] | None = None,
        path: str | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self.actions = dict(actions or {})
        self.extensions = tuple(extensions)
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

    def knows(self, position: str) -> bool:
        return position in self.actions or position in DEFAULTS

    def action(self, position: str) -> Action:
        return self.actions[position] if position in self.actions else DEFAULTS[position]

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


def _path(line: bytes) -> bytes:
    start, end = line.index(b"<"), line.rindex(b">")
    return line[start + 1 : end]
