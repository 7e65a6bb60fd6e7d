"""DKIM signatures (RFC 6376, 8463): a :class:`Signer` makes of a message the octets to be sent."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

try:
    import dkim
    from dkim import crypto
except ModuleNotFoundError as error:
    from .extras import missing

    raise ImportError(missing("dkim", "dkimpy")) from error

from .._client.content import MessageKind, kind_of, octets_of
from .._codec import normalize_newlines
from .._sasl.secret import conceal, reveal
from ..email import flatten_message

if TYPE_CHECKING:
    import email.message

__all__ = ("HEADERS", "Signer")

#: The header fields that are signed by default (RFC 6376 section 5.4.1, RFC 8058 section 4).
HEADERS: Final = (
    *("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "List-Id"),
    *("List-Unsubscribe", "List-Unsubscribe-Post"),
)

#: What comes before the 32 octets of an Ed25519 key in a PKCS #8 file (RFC 8410 section 7).
_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
_BY_ED25519: Final = b"ed25519-sha256"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"


class Signer:
    """Signs messages for a domain: for ``before_send``, or by itself.

    >>> signer = Signer("2026", "example.com", Path("dkim.pem").read_bytes())
    >>> client = SMTP("mail.example.com", before_send=signer)

    A signature holds as long as nobody changes the content. Fields are oversigned: one that is added to those
    of a name that is signed, or one of such a name that was not there, breaks the signature.

    What ``before_send`` gives it is signed as it is, in the form that the server takes. Called by itself, it
    writes a message object in 7 bits: no server on its way has to encode it.

    :param selector: the public key is published at ``selector._domainkey.domain``
    :param domain: the signing domain, in A-labels where it is not ASCII
    :param key: the private key in PEM: RSA of 1024 bits or more, or Ed25519 (RFC 8463). It is in no ``repr``
        or traceback, and a signer cannot be pickled.
    :param headers: the names of the header fields to sign; From has to be among them
    :raises ValueError: if one of them is none, or the key cannot be used
    :raises TypeError: if one is of the wrong type
    :ivar blocking: whether ``before_send`` calls it in a thread: with RSA, as it takes milliseconds
    """

    def __init__(
        self, selector: str, domain: str, key: str | bytes, *, headers: Iterable[str] = HEADERS
    ) -> None:
        key = conceal(key)
        self._description = "not set up"
        for name, value in (("selector", selector), ("domain", domain)):
            if not isinstance(value, str):
                raise TypeError(f"The {name} is text, not {type(value).__name__}")
            if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", value.lower()):
                raise ValueError(f"The {name} {value!r} is no name in the DNS")
        if isinstance(headers, str):
            raise TypeError("The headers are names of header fields, not one text")
        self._headers = tuple(name.lower() for name in headers)
        for name in self._headers:
            if not re.fullmatch(r"[!-9<-~]+", name):
                raise ValueError(f"{name!r} is no name of a header field")
        if "from" not in self._headers:
            raise ValueError("From has to be among the headers that are signed (RFC 6376 section 5.4)")
        self._selector, self._domain = selector.lower().encode(), domain.lower().encode()
        self._algorithm, self._key = _parsed(key)
        self.blocking = self._algorithm != _BY_ED25519
        self._description = f"{selector}._domainkey.{domain}, {self._algorithm.decode()}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._description}>"

    def __call__(
        self, message: email.message.EmailMessage | email.message.Message | str | bytes, *, utf8: bool = False
    ) -> bytes:
        """The message with a signature before it, as it is to be sent.

        :param message: a message object, of which Bcc is left out, or header and body as ``str`` (ASCII) or
            ``bytes``, which are signed as they are
        :param utf8: write a message object with UTF-8 header fields, for a message that is sent with SMTPUTF8
        :raises ValueError: if it has no From
        :raises TypeError: if it is none
        """
        content: Any = message
        if kind_of(message) is MessageKind.OBJECT:
            octets = flatten_message(content, utf8, "7bit")
        else:
            whole = octets_of(content)
            if whole is None:
                raise TypeError("A message that is streamed cannot be signed: its signature comes first")
            octets = whole
        octets = normalize_newlines(octets)
        if not octets.endswith(b"\r\n"):  # which sending would add
            octets += b"\r\n"
        names = [name.lower() for name, _ in dkim.rfc822_parse(octets)[0]]
        if b"from" not in names:
            raise ValueError("A message without From cannot be signed (RFC 6376 section 5.4)")
        oversigned = [name.encode() for name in self._headers for _ in range(names.count(name.encode()) + 1)]
        signature: bytes = dkim.sign(
            octets,
            self._selector,
            self._domain,
            reveal(self._key),
            canonicalize=(b"relaxed", b"relaxed"),
            signature_algorithm=self._algorithm,
            include_headers=oversigned,
        )
        return signature + octets


def _parsed(key: Any) -> tuple[bytes, Any]:
    """The algorithm for a key, and the key as dkimpy takes it, concealed."""
    pem = reveal(key)
    if isinstance(pem, str):
        pem = pem.encode("ascii", "replace")
    if not isinstance(pem, bytes):
        kind = type(pem).__name__
        del pem
        raise TypeError(f"The key is PEM as text or bytes, not {kind}")
    key = conceal(pem.replace(b"\r\n", b"\n").strip() + b"\n")
    found = re.search(rb"-\n([A-Za-z0-9+/=\n]+)\n-", pem.replace(b"\r\n", b"\n"))
    usable = False
    try:
        der = b"" if found is None else base64.b64decode(found[1])
        if der.startswith(_ED25519) and len(der) == len(_ED25519) + 32:
            return _BY_ED25519, conceal(base64.b64encode(der[-32:]))
        usable = crypto.parse_pem_private_key(reveal(key))["modulus"].bit_length() >= 1024
    except Exception:  # noqa: S110  # what dkimpy raises for what is no key is of many kinds, and may show it
        pass
    finally:
        del pem, found
        der = b""
    if not usable:
        raise ValueError("The key is no private key in PEM: RSA of 1024 bits or more, or Ed25519")
    return b"rsa-sha256", key
