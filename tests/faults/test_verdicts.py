"""Verdicts hold whatever a server says: some of all combinations of replies, and ``slow`` all of them.

``make faults`` tries all. On each day they are others.
"""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from aiosmtplib import Delivery
from aiosmtplib._session import Exchange
from aiosmtplib.errors import SMTPException

from . import verdicts
from .server_model import CUT, GARBAGE, Command, Message, Server, allowed, misdirected
from .verdicts import SCENARIOS, Case, Scenario, cases, judge, some_cases

TODAY = datetime.date.today().toordinal()

DELIVERED, REJECTED, NOT_SENT, UNKNOWN = (
    Delivery.DELIVERED,
    Delivery.REJECTED,
    Delivery.NOT_SENT,
    Delivery.UNKNOWN,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_some_combinations(scenario: Scenario) -> None:
    assert judge(scenario, some_cases(scenario, 100, TODAY)).wrong == []


@pytest.mark.slow
def test_all_combinations() -> None:
    tallies = [judge(scenario, cases(scenario)) for scenario in SCENARIOS]
    assert [text for tally in tallies for text in tally.wrong] == []
    assert sum(tally.count for tally in tallies) >= 50_000


def test_no_two_combinations_are_the_same() -> None:
    said = [case.server.said for case in cases(Scenario((1, 1), "BDAT", True))]
    assert len(said) == len(set(said)) > 500


# -- the model -----------------------------------------------------------------------------------------


def model(written: bytes, *codes: int, lmtp: bool = False) -> Server:
    """A server that has read this, and has given these replies."""
    replies = list(codes)
    server = Server(lambda _: replies.pop(0) if replies else CUT, lmtp)
    server.read(written)
    server.interrupt()
    return server


ENVELOPE = b"MAIL FROM:<s1>\r\nRCPT TO:<r10>\r\nRCPT TO:<r11>\r\n"
DATA = ENVELOPE + b"DATA\r\n"
TEXT = b"m1\r\n.\r\n"
LAST = b"BDAT 4 LAST\r\nm1\r\n"
BDAT = ENVELOPE + LAST
CHUNKS = ENVELOPE + b"BDAT 4\r\nm1\r\nBDAT 4\r\nm1\r\nBDAT 0 LAST\r\n"


@pytest.mark.parametrize(
    ("written", "codes", "verdicts"),
    [
        (b"", [], {NOT_SENT}),
        (DATA, [250, 250, 550, 354], {NOT_SENT}),
        (DATA, [250, 550, 550], {REJECTED, NOT_SENT}),
        (DATA, [250, 550, 550, 503], {REJECTED}),
        (DATA, [250, 250, 250, 250], {REJECTED}),
        (DATA, [250, 250, GARBAGE], {NOT_SENT}),
        (DATA + TEXT[:-1], [250, 250, 250, 354], {NOT_SENT}),
        (DATA + TEXT[:-1], [250, 250, 250, 354, 552], {REJECTED, NOT_SENT}),
        (DATA + TEXT, [250, 250, 550, 354], {UNKNOWN}),
        (DATA + TEXT, [250, 250, 550, 354, 250], {DELIVERED}),
        (DATA + TEXT, [250, 250, 550, 354, 554], {REJECTED}),
        (DATA + TEXT, [250, 250, 550, 354, 421], {REJECTED, NOT_SENT}),
        (DATA + b".\r\n", [250, 550, 550, 354, 250], {REJECTED}),
        (BDAT[:-1], [250, 250, 250], {NOT_SENT}),
        (BDAT, [250, 250, 250], {UNKNOWN}),
        (BDAT, [550], {UNKNOWN}),
        (BDAT, [550, GARBAGE], {UNKNOWN}),
        (BDAT, [550, 421], {REJECTED, NOT_SENT}),
        (BDAT, [421], {NOT_SENT}),
        (BDAT, [250, 421], {NOT_SENT}),
        (BDAT, [550, 250], {UNKNOWN}),
        (BDAT, [550, 250, 550], {UNKNOWN}),
        (BDAT, [550, 550, 550], {REJECTED}),
        (BDAT, [550, 250, 550, 250], {DELIVERED}),
        (BDAT, [550, 550, 550, 250], {REJECTED}),
        (BDAT, [250, 250, 250, 554], {REJECTED}),
        (CHUNKS, [250, 250, 250, 250, 250, 250], {DELIVERED}),
        (CHUNKS, [250, 250, 250, 250, 452, 250], {UNKNOWN}),
        (CHUNKS, [250, 250, 250, 250, 452, 503], {REJECTED}),
        (CHUNKS, [250, 250, 250, 250, 452], {UNKNOWN}),
        (b"RSET\r\n" + BDAT, [500, 250, 250, 250, 250], {DELIVERED, UNKNOWN}),
    ],
)
def test_what_the_model_allows(written: bytes, codes: list[int], verdicts: set[Delivery]) -> None:
    assert allowed(model(written, *codes).messages.get(1)) == verdicts


@pytest.mark.parametrize(
    ("finals", "verdicts"),
    [
        ([250, 250], {DELIVERED}),
        ([250, 550], {DELIVERED}),
        ([250, CUT], {DELIVERED, UNKNOWN}),
        ([550, CUT], {UNKNOWN}),
        ([550, 421], {REJECTED, NOT_SENT}),
        ([450, 550], {REJECTED}),
    ],
)
def test_what_the_model_allows_with_several_final_replies(finals: list[int], verdicts: set[Delivery]) -> None:
    server = model(DATA + TEXT, 250, 250, 250, 354, *finals, lmtp=True)
    assert allowed(server.messages[1]) == verdicts


NEXT = BDAT.replace(b"s1", b"s2").replace(b"<r1", b"<r2").replace(b"m1", b"m2")


@pytest.mark.parametrize(
    ("written", "codes", "wrong"),
    [
        (BDAT + b"RSET\r\n" + NEXT, [250, 250, 250, 550, 250, 250, 250, 250, 250], False),
        (BDAT + b"RSET\r\n" + NEXT, [250, 250, 250, 550, 500, 503, 250, 250, 250], True),
        (BDAT + b"RSET\r\n" + NEXT, [250, 250, 250, 550, 500, 250, 250, 250, 250], False),
        (BDAT + b"RSET\r\n" + NEXT, [250, 250, 250, 550], True),
        (BDAT + b"RSET\r\n" + NEXT, [250, 250, 250, 421], False),
        (BDAT + NEXT, [250, 250, 250, 250, 503, 250, 250, 250], False),
        (DATA + b".\r\n", [550, 250, 550, 354, 250], True),
        (DATA + b".\r\n", [550, 550, 550, 354, 250], False),
    ],
)
def test_whom_content_may_go_to(written: bytes, codes: list[int], wrong: bool) -> None:
    assert misdirected(model(written, *codes)) is wrong


# -- all of this can fail ------------------------------------------------------------------------------


def always(delivery: Delivery) -> Callable[[Exchange], Delivery]:
    return lambda _: delivery


def last_reply_counts(exchange: Exchange) -> Delivery:
    error: Any = exchange.error
    positive = isinstance(error, SMTPException) and error.replies and error.replies[-1].code == 250
    return DELIVERED if error is None or positive else error.delivery


@pytest.mark.parametrize("verdict", [*map(always, Delivery), last_reply_counts])
def test_wrong_verdicts_are_found(
    verdict: Callable[[Exchange], Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_verdict", verdict)
    scenario = Scenario((2,), "BDAT", True)
    assert judge(scenario, cases(scenario)).wrong


def test_wrong_details_are_found() -> None:
    message = Message(Command("MAIL", 1, "s1", 250), None, [Command("RCPT", 1, "r10", 550)])
    exchange = Exchange(iter(()))  # type: ignore[arg-type]
    exchange.result = {}, (250, "x")
    assert [*verdicts.wrong_detail(1, message, exchange, DELIVERED)] == [
        "1 reports {} as refused, not {'r10': 550}"
    ]
    for error, text in (
        (verdicts.SMTPServerDisconnected("x"), ["1 is a SMTPServerDisconnected"]),
        (verdicts.SMTPRecipientsRefused([]), []),
    ):
        exchange.error = error
        assert [*verdicts.wrong_detail(1, message, exchange, REJECTED)] == text
    exchange.error = verdicts.SMTPSenderRefused(451, "x", "s1")
    message.mail = Command("MAIL", 1, "s1", 550)
    assert [*verdicts.wrong_detail(1, message, exchange, REJECTED)] == ["1 is a 451, not a 550"]


def test_an_error_of_another_kind_is_found() -> None:
    case = Case(Scenario((1,), "DATA", True), [])
    case.run()
    case.exchanges[0].error = KeyError("x")
    assert case.wrong() == ["1 raised KeyError('x')"]
