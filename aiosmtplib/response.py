"""The reply of a server as a value. Every layer passes it around; none adds to it."""

import re
from typing import NamedTuple

__all__ = ("EnhancedCode", "SMTPResponse")

# RFC 3463 section 2: no number has leading zeros.
_ENHANCED = r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?![^ \t\n])"


class EnhancedCode(NamedTuple):
    """An enhanced status code (RFC 3463 section 2), such as ``(5, 1, 1)``.

    :param class_: 2 for success, 4 for a failure that may pass, 5 for one that will not
    :param subject: what it is about: 1 an address, 2 a mailbox, 3 the mail system, 4 the network, 5 the
        protocol, 6 the content, 7 security and policy
    :param detail: what it says about that
    """

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


class SMTPResponse(NamedTuple):
    """One SMTP reply (RFC 5321 section 4.2).

    :param code: the three-digit reply code, or -1 where the server sent something that is no reply
    :param message: the text, the lines of a multi-line reply joined by ``"\\n"``
    """

    code: int
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.message}"

    @property
    def enhanced_code(self) -> EnhancedCode | None:
        """The enhanced status code at the beginning of the text (RFC 2034 section 4), or ``None``.

        Only a code of the class that the first digit of the reply code says counts. Of a multi-line reply,
        which has it on each line, it is that of the first line. Whether the server announces
        ENHANCEDSTATUSCODES is not asked: text that looks like a code is one.
        """
        return enhanced_code(self.code, self.message)


def enhanced_code(code: int, message: str) -> EnhancedCode | None:
    """The enhanced status code of a reply, as :attr:`SMTPResponse.enhanced_code` has it."""
    match = re.match(_ENHANCED, message)
    if match is None or int(match[1]) != code // 100:
        return None
    return EnhancedCode(int(match[1]), int(match[2]), int(match[3]))
