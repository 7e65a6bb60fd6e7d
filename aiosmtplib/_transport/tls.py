"""What TLS protects a connection, and TLS failures as errors of this package."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, NamedTuple

from ..errors import SMTPConnectError


class TLSInfo(NamedTuple):
    """What protects a connection.

    :ivar version: as in ``"TLSv1.3"``
    :ivar cipher: the name of the cipher suite, as in ``"TLS_AES_256_GCM_SHA384"``
    :ivar bits: how many secret bits its key has
    :ivar peer_certificate: that of the server, in DER; :func:`ssl.DER_cert_to_PEM_cert` makes text of it.
        With ``validate_certs=False`` it was not verified.
    """

    version: str
    cipher: str
    bits: int
    peer_certificate: bytes | None


class TLSError(SMTPConnectError, ssl.SSLError):
    """The TLS handshake failed. Also an :class:`ssl.SSLError`, which programs already catch."""


class TLSVerificationError(SMTPConnectError, ssl.SSLCertVerificationError):
    """The certificate of the server was not accepted."""


def tls_error(message: str, cause: ssl.SSLError) -> SMTPConnectError:
    """An error of this package that is also of the kind of ``cause``, and carries its details."""
    kind = TLSVerificationError if isinstance(cause, ssl.SSLCertVerificationError) else TLSError
    error = kind(f"{message}: {cause}")
    for name in ("library", "reason", "verify_code", "verify_message"):
        if hasattr(cause, name):
            setattr(error, name, getattr(cause, name))
    return error


def tls_info(tls: Any) -> TLSInfo:
    """:param tls: an :class:`ssl.SSLObject` after its handshake"""
    cipher, _, bits = tls.cipher()
    return TLSInfo(tls.version(), cipher, bits, tls.getpeercert(True))


def is_unix(transport: asyncio.BaseTransport) -> bool:
    """Whether a connection goes over a Unix domain socket."""
    sock = transport.get_extra_info("socket")
    return sock is not None and sock.family == getattr(socket, "AF_UNIX", None)


def is_loopback(transport: asyncio.BaseTransport) -> bool:
    """Whether a connection goes to an address of this host, whatever name it was looked up by."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return False
    address: str = peer[0].removeprefix("::ffff:")
    return address == "::1" or address.startswith("127.")
