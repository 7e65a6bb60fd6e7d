"""The session: replies are paired with commands, or the session ends. No loop, no socket."""

from collections.abc import Generator
from typing import Any

import pytest

from aiosmtplib._session import CHUNKS, HANG_UP, LAST, MORE, STREAM, Dialogue, Exchange, Session, Step
from aiosmtplib.errors import SMTPException, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.response import SMTPResponse
from aiosmtplib.status import Delivery

OK = SMTPResponse(250, "ok")
LIMITS = (8192, 32768)
ALL = 1 << 30  # as if everything had been written


def ask(*lines: bytes) -> Dialogue[list[SMTPResponse]]:
    """One command after the other."""
    replies = []
    for line in lines:
        replies += yield line, 1, MORE
    return replies


def ask_together(group: bytes, count: int, follows: int = LAST) -> Dialogue[list[SMTPResponse]]:
    """A pipelined group."""
    return (yield group, count, follows)


def content_of(data: bytes) -> Dialogue[list[SMTPResponse]]:
    """Content, about which an error says that it was handed over."""
    try:
        return (yield data, 1, LAST)
    except SMTPException as error:
        error.delivery = Delivery.UNKNOWN
        error.phase = "final"
        raise


def begin(session: Session, dialogue: Dialogue[object]) -> Exchange:
    exchange = Exchange(dialogue)
    session.start(exchange)
    return exchange


def taken(session: Session) -> bytes:
    """What is to be written, as written."""
    data = b"".join(session.out)
    session.out.clear()
    return data


def receive(session: Session, data: bytes, written: int = ALL) -> bytes | None:
    """What is to be written in answer; None where no reply was complete, or the session is over."""
    whole = session.receive(data, *LIMITS, written)
    return taken(session) if whole and session.lost is None else None


def test_a_dialogue_goes_on_inside_receive() -> None:
    session = Session()
    exchange = begin(session, ask(b"A\r\n", b"B\r\n"))
    assert taken(session) == b"A\r\n"
    assert session.head is session.last is exchange
    assert exchange in session
    assert exchange.follows == MORE
    assert receive(session, b"250 o") is None
    assert session.receive(b"k\r\n", *LIMITS, 3)
    assert taken(session) == b"B\r\n"
    assert session.receive(b"550 no\r\n", *LIMITS, 6)
    assert session.head is session.last is None
    assert session.done == [exchange]
    assert exchange.result == [OK, SMTPResponse(550, "no")]
    assert exchange.error is None
    assert session.lost is None


def test_a_group_gets_its_replies_all_at_once() -> None:
    for chunks in ([b"250 ok\r\n250 ok\r\n250 ok\r\n"], [b"250 ok\r\n", b"250 ok\r\n250 ok\r\n"]):
        session = Session()
        exchange = begin(session, ask_together(b"group", 3))
        for chunk in chunks:
            assert receive(session, chunk) in (b"group", b"")
        assert exchange.result == [OK, OK, OK]


def test_dialogues_overlap_where_nothing_else_will_be_written() -> None:
    session = Session()
    first = begin(session, ask_together(b"one", 2))
    assert first.follows == LAST
    second = begin(session, ask_together(b"two", 2))
    third = begin(session, ask(b"three"))
    assert session.head is first
    assert session.last is third
    assert taken(session) == b"onetwothree"
    receive(session, b"250 1\r\n250 2\r\n250 3\r\n")
    assert session.done == [first]
    assert session.head is second
    assert session.last is third
    assert [reply.message for reply in first.result] == ["1", "2"]
    receive(session, b"250 4\r\n250 5\r\n")
    assert session.done == [first, second, third]
    assert [reply.message for reply in second.result] == ["3", "4"]
    assert [reply.message for reply in third.result] == ["5"]


def test_a_loss_gives_each_dialogue_an_error_of_its_own() -> None:
    session = Session()
    running = [begin(session, content_of(b"12345")) for _ in range(3)]
    loss = SMTPServerDisconnected("gone")
    session.fail(loss, 7)  # the first is written, the second in part
    assert running[0].error is loss
    errors = [exchange.error for exchange in running]
    assert [(error.delivery, error.phase) for error in errors] == [  # type: ignore[union-attr]
        (Delivery.UNKNOWN, "final"),
        (Delivery.NOT_SENT, "body"),
        (Delivery.NOT_SENT, "body"),
    ]
    assert len(set(map(id, errors))) == 3


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_pieces_are_kept_apart_and_counted_together(kind: Any) -> None:
    def pieces() -> Dialogue[None]:
        yield (b"header", kind(b"content")), 1, LAST

    session = Session()
    exchange = begin(session, pieces())
    assert session.out == [b"header", b"content"]
    receive(session, b"250 lie\r\n", 12)
    assert session.lost == "Server accepted the message before all of it was sent"
    assert exchange.error is not None


def test_content_that_is_pushed() -> None:
    session = Session()
    exchange = begin(session, ask_together(b"", 1, STREAM))
    assert exchange.follows == STREAM
    session.push(exchange, b"one")
    session.push(exchange, b"two", last=True)
    assert exchange.follows == LAST
    assert taken(session) == b"onetwo"
    receive(session, b"250 ok\r\n", 6)
    assert exchange.result == [OK]


def test_a_positive_reply_before_the_end_of_pushed_content_is_a_lie() -> None:
    session = Session()
    exchange = begin(session, ask_together(b"", 1, STREAM))
    session.push(exchange, b"one")
    receive(session, b"250 ok\r\n", 3)
    assert session.lost == "Server accepted the message before all of it was sent"
    assert isinstance(exchange.error, SMTPServerDisconnected)


def test_chunks_have_replies_of_their_own() -> None:
    session = Session()
    exchange = begin(session, ask_together(b"", 0, CHUNKS))
    session.push(exchange, b"one", 1)
    receive(session, b"250 ok\r\n", 3)
    assert exchange.replies == [OK]
    session.push(exchange, b"two", 1, last=True)
    receive(session, b"250 ok\r\n", 6)
    assert exchange.result == [OK, OK]


@pytest.mark.parametrize("reply", [b"250 early\r\n", b"junk\r\n"])
def test_a_reply_to_a_chunk_that_was_not_pushed(reply: bytes) -> None:
    session = Session()
    exchange = begin(session, ask_together(b"", 0, CHUNKS))
    session.push(exchange, b"one", 1)
    receive(session, b"250 ok\r\n" + reply, 3)
    assert session.lost is not None
    assert exchange.error is not None


def test_a_farewell_between_chunks() -> None:
    session = Session()
    exchange = begin(session, ask_together(b"", 0, CHUNKS))
    session.push(exchange, b"one", 1)
    receive(session, b"421 bye\r\n", 3)
    assert session.lost == "Server closed the connection: 421 bye"
    assert exchange.error.replies == ((421, "bye"),)  # type: ignore[union-attr]


def test_a_farewell_in_the_middle_of_a_group() -> None:
    session = Session()
    exchange = begin(session, ask_together(b"group", 3))
    receive(session, b"250 ok\r\n421 bye\r\n")
    assert isinstance(exchange.error, SMTPServerDisconnected)
    assert exchange.error.replies == (OK, (421, "bye"))


def test_raw_bytes_go_out_in_their_place() -> None:
    session = Session()
    session.write(b"raw")
    session.write(b"")
    begin(session, ask(b"A\r\n"))
    assert session.out == [b"raw", b"A\r\n"]


def test_the_greeting_may_come_before_anyone_asks() -> None:
    session = Session()
    assert receive(session, b"220 hi\r\n") == b""
    assert session.lost is None
    assert session.greeting == SMTPResponse(220, "hi")


def test_the_greeting_is_not_the_answer_to_a_command() -> None:
    session = Session()
    receive(session, b"220 hi\r\n")
    exchange = begin(session, ask(b"NOOP\r\n"))
    assert receive(session, b"250 ok\r\n") == b"NOOP\r\n"
    assert exchange.result == [OK]


@pytest.mark.parametrize("greeted", [True, False])
def test_an_unasked_reply_ends_the_session(greeted: bool) -> None:
    session = Session(greeted=greeted)
    if not greeted:
        receive(session, b"220 hi\r\n")
    assert receive(session, b"421 too slow\r\n250 ok\r\n") is None
    assert session.lost == "Unexpected reply from the server: 421 too slow"
    assert receive(session, b"250 ok\r\n") is None
    unseen = session.unseen
    assert isinstance(unseen, SMTPServerDisconnected)


def test_a_second_answer_is_not_that_of_the_next_command() -> None:
    session = Session()
    exchange = begin(session, ask(b"A\r\n"))
    assert receive(session, b"250 ok\r\n250 again\r\n") is None
    assert exchange.result == [OK]
    assert session.lost == "Unexpected reply from the server: 250 again"


@pytest.mark.parametrize("junk", [b"hello\r\n", b"2500 x\r\n", b"x" * 9000, b"250-a\r\n251 b\r\n"])
def test_what_is_no_reply_ends_the_session(junk: bytes) -> None:
    session = Session()
    exchange = begin(session, ask(b"A\r\n"))
    assert receive(session, junk) is None
    assert isinstance(exchange.error, SMTPResponseException)
    assert exchange.error.code == -1
    assert session.lost == exchange.error.message
    assert session.head is None


def test_after_421_the_reply_counts_and_nothing_more_is_written() -> None:
    session = Session()
    exchange = begin(session, ask(b"A\r\n"))
    assert receive(session, b"421 bye\r\n") is None
    assert exchange.result == [SMTPResponse(421, "bye")]
    assert exchange.error is None
    assert session.lost == "Server closed the connection: 421 bye"

    session = Session()
    exchange = begin(session, ask(b"A\r\n", b"B\r\n"))
    assert receive(session, b"421 bye\r\n") is None
    assert isinstance(exchange.error, SMTPServerDisconnected)


def test_a_positive_reply_to_unwritten_content_is_a_lie() -> None:
    session = Session()
    exchange = begin(session, content_of(b"content"))
    assert receive(session, b"250 ok\r\n", 3) is None
    assert isinstance(exchange.error, SMTPServerDisconnected)
    assert exchange.error.delivery is Delivery.NOT_SENT
    assert exchange.error.phase == "body"


def test_after_a_refusal_of_unwritten_content_nothing_more_is_written() -> None:
    class Refused(SMTPException):
        pass

    def refused() -> Dialogue[None]:
        (reply,) = yield b"content", 1, MORE
        try:
            yield b"RSET\r\n", 1, MORE
        except SMTPServerDisconnected:
            raise Refused(str(reply)) from None

    session = Session()
    exchange = begin(session, refused())
    assert receive(session, b"552 too big\r\n", 3) is None
    assert isinstance(exchange.error, Refused)
    assert exchange.error.message == "552 too big"
    assert session.lost == "Server refused the message before all of it was sent"


def test_a_dialogue_can_have_the_connection_closed() -> None:
    def wary() -> Dialogue[None]:
        yield b"A\r\n", 1, MORE
        yield HANG_UP

    session = Session()
    exchange = begin(session, wary())
    assert receive(session, b"250 ok\r\n") is None
    assert isinstance(exchange.error, SMTPServerDisconnected)
    assert session.lost == exchange.error.message


def test_a_dialogue_may_be_over_at_once() -> None:
    def silent() -> Dialogue[str]:
        if session.lost:
            yield b"", 1, MORE
        return "nothing to say"

    session = Session()
    exchange = begin(session, silent())
    assert exchange.result == "nothing to say"
    first = begin(session, ask_together(b"A", 1))
    assert session.head is session.last is first
    assert begin(session, silent()).result == "nothing to say"
    assert session.head is session.last is first


def test_what_a_dialogue_raises_is_its_error() -> None:
    def broken() -> Generator[Step, list[SMTPResponse], None]:
        yield b"A\r\n", 1, MORE
        raise KeyError("x")

    session = Session()
    exchange = begin(session, broken())
    assert receive(session, b"250 ok\r\n") == b"A\r\n"
    assert isinstance(exchange.error, KeyError)
    assert session.lost is None


def test_a_loss_is_thrown_into_the_dialogue() -> None:
    seen: list[SMTPException] = []

    def watchful() -> Dialogue[None]:
        try:
            yield b"A\r\n", 1, MORE
        except SMTPException as error:
            seen.append(error)
            raise

    session = Session()
    exchange = begin(session, watchful())
    loss = SMTPServerDisconnected("gone")
    session.fail(loss, ALL)
    assert seen == [loss]
    assert exchange.error is loss
    assert session.lost == "gone"
    session.fail(SMTPServerDisconnected("gone again"), ALL)
    assert session.lost == "gone"


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_dialogue_cannot_outlive_the_connection(goes_on: bool) -> None:
    def stubborn() -> Dialogue[None]:
        try:
            yield b"A\r\n", 1, MORE
        except SMTPException:
            if goes_on:
                yield b"B\r\n", 1, MORE

    session = Session()
    exchange = begin(session, stubborn())
    loss = SMTPServerDisconnected("gone")
    session.fail(loss, ALL)
    assert exchange.error is loss
    assert session.head is None


@pytest.mark.parametrize("tail", [b"2", b"250 injected\r\n", b"250 inj"])
def test_bytes_beyond_the_reply_are_noticed(tail: bytes) -> None:
    session = Session()
    begin(session, ask(b"STARTTLS\r\n"))
    assert not session.interrupted
    receive(session, b"220 go\r\n" + tail)
    assert session.interrupted


def test_a_reply_in_the_same_piece_is_no_answer_to_what_is_yet_to_be_written() -> None:
    session = Session()
    exchange = begin(session, ask(b"A\r\n", b"B\r\n"))
    assert receive(session, b"250 ok\r\n250 ok\r\n", 3) is None
    assert isinstance(exchange.error, SMTPServerDisconnected)


@pytest.mark.parametrize("tail", [b"250 ok\r\n", b"550 no\r\n", b"garbage\r\n"])
def test_what_is_not_written_for_that_reason_was_not_sent(tail: bytes) -> None:
    def message() -> Dialogue[None]:
        yield b"DATA\r\n", 1, MORE
        yield from content_of(b"content")

    session = Session()
    exchange = begin(session, message())
    assert receive(session, b"354 go\r\n" + tail, 6) is None
    assert exchange.error.delivery is Delivery.NOT_SENT  # type: ignore[union-attr]
    assert exchange.error.phase == "body"  # type: ignore[union-attr]
