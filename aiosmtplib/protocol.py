"""A connection to a server as an :class:`asyncio.Protocol`, and the bounds on what a server may send.

The rules of SMTP are in :mod:`aiosmtplib._session`, the queue of exchanges and the writing in
:mod:`aiosmtplib._transport`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ._codec import normalize_newlines
from ._transport.client_protocol import ClientProtocol
from ._transport.writer import FlowControlMixin as FlowControlMixin

__all__ = ("SMTPProtocol",)

#: Bounds on what a server may send, in bytes. Read whenever a reply is parsed.
MAX_LINE_LENGTH = 8192
MAX_RESPONSE_LENGTH = MAX_LINE_LENGTH * 4


def normalize_message_line_endings(message: bytes) -> bytes:
    """Make every line of ``message`` end with CRLF (RFC 5321 section 2.3.8)."""
    return normalize_newlines(message)


class SMTPProtocol(ClientProtocol, asyncio.BufferedProtocol):
    """An SMTP client connection as an :class:`asyncio.Protocol`.

    Usually :class:`aiosmtplib.SMTP` drives it. By hand: pass the class to ``loop.create_connection``, then
    await :meth:`read_response` for the greeting and :meth:`execute_command` for the rest.

    :param loop: the event loop; by default the one running when it is first needed
    :param connection_lost_callback: called once, with this object, when the connection is of no more use
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        connection_lost_callback: Callable[[SMTPProtocol], None] | None = None,
    ) -> None:
        super().__init__(loop)
        self._connection_lost_callback = connection_lost_callback

    def data_received(self, data: bytes) -> None:
        self.receive(data, MAX_LINE_LENGTH, MAX_RESPONSE_LENGTH)

    def _on_lost(self) -> None:
        if self._connection_lost_callback is not None:
            self._connection_lost_callback(self)
