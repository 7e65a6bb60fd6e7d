"""What the servers have in common: their doors, what they cannot do, and their maildir."""

import base64
import hmac
import json
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import aiosmtplib

from ..support import certs
from ..support.clients import HOST
from ..support.mta import DOMAIN
from ..support.scripted_server import PATIENCE
from . import jail

__all__ = (
    "DOORS",
    "FULL",
    "KEPT",
    "OTHER",
    "PASSWORD",
    "SENDER",
    "UNKNOWN",
    "USER",
    "TOKEN_KEY",
    "Server",
    "token",
)

SENDER = f"me@{DOMAIN}"
#: Recipients: two that every server delivers to the one maildir, and one that it does not know.
KEPT, OTHER, UNKNOWN = (f"{name}@{DOMAIN}" for name in ("kept", "other", "unknown"))
#: With LMTP: known, and refused when the message is over.
FULL = f"full@{DOMAIN}"
#: With its domain, because chasquid knows users of domains alone.
USER, PASSWORD = f"kept@{DOMAIN}", "pass word"
TOKEN_KEY = b"a key for tokens that is known to the tests alone"
DOORS = ("plain", "STARTTLS", "implicit TLS")
#: What each server is told to refuse beyond, where it can be told; octets.
SIZE_LIMIT = 6 * 2**20


def token() -> str:
    """An access token for :data:`USER` (RFC 7519), as an authorization server would sign it."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": USER, "iat": int(time.time()) - 60, "exp": int(time.time()) + 3600}
    signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{encode(hmac.digest(TOKEN_KEY, signed.encode(), 'sha256'))}"


class Server(ABC):
    """A server of our own, which lives in a temporary folder and listens on 127.0.0.1.

    :ivar port: plain, with STARTTLS
    :ivar tls_port: TLS from the first byte, where it has that
    :ivar new: the folder where messages arrive, in files of their own
    """

    #: As people call it.
    title: ClassVar[str]
    #: What it does not do, by the name of the feature: the reason.
    lacks: ClassVar[Mapping[str, str]] = MappingProxyType({})
    client_class: ClassVar[type[aiosmtplib.SMTP]] = aiosmtplib.SMTP
    #: What has to be known of what it does, by the name of the feature.
    remarks: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: Options for many messages.
    many: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    #: The SASL mechanisms that it announces.
    mechanisms: frozenset[str] = frozenset()
    #: Why it has not the others.
    without_mechanism: ClassVar[str] = "the server has no such mechanism, or needs another service for it"
    #: The doors where it takes mail from those alone who have logged in.
    login_doors: ClassVar[frozenset[str]] = frozenset()
    #: Line ends of the files.
    newline: ClassVar[bytes] = b"\n"

    #: A key of :data:`~tests.interop.debs.PACKAGES`.
    packages: ClassVar[str] = ""

    port: int
    tls_port: int
    new: Path

    @classmethod
    def why_not(cls) -> str | None:
        """Why it cannot be had here, if so."""
        return jail.why_not(cls.packages)

    @abstractmethod
    def start(self) -> None:
        """Start it; it listens when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """End it; idempotent."""

    @abstractmethod
    def log(self) -> str:
        """The end of what it has logged."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the server, as its makers number it."""

    def tls_context(self) -> ssl.SSLContext:
        """For a client: who is to be trusted."""
        return certs.client_context()

    def options(self, door: str = "plain", **options: Any) -> dict[str, Any]:
        """Options for a client.

        :param door: one of :data:`DOORS`
        """
        common = {"hostname": "127.0.0.1", "local_hostname": HOST, "timeout": PATIENCE}
        if door == "plain":
            common |= {"port": self.port, "start_tls": False}
        else:
            common |= {"tls_context": self.tls_context()}
            common |= (
                {"port": self.port, "start_tls": True}
                if door == "STARTTLS"
                else {"port": self.tls_port, "use_tls": True}
            )
        if door in self.login_doors:
            common |= {"username": USER, "password": PASSWORD}
        return {**common, **options}

    def client(self, door: str = "plain", **options: Any) -> aiosmtplib.SMTP:
        """A client that is not connected yet."""
        return self.client_class(**self.options(door, **options))
