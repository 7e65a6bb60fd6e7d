"""What inputs are made of, for the engines to put in. Read before the twins are loaded."""

from typing import Final

__all__ = ("TOKENS",)

_CONTENT = (b"\r\n", b"\r", b"\n", b".", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"x" * 15, b"x" * 16, b"x" * 33)

TOKENS: Final[dict[str, tuple[bytes, ...]]] = {
    "replies": (
        b"250 ok\r\n",
        b"250-a\r\n",
        b"250",
        b"\r\n",
        b"\n",
        b"-",
        b" ",
        b"421 bye\r\n",
        b"\xff",
        b"x" * 12,
    ),
    "content": _CONTENT,
    "large": _CONTENT,
    "command": (b"\xff", b"MAIL", b" ", b"\r\n", b"\x7f", b"\x00"),
    "address": (b"a@b", b"<", b">", b"@", b".", b"-", b"Name <", b" ", b'"', b"\x80", b"b.example"),
    "addresses": (b"a@b", b",", b"<c@d.example>", b"Name <", b"> ", b"\r\n ", b"\t", b",,", b'"', b"\x80"),
    "parsed": (
        *(
            b"Subject: ",
            b"From: a@b\n",
            b"To: ",
            b"Content-Type: ",
            b"multipart/mixed; boundary=x\n",
            b"\n--x\n",
        ),
        *(
            b"Content-Transfer-Encoding: ",
            b"8bit\n",
            b"base64\n",
            b"\n\n",
            b"\r\n",
            b"\n--x--\n",
            b"\n ",
            b"\xc3\xa9",
        ),
        *(
            b"message/rfc822\n",
            b"w" * 30,
            b"Bcc: x@y\n",
            b"\nFrom ",
            b'"',
            b"=?utf-8?q?a?=",
            b"text/plain; charset=",
            b"; ",
        ),
    ),
    "recipients": (b"a@b", b",", b"@", b".", b"-", b"c@d.example,", b"<", b">", b"\x80"),
}
