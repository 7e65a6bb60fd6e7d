"""An LMTP client, for local delivery: SMTP with a final reply for each recipient (RFC 2033)."""

from __future__ import annotations

from ._client.connection import Timeout
from ._client.variant import LMTP_VARIANT
from .errors import SMTPNotSupported
from .response import SMTPResponse
from .smtp import SMTP
from .typing import Default

__all__ = ("LMTP",)


class LMTP(SMTP):
    """An LMTP client (RFC 2033). It has the options and methods of :class:`SMTP`.

    >>> async with aiosmtplib.LMTP(socket_path="/run/dovecot/lmtp") as client:
    ...     refused, text = await client.send_message(message)

    The differences are these:

    * It sends LHLO, never EHLO or HELO (section 4.1).
    * After the content, the server sends one reply for each recipient that it accepted (section 4.2). A
      recipient with a negative one is among the refused, as after a refused RCPT. The text is that of the
      first positive reply. If all are negative, :class:`SMTPDataError` has the first of them, and
      ``replies`` has all.
    * Content is sent by DATA only, so a message with ``BODY=BINARYMIME`` cannot be sent.
    * There is no default port, and 25 is forbidden (section 5): connecting raises :class:`ValueError` unless
      ``socket_path``, ``sock`` or another ``port`` was given.
    """

    _variant = LMTP_VARIANT

    async def helo(self, hostname: str | None = None, timeout: Timeout = Default.token) -> SMTPResponse:
        """Refused: LMTP has no HELO (RFC 2033 section 4.1). :meth:`ehlo` sends LHLO.

        :raises SMTPNotSupported: always; nothing has been sent
        """
        raise SMTPNotSupported("LMTP has no HELO (RFC 2033 section 4.1): use ehlo(), which sends LHLO")

    async def data(self, message: str | bytes, timeout: Timeout = Default.token) -> SMTPResponse:
        """Refused: it returns one reply, and LMTP has one for each recipient (RFC 2033 section 4.2).

        :raises SMTPNotSupported: always; nothing has been sent
        """
        raise SMTPNotSupported("LMTP answers the content once for each recipient: use sendmail()")
