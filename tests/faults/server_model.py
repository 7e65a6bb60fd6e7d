"""What a server may have done with the messages of a session, by what it read and what it said.

A :class:`Server` reads what a client wrote, and answers each command with the next of the replies that it is
given, however they contradict each other. It knows nothing of the client. What it may have stored follows
from three rules:

* After a 421 it executes nothing (RFC 5321 section 3.8), nor the command that got it.
* Content is stored if it was read to its end, at least one recipient was accepted, and the reply to the end
  is positive. Where that reply is missing, it may be stored, for every recipient that was not refused.
* Recipients stay until RSET, a MAIL or the end of the content is accepted; content by DATA ends the
  transaction in any case, content by BDAT does not (RFC 3030 section 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiosmtplib import Delivery

__all__ = ("CUT", "GARBAGE", "Command", "Message", "Server", "allowed", "misdirected")

#: Replies that are none: a malformed line, and the end of the connection in place of a reply.
GARBAGE, CUT = -1, 0

_CLOSING = 421

#: What a 421 refuses: any other command it only leaves undone.
_CONTENT = ("LAST", "END", "EARLY")


@dataclass
class Command:
    """A command that was written.

    :ivar message: the number of its message, which its argument or the content says
    :ivar code: the reply, or ``None`` if there is none
    :ivar dead: whether it came after a 421
    """

    verb: str
    message: int = 0
    recipient: str = ""
    code: int | None = None
    dead: bool = False


@dataclass
class Message:
    """The commands of one message."""

    mail: Command | None = None
    #: RSET, where that came right before.
    reset: Command | None = None
    recipients: list[Command] = field(default_factory=list)
    #: DATA, and all chunks but the last.
    before: list[Command] = field(default_factory=list)
    #: The end of the content, once for each final reply.
    ends: list[Command] = field(default_factory=list)

    @property
    def commands(self) -> list[Command]:
        mail = [] if self.mail is None else [self.mail]
        return [*mail, *self.recipients, *self.before, *self.ends]

    @property
    def first_refusal(self) -> int | None:
        """The first reply that refuses it; ``None`` if there is none, or all the recipients are refused."""
        mail = [] if self.mail is None else [self.mail]
        nobody = not any(each.code is None or _accepted(each.code) for each in self.recipients)
        rest = [] if nobody else [*self.before, *self.ends]
        return next((each.code for each in [*mail, *rest] if _refuses(each)), None)

    @property
    def refused(self) -> list[Command]:
        """The recipients that were refused, by the reply to RCPT or by the final reply for them."""
        accepted = [each for each in self.recipients if _accepted(each.code)]
        late = []
        if len(self.ends) == len(accepted) > 1:
            pairs = zip(accepted, self.ends, strict=True)
            late = [
                Command("RCPT", 0, one.recipient, end.code) for one, end in pairs if not _accepted(end.code)
            ]
        return [each for each in self.recipients if each not in accepted] + late


class Server:
    """A server that says what it is told to.

    :param choose: called with a command; the code of the reply to it, :data:`GARBAGE` or :data:`CUT`
    :param per_recipient: whether there is a final reply for each accepted recipient (RFC 2033 section 4.2)
    :ivar commands: all commands that were written, in order
    :ivar ended: the last reply, if none came after it
    """

    def __init__(self, choose: Callable[[Command], int], per_recipient: bool = False) -> None:
        self._choose = choose
        self._per_recipient = per_recipient
        self._rest = b""
        self._open = 0  # the message whose content by DATA is being read
        self._reset: Command | None = None  # the last command, if that was RSET
        self.commands: list[Command] = []
        self.messages: dict[int, Message] = {}
        self.ended: int | None = None

    def read(self, data: bytes) -> list[int]:
        """Read what the client wrote.

        :return: the replies to it, in order
        """
        self._rest += data
        codes = []
        while (commands := self._next()) is not None:
            for command in commands:
                self.commands.append(command)
                if self.ended is not None:
                    command.dead = self.ended == _CLOSING
                    continue
                code = self._choose(command)
                command.code = code if code > 0 else None
                codes.append(code)
                if code in (_CLOSING, GARBAGE, CUT):
                    self.ended = code
                elif command.verb == "DATA" and code == 354:
                    self._open = command.message
        return codes

    @property
    def said(self) -> str:
        """All commands and the replies to them, for people."""
        words = [f"{each.verb}{each.message or ''}={each.code or '-'}" for each in self.commands]
        return " ".join([*words, {GARBAGE: "garbage", CUT: "cut"}.get(self.ended or 1, "")]).rstrip()

    @property
    def not_reset(self) -> list[int]:
        """The messages before which the server refused RSET."""
        return [number for number, each in self.messages.items() if _refuses(each.reset)]

    def interrupt(self) -> list[int]:
        """Answer content before its end was read, where some of it was.

        :return: the replies, in order
        """
        started = self._open or (self._rest.startswith(b"BDAT ") and b"\r\n" in self._rest)
        if self.ended is not None or not started:
            return []
        command = Command("EARLY", max(self.messages))
        code = self._choose(command)
        command.code = code if code > 0 else None
        self.ended = code if code in (_CLOSING, GARBAGE, CUT) else None
        self.commands.append(command)
        self.messages[command.message].before.append(command)
        return [code]

    def _next(self) -> list[Command] | None:
        """The next command that was written to its end; several for content that gets several replies."""
        if self._open:
            return self._content_by_data()
        line, end, rest = self._rest.partition(b"\r\n")
        if not end:
            return None
        verb, _, argument = line.partition(b" ")
        if verb == b"BDAT":
            size, _, last = argument.partition(b" ")
            if len(rest) < int(size):
                return None
            chunk, self._rest = rest[: int(size)], rest[int(size) :]
            # A last chunk may be empty.
            number = int(chunk[1:2] or b"0") or self.commands[-1].message
            message = self.messages[number]
            command = Command("LAST" if last else "BDAT", number)
            (message.ends if last else message.before).append(command)
            return [command]
        self._rest = rest
        name = verb.decode()
        address = argument[argument.find(b"<") + 1 : argument.find(b">")].decode()
        number = int(address[1]) if address else 0
        command = Command(name, number, address)
        if name == "MAIL":
            self.messages[number] = Message(command, self._reset)
        elif name == "RCPT":
            self.messages[number].recipients.append(command)
        elif name == "DATA":
            command.message = max(self.messages)
            self.messages[command.message].before.append(command)
        self._reset = command if name == "RSET" else None
        return [command]

    def _content_by_data(self) -> list[Command] | None:
        start = 0 if self._rest.startswith(b".\r\n") else self._rest.find(b"\r\n.\r\n")
        if start < 0:
            return None
        empty = not start
        self._rest = self._rest[start + (3 if empty else 5) :]
        message, self._open = self.messages[self._open], 0
        if empty:  # nothing, but for nobody: else the session has no right to send it
            message.before.append(Command("EMPTY"))
            return message.before[-1:]
        accepted = sum(1 for each in message.recipients if _accepted(each.code))
        count = accepted if self._per_recipient else 1
        message.ends = [Command("END", max(self.messages)) for _ in range(count)]
        return message.ends


def allowed(message: Message | None) -> set[Delivery]:
    """The verdicts on a message that hold, whatever the server has done with it."""
    if message is None:
        return {Delivery.NOT_SENT}
    commands = message.commands
    reset = message.reset
    closing = any(each.dead or each.code == _CLOSING for each in commands)
    served = [each for each in message.recipients if each.code is None or _accepted(each.code)]
    taken = [each for each in message.ends if _accepted(each.code)]
    if message.ends and served:
        if taken and not all(_accepted(each.code) for each in message.before if each.verb == "BDAT"):
            return {Delivery.UNKNOWN}  # it has taken a part of it
        if len(taken) == len(message.ends):
            # Where RSET was refused, it may have gone to the recipients before.
            return {Delivery.DELIVERED, *([Delivery.UNKNOWN] if reset and not _accepted(reset.code) else ())}
        if taken:  # of several final replies
            rest = {Delivery.DELIVERED, Delivery.UNKNOWN}
            return rest if any(each.code is None for each in message.ends) else {Delivery.DELIVERED}
        if not closing and any(each.code is None for each in message.ends):
            return {Delivery.UNKNOWN}
    verdicts = set()
    if _is_refused(message):
        verdicts.add(Delivery.REJECTED)
    # Without its end it was not sent: also a true thing to say, unless the refusal is all that happened.
    cut_short = any(each.code is None or each.verb == "EARLY" for each in commands)
    # A 4yz reply to MAIL may have been the goodbye of a server that ends an idle connection.
    goodbye = message.mail is not None and message.mail.code in range(400, 500)
    if closing or not verdicts or (not message.ends and (cut_short or goodbye or _refuses(reset))):
        verdicts.add(Delivery.NOT_SENT)
    return verdicts


def misdirected(server: Server) -> bool:
    """Whether content may have gone to the recipients of another message."""
    open_to: set[int] = set()
    for command in server.commands:
        if command.dead:
            break
        code = command.code
        if (command.verb == "RSET" and _accepted(code)) or (command.verb == "MAIL" and _accepted(code)):
            open_to.clear()
        elif command.verb == "RCPT" and (code is None or _accepted(code)):
            open_to.add(command.message)
        elif command.verb in ("LAST", "END", "EMPTY", "BDAT"):
            if (code is None or _accepted(code)) and open_to - {command.message}:
                return True
            if command.verb in ("END", "EMPTY") or (command.verb == "LAST" and _accepted(code)):
                open_to.clear()
    return False


def _accepted(code: int | None) -> bool:
    return code is not None and 200 <= code < 300


def _refuses(command: Command | None) -> bool:
    if command is None or command.code is None or (command.code == _CLOSING and command.verb not in _CONTENT):
        return False
    return command.code != 354 if command.verb == "DATA" else not _accepted(command.code)


def _is_refused(message: Message) -> bool:
    """Whether a reply refuses the message, for all of its recipients."""
    nobody = bool(message.recipients) and all(map(_refuses, message.recipients))
    return nobody or message.first_refusal is not None
