"""The policy of an outbox: what comes next for a message, by what became of it."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..._client.results import SendResult
from ..._envelope.recipient import plain
from ...errors import SMTPException, SMTPNotSupported
from ...response import SMTPResponse
from ...status import Delivery
from .entry import Entry
from .outcomes import Again, Done, Failed, Held, Outcome

__all__ = ("Policy",)

MINUTE, HOUR, DAY = 60, 3600, 86400
#: The reason of an outcome is no longer than this, in characters.
MAX_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What comes next for a message, as data. All times are in seconds.

    ``DELIVERED`` is done; recipients that were refused for now (a 4yz reply) get an attempt of their own.
    ``NOT_SENT`` is tried again soon, unless the message cannot be sent as it is. ``REJECTED`` with a 4yz
    reply is tried again later, with a 5yz reply it has failed (RFC 5321 section 4.2.1).

    :param delays: after a refusal for now: after the first one, the second and so on; the last one repeats
    :param soon: the same for a message that the server never had
    :param greylisted_after: instead of the first delay, where a reply looks like greylisting (RFC 6647)
    :param greylisting: the replies that do, by their code and enhanced status code
    :param unknown: what ``UNKNOWN`` leads to: ``"again"`` as after a refusal, which may duplicate the
        message, or ``"hold"`` for a person to decide
    :param jitter: the part of a delay by which it is longer or shorter at random
    :param max_age: after the attempt at this age a message has failed, and not before (RFC 5321 section
        4.5.4.1)
    :raises ValueError: if a number is out of its range
    :raises TypeError: if one is none
    """

    delays: Sequence[float] = (5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR)
    soon: Sequence[float] = (5, 30, 2 * MINUTE, 5 * MINUTE)
    greylisted_after: float = 2 * MINUTE
    greylisting: Sequence[str] = ("450 4.2.0", "450 4.7.1", "451 4.2.0", "451 4.7.1")
    unknown: Literal["again", "hold"] = "again"
    jitter: float = 0.1
    max_age: float = 5 * DAY

    def __post_init__(self) -> None:
        for name in ("delays", "soon"):
            values = tuple(getattr(self, name))
            if not values:
                raise ValueError(f"There must be one of the {name} at least")
            for value in values:
                _check(name, value)
            object.__setattr__(self, name, values)
        if isinstance(self.greylisting, str):
            raise TypeError("greylisting is a sequence of replies, not one str")
        object.__setattr__(self, "greylisting", tuple(self.greylisting))
        _check("greylisted_after", self.greylisted_after)
        _check("max_age", self.max_age)
        _check("jitter", self.jitter, zero=True)
        if self.jitter >= 1:
            raise ValueError(f"jitter must be less than 1, not {self.jitter}")
        if self.unknown not in ("again", "hold"):
            raise ValueError(f'unknown must be "again" or "hold", not {self.unknown!r}')

    def after(
        self,
        entry: Entry,
        result: SendResult[Any],
        *,
        now: float | None = None,
        chance: Callable[[], float] = random.random,
    ) -> list[Outcome]:
        """What comes next after an attempt. Each recipient is in one of the outcomes.

        :param entry: what was sent
        :param result: what became of it
        :param now: the time, in seconds since 1970
        :param chance: a number from 0 to 1 for the jitter
        """
        everyone = entry.recipients
        error, delivery = result.error, result.delivery
        if delivery is Delivery.DELIVERED and not result.refused:
            return [Done(tuple(everyone))]
        if delivery is Delivery.NOT_SENT:
            if isinstance(error, SMTPNotSupported) or not isinstance(error, SMTPException | OSError):
                return [Failed(tuple(everyone), _in_words(error))]
            return self._again(entry, everyone, _in_words(error), now, chance, counts=False)
        refused = result.refused
        if delivery is Delivery.REJECTED and not refused:
            reply = result.response or SMTPResponse(-1, _in_words(error))
            refused = dict.fromkeys(map(plain, everyone), reply)
        permanent = [who for who in everyone if 500 <= _code(refused, who) < 600]
        for_now = [who for who in everyone if plain(who) in refused and who not in permanent]
        others = tuple(who for who in everyone if plain(who) not in refused)
        outcomes: list[Outcome] = []
        if others and delivery is Delivery.UNKNOWN:
            outcomes += self._unknown(entry, others, _in_words(error), now, chance)
        elif others:
            outcomes.append(Done(others))
        if for_now:
            outcomes += self._again(
                entry, for_now, _reasons(refused, for_now), now, chance, grey=self._is_grey(entry, refused)
            )
        if permanent:
            outcomes.append(Failed(tuple(permanent), _reasons(refused, permanent)))
        return outcomes

    def abandoned(
        self, entry: Entry, *, now: float | None = None, chance: Callable[[], float] = random.random
    ) -> list[Outcome]:
        """What comes next if a worker died while the content was under way (:attr:`Stage.UNDER_WAY`).

        :param entry: what it was sending
        :param now: the time, in seconds since 1970
        :param chance: a number from 0 to 1 for the jitter
        """
        reason = "The worker that was sending it has died"
        return self._unknown(entry, tuple(entry.recipients), reason, now, chance)

    def _unknown(
        self,
        entry: Entry,
        recipients: tuple[str, ...],
        reason: str,
        now: float | None,
        chance: Callable[[], float],
    ) -> list[Outcome]:
        if self.unknown == "hold":
            return [Held(recipients, reason)]
        return self._again(entry, recipients, reason, now, chance)

    def _again(
        self,
        entry: Entry,
        recipients: Sequence[str],
        reason: str,
        now: float | None,
        chance: Callable[[], float],
        *,
        counts: bool = True,
        grey: bool = False,
    ) -> list[Outcome]:
        age = max((time.time() if now is None else now) - entry.created, 0)
        if age >= self.max_age:
            return [Failed(tuple(recipients), f"Given up after {age / DAY:.1f} days: {reason}")]
        delays, before = (self.delays, entry.attempts) if counts else (self.soon, entry.unsent)
        delay = self.greylisted_after if grey else delays[min(before, len(delays) - 1)]
        delay *= 1 + self.jitter * (2 * chance() - 1)
        return [Again(tuple(recipients), reason, min(delay, self.max_age - age), counts)]

    def _is_grey(self, entry: Entry, refused: Mapping[str, SMTPResponse]) -> bool:
        return entry.attempts == 0 and any(
            f"{reply.code} {reply.enhanced_code}" in self.greylisting for reply in refused.values()
        )


def _check(name: str, value: object, *, zero: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be a positive number, not {value}")


def _code(refused: Mapping[str, SMTPResponse], recipient: str) -> int:
    reply = refused.get(plain(recipient))
    return 0 if reply is None else reply.code


def _in_words(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_REASON]


def _reasons(refused: Mapping[str, SMTPResponse], recipients: Iterable[str]) -> str:
    """The replies to recipients in words, with the recipients where they differ."""
    replies = {plain(who): str(refused[plain(who)]) for who in recipients}
    if len(set(replies.values())) == 1:
        return next(iter(replies.values()))[:MAX_REASON]
    return "; ".join(f"{who}: {reply}" for who, reply in replies.items())[:MAX_REASON]
