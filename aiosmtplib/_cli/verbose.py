"""``--verbose``: the log of a connection on standard error.

The log has the commands, the replies, and what became of the connection. :mod:`aiosmtplib._trace.redaction`
decides what is in it, for everybody who reads it. In addition the console masks the secrets of the command
line, which a server may repeat anywhere.
"""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from .._trace.observer import log
from ..smtp import SMTP
from .console import Console

__all__ = ("closing",)


@contextmanager
def closing(client: SMTP, args: Namespace, console: Console) -> Iterator[None]:
    """Close the connection of a client at the end; until then, with ``--verbose``, print its log."""
    with _logged(console) if args.verbose else nullcontext():
        try:
            yield
        finally:
            client.close()


@contextmanager
def _logged(console: Console) -> Iterator[None]:
    handler = _ConsoleHandler(console)
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
    """Prints log records to standard error, without the number of the connection: there is only one."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.DEBUG)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._console.note(record.getMessage().partition("] ")[2])
        except OSError:
            pass  # a standard error that nobody reads must not end a mail transaction
