"""What SMTP and LMTP do differently, as far as the client has to know (RFC 2033)."""

from __future__ import annotations

from typing import Final, NamedTuple


class Variant(NamedTuple):
    """A protocol that the client speaks.

    :ivar name: what error messages call it
    :ivar hello: the command that introduces this host and asks what the server can do
    :ivar per_recipient: whether each accepted recipient gets a final reply of its own
    :ivar has_default_port: whether the port may be left out
    :ivar forbidden_port: where it must not be spoken, or ``None``
    """

    name: str
    hello: bytes
    per_recipient: bool
    has_default_port: bool
    forbidden_port: int | None


SMTP_VARIANT: Final = Variant("SMTP", b"EHLO", False, True, None)
LMTP_VARIANT: Final = Variant("LMTP", b"LHLO", True, False, 25)
