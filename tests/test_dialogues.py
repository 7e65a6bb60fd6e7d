"""The dialogues, driven by hand: what is said, in which order, and what an error tells."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aiosmtplib import _dialogues
from aiosmtplib._session import HANG_UP, Dialogue, Step
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

MAIL = b"MAIL FROM:<a@example.com>\r\n"
RCPTS = (b"RCPT TO:<b@example.com>\r\n", b"RCPT TO:<c@example.com>\r\n")
CONTENT = b"hi\r\n.\r\n"
WHOLE = [MAIL, *RCPTS, b"DATA\r\n", CONTENT]


def reply(code: int) -> SMTPResponse:
    return SMTPResponse(code, f"text of {code}")


def transaction() -> Dialogue[tuple[dict[str, SMTPResponse], SMTPResponse]]:
    return _dialogues.transaction("a@example.com", MAIL, ("b@example.com", "c@example.com"), RCPTS, CONTENT)


def play(dialogue: Dialogue[Any], answers: Sequence[int | SMTPException]) -> tuple[list[bytes], Any]:
    """Answer each step with a reply or a loss. Returns what was written, and the result or the error."""
    written = []
    try:
        data, expected = next(dialogue)
        for answer in answers:
            assert expected == 1
            written.append(data)
            if isinstance(answer, SMTPException):
                data, expected = dialogue.throw(answer)
            else:
                data, expected = dialogue.send(reply(answer))
    except StopIteration as stop:
        return written, stop.value
    except SMTPException as error:
        return written, error
    raise AssertionError(f"the dialogue waits for more, after writing {data!r}")


def test_greeting_writes_nothing() -> None:
    assert play(_dialogues.greeting(), [220]) == ([b""], reply(220))


def test_command() -> None:
    assert play(_dialogues.command(b"NOOP\r\n"), [500]) == ([b"NOOP\r\n"], reply(500))


@pytest.mark.parametrize(
    ("answers", "written", "result"),
    [
        ([250], [b"EHLO me\r\n"], (reply(250), None)),
        ([500, 250], [b"EHLO me\r\n", b"HELO me\r\n"], (reply(500), reply(250))),
        ([550, 550], [b"EHLO me\r\n", b"HELO me\r\n"], (reply(550), reply(550))),
        ([421], [b"EHLO me\r\n"], (reply(421), None)),
    ],
)
def test_hello(answers: list[int], written: list[bytes], result: object) -> None:
    assert play(_dialogues.hello(b"me"), answers) == (written, result)


def test_transaction() -> None:
    assert play(transaction(), [250, 250, 251, 354, 250]) == (WHOLE, ({}, reply(250)))


def test_transaction_with_one_recipient_refused() -> None:
    written, result = play(transaction(), [250, 550, 250, 354, 250])
    assert written == WHOLE
    assert result == ({"b@example.com": reply(550)}, reply(250))


@pytest.mark.parametrize("final", [200, 250, 252, 299])
def test_every_2yz_accepts_the_message(final: int) -> None:
    assert play(transaction(), [250, 250, 250, 354, final])[1] == ({}, reply(final))
    assert play(_dialogues.data(CONTENT), [354, final])[1] == reply(final)


REFUSALS = [
    ([550], SMTPSenderRefused, "mail"),
    ([251], SMTPSenderRefused, "mail"),
    ([250, 550, 450], SMTPRecipientsRefused, "rcpt"),
    ([250, 252, 354], SMTPRecipientsRefused, "rcpt"),
    ([250, 250, 250, 451], SMTPDataError, "data"),
    ([250, 250, 250, 250], SMTPDataError, "data"),
    ([250, 250, 250, 354, 554], SMTPDataError, "final"),
    ([250, 250, 250, 354, 354], SMTPDataError, "final"),
]


@pytest.mark.parametrize("after", [250, SMTPReadTimeoutError("slow"), SMTPServerDisconnected("gone")])
@pytest.mark.parametrize(("answers", "kind", "phase"), REFUSALS)
def test_a_refusal_resets_the_envelope(
    answers: list[int], kind: type[SMTPException], phase: str, after: int | SMTPException
) -> None:
    written, error = play(transaction(), [*answers, after])
    assert written == [*WHOLE[: len(answers)], b"RSET\r\n"]
    assert type(error) is kind
    assert error.phase == phase
    assert error.replies == tuple(map(reply, answers))
    assert error.delivery is Delivery.REJECTED


def test_a_server_that_does_not_reset_is_left() -> None:
    dialogue = transaction()
    next(dialogue)
    assert dialogue.send(reply(550)) == (b"RSET\r\n", 1)
    assert dialogue.send(reply(500)) == HANG_UP
    with pytest.raises(SMTPSenderRefused):
        dialogue.throw(SMTPServerDisconnected("closed"))


LOSSES = [
    ([], "mail", Delivery.NOT_SENT),
    ([250], "rcpt", Delivery.NOT_SENT),
    ([250, 550], "rcpt", Delivery.NOT_SENT),
    ([250, 250, 250], "data", Delivery.NOT_SENT),
    ([250, 250, 250, 354], "final", Delivery.UNKNOWN),
]


@pytest.mark.parametrize("make", [SMTPServerDisconnected, SMTPReadTimeoutError])
@pytest.mark.parametrize(("answers", "phase", "delivery"), LOSSES)
def test_a_loss_says_how_far_the_mail_had_come(
    answers: list[int], phase: str, delivery: Delivery, make: Callable[[str], SMTPException]
) -> None:
    loss = make("gone")
    written, error = play(transaction(), [*answers, loss])
    assert written == WHOLE[: len(answers) + 1]
    assert error is loss
    assert (loss.phase, loss.delivery, loss.replies) == (phase, delivery, tuple(map(reply, answers)))


@pytest.mark.parametrize(
    ("answers", "phase", "delivery"),
    [
        ([451], "data", Delivery.REJECTED),
        ([354, 554], "final", Delivery.REJECTED),
        ([SMTPServerDisconnected("gone")], "data", Delivery.NOT_SENT),
        ([354, SMTPServerDisconnected("gone")], "final", Delivery.UNKNOWN),
    ],
)
def test_data_alone_does_not_reset(
    answers: list[int | SMTPException], phase: str, delivery: Delivery
) -> None:
    written, error = play(_dialogues.data(CONTENT), answers)
    assert written == [b"DATA\r\n", CONTENT][: len(answers)]
    assert (error.phase, error.delivery) == (phase, delivery)


def test_closing_a_dialogue_writes_nothing() -> None:
    step: Step
    for position in range(len(WHOLE)):
        dialogue = transaction()
        step = next(dialogue)
        for answer in [250, 250, 250, 354][:position]:
            step = dialogue.send(reply(answer))
        assert step[0] == WHOLE[position]
        dialogue.close()
        with pytest.raises(StopIteration):
            next(dialogue)
