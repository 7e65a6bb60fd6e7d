"""A server that keeps a ledger, without sockets: bytes in, bytes out, and what it took responsibility for.

The scripted peer does whatever a test tells it. This one does what a correct server does with any bytes at
all, which is what a client has to be held against when bytes were lost or damaged on the way. It is quick
enough for a million messages, and what it has seen and answered when a connection breaks is no matter of
chance.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, NamedTuple

from .sasl_server import EVERY, Gate, Steps

__all__ = ("PASSWORD", "USER", "Broken", "Desk", "Manners", "Taken")

#: Who may log in, by every mechanism but those that take tokens.
USER, PASSWORD = "user", "pass word"

_PATH = re.compile(rb"(FROM|TO):<([^<>]*)>(?: .*)?", re.IGNORECASE | re.DOTALL)
_BDAT = re.compile(rb"(\d{1,9})( LAST)?", re.IGNORECASE)


class Taken(NamedTuple):
    """A message that was answered with 2yz, dots and terminator removed, and who it was taken for."""

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes


class Manners(NamedTuple):
    """What a server offers, and whom it refuses.

    :ivar unknown: recipients that RCPT refuses
    :ivar full: recipients that LMTP refuses after the content
    """

    extensions: Sequence[str] = ()
    lmtp: bool = False
    unknown: Collection[bytes] = ()
    full: Collection[bytes] = ()


class Broken(Exception):
    """The server gives up this connection.

    :param last_words: what it still says, perhaps a part of a reply
    :param reset: whether it is told by RST and not by FIN
    """

    def __init__(self, last_words: bytes = b"", reset: bool = False) -> None:
        super().__init__()
        self.last_words = last_words
        self.reset = reset


class Desk:
    """One connection to the server.

    :param take: called with each :class:`Taken`, before the reply that says so is there
    :ivar upgrade: whether STARTTLS was accepted: what comes next is a handshake
    :ivar over: whether the client said QUIT
    """

    def __init__(self, manners: Manners, take: Callable[[Taken], object]) -> None:
        self.manners = manners
        self.upgrade = False
        self.over = False
        self._take = take
        self._in = bytearray()
        self._out: list[bytes] = []
        self._next: Callable[[], bool] = self._command
        self._login: Steps | None = None
        self._chunk = 0
        self._last = False
        self._forget()

    def _forget(self) -> None:
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []
        self._chunks: list[bytes] | None = None
        self._failed = False  # a chunk was refused: RFC 3030 section 2 leaves only RSET

    # -- what others may change ----------------------------------------------------------------------

    def judge(self, place: str, subject: bytes) -> bytes | None:
        """A reply of its own to ``"MAIL"``, ``"RCPT"``, ``"DATA"`` or the content (``"."``), or ``None``.

        :param subject: the address, or the content
        :raises Broken: to end the connection instead
        """
        return None

    def accept(self, taken: Taken) -> bytes:
        """Take a message, and say so.

        :raises Broken: to end the connection instead of saying so
        """
        self._take(taken)
        return b"250 Ok\r\n"

    # -- bytes ---------------------------------------------------------------------------------------

    def greeting(self) -> bytes:
        return b"220 desk\r\n"

    def feed(self, data: bytes) -> bytes:
        """Take bytes, and return the replies to what is complete.

        :raises Broken: as :meth:`judge` and :meth:`accept` do, with all replies before it
        """
        self._in += data
        try:
            while not self.over and not self.upgrade and self._next():
                pass
        except Broken as end:
            end.last_words = b"".join(self._out) + end.last_words
            raise
        out = b"".join(self._out)
        self._out.clear()
        return out

    def unread(self) -> bytes:
        """Take back what was not read: after STARTTLS, the beginning of the handshake."""
        rest = bytes(self._in)
        self._in.clear()
        return rest

    def secured(self) -> None:
        """The handshake is over. What was said before it is forgotten (RFC 3207 section 4.2)."""
        self.upgrade = False
        self._forget()
        extensions = [each for each in self.manners.extensions if each != "STARTTLS"]
        self.manners = self.manners._replace(extensions=extensions)

    def _command(self) -> bool:
        end = self._in.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._in[:end])
        del self._in[: end + 2]
        verb, _, rest = line.partition(b" ")
        method = self._COMMANDS.get(verb.upper())
        self._out.append(b"500 What?\r\n" if method is None else method(self, rest) or b"")
        return True

    # -- commands ------------------------------------------------------------------------------------

    def _hello(self, rest: bytes) -> bytes:
        self._forget()
        lines = ["desk", *self.manners.extensions]
        last = b"250 %b\r\n" % lines.pop().encode()
        return b"".join(b"250-%b\r\n" % line.encode() for line in lines) + last

    def _ehlo(self, rest: bytes) -> bytes:
        return b"500 LHLO\r\n" if self.manners.lmtp else self._hello(rest)

    def _lhlo(self, rest: bytes) -> bytes:
        return self._hello(rest) if self.manners.lmtp else b"500 EHLO\r\n"

    def _helo(self, rest: bytes) -> bytes:
        if self.manners.lmtp:
            return b"500 LHLO\r\n"
        self._forget()
        return b"250 desk\r\n"

    def _mail(self, rest: bytes) -> bytes:
        if self._sender is not None or self._failed:
            return b"503 RSET first\r\n"
        match = _PATH.fullmatch(rest)
        if match is None or match[1].upper() != b"FROM":
            return b"501 What?\r\n"
        reply = self.judge("MAIL", match[2])
        if reply is None:
            self._sender = match[2]
        return reply or b"250 Ok\r\n"

    def _rcpt(self, rest: bytes) -> bytes:
        if self._sender is None or self._chunks is not None or self._failed:
            return b"503 MAIL first\r\n"
        match = _PATH.fullmatch(rest)
        if match is None or match[1].upper() != b"TO":
            return b"501 What?\r\n"
        if match[2] in self.manners.unknown:
            return b"550 Who?\r\n"
        reply = self.judge("RCPT", match[2])
        if reply is None:
            self._recipients.append(match[2])
        return reply or b"250 Ok\r\n"

    def _data(self, rest: bytes) -> bytes:
        if not self._recipients or self._chunks is not None or self._failed:
            return b"503 RCPT first\r\n" if self.manners.lmtp else b"554 No recipients\r\n"
        reply = self.judge("DATA", b"")
        if reply is None:
            self._next = self._content
        return reply or b"354 Go\r\n"

    def _bdat(self, rest: bytes) -> bytes | None:
        match = _BDAT.fullmatch(rest)
        if match is None:
            return b"501 What?\r\n"
        self._chunk, self._last = int(match[1]), match[2] is not None
        self._next = self._octets
        return None

    def _rset(self, rest: bytes) -> bytes:
        self._forget()
        return b"250 Ok\r\n"

    def _noop(self, rest: bytes) -> bytes:
        return b"250 Ok\r\n"

    def _quit(self, rest: bytes) -> bytes:
        self.over = True
        return b"221 Bye\r\n"

    def _starttls(self, rest: bytes) -> bytes:
        if "STARTTLS" not in self.manners.extensions:
            return b"502 No\r\n"
        self.upgrade = True
        return b"220 Go\r\n"

    # -- content -------------------------------------------------------------------------------------

    def _content(self) -> bool:
        if self._in.startswith(b".\r\n"):
            text, size = b"", 3
        else:
            end = self._in.find(b"\r\n.\r\n")
            if end < 0:
                return False
            text, size = bytes(self._in[: end + 2]), end + 5
        del self._in[:size]
        self._next = self._command
        text = text.replace(b"\r\n.", b"\r\n")
        self._finish(text[1:] if text.startswith(b".") else text)
        self._forget()
        return True

    def _octets(self) -> bool:
        if len(self._in) < self._chunk:
            return False
        octets = bytes(self._in[: self._chunk])
        del self._in[: self._chunk]
        self._next = self._command
        if not self._recipients or self._failed:
            self._failed = True
            self._out.append(b"503 RCPT first\r\n")
        elif not self._last:
            self._chunks = [*(self._chunks or ()), octets]
            self._out.append(b"250 Ok\r\n")
        else:
            self._finish(b"".join([*(self._chunks or ()), octets]))
            self._forget()
        return True

    def _finish(self, content: bytes) -> None:
        assert self._sender is not None
        reply = self.judge(".", content)
        if reply is not None:
            self._out.append(reply)
        elif self.manners.lmtp:
            for recipient in self._recipients:
                refused = recipient in self.manners.full
                taken = Taken(self._sender, (recipient,), content)
                self._out.append(b"552 Full\r\n" if refused else self.accept(taken))
        else:
            self._out.append(self.accept(Taken(self._sender, tuple(self._recipients), content)))

    # -- logging in ----------------------------------------------------------------------------------

    def _auth(self, rest: bytes) -> bytes:
        mechanism, _, initial = rest.decode("latin-1").upper().partition(" ")
        if mechanism not in EVERY:
            return b"504 What?\r\n"
        try:
            first = b"" if initial == "=" else base64.b64decode(rest.partition(b" ")[2], validate=True)
        except binascii.Error:
            return b"501 What?\r\n"
        self._login = Gate(USER, PASSWORD).steps(mechanism, first)
        return self._step(None)

    def _response(self) -> bool:
        end = self._in.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._in[:end])
        del self._in[: end + 2]
        self._next = self._command
        try:
            self._out.append(self._step(base64.b64decode(line, validate=True)))
        except binascii.Error:
            self._out.append(b"501 Cancelled\r\n")
        return True

    def _step(self, response: bytes | None) -> bytes:
        assert self._login is not None
        try:
            challenge = self._login.send(response)  # type: ignore[arg-type]
        except StopIteration as stop:
            return b"235 Welcome\r\n" if stop.value else b"535 No\r\n"
        except Exception:  # damaged: what a mechanism has in it is not there
            return b"535 No\r\n"
        self._next = self._response
        return b"334 %b\r\n" % base64.b64encode(challenge)

    _COMMANDS: ClassVar[dict[bytes, Callable[["Desk", bytes], bytes | None]]] = {
        b"EHLO": _ehlo,
        b"LHLO": _lhlo,
        b"HELO": _helo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"BDAT": _bdat,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
        b"STARTTLS": _starttls,
        b"AUTH": _auth,
        b"VRFY": lambda self, rest: b"252 Perhaps\r\n",
        b"EXPN": lambda self, rest: b"250 <b@example.com>\r\n",
        b"HELP": lambda self, rest: b"214 Help yourself\r\n",
    }
