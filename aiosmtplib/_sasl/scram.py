"""SCRAM (RFC 5802, RFC 7677): client and server prove to each other that they know the password.

    C: n,,n=user,r=<client nonce>
    S: r=<client nonce><server nonce>,s=<salt>,i=<iterations>
    C: c=<GS2 header, channel binding>,r=<both nonces>,p=<proof>
    S: v=<signature>
    C:

The password is not sent. The variants whose name ends in -PLUS bind the exchange to the TLS connection
(RFC 5056): a man in the middle, even with a certificate that the client accepts, cannot relay it.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, NamedTuple

from ..status import SMTPStatus
from .base import (
    NUL,
    InvalidChallengeError,
    Mechanism,
    MechanismUnavailable,
    UntrustedServerError,
    decode,
    encode,
    hmac_digest,
    invalid,
    octets,
    saslname,
)
from .saslprep import saslprep
from .secret import conceal, reveal

#: Without a limit, a server could occupy this host for hours. RFC 7677 section 4 recommends at least 15000
#: with SHA-256, RFC 5802 section 5.1 at least 4096 with SHA-1. Fewer are weak, but the server's choice.
MAX_ITERATIONS = 1_000_000

_PRINTABLE = rb"[!-+\--~]+"  # RFC 5802 section 7: no blank, no comma
_NUMBER = rb"[1-9][0-9]{0,9}"


class ChannelBinding(NamedTuple):
    """A channel binding: data that both ends derive from the same TLS connection (RFC 5056).

    :ivar name: the type, as registered with IANA: ``"tls-exporter"`` (RFC 9266) or ``"tls-server-end-point"``
        (RFC 5929)
    :ivar data: the binding data
    """

    name: str
    data: bytes


class Scram(Mechanism):
    """A SCRAM mechanism (base class).

    :param binding: the channel binding of the TLS connection, or ``None``
    :param announced: whether the server announced a variant with channel binding. If it did not, and
        ``binding`` is given, the GS2 header says so (``y``). From that, a server that did announce
        one can tell that it was removed on the way (RFC 5802 section 6).
    :param nonce: the client nonce, printable and without a comma; by default 144 random bits
    :param max_iterations: the maximum iteration count; a challenge with more is refused
    :raises ValueError: if SASLprep (RFC 4013) forbids the user name or the password, or the user name is
        empty. ``bytes`` are not normalized.
    :raises MechanismUnavailable: if the mechanism needs a binding and there is none
    """

    slow = True
    algorithm: ClassVar[str]
    plus: ClassVar[bool] = False

    def __init__(
        self,
        username: str | bytes,
        password: Any,
        *,
        binding: ChannelBinding | None = None,
        announced: bool = False,
        nonce: bytes | None = None,
        max_iterations: int = MAX_ITERATIONS,
    ) -> None:
        name = reveal(octets(_prepared(username, "user name", stored=False), "user name", NUL))
        if not name:
            raise ValueError("The user name must not be empty: this mechanism cannot carry it")
        self._password = octets(_prepared(password, "password", stored=True), "password", NUL)
        if self.plus:
            if binding is None:
                raise MechanismUnavailable(f"{self.name} needs a TLS connection with a channel binding")
            self._header = b"p=%b,," % binding.name.encode("ascii")
        else:
            self._header = b"y,," if binding is not None and not announced else b"n,,"
        self._binding = binding.data if self.plus and binding is not None else b""
        self._nonce = _new_nonce() if nonce is None else nonce
        self._first = b"n=%b,r=%b" % (saslname(name), self._nonce)
        self._max_iterations = max_iterations
        #: The server signature to expect. ``None`` until the client proof was computed.
        self._signature: bytes | None = None
        self._proven = False

    def initial(self) -> bytes:
        return self._header + self._first

    def answer(self, challenge: bytes) -> bytes:
        if self._proven or self.reason is not None:
            raise invalid(self.name, challenge)
        if challenge.startswith(b"e="):  # server-error; the negative reply follows an empty response
            self.reason = challenge[2:].partition(b",")[0][:100].decode("ascii", "backslashreplace")
            return b""
        if self._signature is None:
            return self._final(challenge)
        self._verify(challenge, self._signature)
        return b""

    def check_success(self) -> None:
        if not self._proven:
            raise self._untrusted("Server did not prove that it knows the password")

    def _final(self, challenge: bytes) -> bytes:
        """The client-final-message (RFC 5802 section 3).

        :param challenge: the server-first-message
        """
        nonce, salt, iterations = self._read(challenge)
        without_proof = b"c=%b,r=%b" % (encode(self._header + self._binding), nonce)
        message = b"%b,%b,%b" % (self._first, challenge, without_proof)
        salted = conceal(self._salted(salt, iterations))
        client_key = conceal(hmac_digest(salted, b"Client Key", self.algorithm))
        stored_key = conceal(self._hash(client_key))
        signature = hmac_digest(stored_key, message, self.algorithm)
        proof = bytes(ours ^ theirs for ours, theirs in zip(reveal(client_key), signature, strict=True))
        server_key = conceal(hmac_digest(salted, b"Server Key", self.algorithm))
        self._signature = hmac_digest(server_key, message, self.algorithm)
        return b"%b,p=%b" % (without_proof, encode(proof))

    def _read(self, challenge: bytes) -> tuple[bytes, bytes, int]:
        """The nonce, salt and iteration count of a server-first-message (RFC 5802 section 5.1).

        Optional extensions are ignored.

        :raises InvalidChallengeError: if it is malformed, demands an extension or exceeds the iteration limit
        """
        if challenge.startswith(b"m="):
            raise invalid(self.name, challenge, "it demands an extension that is not supported")
        match = re.fullmatch(
            rb"r=(%b),s=([A-Za-z0-9+/=]+),i=(%b)(?:,.*)?" % (_PRINTABLE, _NUMBER), challenge, re.DOTALL
        )
        if match is None:
            raise invalid(self.name, challenge)
        nonce, salt, iterations = match[1], match[2], int(match[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise invalid(self.name, challenge, "its nonce does not begin with the client's")
        if iterations > self._max_iterations:
            raise invalid(self.name, challenge, f"it asks for more than {self._max_iterations} iterations")
        return nonce, decode(self.name, salt), iterations

    def _verify(self, challenge: bytes, expected: bytes) -> None:
        """Check the signature of a server-final-message.

        :raises UntrustedServerError: if it is not the expected one
        """
        import hmac

        match = re.fullmatch(rb"v=([A-Za-z0-9+/=]+)(?:,.*)?", challenge, re.DOTALL)
        try:
            signature = decode(self.name, match[1]) if match is not None else b""
        except InvalidChallengeError:
            signature = b""
        if not hmac.compare_digest(signature, expected):
            raise self._untrusted("Server failed to prove that it knows the password")
        self._proven = True

    def _untrusted(self, message: str) -> UntrustedServerError:
        return UntrustedServerError(SMTPStatus.auth_continue, f"{message} ({self.name})")

    def _salted(self, salt: bytes, iterations: int) -> bytes:
        """SaltedPassword (RFC 5802 section 3).

        :raises MechanismUnavailable: if this Python's OpenSSL refuses the parameters
        """
        import hashlib

        problem = ""
        try:
            return hashlib.pbkdf2_hmac(self.algorithm, reveal(self._password), salt, iterations)
        except ValueError as error:  # FIPS sets minimum lengths
            problem = str(error)
        raise MechanismUnavailable(f"This Python cannot derive the key of {self.name}: {problem}")

    def _hash(self, key: Any) -> bytes:
        import hashlib

        return hashlib.new(self.algorithm, reveal(key)).digest()


class ScramSHA1(Scram):
    """SCRAM-SHA-1 (RFC 5802)."""

    name = "SCRAM-SHA-1"
    algorithm = "sha1"


class ScramSHA256(Scram):
    """SCRAM-SHA-256 (RFC 7677)."""

    name = "SCRAM-SHA-256"
    algorithm = "sha256"


class ScramSHA256Plus(ScramSHA256):
    """SCRAM-SHA-256-PLUS (RFC 7677), with channel binding."""

    name = "SCRAM-SHA-256-PLUS"
    plus = True


def _new_nonce() -> bytes:
    import secrets

    return secrets.token_urlsafe(18).encode("ascii")


def _prepared(value: Any, what: str, *, stored: bool) -> Any:
    """A credential after SASLprep, concealed. ``bytes`` are returned as they are.

    :raises ValueError: if SASLprep forbids it. The text does not quote it.
    """
    if not isinstance(reveal(value), str):
        return value
    problem = ""
    try:
        return conceal(saslprep(reveal(value), stored=stored))
    except ValueError as error:
        problem = str(error)
    value = None
    raise ValueError(f"The {what} cannot be carried by SCRAM: {problem}")
