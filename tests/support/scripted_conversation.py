"""The peer's side of one connection: what scripts do with it, and the obliging server that they interrupt.

See :mod:`tests.support.scripted_server` for the positions of the dialogue and for what can be put there.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from .scripted_stream import Hangup, Wire
from .scripted_transaction import Accepted, Transaction, path

if TYPE_CHECKING:
    from .scripted_server import Peer

__all__ = ("CONTENT", "DEFAULTS", "UNKNOWN", "Action", "Conversation")

#: What happens at a position: a reply (CRLF is added), raw bytes (nothing is added), or a function.
#: A function returns the reply that it sent where the dialogue should go on as after that reply.
Action: TypeAlias = "str | bytes | Callable[[Conversation], Awaitable[str | None]]"

DEFAULTS: dict[str, Action] = {
    "connect": "220 peer.example ESMTP",
    "HELO": "250 peer.example",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 Go on",
    ".": "250 2.0.0 Accepted",
    "BDAT LAST": "250 2.0.0 Accepted",
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
UNKNOWN = "500 5.5.1 What?"
#: Stands in ``Conversation.log`` for message text or a chunk.
CONTENT = b"<content>"


class Conversation(Wire):
    """One accepted connection, seen from the peer's side."""

    def __init__(self, peer: "Peer", sock: socket.socket) -> None:
        super().__init__(sock)
        self.peer = peer
        self.commands: list[bytes] = []  # lines outside of message text, without CRLF
        self.answers: list[bytes] = []  # those of the commands that answered a challenge of AUTH
        self.bodies: list[bytes] = []  # complete message texts as they were on the wire
        self.partial: bytes | None = None  # a message text that the client broke off
        #: The dialogue in the order of the peer's doing: ("C", line), ("C", CONTENT), ("S", reply), and
        #: ("ahead", data) where ``when_received`` found data to be there before the next reply was sent.
        self.log: list[tuple[str, bytes | str]] = []
        self.line = b""  # the line that is being answered
        self.position = ""  # and what is being done about it
        self.recipient = b""  # LMTP: whose final reply is next
        self.transaction = Transaction()
        self._mails = 0
        self._octets = 0  # of the chunk that is being answered
        self._content: bytes | None = None  # a message that is complete, and not yet answered
        self._entry: int | None = None  # LMTP: where the ledger has it

    # What scripts use

    async def send(self, data: bytes) -> None:
        # Both before the first byte leaves, so that a client that has the reply finds the entries.
        self.log.append(("S", data.removesuffix(b"\r\n").decode("utf-8", "backslashreplace")))
        if data.startswith(b"2"):
            self.accept()
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
        line = await super().read_line()
        self.log.append(("C", line))
        return line

    async def ahead(self, data: bytes) -> None:
        """Wait until this was received beyond what is being answered."""
        await super().ahead(data)
        self.log.append(("ahead", data))

    async def expect(self, command: bytes) -> None:
        """Read a line that has to be this one."""
        line = await self.read_line()
        self.commands.append(line)
        assert line == command, f"expected {command!r}, got {line!r}"

    async def read_body(self) -> bytes:
        """Read message text up to and including the lone dot, and keep it; return it without stuffing."""
        try:
            raw = await self.read_text()
        except Hangup:
            self.partial = self.unread
            raise
        self.log.append(("C", CONTENT))
        self.bodies.append(raw)
        lines = raw.split(b"\r\n")[:-2]
        return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines)

    def accept(self) -> None:
        """Enter the message that is waiting for its reply into the ledger of those the peer answers for.

        With LMTP it is entered for the recipient whose reply this is.
        """
        if self._content is None:
            return
        ledger, sender = self.peer.accepted, self.transaction.sender
        if not self.peer.lmtp:
            ledger.append(Accepted(sender, tuple(self.transaction.recipients), self._content))
            self._content = None
        elif self._entry is None:
            self._entry = len(ledger)
            ledger.append(Accepted(sender, (self.recipient,) if self.recipient else (), self._content))
        else:
            entry = ledger[self._entry]
            ledger[self._entry] = entry._replace(recipients=(*entry.recipients, self.recipient))

    def default(self) -> Action:
        """What the obliging server does at the position that it has come to."""
        position, peer = self.position, self.peer
        if peer.strict and (objection := self.transaction.objection(position, peer.lmtp)):
            return objection
        mailmax, rcptmax = peer.limits
        if position == "MAIL" and mailmax is not None and self._mails >= mailmax:
            return _dismiss
        if position == "RCPT" and rcptmax is not None and len(self.transaction.recipients) >= rcptmax:
            return "452 4.5.3 too many recipients"
        if position == ("LHLO" if peer.lmtp else "EHLO"):
            return self._extensions()
        if position == "HELO" and peer.lmtp:
            return UNKNOWN
        if position == "BDAT":
            return f"250 2.0.0 {self._octets} octets"
        return DEFAULTS.get(position, UNKNOWN)

    # The obliging server

    async def converse(self) -> None:
        if self.peer.implicit_tls:
            await self.start_tls()
        await self.at("connect")
        try:
            while True:
                self.line = await self.read_line()
                self.commands.append(self.line)
                verb = self.line.split(b" ")[0].decode("latin-1").upper()
                self.peer.note(verb)
                await self._command(verb)
        except Hangup:
            if self.partial is None and self.transaction.chunks and not self.transaction.failed:
                self.partial = b"".join(self.transaction.chunks)
            raise

    async def at(self, position: str) -> str:
        """Do what the script has for this position; return the reply where it is a plain one."""
        self.position = position
        return await self.perform(
            self.peer.actions[position] if position in self.peer.actions else self.default()
        )

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
        if verb == "BDAT":
            await self._bdat()
            return
        if verb in (".", "*") and self.peer.strict:  # positions, and no commands
            await self.reply(UNKNOWN)
            return
        reply = await self.at(verb)
        positive = reply.startswith("2")
        transaction = self.transaction
        if verb == "MAIL" and positive:
            self._mails += 1
            self.transaction = Transaction()
            self.transaction.sender = path(self.line)
        elif verb == "RCPT" and positive:
            transaction.recipients.append(path(self.line))
        elif verb == "DATA" and reply.startswith("354"):
            await self._final(".", await self.read_body(), self.peer.lmtp)
            self.transaction = Transaction()
        elif verb == "STARTTLS" and positive:
            await self.start_tls()
            self.transaction = Transaction()
        elif verb == "QUIT" and positive:
            await self.cut()
        elif verb in ("RSET", "HELO", "EHLO", "LHLO") and (positive or not self.peer.strict):
            self.transaction = Transaction()

    async def _final(self, position: str, content: bytes, each: bool) -> str:
        """Do what the script has for the end of this message, and return the (last) reply.

        :param each: once for each accepted recipient, and so not at all without one (RFC 2033 section 4.2)
        """
        self.peer.note(position)
        self._content, self._entry = content, None
        reply = ""
        for recipient in self.transaction.recipients if each else (b"",):
            self.recipient = recipient
            reply = await self.at(position)
        self._content = None
        return reply

    async def _bdat(self) -> None:
        _, size, *rest = [*self.line.upper().split(b" "), b""]
        if not size.isdigit() or rest not in ([b""], [b"LAST", b""]):
            await self.reply("501 5.5.4 BDAT size [LAST]")
            return
        try:
            chunk = await self.read_octets(int(size))
        except Hangup:
            self.partial = b"".join([*(self.transaction.chunks or ()), self.unread])
            raise
        self.log.append(("C", CONTENT))
        self._octets = len(chunk)
        await (self._last_chunk(chunk) if rest[0] else self._chunk(chunk))

    async def _chunk(self, chunk: bytes) -> None:
        transaction = self.transaction
        self.peer.note("BDAT")
        if (await self.at("BDAT")).startswith("2"):
            transaction.chunks = [*(transaction.chunks or ()), chunk]
        elif self.peer.strict:
            transaction.failed = True

    async def _last_chunk(self, chunk: bytes) -> None:
        strict, lmtp, transaction = self.peer.strict, self.peer.lmtp, self.transaction
        content = b"".join([*(transaction.chunks or ()), chunk])
        out_of_order = strict and transaction.objection("BDAT LAST", lmtp) is not None
        if not out_of_order:
            self.bodies.append(content)
        # What is out of order has one reply, that to the command.
        reply = await self._final("BDAT LAST", content, lmtp and not out_of_order)
        if reply.startswith("2") and out_of_order:
            self.bodies.append(content)  # the script would have it
        if reply.startswith("2") or not strict or (lmtp and not out_of_order):
            self.transaction = Transaction()
        else:
            transaction.failed = True

    def _extensions(self) -> bytes:
        lines = ["peer.example", *self.peer.extensions]
        if self.peer.tls is not None and not self.encrypted:
            lines.append("STARTTLS")
        last = b"250 %s\r\n" % lines.pop().encode()
        return b"".join(b"250-%s\r\n" % line.encode() for line in lines) + last

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


async def _dismiss(conversation: Conversation) -> None:
    await conversation.reply("421 4.7.0 too many messages")
    await conversation.cut()
