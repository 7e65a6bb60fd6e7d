"""TLS contexts made from options, and TLS failures as errors of this package."""

import ssl

from .errors import SMTPConnectError


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


def make_tls_context(
    validate_certs: bool, cert_bundle: str | None, client_cert: str | None, client_key: str | None
) -> ssl.SSLContext:
    """A TLS client context. Reads files: not to be called on the event loop.

    :raises SMTPConnectError: if a file cannot be read or is no PEM file
    """
    if validate_certs:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
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
