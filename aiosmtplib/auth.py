"""The client side of the SASL mechanisms: credentials in, base64 for the wire out (RFC 4954 section 4).

The functions know nothing of a connection. Their error texts never hold a credential.
"""

import re
from binascii import a2b_base64, b2a_base64

from .errors import SMTPAuthenticationError
from .status import SMTPStatus

__all__ = ("auth_crammd5_verify", "auth_login_encode", "auth_plain_encode", "auth_xoauth2_encode")

_CONTROLS = bytes(range(0x20)) + b"\x7f"
_ECHOED = 100

# Neither alphabet nor padding are a matter of taste: what decodes leniently gets something else signed.
_BASE64 = rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"


class InvalidChallengeError(SMTPAuthenticationError, ValueError):
    """The server's challenge is not what the mechanism prescribes."""


def auth_crammd5_verify(username: str | bytes, password: str | bytes, challenge: str | bytes) -> bytes:
    """The answer to a CRAM-MD5 challenge (RFC 2195 section 2).

    :param username: a ``str`` is encoded as UTF-8, here and in all functions of this module
    :param challenge: what follows the 334, in base64
    :return: base64 of the user name, a blank, and the keyed digest in hexadecimal
    :raises ValueError: for a NUL in the user name or password, or where this Python's OpenSSL forbids MD5
    :raises SMTPAuthenticationError: if the challenge is not base64. It is a ``ValueError``, too.
    """
    # hmac loads OpenSSL: not at import, and not for those who never need it.
    import hmac

    user = _octets(username, "user name", b"\0")
    key = _octets(password, "password", b"\0")
    if isinstance(challenge, str):
        challenge = challenge.encode("utf-8", "backslashreplace")
    challenge = challenge.strip()
    if not re.fullmatch(_BASE64, challenge):
        echo = challenge[:_ECHOED].decode("ascii", "backslashreplace")
        raise InvalidChallengeError(
            SMTPStatus.auth_continue, f"Invalid CRAM-MD5 challenge from server: {echo!r}"
        )
    digest = hmac.new(key, a2b_base64(challenge), "md5").hexdigest()
    return _base64(b"%b %b" % (user, digest.encode("ascii")))


def auth_plain_encode(username: str | bytes, password: str | bytes) -> bytes:
    """The initial response of PLAIN (RFC 4616 section 2), with an empty authorization identity.

    :raises ValueError: for a NUL, which separates the fields
    """
    return _base64(
        b"\0%b\0%b" % (_octets(username, "user name", b"\0"), _octets(password, "password", b"\0"))
    )


def auth_login_encode(username: str | bytes, password: str | bytes) -> tuple[bytes, bytes]:
    """The two responses of LOGIN, which has no RFC: user name and password, each by itself.

    :raises ValueError: for a NUL, at which many servers stop reading
    """
    return (
        _base64(_octets(username, "user name", b"\0")),
        _base64(_octets(password, "password", b"\0")),
    )


def auth_xoauth2_encode(username: str | bytes, access_token: str | bytes) -> bytes:
    """The initial response of XOAUTH2, as Google and Microsoft document it.

    :param access_token: an OAuth 2.0 bearer token (RFC 6750 section 2.1)
    :raises ValueError: for a control character: Control-A separates the fields, a token holds none
    """
    return _base64(
        b"user=%b\x01auth=Bearer %b\x01\x01"
        % (_octets(username, "user name", _CONTROLS), _octets(access_token, "access token", _CONTROLS))
    )


def _base64(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False)


def _octets(value: str | bytes, what: str, forbidden: bytes) -> bytes:
    if isinstance(value, str):
        # Not left to encode(): its error would carry the secret.
        if re.search(r"[\ud800-\udfff]", value):
            raise ValueError(f"The {what} holds a lone surrogate, which UTF-8 cannot encode")
        octets = value.encode("utf-8")
    elif isinstance(value, bytes):
        octets = value
    else:
        raise TypeError(f"The {what} must be str or bytes, not {type(value).__name__}")
    if len(octets.translate(None, forbidden)) != len(octets):
        kind = "a NUL" if forbidden == b"\0" else "a control character"
        raise ValueError(f"The {what} must not hold {kind}: this mechanism cannot carry it")
    return octets
