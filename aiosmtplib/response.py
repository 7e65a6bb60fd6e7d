"""The reply of a server as a value. Every layer passes it around; none adds to it."""

from typing import NamedTuple

__all__ = ("SMTPResponse",)


class SMTPResponse(NamedTuple):
    """One SMTP reply (RFC 5321 section 4.2).

    :param code: the three-digit reply code, or -1 where the server sent something that is no reply
    :param message: the text, the lines of a multi-line reply joined by ``"\\n"``
    """

    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.message}"
