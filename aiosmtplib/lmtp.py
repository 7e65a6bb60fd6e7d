"""LMTP, for handing mail to a local delivery agent: SMTP, with an answer for each recipient (RFC 2033)."""

from ._client.commands import Timeout
from ._client.options import SMTP_PORT
from .errors import SMTPNotSupported
from .response import SMTPResponse
from .smtp import SMTP
from .typing import _default

__all__ = ("LMTP",)


class LMTP(SMTP):
    """A client that speaks LMTP (RFC 2033). It has the options and methods of :class:`SMTP`.

    >>> async with aiosmtplib.LMTP(socket_path="/run/dovecot/lmtp") as client:
    ...     refused, text = await client.send_message(message)

    The differences are these:

    * It introduces itself with LHLO, never with EHLO or HELO (section 4.1).
    * After the content, the server answers once for each recipient that it accepted (section 4.2). Who is
      refused there is among the refused, like those whom RCPT refused. The text is that of the first positive
      reply. Where all are negative, :class:`SMTPDataError` has the first of them, and ``replies`` has all.
    * Content goes by DATA alone, so that a message with ``BODY=BINARYMIME`` cannot be sent.
    * There is no default port, and 25 is forbidden (section 5): connecting raises :class:`ValueError` unless
      ``socket_path``, ``sock`` or another ``port`` was given.
    """

    _HELLO = b"LHLO"
    _per_recipient = True

    @property
    def _destination(self) -> str:
        if self.port is None and self.socket_path is None and self.sock is None:
            return f"{self._server_name} on a port not given"
        return super()._destination

    async def _open(self) -> SMTPResponse:
        if self.socket_path is None and self.sock is None:
            if self.port is None:
                raise ValueError("LMTP has no default port: pass socket_path or port")
            if self.port == SMTP_PORT:
                raise ValueError("LMTP must not be used on port 25 (RFC 2033 section 5): pass another port")
        return await super()._open()

    async def helo(self, hostname: str | None = None, timeout: Timeout = _default) -> SMTPResponse:
        """Refused: LMTP has no HELO (RFC 2033 section 4.1). :meth:`ehlo` sends LHLO.

        :raises SMTPNotSupported: always; nothing has been sent
        """
        raise SMTPNotSupported("LMTP has no HELO (RFC 2033 section 4.1): use ehlo(), which sends LHLO")

    async def data(self, message: str | bytes, timeout: Timeout = _default) -> SMTPResponse:
        """Refused: its one reply cannot stand for those to each recipient (RFC 2033 section 4.2).

        :raises SMTPNotSupported: always; nothing has been sent
        """
        raise SMTPNotSupported("LMTP answers the content once for each recipient: use sendmail()")
