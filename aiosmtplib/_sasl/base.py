"""The base class of SASL mechanisms (RFC 4422), and the encoding of their messages (RFC 4954 section 4)."""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from typing import Any, ClassVar

from ..errors import SMTPAuthenticationError
from ..status import SMTPStatus
from .secret import SecretBytes, conceal, reveal

#: The maximum length of a challenge in base64, in octets (RFC 4954 section 4).
MAX_CHALLENGE = 12288
NUL = b"\0"
CONTROLS = bytes(range(0x20)) + b"\x7f"
#: How many octets of a challenge an error quotes.
_ECHOED = 100

# Alphabet and padding are strict: a lenient decoder would compute the response to another challenge than the
# server sent.
_BASE64 = rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"


class InvalidChallengeError(SMTPAuthenticationError, ValueError):
    """The server's challenge does not conform to the mechanism."""


class AmbiguousPromptError(InvalidChallengeError):
    """The challenge does not say what it asks for. Without an initial response, the order says it."""


class MechanismUnavailable(ValueError):
    """This Python or this connection lacks something that the mechanism needs, whatever the credentials."""


class UntrustedServerError(InvalidChallengeError):
    """The server did not prove that it knows the password, as the mechanism requires."""


class Mechanism:
    """One authentication exchange by a SASL mechanism (base class). An instance is used once.

    :cvar name: the name registered with IANA
    :cvar slow: whether :meth:`respond` takes milliseconds, and so has to run in a thread
    :cvar strict: whether a challenge that is not base64 is an error; if not, it is taken as it is
    :ivar reason: the server's explanation of a failure besides its reply, or ``None``
    """

    name: ClassVar[str]
    slow: ClassVar[bool] = False
    strict: ClassVar[bool] = True
    reason: str | None = None
    #: Whether AUTH went without the initial response, which has to answer the first challenge.
    _held_back = False

    @property
    def secret(self) -> Any:
        """The password or token, concealed, or ``None`` where there is none."""
        return getattr(self, "_password", None)

    def initial(self) -> bytes | None:
        """The initial response, or ``None`` where the server sends first (RFC 4422 section 3)."""
        return None

    def answer(self, challenge: bytes) -> bytes:
        """The response to the next challenge, both without base64. By default, no challenge is valid.

        :raises InvalidChallengeError: if the challenge does not conform to the mechanism
        :raises MechanismUnavailable: if this Python cannot compute the response
        """
        raise invalid(self.name, challenge)

    def check_success(self) -> None:
        """Check, after the server's 235, that the mechanism agrees.

        :raises UntrustedServerError: if the server had to prove that it knows the password, and did not
        """

    def late_initial(self, challenge: bytes) -> bytes:
        """The initial response as the answer to the first challenge, which is empty (RFC 4954 section 4)."""
        return self.initial() or b""

    def start(self, alone: bool = False) -> SecretBytes:
        """The arguments of AUTH: the name and the initial response, ``=`` if empty (RFC 4954 section 4).

        :param alone: whether to leave out the initial response; it then answers the first challenge
        """
        initial = self.initial()
        self._held_back = alone and initial is not None
        if initial is None or alone:
            return SecretBytes(self.name.encode("ascii"))
        return SecretBytes(b"%b %b" % (self.name.encode("ascii"), encode(initial) or b"="))

    def respond(self, challenge: str | bytes) -> SecretBytes:
        """The response to the text of a 334 reply, both in base64.

        :raises InvalidChallengeError: if the challenge is not base64, or does not conform to the mechanism
        :raises MechanismUnavailable: if this Python cannot compute the response
        """
        if self._held_back:
            self._held_back = False
            return SecretBytes(encode(self.late_initial(decode(self.name, challenge, strict=False))))
        return SecretBytes(encode(self.answer(decode(self.name, challenge, self.strict))))


def invalid(name: str, challenge: bytes, why: str = "") -> InvalidChallengeError:
    """An error that quotes the beginning of a challenge.

    :param name: the name of the mechanism
    :param challenge: as received, or decoded
    :param why: what is wrong with it
    """
    echo = challenge[:_ECHOED].decode("ascii", "backslashreplace")
    return InvalidChallengeError(
        SMTPStatus.auth_continue, f"Invalid {name} challenge from server: {echo!r}{why and f': {why}'}"
    )


def encode(response: bytes) -> bytes:
    """Base64 without line breaks."""
    return b2a_base64(response, newline=False)


def decode(name: str, challenge: str | bytes, strict: bool = True) -> bytes:
    """Decode a challenge from base64.

    :param name: the name of the mechanism, for the error text
    :param strict: whether it has to be base64; if not, any other text is returned as it is
    :raises InvalidChallengeError: if it is not base64, or longer than ``MAX_CHALLENGE`` octets
    """
    if isinstance(challenge, str):
        challenge = challenge.encode("utf-8", "backslashreplace")
    challenge = challenge.strip()
    if len(challenge) > MAX_CHALLENGE:
        raise invalid(name, challenge, f"it is longer than {MAX_CHALLENGE} octets")
    if re.fullmatch(_BASE64, challenge):
        return a2b_base64(challenge)
    if strict:
        raise invalid(name, challenge)
    return challenge


def saslname(name: bytes) -> bytes:
    """A user name as a saslname: ``=`` and ``,`` are escaped (RFC 5801 section 4)."""
    return name.replace(b"=", b"=3D").replace(b",", b"=2C")


def hmac_digest(key: Any, message: bytes, algorithm: str) -> bytes:
    """HMAC (RFC 2104).

    :param key: the key, concealed or as bytes
    :param algorithm: the name of the hash, such as ``"sha256"``
    :raises MechanismUnavailable: if this Python's OpenSSL forbids the algorithm
    """
    # Imported here because it loads OpenSSL, which most connections do not need for this.
    import hmac

    problem = ""
    try:
        return hmac.new(reveal(key), message, algorithm).digest()
    except ValueError as error:  # as where only FIPS algorithms are allowed
        problem = str(error)
    # Raised outside of the handler: as context, it would have the first error, whose frames hold the key.
    raise MechanismUnavailable(f"This Python cannot compute HMAC with {algorithm}: {problem}")


def octets(value: Any, what: str, forbidden: bytes) -> Any:
    """A credential as bytes, concealed.

    :param value: ``bytes``, or a ``str``, which is encoded as UTF-8; either may be concealed
    :param what: its name, for the error text
    :param forbidden: the octets that it must not hold
    :raises TypeError: if it is neither ``str`` nor ``bytes``
    :raises ValueError: if it holds a forbidden octet, or cannot be encoded. The text does not quote it.
    """
    result = _octets(reveal(value), what, forbidden)
    if isinstance(result, Exception):
        value = None
        raise result
    return conceal(result)


def _octets(value: object, what: str, forbidden: bytes) -> bytes | Exception:
    # Errors are returned, not raised: this frame holds the secret.
    if isinstance(value, str):
        # Not left to encode(): its error holds the text.
        if re.search(r"[\ud800-\udfff]", value):
            return ValueError(f"The {what} holds a lone surrogate, which UTF-8 cannot encode")
        value = value.encode("utf-8")
    elif not isinstance(value, bytes):
        return TypeError(f"The {what} must be str or bytes, not {type(value).__name__}")
    if len(value.translate(None, forbidden)) != len(value):
        kind = "a NUL" if forbidden == NUL else "a control character"
        return ValueError(f"The {what} must not hold {kind}: this mechanism cannot carry it")
    return value
