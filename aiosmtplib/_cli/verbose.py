"""``--verbose``: the log of a connection on standard error.

The log has the commands, the replies, and what became of the connection. :mod:`aiosmtplib._trace.redaction`
decides what is in it, for everybody who reads it. In addition the console masks the secrets of the command
line, which a server may repeat anywhere.
"""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .._trace.observer import log
from ..smtp import SMTP
from .console import Console

__all__ = ("closing", "logged")


@contextmanager
def closing(client: SMTP, args: Namespace, console: Console) -> Iterator[None]:
    """Close the connection of a client at the end; until then, with ``--verbose``, print its log."""
    with _logging(console, alone=True) if args.verbose else nullcontext():
        try:
            yield
        finally:
            client.close()


def logged(args: Namespace, console: Console) -> AbstractContextManager[None]:
    """With ``--verbose``, print the log of several connections, with the number of each."""
    return _logging(console, alone=False) if args.verbose else nullcontext()


@contextmanager
def _logging(console: Console, *, alone: bool) -> Iterator[None]:
    handler = _ConsoleHandler(console, alone)
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


class _ConsoleHandler(logging.Handler):
    """Prints log records to standard error, without the number of the connection if there is only one."""

    def __init__(self, console: Console, alone: bool) -> None:
        super().__init__(logging.DEBUG)
        self._console = console
        self._alone = alone

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            self._console.note(text.partition("] ")[2] if self._alone else text)
        except OSError:
            pass  # a standard error that nobody reads must not end a mail transaction
