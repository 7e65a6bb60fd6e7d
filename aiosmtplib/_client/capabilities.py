"""What is known about the server: its replies to EHLO and HELO, and what it announced."""

from __future__ import annotations

from ..esmtp import parse_esmtp_extensions
from ..response import SMTPResponse
from ..status import SMTPStatus
from .options import Options


class Capabilities(Options):
    """What the server at the other end of a connection has said that it can do.

    :ivar last_helo_response: the last reply to HELO on this connection; ``None`` if it was a refusal
    :ivar last_ehlo_response: the last reply to EHLO on this connection; ``None`` if it was a refusal
    :ivar esmtp_extensions: announced extensions, lower case, with their parameters (RFC 5321 section 4.1.1.1)
    :ivar server_auth_methods: announced SASL mechanisms, lower case
    :ivar supports_esmtp: whether the server accepted EHLO
    """

    def _forget_server(self) -> None:
        self.last_helo_response: SMTPResponse | None = None
        self._last_ehlo_response: SMTPResponse | None = None
        self.esmtp_extensions: dict[str, str] = {}
        self.server_auth_methods: list[str] = []
        self.supports_esmtp = False

    @property
    def is_ehlo_or_helo_needed(self) -> bool:
        """Whether neither EHLO nor HELO has been accepted on this connection."""
        return self.last_ehlo_response is None and self.last_helo_response is None

    @property
    def last_ehlo_response(self) -> SMTPResponse | None:
        """The last reply to EHLO, ``None`` if it was a refusal.

        Setting it updates what is known about the server.
        """
        return self._last_ehlo_response

    @last_ehlo_response.setter
    def last_ehlo_response(self, response: SMTPResponse | None) -> None:
        self._last_ehlo_response = response
        self.supports_esmtp = response is not None and response.code == SMTPStatus.completed
        self.esmtp_extensions, self.server_auth_methods = {}, []
        if response is not None and self.supports_esmtp:
            self.esmtp_extensions, self.server_auth_methods = parse_esmtp_extensions(response.message)

    def supports_extension(self, extension: str) -> bool:
        """Whether the server announced an extension, in any case (``"starttls"``, ``"SMTPUTF8"``).

        :param extension: its name in EHLO
        """
        return extension.lower() in self.esmtp_extensions
