"""The observer of a connection, which writes the log of commands and replies and calls ``on_command``.

A connection that is not logged and has no hook has no :class:`CommandObserver`, and no cost. Else the session
calls the observer for all that is written and received. The observer queues log lines and events until the
session is in a consistent state: a hook or a log handler may raise, or use the client.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from ..response import SMTPResponse
from .redaction import HIDDEN, LONG, UNKNOWN, hidden_reply
from .transcript import command_line, incomplete_reply_lines, reply_lines, shown

#: The logger of connections (made, protected by TLS, closed, lost) and of hooks that raise.
log = logging.getLogger("aiosmtplib")
#: The logger of command and reply lines.
wire_log = logging.getLogger("aiosmtplib.wire")

#: The numbers of the connections of this process.
numbers = count(1)


class CommandEvent(NamedTuple):
    """One command and the reply to it: the argument of ``on_command``.

    :ivar verb: the verb of the command, in capitals. What is no command has a name in small letters:
        ``"greeting"``; ``"content"``, the message after DATA; ``"response"``, the response to a challenge of
        AUTH; ``"other"``, a command with an unknown verb, and octets written or replies received without a
        command.
    :ivar code: the reply code, -1 where the server sent something that is no SMTP reply, ``None`` where no
        reply came
    :ivar seconds: the time from handing the command, or the group in which it was sent, to the transport
        until the reply came
    :ivar written: the number of octets of the command, with BDAT including the chunk; before encryption
    :ivar received: the number of octets of the reply, after decryption
    :ivar connection: the number of the connection in this process, as in the log
    :ivar host: the name or the address of the server, as it was given, or the path of a Unix socket;
        ``None`` where only a socket was given
    :ivar port: the port of the server; ``None`` where it has none, or a socket was given
    :ivar tag: the ``tag`` of the :class:`Envelope` that the command belongs to, else ``None``
    """

    verb: str
    code: int | None
    seconds: float
    written: int
    received: int
    connection: int
    host: str | None = None
    port: int | None = None
    tag: Any = None


#: Of a connection: ``host`` and ``port`` of its :class:`CommandEvent`.
Server: TypeAlias = tuple[str | None, int | None]


#: The type of ``on_command``: a function that is called with each :class:`CommandEvent`.
CommandHook: TypeAlias = Callable[[CommandEvent], object]


def check_hook(hook: object) -> None:
    """Check the ``on_command`` option.

    :raises TypeError: if it is neither ``None`` nor a function, or is a coroutine function
    """
    if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
        raise TypeError("The on_command option is a function that is not asynchronous, or None")


class _LogLine(NamedTuple):
    """A line for the log of commands and replies, with the fields of its record."""

    text: str
    verb: str | None = None
    code: int | None = None
    tag: Any = None


class _Unanswered:
    """A command whose reply has not come.

    :ivar at: when it was handed to the transport, as :func:`time.perf_counter` has it
    :ivar octets: the number of octets of the command and of what belongs to it
    :ivar secret: whether it contained credentials
    :ivar tag: that of the message that it belongs to
    """

    __slots__ = ("at", "octets", "secret", "tag", "verb")

    def __init__(self, verb: str, at: float, octets: int, secret: bool, tag: Any = None) -> None:
        self.verb = verb
        self.at = at
        self.octets = octets
        self.secret = secret
        self.tag = tag


class CommandObserver:
    """The observer of one connection (see :class:`aiosmtplib._codec.types.SessionObserver`).

    :param number: the number of the connection
    :param hook: the ``on_command`` of the client
    :param server: where it leads
    :ivar logging: whether lines are logged
    :ivar tag: that of the message which what is written from now on belongs to, until a reply comes: then it
        is that of the command which the reply answers, as only its dialogue goes on
    """

    def __init__(self, number: int, hook: CommandHook | None, server: Server = (None, None)) -> None:
        self.logging = False
        self.tag: Any = None
        self._number = number
        self._server = server
        self._hook = hook
        self._began = time.perf_counter()
        self._greeted = False
        self._unanswered: deque[_Unanswered] = deque()
        #: The content that is being streamed after DATA (not with BDAT), until its last piece is written.
        self._streamed: _Unanswered | None = None
        #: Log lines and events that have not been delivered.
        self._pending: list[_LogLine | CommandEvent] = []
        #: Whether the last reply was to credentials.
        self._after_secret = False
        #: The number of octets of each complete reply that the session has not passed on yet.
        self._sizes: deque[int] = deque()
        #: The reply that is not complete: the number of its octets, the first of them, and the first four
        #: octets of its last line, which say whether the reply ends there (RFC 5321 section 4.2.1).
        self._size = 0
        self._incomplete = b""
        self._line = b""

    # -- called by the session -----------------------------------------------------------------------

    def said(self, said: bytes | int | list[bytes] | None, size: int, expected: int, secret: bool) -> None:
        now = time.perf_counter()
        lines = said.splitlines(keepends=True) if isinstance(said, bytes) else []
        if self.logging:
            for line in lines:
                self._add_line(command_line(line), _verb(line, secret))
            if isinstance(said, int) and size:
                self._add_line(command_line(said), "content")
        if isinstance(said, list):
            return  # pushed() is called for each chunk
        if isinstance(said, int):
            commands = [("content" if expected else "other", size)]
        elif not lines:
            commands = [("other" if self._greeted else "greeting", 0)]
            now = now if self._greeted else self._began
        else:
            commands = [(_verb(line, secret), len(line)) for line in lines]
            # The last one has the octets that were redacted: credentials, or the chunk after a BDAT line.
            commands[-1] = commands[-1][0], size - sum(map(len, lines[:-1]))
        commands += [(commands[-1][0], 0)] * (expected - len(commands))
        unanswered = [_Unanswered(verb, now, octets, secret, self.tag) for verb, octets in commands]
        if isinstance(said, int) and not said:  # the pieces follow
            self._streamed = unanswered[0]
        if expected:
            self._unanswered += unanswered
        else:
            self._add_event(unanswered[0], None, 0)

    def pushed(self, header: bytes, size: int, replies: int, last: bool) -> None:
        if replies:
            verb = _verb(header, False)
            if self.logging:
                self._add_line(command_line(header), verb)
            self._unanswered.append(_Unanswered(verb, time.perf_counter(), size, False, self.tag))
        else:
            assert self._streamed is not None
            self._streamed.octets += size
            if last:
                if self.logging:
                    self._add_line(command_line(self._streamed.octets), "content")
                self._streamed = None

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
        if self.logging:
            if self._streamed is not None:
                text = f"C: <{self._streamed.octets} octets, incomplete>"
                self._pending.append(_LogLine(text, "content", None, self._streamed.tag))
            if unwritten:
                self._pending.append(_LogLine(f"C: <{unwritten} octets not written>"))
            if self._incomplete:
                waiting = [each.secret for each in self._unanswered]
                secret = any(waiting) if waiting else self._after_secret
                self._pending += map(_LogLine, incomplete_reply_lines(HIDDEN if secret else self._incomplete))
        while self._unanswered and unwritten and self._unanswered[-1].octets <= unwritten:
            unwritten -= self._unanswered.pop().octets  # nothing of this command was written
        for unanswered in self._unanswered:
            self._add_event(unanswered, None, 0)
        self._unanswered.clear()

    def _answer(self, unanswered: _Unanswered, reply: SMTPResponse) -> None:
        self._greeted = True
        self._after_secret = unanswered.secret
        self.tag = tag = unanswered.tag
        if self.logging:
            shown = reply_lines(hidden_reply(reply) if unanswered.secret else reply)
            self._pending += [_LogLine(text, unanswered.verb, reply[0], tag) for text in shown]
        if reply[0] >= 0 and self._sizes:
            size = self._sizes.popleft()
        else:  # not an SMTP reply: the connection is lost, and no other reply will be passed on
            size = self._size + sum(self._sizes)
            self._size = 0
            self._incomplete = b""
            self._sizes.clear()
        self._add_event(unanswered, reply[0], size)

    def _add_event(self, unanswered: _Unanswered, code: int | None, received: int) -> None:
        if self._hook is not None:
            seconds = time.perf_counter() - unanswered.at
            octets, place = unanswered.octets, (self._number, *self._server)
            self._pending.append(
                CommandEvent(unanswered.verb, code, seconds, octets, received, *place, unanswered.tag)
            )

    def _add_line(self, text: str, verb: str) -> None:
        self._pending.append(_LogLine(text, verb, None, self.tag))

    # -- called by the connection --------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Find the ends of the replies in what came, before the session gets it."""
        for line in data.splitlines(keepends=True):
            self._size += len(line)
            self._line = (self._line + line[:4])[:4]
            if len(self._incomplete) < LONG:
                self._incomplete += line[:LONG]
            if line.endswith(b"\n"):
                if self._line[3:] != b"-":
                    self._sizes.append(self._size)
                    self._size = 0
                    self._incomplete = b""
                self._line = b""

    def deliver(self) -> None:
        """Log the lines and call the hook. To be called where both may use the client."""
        while self._pending:
            pending, self._pending = self._pending, []
            for each in pending:
                if isinstance(each, _LogLine):
                    fields = _fields(self._number, each.verb, each.code, each.tag)
                    wire_log.debug("[%d] %s", self._number, each.text, extra=fields)
                else:
                    self._call(each)

    def _call(self, event: CommandEvent) -> None:
        assert self._hook is not None
        try:
            self._hook(event)
        except Exception:
            text = "[%d] on_command raised an exception, and the connection goes on"
            fields = _fields(self._number, event.verb, event.code, event.tag)
            log.exception(text, self._number, extra=fields)


def _fields(
    connection: int, verb: str | None = None, code: int | None = None, tag: Any = None
) -> dict[str, Any]:
    """The fields of a log record, for formatters and filters: all records have all of them."""
    return {"connection": connection, "verb": verb, "code": code, "tag": tag}


def _verb(line: bytes, secret: bool) -> str:
    """The ``verb`` of the event of a command line."""
    if secret and line in (HIDDEN, UNKNOWN):
        return "response" if line == HIDDEN else "other"
    return line.split(None, 1)[0].upper().decode("ascii", "replace")


def log_connected(number: int, info: Callable[[str], Any]) -> None:
    """Log the address of the server, and the TLS version and cipher, of a connection that was made.

    :param info: ``get_extra_info`` of the transport
    """
    if not log.isEnabledFor(logging.DEBUG):
        return
    peer = info("peername")
    where = shown(":".join(map(str, peer[:2])) if isinstance(peer, tuple) else repr(peer))
    log.debug("[%d] connected to %s", number, where, extra=_fields(number))
    log_tls(number, info)


def log_tls(number: int, info: Callable[[str], Any]) -> None:
    """Log the TLS version and cipher of a connection, if it has any."""
    tls = info("ssl_object")
    if tls is not None and log.isEnabledFor(logging.DEBUG):
        cipher, _, bits = tls.cipher()
        text = "[%d] protected by %s, %s, %d bits"
        log.debug(text, number, tls.version(), cipher, bits, extra=_fields(number))


def log_lost(number: int, reason: str | None, level: int) -> None:
    """Log that a connection was closed or lost.

    :param reason: ``None`` where the client closed it; else the text of the error, of which the part after a
        colon is left out: it may be text from the server
    """
    if reason is None:
        log.debug("[%d] closed", number, extra=_fields(number))
    else:
        log.log(level, "[%d] lost: %s", number, reason.partition(":")[0], extra=_fields(number))
