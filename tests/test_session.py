"""The session: replies are paired with commands, or the session ends. No loop, no socket."""

from collections.abc import Generator

import pytest

from aiosmtplib._session import HANG_UP, Dialogue, Session, Step
from aiosmtplib.errors import SMTPException, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.response import SMTPResponse
from aiosmtplib.status import Delivery

OK = SMTPResponse(250, "ok")
NEXT_REPLY = (b"", 0)
LIMITS = (8192, 32768)


def ask(*lines: bytes) -> Dialogue[list[SMTPResponse]]:
    """One command after the other."""
    replies = []
    for line in lines:
        replies.append((yield line, 1))
    return replies


def ask_together(group: bytes, count: int) -> Dialogue[list[SMTPResponse]]:
    """A pipelined group."""
    replies = [(yield group, count)]
    while len(replies) < count:
        replies.append((yield NEXT_REPLY))
    return replies


def receive(session: Session, data: bytes, unwritten: bool = False) -> bytes | None:
    return session.receive(data, *LIMITS, unwritten)


def test_a_dialogue_goes_on_inside_receive() -> None:
    session = Session()
    assert session.start(ask(b"A\r\n", b"B\r\n")) == b"A\r\n"
    assert session.active
    assert receive(session, b"250 o") is None
    assert receive(session, b"k\r\n") == b"B\r\n"
    assert receive(session, b"550 no\r\n") == b""
    assert not session.active
    assert session.result == [OK, SMTPResponse(550, "no")]
    assert session.error is None
    assert session.lost is None


def test_a_group_gets_its_replies_one_by_one_and_all_at_once() -> None:
    for chunks in ([b"250 ok\r\n250 ok\r\n250 ok\r\n"], [b"250 ok\r\n", b"250 ok\r\n250 ok\r\n"]):
        session = Session()
        assert session.start(ask_together(b"group", 3)) == b"group"
        for chunk in chunks:
            assert receive(session, chunk) == b""
        assert session.result == [OK, OK, OK]


def test_what_several_steps_write_goes_out_together() -> None:
    def two_groups() -> Dialogue[None]:
        yield b"1", 2
        yield b"2", 0
        yield b"3", 1
        yield NEXT_REPLY

    session = Session()
    assert session.start(two_groups()) == b"1"
    assert receive(session, b"250 ok\r\n250 ok\r\n") == b"23"
    assert session.active


def test_the_greeting_may_come_before_anyone_asks() -> None:
    session = Session()
    assert receive(session, b"220 hi\r\n") == b""
    assert session.lost is None
    assert session.take_greeting() == SMTPResponse(220, "hi")
    assert session.take_greeting() is None


def test_the_greeting_is_not_the_answer_to_a_command() -> None:
    session = Session()
    receive(session, b"220 hi\r\n")
    session.start(ask(b"NOOP\r\n"))
    assert session.active
    assert receive(session, b"250 ok\r\n") == b""
    assert session.result == [OK]


@pytest.mark.parametrize("greeted", [True, False])
def test_an_unasked_reply_ends_the_session(greeted: bool) -> None:
    session = Session(greeted=greeted)
    if not greeted:
        receive(session, b"220 hi\r\n")
    assert receive(session, b"421 too slow\r\n250 ok\r\n") is None
    assert session.lost == "Server sent a reply that nothing asked for: 421 too slow"
    assert receive(session, b"250 ok\r\n") is None
    unseen = session.take_unseen()
    assert isinstance(unseen, SMTPServerDisconnected)
    assert session.take_unseen() is None


def test_a_second_answer_is_not_that_of_the_next_command() -> None:
    session = Session()
    session.start(ask(b"A\r\n"))
    assert receive(session, b"250 ok\r\n250 again\r\n") is None
    assert session.result == [OK]
    assert session.lost == "Server sent a reply that nothing asked for: 250 again"


@pytest.mark.parametrize("junk", [b"hello\r\n", b"2500 x\r\n", b"x" * 9000, b"250-a\r\n251 b\r\n"])
def test_what_is_no_reply_ends_the_session(junk: bytes) -> None:
    session = Session()
    session.start(ask(b"A\r\n"))
    assert receive(session, junk) is None
    assert isinstance(session.error, SMTPResponseException)
    assert session.error.code == -1
    assert session.lost == session.error.message
    assert not session.active


def test_after_421_the_reply_counts_and_nothing_more_is_written() -> None:
    session = Session()
    session.start(ask(b"A\r\n"))
    assert receive(session, b"421 bye\r\n") is None
    assert session.result == [SMTPResponse(421, "bye")]
    assert session.error is None
    assert session.lost == "Server closed the connection: 421 bye"

    session = Session()
    session.start(ask(b"A\r\n", b"B\r\n"))
    assert receive(session, b"421 bye\r\n") is None
    assert isinstance(session.error, SMTPServerDisconnected)


def test_a_positive_reply_to_unwritten_content_is_a_lie() -> None:
    session = Session()
    session.start(ask(b"content"))
    assert receive(session, b"250 ok\r\n", unwritten=True) is None
    assert isinstance(session.error, SMTPServerDisconnected)
    assert session.error.delivery is Delivery.NOT_SENT
    assert session.error.phase == "body"


def test_after_a_refusal_of_unwritten_content_nothing_more_is_written() -> None:
    class Refused(SMTPException):
        pass

    def refused() -> Dialogue[None]:
        reply = yield b"content", 1
        try:
            yield b"RSET\r\n", 1
        except SMTPServerDisconnected:
            raise Refused(str(reply)) from None

    session = Session()
    session.start(refused())
    assert receive(session, b"552 too big\r\n", unwritten=True) is None
    assert isinstance(session.error, Refused)
    assert session.error.message == "552 too big"
    assert session.lost == "Server refused the message before all of it was sent"


def test_a_dialogue_that_leaves_replies_behind_ends_the_session() -> None:
    def hasty() -> Dialogue[str]:
        yield b"group", 2
        return "done"

    session = Session()
    session.start(hasty())
    assert receive(session, b"250 ok\r\n") is None
    assert session.result == "done"
    assert session.lost == "Connection closed with replies outstanding"


def test_a_dialogue_can_have_the_connection_closed() -> None:
    def wary() -> Dialogue[None]:
        yield b"A\r\n", 1
        yield HANG_UP

    session = Session()
    session.start(wary())
    assert receive(session, b"250 ok\r\n") is None
    assert isinstance(session.error, SMTPServerDisconnected)
    assert session.lost == session.error.message


def test_a_dialogue_that_waits_for_nothing_is_an_error_and_not_a_hang() -> None:
    def confused() -> Dialogue[None]:
        yield b"A\r\n", 0

    session = Session()
    assert session.start(confused()) == b""
    assert isinstance(session.error, RuntimeError)
    assert not session.active


def test_what_a_dialogue_raises_is_its_error() -> None:
    def broken() -> Generator[Step, SMTPResponse, None]:
        yield b"A\r\n", 1
        raise KeyError("x")

    session = Session()
    session.start(broken())
    assert receive(session, b"250 ok\r\n") == b""
    assert isinstance(session.error, KeyError)
    assert session.lost is None


def test_a_loss_is_thrown_into_the_dialogue() -> None:
    seen: list[SMTPException] = []

    def watchful() -> Dialogue[None]:
        try:
            yield b"A\r\n", 1
        except SMTPException as error:
            seen.append(error)
            raise

    session = Session()
    session.start(watchful())
    loss = SMTPServerDisconnected("gone")
    session.fail(loss)
    assert seen == [loss]
    assert session.error is loss
    assert session.lost == "gone"
    session.fail(SMTPServerDisconnected("gone again"))
    assert session.lost == "gone"


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_dialogue_cannot_outlive_the_connection(goes_on: bool) -> None:
    def stubborn() -> Dialogue[None]:
        try:
            yield b"A\r\n", 1
        except SMTPException:
            if goes_on:
                yield b"B\r\n", 1

    session = Session()
    session.start(stubborn())
    loss = SMTPServerDisconnected("gone")
    session.fail(loss)
    assert session.error is loss
    assert not session.active


@pytest.mark.parametrize("tail", [b"2", b"250 injected\r\n", b"250 inj"])
def test_bytes_beyond_the_reply_are_noticed(tail: bytes) -> None:
    session = Session()
    session.start(ask(b"STARTTLS\r\n"))
    assert not session.interrupted
    receive(session, b"220 go\r\n" + tail)
    assert session.interrupted


def test_a_reply_in_the_same_piece_is_no_answer_to_what_is_yet_to_be_written() -> None:
    session = Session()
    session.start(ask(b"A\r\n", b"B\r\n"))
    assert receive(session, b"250 ok\r\n250 ok\r\n") is None
    assert isinstance(session.error, SMTPServerDisconnected)


@pytest.mark.parametrize("tail", [b"250 ok\r\n", b"550 no\r\n", b"garbage\r\n"])
def test_what_is_not_written_for_that_reason_was_not_sent(tail: bytes) -> None:
    session = Session()
    session.start(ask(b"DATA\r\n", b"content"))
    assert receive(session, b"354 go\r\n" + tail) is None
    assert session.error.delivery is Delivery.NOT_SENT  # type: ignore[union-attr]
    assert session.error.phase == "body"  # type: ignore[union-attr]
