"""The client responses of four SASL mechanisms as functions: from credentials to base64 (RFC 4954).

They do no I/O, and encode any ``str`` and ``bytes``: what a mechanism cannot carry, as a NUL with PLAIN, is
for the login to refuse. Neither their error texts nor their frames in a traceback hold a credential. The
mechanisms themselves are in :mod:`aiosmtplib._sasl.mechanisms`. All raise ``ValueError`` for a ``str`` that
UTF-8 cannot encode, and ``TypeError`` for what is neither ``str`` nor ``bytes``.
"""

from __future__ import annotations

from ._sasl.base import InvalidChallengeError as InvalidChallengeError
from ._sasl.base import encode
from ._sasl.mechanisms import CramMD5, Login, Plain, XOAuth2
from ._sasl.secret import conceal

__all__ = ("auth_crammd5_verify", "auth_login_encode", "auth_plain_encode", "auth_xoauth2_encode")


def auth_crammd5_verify(username: str | bytes, password: str | bytes, challenge: str | bytes) -> bytes:
    """The response to a CRAM-MD5 challenge (RFC 2195 section 2).

    :param username: a ``str`` is encoded as UTF-8, here and in all functions of this module
    :param password: a ``str`` is encoded as UTF-8
    :param challenge: the text of the 334 reply, in base64
    :return: base64 of the user name, a blank, and the HMAC in hexadecimal
    :raises ValueError: where this Python's OpenSSL forbids MD5
    :raises SMTPAuthenticationError: if the challenge is not base64. It is also a ``ValueError``.
    """
    password = conceal(password)
    return bytes(CramMD5(username, password, forbidden=b"").respond(challenge))


def auth_plain_encode(username: str | bytes, password: str | bytes) -> bytes:
    """The initial response of PLAIN (RFC 4616 section 2), with an empty authorization identity.

    :param username: a ``str`` is encoded as UTF-8
    :param password: a ``str`` is encoded as UTF-8
    """
    password = conceal(password)
    return encode(Plain(username, password, forbidden=b"").initial())


def auth_login_encode(username: str | bytes, password: str | bytes) -> tuple[bytes, bytes]:
    """The two responses of LOGIN, which has no RFC: user name and password.

    :param username: a ``str`` is encoded as UTF-8
    :param password: a ``str`` is encoded as UTF-8
    """
    password = conceal(password)
    mechanism = Login(username, password, forbidden=b"", heed_prompts=False)
    return encode(mechanism.initial()), bytes(mechanism.respond(b""))


def auth_xoauth2_encode(username: str | bytes, access_token: str | bytes) -> bytes:
    """The initial response of XOAUTH2, as Google and Microsoft document it.

    :param username: a ``str`` is encoded as UTF-8
    :param access_token: an OAuth 2.0 bearer token (RFC 6750 section 2.1)
    """
    access_token = conceal(access_token)
    return encode(XOAuth2(username, access_token, forbidden=b"").initial())
