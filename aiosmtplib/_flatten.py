"""The bytes of a message, by the generator of the standard library, with each header field kept in its place.

This is a module of its own because the generator and the policies are slow to import; ``email.py`` asks for
it when the first message comes.
"""

import re
from copy import copy
from email.generator import BytesGenerator
from email.message import EmailMessage, Message
from email.policy import Compat32, EmailPolicy
from io import BytesIO

__all__ = ("flatten",)

# A line break that does not fold (RFC 5322 section 2.2.3): what follows it would be a header field of its
# own, or the body. A lone CR counts, since it becomes CRLF on the wire.
_breaks_out = re.compile(rb"\r(?![ \t\n])|\n(?![ \t])").search
_fold_properly = re.compile(rb"[\r\n][\r\n \t]*").sub


class _SMTPPolicy(EmailPolicy):
    def fold_binary(self, name: str, value: str) -> bytes:
        return _contain(super().fold_binary(name, value), b"\r\n")


class _LegacyPolicy(Compat32):
    def fold_binary(self, name: str, value: str) -> bytes:
        return _contain(super().fold_binary(name, value), b"\n")


_smtp_policies = {
    (utf8, cte_type): _SMTPPolicy(linesep="\r\n", utf8=utf8, cte_type=cte_type)
    for utf8 in (False, True)
    for cte_type in ("7bit", "8bit")
}
_legacy_policies = {cte_type: _LegacyPolicy(cte_type=cte_type) for cte_type in ("7bit", "8bit")}


def flatten(message: EmailMessage | Message, utf8: bool, cte_type: str) -> bytes:
    """Do what :func:`aiosmtplib.email.flatten_message` promises."""
    if not isinstance(message, Message):
        raise TypeError(f"Expected an email.message.EmailMessage or Message, not {type(message).__name__}")
    if cte_type not in _legacy_policies:
        raise ValueError(f'cte_type must be "7bit" or "8bit", not {cte_type!r}')
    if "Bcc" in message or "Resent-Bcc" in message:
        message = copy(message)
        # Deletion gives the copy a list of header fields of its own.
        del message["Bcc"]
        del message["Resent-Bcc"]
    buffer = BytesIO()
    if isinstance(message, EmailMessage):
        BytesGenerator(buffer, policy=_smtp_policies[bool(utf8), cte_type]).flatten(message)
    else:
        BytesGenerator(buffer, policy=_legacy_policies[cte_type]).flatten(message)
    return buffer.getvalue()


def _contain(field: bytes, linesep: bytes) -> bytes:
    """Fold a header field at the line breaks that its value, or a lenient parser, has put in.

    Old-style messages take any text for a value, and the generator writes it as it is, on every Python
    up to at least 3.13. Older ones do so with what an :class:`~email.message.EmailMessage` parsed, too.
    """
    if not _breaks_out(field, 0, len(field) - len(linesep)):
        return field
    return _fold_properly(linesep + b" ", field.rstrip(b"\r\n")) + linesep
