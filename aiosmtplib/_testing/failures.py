"""Failures that a server for tests was told to have, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Where a server can fail: before its greeting, at a command, and after the end of a message.
PHASES: Final = (
    "connect",
    "EHLO",
    "HELO",
    "STARTTLS",
    "AUTH",
    "MAIL",
    "RCPT",
    "DATA",
    "message",
    "RSET",
    "NOOP",
    "VRFY",
    "QUIT",
)

_is_reply = re.compile(r"[2-5][0-9][0-9] [^\r\n]*").fullmatch


@dataclass
class Failure:
    """What a server does in place of what it would, or before it.

    :ivar phase: one of :data:`PHASES`
    :ivar reply: what it says; ``None`` for what it would say anyway
    :ivar delay: for how many seconds it is silent before that
    :ivar drop: whether it closes the connection instead, and says nothing
    :ivar times: how often; ``None`` always
    """

    phase: str
    reply: str | None
    delay: float
    drop: bool
    times: int | None

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"{self.phase!r} is none of the phases {', '.join(PHASES)}")
        if self.reply is not None and not _is_reply(self.reply):
            raise ValueError(f"{self.reply!r} is no reply, such as '450 4.2.1 Try later'")
        if self.drop and self.reply is not None:
            raise ValueError("A server that drops the connection says nothing")
        if not self.drop and self.reply is None and not self.delay:
            raise ValueError("A failure is a reply, a delay, or drop=True")

    @property
    def hangs_up(self) -> bool:
        """Whether the connection ends with the reply (RFC 5321 section 3.8)."""
        return self.reply is not None and (self.reply.startswith("421") or self.phase == "connect")


class Script:
    """The failures to come, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    def add(self, failure: Failure) -> None:
        self._failures.append(failure)

    def clear(self) -> None:
        self._failures.clear()

    def next(self, phase: str) -> Failure | None:
        """The next failure in a phase, which counts as done."""
        failure = next(self._of(phase), None)
        if failure is not None and failure.times is not None:
            failure.times -= 1
        return failure

    def _of(self, phase: str) -> Iterator[Failure]:
        return (each for each in self._failures if each.phase == phase and each.times != 0)
