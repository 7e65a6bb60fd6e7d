"""The mail transaction, driven by hand: what goes out together, whose error wins, and what an error tells."""

from collections.abc import Callable
from typing import Any

import pytest

from aiosmtplib._codec.types import MAX_GROUP
from aiosmtplib._session import ENDED, HANG_UP, LAST, MORE, PreparedMail, ServerState
from aiosmtplib._session import GROUP as IN_GROUP
from aiosmtplib._session.transaction import data, transaction
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPReadTimeoutError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from aiosmtplib.response import SMTPResponse
from aiosmtplib.status import Delivery

from ..support.dialogues import play, reply

SENDER = "a@example.com"
B, C = "b@example.com", "c@example.com"
MAIL = b"MAIL FROM:<a@example.com>\r\n"
RCPTS = [b"RCPT TO:<b@example.com>\r\n", b"RCPT TO:<c@example.com>\r\n"]
ENVELOPE = MAIL + b"".join(RCPTS)
DATA = b"DATA\r\n"
RSET = b"RSET\r\n"
CONTENT = b"hi\r\n.\r\n"
GROUP = ENVELOPE + DATA
BDAT = ENVELOPE + b"BDAT 7 LAST\r\n" + CONTENT
REFUSED = (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError)
GONE = SMTPServerDisconnected("gone")


def mail(content: bytes | None = CONTENT, *, recipients: Any = (B, C), **how: bool) -> PreparedMail:
    how = {"pipelined": True, **how}
    rcpts = b"".join(b"RCPT TO:<%b>\r\n" % recipient.encode() for recipient in recipients)
    return PreparedMail(SENDER, recipients, MAIL + rcpts, content, **how)


def dirty() -> ServerState:
    server = ServerState()
    server.mail = mail()
    return server


def lost(*codes: int, kind: Callable[[str], SMTPException] = SMTPServerDisconnected) -> SMTPException:
    """A loss, as the session throws it in: with the replies that came."""
    error = kind("gone")
    error.replies = tuple(reply(code) for code in codes)
    return error


# -- accepted ----------------------------------------------------------------------------------------


def test_a_group_and_its_content() -> None:
    server = ServerState()
    message = mail()
    dialogue = transaction(message, server)
    assert next(dialogue) == (GROUP, 4, MORE)
    assert server.mail is message
    assert dialogue.send([reply(250), reply(250), reply(251), reply(354)]) == (CONTENT, 1, LAST)
    assert server.mail is None
    with pytest.raises(StopIteration) as stop:
        dialogue.send([reply(250)])
    assert stop.value.value == ({}, reply(250))


def test_one_command_at_a_time() -> None:
    server = ServerState()
    dialogue = transaction(mail(pipelined=False), server)
    assert next(dialogue) == (MAIL, 1, MORE)
    assert dialogue.send([reply(250)]) == (RCPTS[0], 1, MORE)
    assert dialogue.send([reply(250)]) == (RCPTS[1], 1, MORE)
    assert dialogue.send([reply(550)]) == (DATA, 1, MORE)
    assert dialogue.send([reply(354)]) == (CONTENT, 1, ENDED)
    with pytest.raises(StopIteration) as stop:
        dialogue.send([reply(250)])
    assert stop.value.value == ({C: reply(550)}, reply(250))


@pytest.mark.parametrize("final", [200, 250, 252, 299])
def test_every_2yz_accepts_the_message(final: int) -> None:
    assert play(transaction(mail(), ServerState()), [[250, 250, 252, 354], [final]])[1] == ({}, reply(final))
    assert play(data(CONTENT), [[354], [final]])[1] == reply(final)


def test_a_dirty_server_is_reset_in_the_group() -> None:
    written, result = play(transaction(mail(), dirty()), [[250, 250, 550, 250, 354], [250]])
    assert written == [RSET + GROUP, CONTENT]
    assert result == ({B: reply(550)}, reply(250))


def test_without_groups_a_dirty_server_is_reset_first() -> None:
    answers = [[250], [250], [250], [250], [354], [250]]
    written, result = play(transaction(mail(pipelined=False), dirty()), answers)
    assert written == [RSET, MAIL, *RCPTS, DATA, CONTENT]
    assert result == ({}, reply(250))


@pytest.mark.parametrize("chunked", [True, False])
def test_groups_are_bounded(chunked: bool) -> None:
    recipients = [f"r{number}@example.com" for number in range(MAX_GROUP + 1)]
    end = [[250]] if chunked else [[354], [250]]
    answers = [[250] * MAX_GROUP, [250, 550], *end]
    written, result = play(transaction(mail(recipients=recipients, chunked=chunked), ServerState()), answers)
    assert [each.count(b"\r\n") for each in written[:2]] == [MAX_GROUP, 2]
    assert written[2:] == ([b"BDAT 7 LAST\r\n" + CONTENT] if chunked else [DATA, CONTENT])
    assert result == ({recipients[-1]: reply(550)}, reply(250))


def test_the_same_recipient_twice() -> None:
    _, result = play(transaction(mail(recipients=(B, B)), ServerState()), [[250, 550, 550, 503]])
    assert isinstance(result, SMTPRecipientsRefused)
    _, result = play(transaction(mail(recipients=(B, B)), ServerState()), [[250, 550, 250, 354], [250]])
    assert result == ({B: reply(550)}, reply(250))


def test_bdat_is_one_group() -> None:
    server = ServerState()
    dialogue = transaction(mail(chunked=True), server)
    assert next(dialogue) == (BDAT, 4, IN_GROUP)
    with pytest.raises(StopIteration) as stop:
        dialogue.send([reply(250), reply(250), reply(250), reply(250)])
    assert stop.value.value == ({}, reply(250))
    assert server.mail is None


def test_bdat_of_large_content_is_not_copied() -> None:
    content = b"x" * 100_000
    step, _, _ = next(transaction(mail(content, chunked=True), dirty()))
    assert step == (RSET + ENVELOPE + b"BDAT 100000 LAST\r\n", content)
    assert step[1] is content


def test_bdat_one_command_at_a_time() -> None:
    answers = [[250], [550], [250], [250]]
    written, result = play(transaction(mail(chunked=True, pipelined=False), ServerState()), answers)
    assert written == [MAIL, *RCPTS, b"BDAT 7 LAST\r\n" + CONTENT]
    assert result == ({B: reply(550)}, reply(250))


def test_what_was_begun_since_stays_open() -> None:
    server = ServerState()
    first = transaction(mail(chunked=True), server)
    next(first)
    following = mail(chunked=True)
    second = transaction(following, server)
    assert next(second)[0] == RSET + BDAT
    with pytest.raises(StopIteration):
        first.send([reply(250)] * 4)
    assert server.mail is following
    with pytest.raises(SMTPDataError):
        second.send([reply(250)] * 4 + [reply(550)])
    assert server.mail is following


# -- LMTP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finals", "refused", "response"),
    [
        ([250, 200], {}, reply(250)),
        ([450, 251], {B: reply(450)}, reply(251)),
        ([250, 550], {C: reply(550)}, reply(250)),
    ],
)
def test_each_recipient_has_a_final_reply(
    finals: list[int], refused: dict[str, SMTPResponse], response: SMTPResponse
) -> None:
    _, result = play(transaction(mail(per_recipient=True), ServerState()), [[250, 250, 250, 354], finals])
    assert result == (refused, response)


def test_all_final_replies_are_negative() -> None:
    answers = [[250, 250, 250, 354], [450, 550]]
    _, error = play(transaction(mail(per_recipient=True), ServerState()), answers)
    assert (error.code, error.phase, error.delivery) == (450, "final", Delivery.REJECTED)
    assert error.replies == tuple(map(reply, (250, 250, 250, 354, 450, 550)))


# -- refused -----------------------------------------------------------------------------------------

REFUSALS = [
    ([550, 503, 503, 503], SMTPSenderRefused, "mail"),
    ([251, 503, 503, 503], SMTPSenderRefused, "mail"),
    ([550, 250, 250, 503], SMTPSenderRefused, "mail"),
    ([250, 550, 450, 554], SMTPRecipientsRefused, "rcpt"),
    ([250, 354, 354, 554], SMTPRecipientsRefused, "rcpt"),
    ([250, 250, 250, 451], SMTPDataError, "data"),
    ([250, 250, 250, 250], SMTPDataError, "data"),
]


@pytest.mark.parametrize(("answers", "kind", "phase"), REFUSALS)
def test_the_first_negative_reply_is_the_error(
    answers: list[int], kind: type[SMTPException], phase: str
) -> None:
    server = ServerState()
    message = mail()
    written, error = play(transaction(message, server), [answers])
    assert written == [GROUP]
    assert type(error) is kind
    assert (error.phase, error.delivery) == (phase, Delivery.REJECTED)
    assert error.replies == tuple(map(reply, answers))
    assert server.mail is message


@pytest.mark.parametrize("final", [354, 450, 554])
def test_a_refused_content_is_reset_too(final: int) -> None:
    server = ServerState()
    message = mail()
    _, error = play(transaction(message, server), [[250, 250, 250, 354], [final]])
    assert (type(error), error.code, error.phase) == (SMTPDataError, final, "final")
    assert error.delivery is Delivery.REJECTED
    assert server.mail is message


@pytest.mark.parametrize("answers", [[550, 503, 503, 354], [250, 550, 450, 354]])
def test_a_lone_dot_where_nobody_was_accepted(answers: list[int]) -> None:
    written, error = play(transaction(mail(), ServerState()), [answers, [554]])
    assert written == [GROUP, b".\r\n"]
    assert isinstance(error, SMTPSenderRefused | SMTPRecipientsRefused)
    assert error.replies == tuple(map(reply, [*answers, 554]))


def test_no_empty_mail_to_those_who_were_accepted() -> None:
    dialogue = transaction(mail(), ServerState())
    next(dialogue)
    assert dialogue.send([reply(550), reply(250), reply(550), reply(354)]) == HANG_UP
    with pytest.raises(SMTPSenderRefused) as caught:
        dialogue.throw(GONE)
    assert caught.value.delivery is Delivery.REJECTED


ONE_BY_ONE = [
    ([550], SMTPSenderRefused),
    ([250, 550, 450], SMTPRecipientsRefused),
    ([250, 250, 250, 451], SMTPDataError),
    ([250, 250, 250, 354, 554], SMTPDataError),
]


@pytest.mark.parametrize("after", [[250], SMTPReadTimeoutError("slow"), SMTPServerDisconnected("gone")])
@pytest.mark.parametrize(("answers", "kind"), ONE_BY_ONE)
def test_without_groups_a_refusal_resets_at_once(
    answers: list[int], kind: type[SMTPException], after: list[int] | SMTPException
) -> None:
    server = ServerState()
    one_by_one = [[answer] for answer in answers]
    written, error = play(transaction(mail(pipelined=False), server), [*one_by_one, after])
    assert written == [*[MAIL, *RCPTS, DATA, CONTENT][: len(answers)], RSET]
    assert type(error) is kind
    assert error.replies == tuple(map(reply, answers))
    assert (server.mail is None) is (after == [250])


@pytest.mark.parametrize("pipelined", [True, False])
def test_a_server_that_does_not_reset_is_left(pipelined: bool) -> None:
    dialogue = transaction(mail(pipelined=pipelined), dirty())
    _, expected, _ = next(dialogue)
    assert dialogue.send([reply(500)] + [reply(250)] * (expected - 1)) == HANG_UP
    with pytest.raises(SMTPServerDisconnected) as caught:
        dialogue.throw(GONE)
    assert caught.value.delivery is Delivery.NOT_SENT


def test_a_server_that_does_not_reset_after_a_refusal_is_left() -> None:
    dialogue = transaction(mail(pipelined=False), ServerState())
    next(dialogue)
    assert dialogue.send([reply(550)]) == (RSET, 1, MORE)
    assert dialogue.send([reply(500)]) == HANG_UP
    with pytest.raises(SMTPSenderRefused):
        dialogue.throw(SMTPServerDisconnected("closed"))


def test_bdat_after_a_refused_reset() -> None:
    dialogue = transaction(mail(chunked=True), dirty())
    next(dialogue)
    assert dialogue.send([reply(500)] + [reply(250)] * 4) == HANG_UP
    with pytest.raises(SMTPServerDisconnected) as caught:
        dialogue.throw(SMTPServerDisconnected("closed"))
    assert caught.value.delivery is Delivery.UNKNOWN


@pytest.mark.parametrize(
    ("answers", "kind", "delivery"),
    [
        ([550, 503, 503, 503], SMTPSenderRefused, Delivery.REJECTED),
        ([550, 250, 250, 250], SMTPSenderRefused, Delivery.DELIVERED),
        ([550, 550, 550, 250], SMTPSenderRefused, Delivery.REJECTED),
        ([250, 550, 550, 554], SMTPRecipientsRefused, Delivery.REJECTED),
        ([250, 550, 550, 250], SMTPRecipientsRefused, Delivery.REJECTED),
        ([250, 250, 250, 552], SMTPDataError, Delivery.REJECTED),
    ],
)
def test_bdat_refused(answers: list[int], kind: type[SMTPException], delivery: Delivery) -> None:
    server = ServerState()
    _, error = play(transaction(mail(chunked=True), server), [answers])
    assert type(error) is kind
    assert error.delivery is delivery
    assert server.mail is not None


@pytest.mark.parametrize("answers", [[[550]], [[250], [550], [550]]])
def test_bdat_that_is_not_sent(answers: list[list[int]]) -> None:
    written, error = play(transaction(mail(chunked=True, pipelined=False), ServerState()), [*answers, [250]])
    assert isinstance(error, REFUSED)
    assert written[-1] == RSET


def test_chunks_are_not_asked_for_in_vain() -> None:
    _, error = play(transaction(mail(None, chunked=True), ServerState()), [[550, 250, 250]])
    assert (type(error), error.delivery) == (SMTPSenderRefused, Delivery.REJECTED)
