"""The mail transaction in pure Python: that of :mod:`aiosmtplib._session.transaction`, without a shortcut."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..types import Dialogue

__all__ = ("start_transaction",)

M = TypeVar("M")
S = TypeVar("S")
T = TypeVar("T")


def start_transaction(mail: M, server: S, general: Callable[[M, S], Dialogue[T]]) -> Dialogue[T]:
    """The dialogue ``general(mail, server)``, or a faster one that does the same.

    :param general: :func:`aiosmtplib._session.transaction.transaction`
    """
    return general(mail, server)
