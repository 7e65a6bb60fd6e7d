"""Values that options have by default, and those that ``SECURE`` gives them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

SMTP_PORT = 25
SMTP_TLS_PORT = 465
SMTP_STARTTLS_PORT = 587


class _NotGiven(int):
    """The default of ``use_tls``: false, and yet not the same as a ``False`` that the caller wrote."""

    def __repr__(self) -> str:
        return "False"


NOT_GIVEN: Final = cast(bool, _NotGiven(0))

#: Options for those who would rather have no mail go out than have it, or a password, read on the way:
#: ``SMTP("mail.example.com", **SECURE)``. TLS is required, by STARTTLS or with ``use_tls=True``; at least TLS
#: 1.2; with a certificate that is verified; and nothing logs in without it. It cannot be changed.
SECURE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "validate_certs": True,
        "minimum_tls_version": ssl.TLSVersion.TLSv1_2,
        "allow_plaintext_auth": False,
    }
)
