"""What SASL mechanisms have in common (RFC 4422), and the encoding of their messages (RFC 4954 section 4)."""

import re
from binascii import a2b_base64, b2a_base64
from typing import Any, ClassVar

from ..errors import SMTPAuthenticationError
from ..status import SMTPStatus
from .secret import SecretBytes, conceal, reveal

#: RFC 4954 section 4: the longest line of base64 that a challenge may be.
MAX_CHALLENGE = 12288
NUL = b"\0"
CONTROLS = bytes(range(0x20)) + b"\x7f"
_ECHOED = 100

# Neither alphabet nor padding are a matter of taste: what decodes leniently gets something else signed.
_BASE64 = rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"


class InvalidChallengeError(SMTPAuthenticationError, ValueError):
    """The server's challenge is not what the mechanism prescribes."""


class MechanismUnavailable(ValueError):
    """The mechanism cannot be used here, whatever the credentials are: this Python or this connection lacks
    something that it needs.
    """


class UntrustedServerError(InvalidChallengeError):
    """The server did not prove that it knows the password, as the mechanism has it do."""


class Mechanism:
    """One login by one mechanism: an instance is used once.

    :cvar name: as registered with IANA
    :cvar slow: whether :meth:`respond` takes milliseconds, and so belongs into a thread
    :cvar strict: whether a challenge that is no base64 is an error. It is not where none is read.
    :ivar reason: what the server said about a failure besides its reply, if anything
    """

    name: ClassVar[str]
    slow: ClassVar[bool] = False
    strict: ClassVar[bool] = True
    reason: str | None = None

    @property
    def secret(self) -> Any:
        """The password or token, concealed, or ``None`` where there is none."""
        return getattr(self, "_password", None)

    def initial(self) -> bytes | None:
        """The initial response, or ``None`` where the server speaks first."""
        return None

    def answer(self, challenge: bytes) -> bytes:
        """The response to the server's next challenge. By default there is to be none.

        :raises InvalidChallengeError: if the challenge is not what it should be
        """
        raise invalid(self.name, challenge)

    def check_success(self) -> None:
        """Called when the server says that the login succeeded.

        :raises UntrustedServerError: if it has to be proven first, and is not
        """

    def start(self) -> SecretBytes:
        """What follows ``AUTH`` (RFC 4954 section 4): an initial response that is empty is an equals sign."""
        initial = self.initial()
        if initial is None:
            return SecretBytes(self.name.encode("ascii"))
        return SecretBytes(b"%b %b" % (self.name.encode("ascii"), encode(initial) or b"="))

    def respond(self, challenge: str | bytes) -> SecretBytes:
        """The line that answers the text of a 334 reply.

        :raises InvalidChallengeError: if the challenge is not what it should be
        :raises MechanismUnavailable: if the mechanism cannot be used here
        """
        return SecretBytes(encode(self.answer(decode(self.name, challenge, self.strict))))


def invalid(name: str, challenge: bytes, why: str = "") -> InvalidChallengeError:
    """An error that quotes the beginning of a challenge."""
    echo = challenge[:_ECHOED].decode("ascii", "backslashreplace")
    return InvalidChallengeError(
        SMTPStatus.auth_continue, f"Invalid {name} challenge from server: {echo!r}{why and f': {why}'}"
    )


def encode(response: bytes) -> bytes:
    """Base64 in one line."""
    return b2a_base64(response, newline=False)


def decode(name: str, challenge: str | bytes, strict: bool = True) -> bytes:
    """What a challenge holds.

    :param strict: whether it has to be base64; if not, what is none is nothing
    :raises InvalidChallengeError: if it is not, or is longer than RFC 4954 section 4 has it
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
    return b""


def saslname(name: bytes) -> bytes:
    """A name in the header of GS2, where two characters have a meaning (RFC 5801 section 4)."""
    return name.replace(b"=", b"=3D").replace(b",", b"=2C")


def hmac_digest(key: Any, message: bytes, algorithm: str) -> bytes:
    """HMAC (RFC 2104).

    :param key: a secret
    :raises MechanismUnavailable: if this Python's OpenSSL forbids the algorithm
    """
    # hmac loads OpenSSL: not at import, and not for those who never need it.
    import hmac

    problem = ""
    try:
        return hmac.new(reveal(key), message, algorithm).digest()
    except ValueError as error:  # as where only FIPS algorithms are allowed
        problem = str(error)
    # Not in the handler: the frames of the first error hold the key.
    raise MechanismUnavailable(f"This Python cannot compute HMAC with {algorithm}: {problem}")


def octets(value: Any, what: str, forbidden: bytes) -> Any:
    """A credential as bytes, concealed; a ``str`` is encoded as UTF-8.

    :raises TypeError: if it is neither
    :raises ValueError: if it holds a forbidden octet, or cannot be encoded. The text does not repeat it.
    """
    result = _octets(reveal(value), what, forbidden)
    if isinstance(result, Exception):
        value = None
        raise result
    return conceal(result)


def _octets(value: object, what: str, forbidden: bytes) -> bytes | Exception:
    # Returns its errors: this frame holds the secret.
    if isinstance(value, str):
        # Not left to encode(): its error would carry the secret.
        if re.search(r"[\ud800-\udfff]", value):
            return ValueError(f"The {what} holds a lone surrogate, which UTF-8 cannot encode")
        value = value.encode("utf-8")
    elif not isinstance(value, bytes):
        return TypeError(f"The {what} must be str or bytes, not {type(value).__name__}")
    if len(value.translate(None, forbidden)) != len(value):
        kind = "a NUL" if forbidden == NUL else "a control character"
        return ValueError(f"The {what} must not hold {kind}: this mechanism cannot carry it")
    return value
