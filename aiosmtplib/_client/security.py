"""What a connection has to fulfil before mail or credentials depend on it: encryption, and its version."""

from __future__ import annotations

import asyncio
import ssl

from .._transport.tls import TLSInfo, is_loopback, is_unix, tls_info
from ..errors import SMTPConnectError, SMTPException, SMTPServerDisconnected
from ..typing import PlaintextAuth


def tls_of(transport: asyncio.BaseTransport | None) -> TLSInfo | None:
    """What protects a connection, or ``None`` if nothing does."""
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    try:
        return None if tls is None else tls_info(tls)
    except ValueError:  # an alert has ended TLS, and asyncio is about to say so
        return None


def is_verified(transport: asyncio.BaseTransport | None) -> bool:
    """Whether a connection uses TLS, with a certificate that was verified."""
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    return tls is not None and tls.context.verify_mode != ssl.CERT_NONE


def check_may_authenticate(
    transport: asyncio.BaseTransport | None, allowed: PlaintextAuth, destination: str
) -> None:
    """Let credentials pass where the connection is encrypted, or ``allow_plaintext_auth`` makes an exception.

    :raises SMTPException: elsewhere
    """
    if allowed is True or transport is None or transport.get_extra_info("sslcontext") is not None:
        return
    if allowed in ("unix", "local") and is_unix(transport):
        return
    if allowed in ("loopback", "local") and is_loopback(transport):
        return
    raise SMTPException(
        f"The connection to {destination} is not encrypted, and allow_plaintext_auth forbids "
        "to log in over it. Try connecting via TLS (or STARTTLS)."
    )


def check_tls_version(
    transport: asyncio.BaseTransport | None, minimum: ssl.TLSVersion | None, destination: str
) -> None:
    """Let pass only a connection with the minimum version of TLS.

    A given ``tls_context`` is used as it is, so that it may have agreed to less than was asked for.

    :raises SMTPConnectError: if the version is lower
    :raises SMTPServerDisconnected: if there is no TLS any more
    """
    if minimum is None:
        return
    tls = tls_of(transport)
    if tls is None:
        raise SMTPServerDisconnected("Connection lost")
    if ssl.TLSVersion[tls.version.replace(".", "_")] < minimum:
        raise SMTPConnectError(
            f"{destination} speaks {tls.version}, and minimum_tls_version is {minimum.name}"
        )
