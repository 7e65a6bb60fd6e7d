"""The server's side of every SASL mechanism, for the scripted peer: written from the RFCs."""

import base64
import hashlib
import hmac
from collections.abc import Generator
from typing import Any, TypeAlias

from .scripted_server import Conversation

__all__ = ("EVERY", "IDENTITY", "INVALID_TOKEN", "Gate", "ScramServer", "Steps", "b64")

EVERY = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "CRAM-MD5",
    "PLAIN",
    "LOGIN",
    "XOAUTH2",
    "OAUTHBEARER",
    "EXTERNAL",
)
#: Who EXTERNAL lets in.
IDENTITY = b"user"
#: RFC 7628 section 3.2.2
INVALID_TOKEN = b'{"status":"invalid_token","scope":"smtp"}'

#: Yields challenges, is sent responses, returns whether to let the client in.
Steps: TypeAlias = Generator[bytes, bytes, bool]


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


class ScramServer:
    """The formulas of RFC 5802 section 3."""

    def __init__(self, password: bytes, algorithm: str, iterations: int = 1) -> None:
        self.salt, self.iterations, self.algorithm = b"salt", iterations, algorithm
        salted = hashlib.pbkdf2_hmac(algorithm, password, self.salt, iterations)
        self.stored = hashlib.new(algorithm, hmac.digest(salted, b"Client Key", algorithm)).digest()
        self.key = hmac.digest(salted, b"Server Key", algorithm)

    def first(self, client_first: bytes) -> bytes:
        self.header, self.bare = client_first[: client_first.index(b",,") + 2], client_first.split(b",,")[1]
        self.nonce = self.bare.rpartition(b",r=")[2] + b"%theirs"
        self.message = b"r=%b,s=%b,i=%d" % (self.nonce, b64(self.salt), self.iterations)
        return self.message

    def final(self, client_final: bytes, binding: bytes = b"") -> bytes:
        without_proof, _, proof = client_final.rpartition(b",p=")
        if without_proof != b"c=%b,r=%b" % (b64(self.header + binding), self.nonce):
            return b"e=channel-bindings-dont-match"
        signed = b",".join((self.bare, self.message, without_proof))
        signature = hmac.digest(self.stored, signed, self.algorithm)
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.new(self.algorithm, key).digest() != self.stored:
            return b"e=invalid-proof"
        return b"v=" + b64(hmac.digest(self.key, signed, self.algorithm))


class Gate:
    """Lets one user in. ``actions`` is for :class:`Peer`.

    :param tokens: the access tokens that are good
    :param binding: what SCRAM-SHA-256-PLUS has to be bound to
    :param refusal: the reply to wrong credentials
    :ivar logins: mechanisms that succeeded
    :ivar tried: mechanisms that were tried
    :ivar headers: the GS2 headers of SCRAM, as they came
    """

    def __init__(
        self,
        username: str = "user",
        password: str = "pass word",
        *,
        tokens: tuple[str, ...] = ("token",),
        binding: bytes = b"",
        refusal: str = "535 5.7.8 no",
    ) -> None:
        self.username, self.password = username.encode(), password.encode()
        self.tokens = [token.encode() for token in tokens]
        self.binding = binding
        self.refusal = refusal
        self.logins: list[str] = []
        self.tried: list[str] = []
        self.headers: list[bytes] = []
        self.actions: dict[str, Any] = {"AUTH": self._begin, "*": self._go_on}
        self._steps: Steps | None = None

    async def _begin(self, conversation: Conversation) -> str:
        _, name, *initial = conversation.line.decode("ascii").split(" ")
        self.tried.append(name)
        first = b"" if initial == ["="] else base64.b64decode(initial[0]) if initial else b""
        self._steps = self.steps(name, first)
        return await self._step(conversation, None)

    def steps(self, name: str, first: bytes) -> Steps:
        """An exchange by this mechanism, which begins with this response."""
        mechanism = name.lower().replace("-", "_")
        if mechanism.startswith("scram"):
            return self._scram(first, "sha1" if name.endswith("-1") else "sha256")
        steps: Steps = getattr(self, f"_{mechanism}")(first)
        return steps

    async def _go_on(self, conversation: Conversation) -> str:
        return await self._step(conversation, base64.b64decode(conversation.line, validate=True))

    async def _step(self, conversation: Conversation, response: bytes | None) -> str:
        assert self._steps is not None
        try:
            challenge = self._steps.send(response)  # type: ignore[arg-type]
        except StopIteration as stop:
            reply = "235 2.7.0 Welcome" if stop.value else self.refusal
            if stop.value:
                self.logins.append(self.tried[-1])
        else:
            reply = "334 " + b64(challenge).decode()
        await conversation.reply(reply)
        return reply

    def _plain(self, first: bytes) -> Steps:
        yield from ()
        return first == b"\0%b\0%b" % (self.username, self.password)

    def _login(self, first: bytes) -> Steps:
        return first == self.username and (yield b"Password:") == self.password

    def _cram_md5(self, first: bytes) -> Steps:
        challenge = b"<1896.697170952@postoffice.reston.mci.net>"
        digest = hmac.digest(self.password, challenge, "md5").hex()
        return (yield challenge) == b"%b %b" % (self.username, digest.encode())

    def _xoauth2(self, first: bytes) -> Steps:
        good = [b"user=%b\x01auth=Bearer %b\x01\x01" % (self.username, token) for token in self.tokens]
        if first not in good:
            assert (yield b'{"status":"401","schemes":"bearer"}') == b""
        return first in good

    def _oauthbearer(self, first: bytes) -> Steps:
        header, *fields = first.split(b"\x01")
        good = header == b"n,a=%b," % self.username and any(
            b"auth=Bearer %b" % t in fields for t in self.tokens
        )
        if not good:
            assert (yield INVALID_TOKEN) == b"\x01"
        return good

    def _external(self, first: bytes) -> Steps:
        yield from ()
        return first in (b"", IDENTITY)

    def _scram(self, first: bytes, algorithm: str) -> Steps:
        server = ScramServer(self.password, algorithm)
        message = server.first(first)
        self.headers.append(server.header)
        final = server.final((yield message), self.binding if server.header.startswith(b"p=") else b"")
        assert (yield final) == b""
        return final.startswith(b"v=")
