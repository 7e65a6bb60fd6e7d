"""SMTP replies (RFC 5321 section 4.2) and their enhanced status codes (RFC 3463), as values."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ("EnhancedCode", "SMTPResponse")

# RFC 3463 section 2: no number has leading zeros.
_ENHANCED = r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?![^ \t\n])"


class EnhancedCode(NamedTuple):
    """An enhanced status code (RFC 3463 section 2), such as ``(5, 1, 1)``.

    :param class_: 2 for success, 4 for a failure where a later attempt may succeed, 5 for a permanent failure
    :param subject: the source of the status: 1 an address, 2 a mailbox, 3 the mail system, 4 the network, 5
        the protocol, 6 the content, 7 security and policy
    :param detail: the precise status within the subject
    """

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


class SMTPResponse(NamedTuple):
    """One SMTP reply (RFC 5321 section 4.2).

    :param code: the three-digit reply code, or -1 if the server sent something other than a reply
    :param message: the text, the lines of a multi-line reply joined by ``"\\n"``
    """

    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.message}"

    @property
    def enhanced_code(self) -> EnhancedCode | None:
        """The enhanced status code at the beginning of the text (RFC 2034 section 4), or ``None``.

        Its class has to equal the first digit of the reply code. Of a multi-line reply, which has one on each
        line, it is that of the first line. It is found whether or not the server announces
        ENHANCEDSTATUSCODES.
        """
        return enhanced_code(self.code, self.message)


def enhanced_code(code: int, message: str) -> EnhancedCode | None:
    """The enhanced status code of a reply, or ``None``: see :attr:`SMTPResponse.enhanced_code`.

    :param code: the reply code
    :param message: the text of the reply
    """
    match = re.match(_ENHANCED, message)
    if match is None or int(match[1]) != code // 100:
        return None
    return EnhancedCode(int(match[1]), int(match[2]), int(match[3]))
