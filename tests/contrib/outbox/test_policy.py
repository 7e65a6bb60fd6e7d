"""The policy says for each recipient what comes next, by the verdict and the replies."""

from dataclasses import replace
from typing import Any

import pytest

from aiosmtplib import (
    Delivery,
    Envelope,
    SendResult,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPNotSupported,
    SMTPResponse,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from aiosmtplib.contrib.outbox import Again, Done, Entry, Failed, Held, Outcome, Policy, prepare
from aiosmtplib.parameters import Notify, Recipient
from aiosmtplib.status import SMTPStatus

A, B, C = "a@example.com", "b@example.com", "c@example.com"
NOW = 1_800_000_000.0
LATER, NEVER, FULL = SMTPResponse(450, "Later"), SMTPResponse(550, "Who?"), SMTPResponse(452, "4.2.2 Full")


def entry_for(*recipients: str, **changes: Any) -> Entry:
    entry = prepare(Envelope("me@example.com", recipients or (A,), b"Subject: x\r\n\r\n"), now=NOW)
    return replace(entry, **changes)


def result_of(
    delivery: Delivery,
    error: Exception | None = None,
    response: SMTPResponse | None = None,
    **refused: SMTPResponse,
) -> SendResult[Any]:
    replies = {f"{name}@example.com": reply for name, reply in refused.items()}
    return SendResult(0, None, delivery, response, replies, error)


def after(entry: Entry, result: SendResult[Any], now: float = NOW, **options: Any) -> list[Outcome]:
    return Policy(**options).after(entry, result, now=now, chance=lambda: 0.5)


def test_what_was_delivered_is_done_and_who_was_refused_for_now_is_tried_alone() -> None:
    entry = entry_for(A, B, C)
    assert after(entry, result_of(Delivery.DELIVERED)) == [Done((A, B, C))]
    outcomes = after(entry, result_of(Delivery.DELIVERED, b=LATER, c=NEVER))
    assert outcomes == [Done((A,)), Again((B,), "450 Later", 300), Failed((C,), "550 Who?")]
    (again,) = (each for each in outcomes if isinstance(each, Again))
    following = entry.for_next(again)
    assert (following.recipients, following.attempts, following.reason) == ((B,), 1, "450 Later")
    assert (following.id, following.envelope.message) == (entry.id, entry.envelope.message)


def test_a_recipient_keeps_its_parameters() -> None:
    recipient = Recipient(B, Notify("never"))
    outcomes = after(entry_for(A, recipient), result_of(Delivery.DELIVERED, b=LATER))
    assert outcomes[1].recipients[0] is recipient


def test_replies_that_differ_are_named_with_their_recipients() -> None:
    result = result_of(Delivery.REJECTED, SMTPServerDisconnected("x"), a=LATER, b=FULL)
    assert after(entry_for(A, B), result) == [
        Again((A, B), "a@example.com: 450 Later; b@example.com: 452 4.2.2 Full", 300)
    ]


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, 300), (1, 900), (2, 3600), (3, 7200), (4, 14400), (5, 14400), (90, 14400)]
)
def test_delays_grow_and_the_last_one_repeats(attempts: int, delay: float) -> None:
    result = result_of(Delivery.REJECTED, SMTPDataError(451, "Busy"), SMTPResponse(451, "Busy"))
    assert after(entry_for(attempts=attempts), result) == [Again((A,), "451 Busy", delay)]


@pytest.mark.parametrize("code", [SMTPStatus.mailbox_does_not_exist, SMTPStatus.transaction_failed])
def test_a_permanent_refusal_fails(code: int) -> None:
    result = result_of(Delivery.REJECTED, SMTPSenderRefused(code, "No", "me"), SMTPResponse(code, "No"))
    assert after(entry_for(A, B), result) == [Failed((A, B), f"{int(code)} No")]


def test_a_refusal_without_a_reply_is_one_for_now() -> None:
    result = result_of(Delivery.REJECTED, SMTPDataError(-1, "gibberish"))
    (outcome,) = after(entry_for(), result)
    assert isinstance(outcome, Again)


@pytest.mark.parametrize("text", ["4.2.0 Greylisted", "4.7.1 Try again in 300 seconds"])
@pytest.mark.parametrize("code", [450, 451])
def test_greylisting_is_tried_again_sooner_the_first_time(code: int, text: str) -> None:
    result = result_of(Delivery.REJECTED, SMTPServerDisconnected("x"), a=SMTPResponse(code, text))
    (first,) = after(entry_for(), result)
    (second,) = after(entry_for(attempts=1), result)
    assert (first, second) == (Again((A,), f"{code} {text}", 120), Again((A,), f"{code} {text}", 900))


@pytest.mark.parametrize(
    "error",
    [SMTPConnectError("x"), SMTPServerDisconnected("x"), SMTPAuthenticationError(535, "x"), OSError("x")],
)
def test_what_was_not_sent_is_tried_again_soon(error: Exception) -> None:
    (outcome,) = after(entry_for(attempts=3), result_of(Delivery.NOT_SENT, error))
    assert isinstance(outcome, Again)
    assert (outcome.after, outcome.reason) == (5, f"{type(error).__name__}: {error}")
    following = entry_for(attempts=3, unsent=2).for_next(outcome)
    assert (following.attempts, following.unsent) == (3, 3)
    (outcome,) = after(following, result_of(Delivery.NOT_SENT, error))
    assert isinstance(outcome, Again)
    assert outcome.after == 300
    (refusal,) = after(following, result_of(Delivery.DELIVERED, a=LATER))
    assert isinstance(refusal, Again)
    assert (following.for_next(refusal).attempts, following.for_next(refusal).unsent) == (4, 0)


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), SMTPNotSupported("x"), None])
def test_what_cannot_be_sent_as_it_is_fails(error: Exception | None) -> None:
    (outcome,) = after(entry_for(), result_of(Delivery.NOT_SENT, error))
    assert isinstance(outcome, Failed)


def test_unknown_is_a_choice() -> None:
    entry = entry_for(A, B)
    result = result_of(Delivery.UNKNOWN, SMTPServerDisconnected("Lost"), b=NEVER)
    reason = "SMTPServerDisconnected: Lost"
    assert after(entry, result) == [Again((A,), reason, 300), Failed((B,), "550 Who?")]
    assert after(entry, result, unknown="hold") == [Held((A,), reason), Failed((B,), "550 Who?")]


def test_a_worker_that_died_leaves_what_is_unknown() -> None:
    (again,) = Policy().abandoned(entry_for(), now=NOW, chance=lambda: 0.5)
    assert isinstance(again, Again)
    assert (again.recipients, again.after) == ((A,), 300)
    (held,) = Policy(unknown="hold").abandoned(entry_for())
    assert isinstance(held, Held)


def test_the_last_attempt_is_at_the_maximum_age() -> None:
    result = result_of(Delivery.REJECTED, None, LATER)
    (last,) = after(entry_for(), result, max_age=3600, now=NOW + 3500)
    assert isinstance(last, Again)
    assert last.after == 100
    (over,) = after(entry_for(), result, max_age=3600, now=NOW + 3600)
    assert over == Failed((A,), "Given up after 0.0 days: 450 Later")


def test_delays_are_spread() -> None:
    policy, result = Policy(jitter=0.5), result_of(Delivery.REJECTED, None, LATER)
    delays = [policy.after(entry_for(), result, now=NOW, chance=lambda at=at: at)[0] for at in (0.0, 1.0)]
    assert [each.after for each in delays if isinstance(each, Again)] == [150, 450]
    (chosen,) = Policy().after(entry_for(created=0.0), result, now=0.0)
    assert isinstance(chosen, Again)
    assert 270 <= chosen.after <= 330


def test_a_clock_that_was_set_back_changes_nothing() -> None:
    (outcome,) = after(entry_for(), result_of(Delivery.REJECTED, None, LATER), now=NOW - 1e6)
    assert isinstance(outcome, Again)
    assert outcome.after == 300


def test_the_part_that_fails_has_an_entry_of_its_own() -> None:
    entry = entry_for(A, B, body="name")
    part = entry.for_next(Failed((B,), "550 Who?"), apart=True)
    assert part.id not in (entry.id, "name")
    assert (part.body, part.recipients) == (part.id, (B,))
    whole = entry_for(A, B).for_next(Failed((B,), "550 Who?"), apart=True)
    assert whole.body is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"delays": ()}, ValueError),
        ({"soon": (1, 0)}, ValueError),
        ({"delays": ("1",)}, TypeError),
        ({"jitter": 1}, ValueError),
        ({"jitter": -0.1}, ValueError),
        ({"max_age": float("inf")}, ValueError),
        ({"max_age": True}, TypeError),
        ({"greylisted_after": 0}, ValueError),
        ({"greylisting": "450 4.7.1"}, TypeError),
        ({"unknown": "maybe"}, ValueError),
    ],
)
def test_a_policy_is_checked(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        Policy(**options)
