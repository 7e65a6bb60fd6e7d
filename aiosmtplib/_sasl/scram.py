"""SCRAM (RFC 5802, RFC 7677): the password never crosses the wire, and the server has to know it, too.

    C: n,,n=user,r=<our nonce>
    S: r=<our nonce><theirs>,s=<salt>,i=<iterations>
    C: c=<the header, and the channel binding>,r=<both nonces>,p=<proof>
    S: v=<signature>
    C:

The variants whose name ends in -PLUS bind the login to the TLS connection (RFC 5056): who sits in between,
with a certificate that the client accepts, cannot pass it on.
"""

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

#: A server that asks for more wants to keep this host busy. RFC 7677 section 4 recommends 15000 and more of
#: SHA-256, RFC 5802 section 5.1 4096 of SHA-1; less is weak, and yet the server's choice.
MAX_ITERATIONS = 1_000_000

_PRINTABLE = rb"[!-+\--~]+"  # RFC 5802 section 7: no blank, no comma
_NUMBER = rb"[1-9][0-9]{0,9}"


class ChannelBinding(NamedTuple):
    """What identifies a TLS connection at both of its ends.

    :ivar name: as registered with IANA: ``"tls-exporter"`` (RFC 9266), ``"tls-server-end-point"`` (RFC 5929)
    """

    name: str
    data: bytes


class Scram(Mechanism):
    """What the variants have in common.

    :param binding: of the TLS connection; ``None`` where it has none
    :param announced: whether the server announced a variant with channel binding. If it did not, and there is
        one on this side, the server is told so: it notices if somebody else has taken it off its list.
    :param nonce: ours, printable and without a comma; by default 144 random bits
    :param max_iterations: refuse the challenge of a server that asks for more
    :raises ValueError: if SASLprep (RFC 4013) forbids the user name or the password. ``bytes`` are taken as
        they are.
    :raises MechanismUnavailable: if a binding is needed and there is none
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
        #: What the server has to come up with. ``None`` until our proof is out.
        self._signature: bytes | None = None
        self._proven = False

    def initial(self) -> bytes:
        return self._header + self._first

    def answer(self, challenge: bytes) -> bytes:
        if self._proven or self.reason is not None:
            raise invalid(self.name, challenge)
        if challenge.startswith(b"e="):  # what is wrong; the refusal follows an empty line
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
        """Nonce, salt and iterations. Extensions are ignored, unless mandatory (RFC 5802 section 5.1)."""
        if challenge.startswith(b"m="):
            raise invalid(self.name, challenge, "it demands an extension that is not known here")
        match = re.fullmatch(
            rb"r=(%b),s=([A-Za-z0-9+/=]+),i=(%b)(?:,.*)?" % (_PRINTABLE, _NUMBER), challenge, re.DOTALL
        )
        if match is None:
            raise invalid(self.name, challenge)
        nonce, salt, iterations = match[1], match[2], int(match[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise invalid(self.name, challenge, "its nonce does not continue ours")
        if iterations > self._max_iterations:
            raise invalid(self.name, challenge, f"it asks for more than {self._max_iterations} iterations")
        return nonce, decode(self.name, salt), iterations

    def _verify(self, challenge: bytes, expected: bytes) -> None:
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
        import hashlib

        problem = ""
        try:
            return hashlib.pbkdf2_hmac(self.algorithm, reveal(self._password), salt, iterations)
        except ValueError as error:  # FIPS has minima for the length of each
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
    if not isinstance(reveal(value), str):
        return value
    problem = ""
    try:
        return conceal(saslprep(reveal(value), stored=stored))
    except ValueError as error:
        problem = str(error)
    value = None
    raise ValueError(f"The {what} cannot be carried by SCRAM: {problem}")
