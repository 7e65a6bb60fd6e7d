"""The session: bytes in, bytes out, and every reply paired with the command it answers.

A **dialogue** is a generator. It yields ``(bytes to write, replies expected)`` and is sent one
:class:`SMTPResponse` for each ``yield``; ``(b"", 0)`` asks for the next reply of a group that was written
before. What it returns is its result, what it raises its error. A lost connection is thrown into it
where it waits, so that it can say how far the mail had come.

    dialogue            session                           server
    yield (MAIL…, 1) ─▶ one reply expected ─────────────▶ MAIL FROM:<…>
    reply = …        ◀─ feed() paired it   ◀───────────── 250 2.1.0 Ok

Three rules keep replies and commands in step. A reply that nobody asked for is never matched to a later
command: it ends the session (the greeting, which nobody has to ask for, is kept). A positive reply to
content that has not been written yet is a lie and ends it too. So does a dialogue that returns while
replies to its commands are still to come.

There is no loop, socket or clock in here; :mod:`aiosmtplib.protocol` supplies them.
"""

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from ._codec import ReplyParser
from .errors import SMTPException, SMTPResponseException, SMTPServerDisconnected
from .response import SMTPResponse
from .status import Delivery, SMTPStatus

T = TypeVar("T")

Step: TypeAlias = tuple[bytes, int]
Dialogue: TypeAlias = Generator[Step, SMTPResponse, T]

#: To yield where the connection must be closed. The loss is thrown in at that place.
HANG_UP: Step = (b"", -1)


class Session:
    """One connection's worth of SMTP, one dialogue at a time.

    :param greeted: whether the server has greeted already (after STARTTLS it does not do so again)
    :ivar lost: why the session is over, or ``None`` while it is usable
    :ivar active: whether a dialogue is waiting for a reply
    :ivar result: what the last dialogue returned
    :ivar error: what the last dialogue raised, or ``None``
    """

    __slots__ = (
        "_dialogue",
        "_expected",
        "_greeted",
        "_greeting",
        "_parser",
        "_unseen",
        "error",
        "lost",
        "result",
    )

    def __init__(self, *, greeted: bool = False) -> None:
        self._parser = ReplyParser()
        self._dialogue: Dialogue[Any] | None = None
        self._expected = 0
        self._greeted = greeted
        self._greeting: SMTPResponse | None = None
        self._unseen: SMTPException | None = None
        self.lost: str | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def active(self) -> bool:
        return self._dialogue is not None

    @property
    def interrupted(self) -> bool:
        """Whether the server sent anything beyond the reply that ended the last dialogue."""
        return self.lost is not None or self._parser.pending

    def take_greeting(self) -> SMTPResponse | None:
        """The greeting, if it came before anyone asked for it."""
        greeting, self._greeting = self._greeting, None
        return greeting

    def take_unseen(self) -> SMTPException | None:
        """The error that ended the session, if no dialogue was there to see it."""
        unseen, self._unseen = self._unseen, None
        return unseen

    def start(self, dialogue: Dialogue[Any]) -> bytes:
        """Run a dialogue up to its first wait, and return what is to be written."""
        self.result = self.error = None
        self._dialogue = dialogue
        self._greeted = True
        self._greeting = None
        return self._step(None)

    def receive(self, data: bytes, max_line: int, max_reply: int, unwritten: bool = False) -> bytes | None:
        """Take what the server sent, and return what is to be written in answer.

        :param max_line: bound on one reply line, in bytes
        :param max_reply: bound on one whole reply, in bytes
        :param unwritten: whether bytes that this session asked to write have not been written yet
        :return: bytes to write, or ``None`` if no reply was complete or the session is over
        """
        if self.lost is not None:
            return None
        replies = self._parser.feed(data, max_line, max_reply)
        if not replies:
            return None
        answer = b""
        due = self._expected  # what came in one piece answers nothing that is yet to be written
        for reply in replies:
            more = self._take(reply, due > 0, unwritten, bool(answer))
            if more is None:
                return None
            due -= 1
            if more:
                answer = answer + more if answer else more
        return answer

    def _take(self, reply: SMTPResponse, due: bool, unwritten: bool, unsent: bool) -> bytes | None:
        """Pair one reply with its command. ``None`` means that the session is over.

        :param due: whether a command waits for a reply that was written before this one came
        :param unsent: whether there is something to write that will not be written if the session ends here
        """
        code = reply[0]
        answer = b""
        if code == SMTPStatus.invalid_response:
            self.fail(SMTPResponseException(*reply), unwritten or unsent)
        elif not due:
            if self._greeted:
                error = SMTPServerDisconnected(f"Server sent a reply that nothing asked for: {reply}")
                self.fail(error, unwritten or unsent)
            else:
                self._greeted = True
                self._greeting = reply
        elif unwritten and code < 400:
            self.fail(SMTPServerDisconnected("Server replied to what it had not received yet"), unwritten)
        else:
            self._expected -= 1
            answer = self._step(reply)
            if code == SMTPStatus.domain_unavailable:
                self.fail(SMTPServerDisconnected(f"Server closed the connection: {reply}"))
            elif unwritten:  # nothing may follow a body that a refusal cut short
                self.fail(SMTPServerDisconnected("Server refused the message before all of it was sent"))
        return answer if self.lost is None else None

    def fail(self, error: SMTPException, unwritten: bool = False) -> None:
        """End the session because of ``error``, and let the running dialogue know.

        :param unwritten: whether the end of what the dialogue wanted to write was never written
        """
        dialogue, self._dialogue = self._dialogue, None
        self._expected = 0
        if self.lost is None:
            self.lost = error.message
            if dialogue is None:
                self._unseen = error
        if dialogue is None:
            return
        try:
            dialogue.throw(error)
        except SMTPException as raised:
            error = raised
        except StopIteration:
            pass  # whatever it makes of the loss, its result is not one
        finally:
            dialogue.close()
        if unwritten:
            error.delivery = Delivery.NOT_SENT
            error.phase = "body"
        self.error = error

    def _step(self, reply: SMTPResponse | None) -> bytes:
        assert self._dialogue is not None
        try:
            # A generator that has not started takes only None.
            data, expected = self._dialogue.send(reply)  # type: ignore[arg-type]
        except StopIteration as stop:
            self.result = stop.value
        except Exception as error:
            self.error = error
        else:
            if expected < 0:
                self.fail(SMTPServerDisconnected("Connection closed: it could not be brought back in step"))
                return b""
            self._expected += expected
            if self._expected:
                return data
            self.error = RuntimeError("A dialogue waits for a reply that no command asks for")
            self._dialogue.close()
        self._dialogue = None
        if self._expected:
            self.fail(SMTPServerDisconnected("Connection closed with replies outstanding"))
        return b""
