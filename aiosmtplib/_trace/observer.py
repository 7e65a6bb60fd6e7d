"""Those who want to know what is said while it is said: the log, and a program's hook for each command.

A connection without them has no :class:`CommandObserver`, and pays nothing. With one, the session tells it
what is written and what comes. It keeps that until the session has done its work: a hook or a log handler
that raises, or that uses the client, must not do so in the middle of it.
"""

import inspect
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from ..response import SMTPResponse
from .redaction import HIDDEN, UNKNOWN, hidden_reply
from .transcript import command_line, reply_lines, shown

#: Connections, and hooks that raise.
log = logging.getLogger("aiosmtplib")
#: Each line that client and server say.
wire_log = logging.getLogger("aiosmtplib.wire")

#: Tells the connections of this process apart.
numbers = count(1)


class CommandEvent(NamedTuple):
    """One command and the reply to it, as ``on_command`` is told of it.

    :ivar verb: in capitals. What is no command has a name in small letters: ``"greeting"``; ``"content"``,
        the message after DATA; ``"response"``, the answer to a challenge of AUTH; ``"other"``, a command that
        this package does not know, and what was written or came without one.
    :ivar code: the reply code, -1 where what came is no SMTP reply, ``None`` where no reply came
    :ivar seconds: from when the command, or the group that it was sent in, was given to be written, until the
        reply came
    :ivar written: octets of the command, with BDAT those of its content, too; before TLS
    :ivar received: octets of the reply
    :ivar connection: the number of the connection in this process, as in the log
    """

    verb: str
    code: int | None
    seconds: float
    written: int
    received: int
    connection: int


#: What ``on_command`` takes: a function that is called with each :class:`CommandEvent`.
CommandHook: TypeAlias = Callable[[CommandEvent], object]


def check_hook(hook: object) -> None:
    """:raises TypeError: if it cannot be called, or would have to be awaited"""
    if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
        raise TypeError("The on_command option is a function that is not asynchronous, or None")


class _Unanswered:
    """A command whose reply has not come."""

    __slots__ = ("at", "octets", "secret", "verb")

    def __init__(self, verb: str, at: float, octets: int, secret: bool) -> None:
        self.verb = verb
        self.at = at
        self.octets = octets
        self.secret = secret


class CommandObserver:
    """What is said on one connection (see :class:`aiosmtplib._codec.types.SessionObserver`).

    :param number: that of the connection
    :param hook: is called with each command
    """

    def __init__(self, number: int, hook: CommandHook | None) -> None:
        self.logging = False
        self._number = number
        self._hook = hook
        self._began = time.perf_counter()
        self._greeted = False
        self._unanswered: deque[_Unanswered] = deque()
        self._streamed: _Unanswered | None = None
        self._told: list[str | CommandEvent] = []
        # The octets of each complete reply, of the one that is not complete, and its last line.
        self._sizes: deque[int] = deque()
        self._size = 0
        self._line = b""

    # -- said by the session -------------------------------------------------------------------------

    def said(self, said: bytes | int | list[bytes] | None, size: int, expected: int, secret: bool) -> None:
        now = time.perf_counter()
        lines = said.splitlines(keepends=True) if isinstance(said, bytes) else []
        if self.logging:
            self._told += map(command_line, lines)
            if isinstance(said, int) and size:
                self._told.append(command_line(said))
        if isinstance(said, list):
            return  # each chunk is pushed
        if isinstance(said, int):
            commands = [("content" if expected else "other", size)]
        elif not lines:
            commands = [("other" if self._greeted else "greeting", 0)]
            now = now if self._greeted else self._began
        else:
            commands = [(_verb(line, secret), len(line)) for line in lines]
            # What is hidden, and the content that follows a BDAT.
            commands[-1] = commands[-1][0], size - sum(map(len, lines[:-1]))
        commands += [(commands[-1][0], 0)] * (expected - len(commands))
        unanswered = [_Unanswered(verb, now, octets, secret) for verb, octets in commands]
        if isinstance(said, int):
            self._streamed = unanswered[0]
        if expected:
            self._unanswered += unanswered
        else:
            self._tell(unanswered[0], None, 0)

    def pushed(self, header: bytes, size: int, replies: int, last: bool) -> None:
        if replies:
            if self.logging:
                self._told.append(command_line(header))
            self._unanswered.append(_Unanswered(_verb(header, False), time.perf_counter(), size, False))
        else:
            assert self._streamed is not None
            self._streamed.octets += size
            if last and self.logging:
                self._told.append(command_line(self._streamed.octets))

    def heard(self, replies: list[SMTPResponse]) -> None:
        for reply in replies:
            if self._unanswered:
                self._answer(self._unanswered.popleft(), reply)
            else:
                self.unasked(reply, False)

    def unasked(self, reply: SMTPResponse, secret: bool) -> None:
        verb, at = ("other", time.perf_counter()) if self._greeted else ("greeting", self._began)
        self._answer(_Unanswered(verb, at, 0, secret), reply)

    def broken(self, unwritten: int) -> None:
        while self._unanswered and unwritten and self._unanswered[-1].octets <= unwritten:
            unwritten -= self._unanswered.pop().octets  # nothing of it was written
        for unanswered in self._unanswered:
            self._tell(unanswered, None, 0)
        self._unanswered.clear()

    def _answer(self, unanswered: _Unanswered, reply: SMTPResponse) -> None:
        self._greeted = True
        if self.logging:
            self._told += reply_lines(hidden_reply(reply) if unanswered.secret else reply)
        if reply[0] >= 0 and self._sizes:
            size = self._sizes.popleft()
        else:  # nothing after it counts
            size = self._size + sum(self._sizes)
            self._size = 0
            self._sizes.clear()
        self._tell(unanswered, reply[0], size)

    def _tell(self, unanswered: _Unanswered, code: int | None, received: int) -> None:
        if self._hook is not None:
            seconds = time.perf_counter() - unanswered.at
            event = CommandEvent(unanswered.verb, code, seconds, unanswered.octets, received, self._number)
            self._told.append(event)

    # -- said by the connection ----------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Measure the replies in what came, before the session reads it."""
        if self._hook is None:
            return
        for line in data.splitlines(keepends=True):
            self._size += len(line)
            self._line = (self._line + line[:4])[:4]
            if line.endswith(b"\n"):
                if self._line[3:] != b"-":
                    self._sizes.append(self._size)
                    self._size = 0
                self._line = b""

    def deliver(self) -> None:
        """Log, and call the hook. To be called where either may do whatever it likes."""
        while self._told:
            told, self._told = self._told, []
            for each in told:
                if isinstance(each, str):
                    wire_log.debug("[%d] %s", self._number, each)
                else:
                    self._call(each)

    def _call(self, event: CommandEvent) -> None:
        assert self._hook is not None
        try:
            self._hook(event)
        except Exception:
            log.exception("[%d] on_command raised an exception, and the connection goes on", self._number)


def _verb(line: bytes, secret: bool) -> str:
    """What a command is called in an event."""
    if secret and line in (HIDDEN, UNKNOWN):
        return "response" if line == HIDDEN else "other"
    return line.split(None, 1)[0].upper().decode("ascii", "replace")


def log_connected(number: int, info: Callable[[str], Any]) -> None:
    """Log where a connection goes, and what protects it.

    :param info: ``get_extra_info`` of its transport
    """
    if not log.isEnabledFor(logging.DEBUG):
        return
    peer = info("peername")
    where = shown(":".join(map(str, peer[:2])) if isinstance(peer, tuple) else repr(peer))
    log.debug("[%d] connected to %s", number, where)
    log_tls(number, info)


def log_tls(number: int, info: Callable[[str], Any]) -> None:
    tls = info("ssl_object")
    if tls is not None and log.isEnabledFor(logging.DEBUG):
        cipher, _, bits = tls.cipher()
        log.debug("[%d] protected by %s, %s, %d bits", number, tls.version(), cipher, bits)


def log_lost(number: int, reason: str | None, level: int) -> None:
    """:param reason: ``None`` where this side closed it. What follows a colon may be the server's words."""
    if reason is None:
        log.debug("[%d] closed", number)
    else:
        log.log(level, "[%d] lost: %s", number, reason.partition(":")[0])
