"""Bodies with 8-bit bytes, for a server without 8BITMIME (RFC 6152): what the standard library makes of them.

It encodes text anew by the charset that is declared, with the methods of the message. So does this, for one
part, where the generator copies the part twice with all that it holds.
"""

from __future__ import annotations

from copy import copy
from typing import Any

__all__ = ("recoded",)


def recoded(message: Any, policy: Any, decoded: bool) -> Any:
    """A part with its body in base64 or quoted-printable, and the fields that say so.

    :param policy: by which it is written
    :param decoded: whether the body is decoded before; releases of Python differ in that
    :return: a copy; None if no charset is declared, or the body has no surrogates for bytes
    """
    original = _copied(message, policy)
    charset = original.get_param("charset")
    if charset is None or not _has_surrogates(original._payload):
        return None
    changed = _copied(original, policy)
    del changed["content-transfer-encoding"]
    changed.set_payload(original.get_payload() if decoded else original._payload, charset)
    original._payload = changed.get_payload()
    encoding, content_type = changed["content-transfer-encoding"], changed["content-type"]
    if original.get("content-transfer-encoding") is None:
        original["Content-Transfer-Encoding"] = encoding
    else:
        original.replace_header("content-transfer-encoding", encoding)
    original.replace_header("content-type", content_type)
    return original


def _copied(message: Any, policy: Any) -> Any:
    copied = copy(message)
    copied._headers = message._headers.copy()
    copied.policy = policy
    return copied


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
