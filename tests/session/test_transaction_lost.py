"""Mail transactions that end before their time, and those whose content comes in pieces: driven by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from aiosmtplib._session import CHUNKS, HANG_UP, MORE, STREAM, ServerState
from aiosmtplib._session.transaction import data, transaction
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPReadTimeoutError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from aiosmtplib.status import Delivery

from ..support.dialogues import play, reply
from .test_transaction import CONTENT, DATA, ENVELOPE, C, dirty, lost, mail

# -- lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SMTPServerDisconnected, SMTPReadTimeoutError])
@pytest.mark.parametrize("before", [[], [250]])
@pytest.mark.parametrize(
    ("replies", "phase"), [([], "mail"), ([250], "rcpt"), ([250, 550], "rcpt"), ([250, 250, 550], "data")]
)
def test_a_loss_says_how_far_the_mail_had_come(
    replies: list[int], phase: str, before: list[int], kind: Callable[[str], SMTPException]
) -> None:
    loss = lost(*before, *replies, kind=kind)
    _, error = play(transaction(mail(), dirty() if before else ServerState()), [loss])
    assert error is loss
    assert (error.phase, error.delivery) == (phase, Delivery.NOT_SENT)
    assert error.replies == tuple(map(reply, replies))


def test_a_loss_after_the_content_leaves_it_unknown() -> None:
    _, error = play(transaction(mail(), ServerState()), [[250, 250, 250, 354], lost()])
    assert (error.phase, error.delivery) == ("final", Delivery.UNKNOWN)
    _, error = play(transaction(mail(chunked=True), ServerState()), [lost(250, 250, 250)])
    assert (error.phase, error.delivery) == ("final", Delivery.UNKNOWN)


@pytest.mark.parametrize(
    ("replies", "kind", "delivery"),
    [
        ([550], SMTPSenderRefused, Delivery.REJECTED),
        ([421], SMTPSenderRefused, Delivery.NOT_SENT),
        ([250, 550, 550], SMTPRecipientsRefused, Delivery.REJECTED),
        ([250, 550, 421], SMTPRecipientsRefused, Delivery.NOT_SENT),
    ],
)
def test_a_refusal_counts_more_than_the_loss_after_it(
    replies: list[int], kind: type[SMTPException], delivery: Delivery
) -> None:
    loss = lost(*replies)
    _, error = play(transaction(mail(), ServerState()), [loss])
    assert type(error) is kind
    assert error.__cause__ is loss
    assert error.delivery is delivery
    assert error.replies == tuple(map(reply, replies))


def test_a_server_that_leaves_at_data_had_nothing() -> None:
    _, error = play(transaction(mail(), ServerState()), [[250, 250, 250, 421]])
    assert (type(error), error.phase, error.delivery) == (SMTPDataError, "data", Delivery.NOT_SENT)
    _, error = play(transaction(mail(), ServerState()), [[250, 250, 250, 354], [421]])
    assert (type(error), error.phase, error.delivery) == (SMTPDataError, "final", Delivery.REJECTED)


@pytest.mark.parametrize(
    ("answers", "phase", "delivery"),
    [
        ([[451]], "data", Delivery.REJECTED),
        ([[354], [554]], "final", Delivery.REJECTED),
        ([lost()], "data", Delivery.NOT_SENT),
        ([[354], lost()], "final", Delivery.UNKNOWN),
    ],
)
def test_data_alone_does_not_reset(answers: Any, phase: str, delivery: Delivery) -> None:
    written, error = play(data(CONTENT), answers)
    assert written == [DATA, CONTENT][: len(answers)]
    assert (error.phase, error.delivery) == (phase, delivery)


# -- streamed ----------------------------------------------------------------------------------------


def test_content_that_is_pushed() -> None:
    dialogue = transaction(mail(None), ServerState())
    next(dialogue)
    assert dialogue.send([reply(250), reply(250), reply(250), reply(354)]) == (b"", 1, STREAM)
    with pytest.raises(StopIteration) as stop:
        dialogue.send([reply(250)])
    assert stop.value.value == ({}, reply(250))


def test_chunks() -> None:
    dialogue = transaction(mail(None, chunked=True), ServerState())
    assert next(dialogue) == (ENVELOPE, 3, MORE)
    assert dialogue.send([reply(250), reply(250), reply(550)]) == (b"", 0, CHUNKS)
    with pytest.raises(StopIteration) as stop:
        dialogue.send([reply(250), reply(250)])
    assert stop.value.value == ({C: reply(550)}, reply(250))


@pytest.mark.parametrize("chunk", [250, 552])
@pytest.mark.parametrize("reset", [250, 500])
def test_chunks_that_are_given_up(chunk: int, reset: int) -> None:
    server = ServerState()
    message = mail(None, chunked=True)
    dialogue = transaction(message, server)
    next(dialogue)
    dialogue.send([reply(250)] * 3)
    message.aborted = True
    with pytest.raises(SMTPException) as caught:
        if dialogue.send([reply(chunk), reply(reset)]) == HANG_UP:
            dialogue.throw(SMTPServerDisconnected("closed"))
    refused = chunk == 552
    assert isinstance(caught.value, SMTPDataError) is refused
    assert caught.value.delivery is (Delivery.REJECTED if refused else Delivery.NOT_SENT)
    assert (server.mail is None) is (reset == 250)


def test_closing_a_dialogue_writes_nothing() -> None:
    for position in range(3):
        dialogue = transaction(mail(), ServerState())
        next(dialogue)
        if position:
            dialogue.send([reply(250), reply(250), reply(250), reply(354)])
        dialogue.close()
        with pytest.raises(StopIteration):
            next(dialogue)
