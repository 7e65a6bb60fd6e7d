"""TLS contexts made from options, and TLS failures as errors of this package."""

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


def make_tls_context(
    validate_certs: bool,
    cert_bundle: str | None,
    client_cert: str | None,
    client_key: str | None,
    minimum_version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """A TLS client context. Reads files: not to be called on the event loop.

    :param minimum_version: raise the minimum of this Python and its OpenSSL to this; they know better than to
        lower it
    :raises SMTPConnectError: if a file cannot be read or is no PEM file
    """
    if validate_certs:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if minimum_version is not None and minimum_version > context.minimum_version:
        context.minimum_version = minimum_version
    if cert_bundle is not None:
        try:
            context.load_verify_locations(cafile=cert_bundle)
        except OSError as error:
            raise SMTPConnectError(
                f"cert_bundle must be a readable PEM file: {cert_bundle}: {error}"
            ) from error
    if client_cert is not None:
        try:
            # With no password at all, OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(client_cert, keyfile=client_key, password="")
        except OSError as error:
            raise SMTPConnectError(
                f"client_cert and client_key must be readable PEM files that belong together, the key not "
                f"encrypted: {client_cert}, {client_key}: {error}"
            ) from error
    return context
