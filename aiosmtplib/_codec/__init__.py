"""The codec: the compiled one, or its pure twin. Nothing else imports those two.

``AIOSMTPLIB_NO_EXTENSIONS=1`` in the environment chooses the pure twin. ``AIOSMTPLIB_REQUIRE_EXTENSIONS=1``
makes it an error if the compiled one cannot be loaded. ``setup.py`` reads the same two. Empty and ``0`` mean
unset.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

__all__ = (
    "IMPLEMENTATION",
    "DataEncoder",
    "EncodedEnvelope",
    "Exchange",
    "ExchangeQueue",
    "PreparedMail",
    "ReplyParser",
    "ServerState",
    "Session",
    "encode_command",
    "encode_data",
    "encode_message",
    "encode_recipients",
    "normalize_newlines",
    "pick_fields",
    "plain_address",
    "plain_addresses",
    "plain_envelope",
    "serialize_field",
    "serialize_message",
    "start_transaction",
)

IMPLEMENTATION: Literal["cython", "python"]

_unwanted = os.environ.get("AIOSMTPLIB_NO_EXTENSIONS", "0") not in ("", "0")
_required = os.environ.get("AIOSMTPLIB_REQUIRE_EXTENSIONS", "0") not in ("", "0")

if _unwanted and _required:
    raise ImportError("AIOSMTPLIB_NO_EXTENSIONS and AIOSMTPLIB_REQUIRE_EXTENSIONS are both set: unset one")

if not TYPE_CHECKING and not _unwanted:
    try:
        from .._speedups import (
            DataEncoder,
            EncodedEnvelope,
            Exchange,
            ExchangeQueue,
            PreparedMail,
            ReplyParser,
            ServerState,
            Session,
            encode_command,
            encode_data,
            encode_message,
            encode_recipients,
            normalize_newlines,
            pick_fields,
            plain_address,
            plain_addresses,
            plain_envelope,
            serialize_field,
            serialize_message,
            start_transaction,
        )
    except ImportError as exc:
        if _required:
            raise ImportError(
                f"AIOSMTPLIB_REQUIRE_EXTENSIONS is set and aiosmtplib._speedups cannot be loaded: {exc}"
            ) from exc
        _unwanted = True
    else:
        IMPLEMENTATION = "cython"

if TYPE_CHECKING or _unwanted:
    from .pure import (
        DataEncoder,
        EncodedEnvelope,
        Exchange,
        ExchangeQueue,
        PreparedMail,
        ReplyParser,
        ServerState,
        Session,
        encode_command,
        encode_data,
        encode_message,
        encode_recipients,
        normalize_newlines,
        pick_fields,
        plain_address,
        plain_addresses,
        plain_envelope,
        serialize_field,
        serialize_message,
        start_transaction,
    )

    IMPLEMENTATION = "python"
