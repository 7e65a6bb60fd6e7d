"""Ends of a session, and replies that no step waits for: the cold half of both twins of the session.

A session ends when the connection is lost, and when the server sends a reply that is malformed, that is a 421
(RFC 5321 section 3.8), that matches no command, or that comes before all of a message was sent. What was
written after a command that got a 421 is not executed. Each twin
pairs the replies that are expected itself, and calls these functions for all others.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from .._trace.redaction import condensed
from .._trace.transcript import Entry
from ..errors import SMTPException, SMTPResponseException, SMTPServerDisconnected
from ..response import SMTPResponse
from ..status import Delivery
from .types import CHUNKS, Dialogue, SessionObserver

__all__ = (
    "ExchangeState",
    "SessionState",
    "fail",
    "take_early",
    "take_fragment",
    "take_goodbye",
    "take_unasked",
)


class ExchangeState(Protocol):
    """The attributes of an exchange that these functions use; see ``_codec/pure/session.py``."""

    dialogue: Dialogue[Any]
    error: BaseException | None
    replies: list[SMTPResponse]
    follows: int
    expected: int
    start: int
    end: int


class SessionState(Protocol):
    """The attributes and methods of a session that these functions use; see ``_codec/pure/session.py``."""

    lost: str | None
    closing: bool
    done: list[Any]
    observer: SessionObserver | None
    running: deque[Any]
    head: Any
    last: Any
    scheduled: int
    greeted: bool
    greeting: SMTPResponse | None
    unseen: SMTPException | None
    after_secret: bool

    def step(self, exchange: Any, replies: list[SMTPResponse] | None, written: int) -> None:
        """Run the dialogue of an exchange up to its next wait, or to its end."""

    def keep(self, exchange: Any, replies: list[SMTPResponse]) -> None:
        """Add the last step of an exchange to the transcript, with the replies to it."""

    def add_entry(self, entry: Entry) -> None:
        """Add an entry to the transcript."""

    def attach_transcript(self, error: SMTPException) -> None:
        """Give an error the transcript, unless it has one."""


def fail(session: SessionState, error: SMTPException, written: int) -> None:
    """End a session: ``error`` is thrown into the dialogue that runs first, and an equal one into each other.

    :param written: octets written to the connection, in all
    """
    if session.lost is None:
        session.lost = error.message
        if session.head is None:
            session.attach_transcript(error)
            session.unseen = error
        if session.observer is not None:
            session.observer.broken(session.scheduled - written)
    running, session.running = session.running, deque()
    session.head = session.last = None
    for exchange in running:
        _fail_exchange(session, exchange, error, written)
        error = SMTPServerDisconnected(error.message)  # each has its own verdict


def _fail_exchange(
    session: SessionState, exchange: ExchangeState, error: SMTPException, written: int
) -> None:
    error.replies = tuple(exchange.replies)
    if written > exchange.start or exchange.replies:  # else nothing of its last step was sent
        session.keep(exchange, exchange.replies)
    try:
        exchange.dialogue.throw(error)
    except SMTPException as raised:
        error = raised
    except StopIteration:
        pass  # whatever it makes of the loss, its result is not one
    finally:
        exchange.dialogue.close()
    if error.delivery is Delivery.UNKNOWN:
        if written < exchange.end:
            error.delivery = Delivery.NOT_SENT
            error.phase = "body"
        elif session.closing and not error.replies:  # it came after the command that was answered by 421
            error.delivery = Delivery.NOT_SENT
    session.attach_transcript(error)
    exchange.error = error
    session.done.append(exchange)


def take_goodbye(
    session: SessionState, reply: SMTPResponse, before: list[SMTPResponse], written: int
) -> None:
    """A 421 or what is no SMTP reply (code -1), where a step waits for a reply. Ends the session.

    :param before: the replies that came with it, before it
    :param written: octets written to the connection, in all
    """
    head: ExchangeState = session.head
    head.replies += before
    if reply[0] < 0:
        session.keep(head, [*head.replies, reply])
        fail(session, SMTPResponseException(*reply), written)
        return
    session.closing = True
    head.replies.append(reply)
    if len(head.replies) == head.expected and head.follows != CHUNKS:
        replies, head.replies = head.replies, []
        session.keep(head, replies)
        session.step(head, replies, written)
    fail(session, SMTPServerDisconnected(f"Server closed the connection: {reply}"), written)


def take_unasked(session: SessionState, reply: SMTPResponse, written: int) -> None:
    """A reply that matches no command. Ends the session, unless it is the greeting: that is kept.

    :param written: octets written to the connection, in all
    """
    session.add_entry(condensed(b"", [reply], 1, session.after_secret))
    if session.observer is not None:
        session.observer.unasked(reply, session.after_secret)
    if reply[0] < 0:
        fail(session, SMTPResponseException(*reply), written)
    elif session.greeted:
        fail(session, SMTPServerDisconnected(f"Unexpected reply from the server: {reply}"), written)
    else:
        session.greeted = True
        session.greeting = reply


def take_fragment(session: SessionState, written: int) -> None:
    """The beginning of a reply that no command has asked for. Ends the session.

    The rest of it would be taken for the answer to a command that is sent meanwhile.

    :param written: octets written to the connection, in all
    """
    fail(session, SMTPServerDisconnected("Unexpected data from the server: half a reply"), written)


def take_early(session: SessionState, replies: list[SMTPResponse], written: int) -> None:
    """All replies to a step of the first exchange, before all of its content was written. Ends the session.

    A refusal is the outcome of the dialogue; after an acceptance nothing is known. Either way no command may
    follow content that is cut short.

    :param written: octets written to the connection, in all
    """
    head: ExchangeState = session.head
    if replies[-1][0] < 400:
        head.replies = replies[:-1]
        error = SMTPServerDisconnected("Server accepted the message before all of it was sent")
    else:
        session.step(head, replies, written)
        error = SMTPServerDisconnected("Server refused the message before all of it was sent")
    fail(session, error, written)
