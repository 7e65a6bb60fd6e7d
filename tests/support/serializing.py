"""Counts of what the serialiser leaves to the standard library, and what its generator alone writes."""

import itertools
import random
from copy import copy
from email.message import EmailMessage, Message
from typing import Any

from aiosmtplib._codec.constants import PLAIN
from aiosmtplib._message import flatten as flattening
from aiosmtplib._message.flatten import _is_known, flatten, generate, rules_for, serialize
from aiosmtplib._message.rules import Rules

# Before tests seed the source of chance: the check before the first message draws a boundary.
for _legacy in (False, True):
    _is_known(_legacy)
# Nor are fields left to the standard library because they are the first.
flattening._left_unchecked = itertools.count(flattening._UNCHECKED)

__all__ = ("Tally", "by_generator", "counted_rules", "flatten_counted")


class Tally:
    """Counts of what went which way.

    :ivar messages: messages, those within others not counted
    :ivar generated: those of them that the standard library's generator wrote
    :ivar headers: header fields of the others, with those of their parts
    :ivar folded: those of them that the standard library folded
    """

    def __init__(self) -> None:
        self.messages = self.generated = self.headers = self.folded = 0


class _CountingPolicy:
    """The policy of some rules, as a serialiser uses it."""

    def __init__(self, policy: Any, tally: Tally) -> None:
        self._policy = policy
        self._tally = tally

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def fold_binary(self, name: str, value: Any) -> bytes:
        self._tally.folded += 1
        folded: bytes = self._policy.fold_binary(name, value)
        return folded


def counted_rules(rules: Rules, tally: Tally) -> Any:
    """The same rules for a serialiser, but each header field that is left to the policy is counted."""
    counted: Any = copy(rules)
    counted.policy = _CountingPolicy(rules.policy, tally)
    # A field with a boundary that was lacking is the serialiser's, whoever folds it.
    counted.with_boundary = rules.with_boundary
    counted.signed = counted if rules.signed is rules else counted_rules(rules.signed, tally)
    return counted


def flatten_counted(message: EmailMessage | Message, utf8: bool, cte_type: str, tally: Tally) -> bytes:
    """What ``flatten`` gives, and the way it went added to the tally."""
    here, chance = Tally(), random.getstate()
    written = serialize(message, counted_rules(rules_for(message, utf8, cte_type), here), PLAIN)
    random.setstate(chance)  # for the boundaries
    tally.messages += 1
    if written is None:
        tally.generated += 1
    else:
        names = [name.lower() for name in message]
        hidden = names.count("bcc") + names.count("resent-bcc")
        tally.headers += sum(len(part) for part in message.walk()) - hidden
        tally.folded += here.folded
    return flatten(message, utf8, cte_type)


def by_generator(message: EmailMessage | Message, utf8: bool, cte_type: str) -> bytes:
    """What ``flatten`` gives, written by the standard library's generator alone."""
    return generate(message, rules_for(message, utf8, cte_type).policy)
