"""The SASL mechanisms other than SCRAM, without I/O (RFC 4422): PLAIN, LOGIN, CRAM-MD5, XOAUTH2, and others.

One class each: a name, an initial response, and an answer to a challenge. SCRAM is in
:mod:`aiosmtplib._sasl.scram`.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from ..errors import SMTPAuthenticationError
from ..status import SMTPStatus
from .base import CONTROLS, NUL, AmbiguousPromptError, Mechanism, hmac_digest, invalid, octets, saslname
from .secret import reveal

_NAME: Final = rb"(?i)user|login|name|account|mail"
_PASSWORD: Final = rb"(?i)pass|kennwort|secret"
#: Statuses of an access token that has not expired (RFC 7628 section 3.2.2).
_NOT_EXPIRED: Final = ("insufficient_scope", "invalid_request", "403")


class Plain(Mechanism):
    """PLAIN (RFC 4616), with an empty authorization identity.

    :param forbidden: octets that the user name and password must not hold; a NUL separates the fields
    :raises ValueError: if they hold one
    """

    name = "PLAIN"

    def __init__(self, username: str | bytes, password: Any, forbidden: bytes = NUL) -> None:
        self._username = octets(username, "user name", forbidden)
        self._password = octets(password, "password", forbidden)

    def initial(self) -> bytes:
        return b"\0%b\0%b" % (reveal(self._username), reveal(self._password))


class Login(Mechanism):
    """LOGIN, which has no RFC: user name and password, each in a response. The challenges are free text.

    The user name goes as the initial response. A server that ignores it asks for the name all the same, and
    may log what it gets as one. So the password answers only a prompt for a password, and, after the name
    answered a prompt, any that does not ask for the name again.

    :param forbidden: octets that the user name and password must not hold; many servers ignore what is
        behind a NUL
    :param heed_prompts: whether the prompts decide; if not, the password answers the first one
    :raises ValueError: if the user name or password holds a forbidden octet
    """

    name = "LOGIN"
    strict = False

    def __init__(
        self, username: str | bytes, password: Any, forbidden: bytes = NUL, heed_prompts: bool = True
    ) -> None:
        self._username = octets(username, "user name", forbidden)
        self._password = octets(password, "password", forbidden)
        self._heed_prompts = heed_prompts
        #: The prompt that the name answered.
        self._prompt: bytes | None = None
        self._done = False

    def initial(self) -> bytes:
        name: bytes = reveal(self._username)
        return name

    def late_initial(self, challenge: bytes) -> bytes:
        self._prompt = challenge
        return self.initial()

    def answer(self, challenge: bytes) -> bytes:
        if self._done:
            raise invalid(self.name, challenge)
        if self._heed_prompts:
            for_name = re.search(_NAME, challenge) is not None
            for_password = re.search(_PASSWORD, challenge) is not None
            if self._prompt is None:
                if for_name == for_password:
                    raise AmbiguousPromptError(*invalid(self.name, challenge, "what does it ask for?").args)
                if for_name:
                    return self.late_initial(challenge)
            elif challenge and (challenge == self._prompt or (for_name and not for_password)):
                raise invalid(self.name, challenge, "it asks for the user name again")
        self._done = True
        password: bytes = reveal(self._password)
        return password


class CramMD5(Mechanism):
    """CRAM-MD5 (RFC 2195): the HMAC of the challenge with the password as key.

    :param forbidden: octets that the user name and password must not hold
    :raises ValueError: if they hold one
    """

    name = "CRAM-MD5"

    def __init__(self, username: str | bytes, password: Any, forbidden: bytes = NUL) -> None:
        self._username = octets(username, "user name", forbidden)
        self._password = octets(password, "password", forbidden)
        self._done = False

    def answer(self, challenge: bytes) -> bytes:
        if self._done:
            raise invalid(self.name, challenge)
        self._done = True
        digest = hmac_digest(self._password, challenge, "md5")
        return b"%b %b" % (reveal(self._username), digest.hex().encode("ascii"))


class _Bearer(Mechanism):
    """An OAuth 2.0 bearer token (RFC 6750; base class).

    The server refuses one with a challenge, which gives the reason in JSON, and after the response to that
    with a negative reply (RFC 7628 section 3.2.3).
    """

    strict = False
    #: The response to the challenge that refuses.
    _acknowledgement: ClassVar[bytes]

    def __init__(self, username: str | bytes, access_token: Any, forbidden: bytes = CONTROLS) -> None:
        self._username = octets(username, "user name", forbidden)
        self._token = octets(access_token, "access token", forbidden)

    @property
    def secret(self) -> Any:
        return self._token

    def answer(self, challenge: bytes) -> bytes:
        if self.reason is not None:
            raise invalid(self.name, challenge)
        self.reason = challenge.decode("utf-8", "backslashreplace")
        return self._acknowledgement


class XOAuth2(_Bearer):
    """XOAUTH2, as Google and Microsoft document it.

    :param forbidden: octets that the user name and token must not hold; Control-A separates the fields
    :raises ValueError: if they hold one
    """

    name = "XOAUTH2"
    _acknowledgement = b""

    def initial(self) -> bytes:
        return b"user=%b\x01auth=Bearer %b\x01\x01" % (reveal(self._username), reveal(self._token))


class OAuthBearer(_Bearer):
    """OAUTHBEARER (RFC 7628 section 3.1), the standard form of XOAUTH2.

    :param host: the host name that the client connected to, or ``None``
    :param port: the port that it connected to, or ``None``
    :raises ValueError: for a control character: Control-A separates the fields, and a token has none
    """

    name = "OAUTHBEARER"
    _acknowledgement = b"\x01"  # section 3.2.3

    def __init__(
        self, username: str | bytes, access_token: Any, host: str | None = None, port: int | None = None
    ) -> None:
        super().__init__(username, access_token)
        fields = [] if host is None else [b"host=%b" % reveal(octets(host, "host name", CONTROLS))]
        if port is not None:
            fields.append(b"port=%d" % port)
        self._fields = fields

    def initial(self) -> bytes:
        header = b"n,a=%b," % saslname(reveal(self._username))
        return b"\x01".join([header, *self._fields, b"auth=Bearer %b" % reveal(self._token), b"", b""])


class External(Mechanism):
    """EXTERNAL (RFC 4422 appendix A): credentials from another layer, usually the TLS client certificate.

    :param authorization_id: the identity to act as; ``""`` lets the server derive it
    :raises ValueError: for a NUL
    """

    name = "EXTERNAL"

    def __init__(self, authorization_id: str | bytes = "") -> None:
        self._authorization_id = octets(authorization_id, "authorization identity", NUL)

    def initial(self) -> bytes:
        identity: bytes = reveal(self._authorization_id)
        return identity


def refused_credentials(error: SMTPAuthenticationError) -> bool:
    """Whether an error says that the credentials are invalid: 535 or 5.7.8 (RFC 4954 section 6)."""
    return error.code == SMTPStatus.auth_failed or error.enhanced_code == (5, 7, 8)


def token_expired(error: SMTPAuthenticationError, sure: bool) -> bool:
    """Whether a refused access token may have expired, so that a new one is worth an attempt.

    The server says so by the status ``invalid_token`` (RFC 7628 section 3.2.2) or, with XOAUTH2, 401 or, as
    Google does, 400. Some only say that the credentials are invalid, with another status or none.

    :param sure: whether one of these statuses is required; if not, invalid credentials suffice, unless the
        status says that the token is valid and another one would be, too
    """
    import json

    try:
        status = str(json.loads(error.reason or "")["status"])
    except (KeyError, RecursionError, TypeError, ValueError):
        status = ""
    if status in ("invalid_token", "400", "401"):
        return True
    return not sure and status not in _NOT_EXPIRED and refused_credentials(error)
