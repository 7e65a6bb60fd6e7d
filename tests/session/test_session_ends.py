"""Ends of a session in the middle of pipelined messages, and replies that begin before their command."""

import pytest

from aiosmtplib._session import GROUP, Exchange, PreparedMail, ServerState, Session
from aiosmtplib._session.transaction import begin as begin_transaction
from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.status import Delivery

from .test_session import LIMITS, ask, ask_together, begin, receive, taken

FRAGMENT = "Unexpected data from the server: half a reply"


def window(session: Session, size: int, server: ServerState) -> list[Exchange]:
    """So many messages by BDAT, all of them written."""
    exchanges = []
    for _ in range(size):
        commands = b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\n"
        mail = PreparedMail("a", ["b"], commands, b"hi\r\n", pipelined=True, chunked=True)
        exchange = Exchange(begin_transaction(mail, server), None, server)
        session.start(exchange)
        assert exchange.follows == GROUP
        exchanges.append(exchange)
    return exchanges


def verdicts(exchanges: list[Exchange]) -> list[Delivery]:
    return [
        each.error.delivery if isinstance(each.error, SMTPException) else Delivery.DELIVERED
        for each in exchanges
    ]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_after_421_nothing_was_executed(size: int) -> None:
    replies = 3 + 4 * (size - 1)  # all but the first message have RSET
    for place in range(replies):
        session = Session(greeted=True)
        exchanges = window(session, size, ServerState())
        written = len(taken(session))
        session.receive(b"250 ok\r\n" * place + b"421 bye\r\n", *LIMITS, written)
        found = verdicts(exchanges)
        done = (place + 1) // 4
        assert found[:done] == [Delivery.DELIVERED] * done
        at_the_end = place % 4 == 2
        assert found[done:] == [
            Delivery.REJECTED if at_the_end else Delivery.NOT_SENT,
            *[Delivery.NOT_SENT] * (size - done - 1),
        ]
        assert {each.error.phase for each in exchanges[done + 1 :]} <= {"mail"}  # type: ignore[union-attr]
        assert session.closing


@pytest.mark.parametrize("end", [b"garbage\r\n", b""])
def test_without_a_421_it_may_have_been(end: bytes) -> None:
    session = Session(greeted=True)
    exchanges = window(session, 3, ServerState())
    written = len(taken(session))
    session.receive(b"250 ok\r\n" * 3 + end, *LIMITS, written)
    session.fail(SMTPServerDisconnected("gone"), written)
    assert verdicts(exchanges) == [Delivery.DELIVERED, Delivery.UNKNOWN, Delivery.UNKNOWN]
    assert not session.closing


def test_half_a_reply_while_nothing_is_asked() -> None:
    session = Session(greeted=True)
    exchange = begin(session, ask(b"A\r\n"))
    assert receive(session, b"250 ok\r\n25") is None
    assert exchange.error is None
    assert session.lost == FRAGMENT
    assert isinstance(session.unseen, SMTPServerDisconnected)


@pytest.mark.parametrize("tail", [b"2", b"250-x\r\n", b"250-x\r\n250"])
def test_half_a_reply_before_its_command(tail: bytes) -> None:
    session = Session(greeted=True)
    exchange = begin(session, ask(b"A\r\n", b"B\r\n"))
    assert receive(session, b"250 ok\r\n" + tail, 3) is None
    assert isinstance(exchange.error, SMTPServerDisconnected)
    assert session.lost == FRAGMENT


def test_half_a_reply_to_what_is_written() -> None:
    session = Session(greeted=True)
    first = begin(session, ask_together(b"one", 1))
    second = begin(session, ask_together(b"two", 1))
    written = len(taken(session))
    session.receive(b"250 ok\r\n250 o", *LIMITS, written)
    assert session.lost is None
    session.receive(b"k\r\n", *LIMITS, written)
    assert session.done == [first, second]


def test_half_a_greeting() -> None:
    session = Session()
    session.receive(b"220 h", *LIMITS, 0)
    assert session.lost is None
    exchange = begin(session, ask_together(b"", 1))  # waits for it
    session.receive(b"i\r\n", *LIMITS, 0)
    assert exchange.result[0].message == "hi"


def test_half_a_greeting_is_not_the_answer_to_a_command() -> None:
    session = Session()
    session.receive(b"220 h", *LIMITS, 0)
    exchange = begin(session, ask(b"NOOP\r\n"))
    assert isinstance(exchange.error, SMTPServerDisconnected)
    assert session.lost == FRAGMENT
