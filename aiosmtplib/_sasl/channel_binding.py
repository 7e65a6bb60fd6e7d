"""Channel bindings of a TLS connection, which bind an authentication to it (RFC 5056).

``tls-exporter`` (RFC 9266) needs a Python whose ``ssl`` module offers it. None up to 3.14 does. There,
``tls-server-end-point`` (RFC 5929 section 4) is used: a hash of the server's certificate.
"""

from __future__ import annotations

from typing import Any

from .scram import ChannelBinding

#: The hash of a binding, by the object identifier of the certificate's signature algorithm (the content
#: octets of its DER). SHA-256 replaces MD5 and SHA-1 (RFC 5929 section 4.1). For Ed25519 and Ed448, which
#: sign without a separate hash, no binding is defined.
_HASHES = {
    bytes.fromhex(oid): name
    for oid, name in (
        ("2a864886f70d010104", "sha256"),  # MD5 with RSA
        ("2a864886f70d010105", "sha256"),  # SHA-1 with RSA
        ("2a864886f70d01010e", "sha224"),
        ("2a864886f70d01010b", "sha256"),
        ("2a864886f70d01010c", "sha384"),
        ("2a864886f70d01010d", "sha512"),
        ("2a8648ce3d0401", "sha256"),  # ECDSA with SHA-1
        ("2a8648ce3d040301", "sha224"),
        ("2a8648ce3d040302", "sha256"),
        ("2a8648ce3d040303", "sha384"),
        ("2a8648ce3d040304", "sha512"),
        # The hashes themselves, as RSASSA-PSS names them in its parameters (RFC 4055).
        ("2b0e03021a", "sha256"),
        ("608648016503040204", "sha224"),
        ("608648016503040201", "sha256"),
        ("608648016503040202", "sha384"),
        ("608648016503040203", "sha512"),
    )
}
_PSS = bytes.fromhex("2a864886f70d01010a")

_SEQUENCE, _OID, _TAG_0 = 0x30, 0x06, 0xA0


def channel_binding(tls: Any, offered: list[str]) -> ChannelBinding | None:
    """The channel binding of a TLS connection: ``tls-exporter`` if possible, else ``tls-server-end-point``.

    :param tls: an :class:`ssl.SSLObject` after its handshake
    :param offered: the types that the interpreter can compute: ``ssl.CHANNEL_BINDING_TYPES``
    :return: the binding, or ``None`` where there is none
    """
    # Before TLS 1.3 it is safe only with an extension that ssl cannot ask for (RFC 9266 section 4.2).
    if "tls-exporter" in offered and tls.version() == "TLSv1.3":
        data = tls.get_channel_binding("tls-exporter")
        return None if data is None else ChannelBinding("tls-exporter", data)
    certificate = tls.getpeercert(True)
    data = None if certificate is None else end_point(certificate)
    return None if data is None else ChannelBinding("tls-server-end-point", data)


def end_point(certificate: bytes) -> bytes | None:
    """The ``tls-server-end-point`` of a certificate (RFC 5929 section 4).

    :param certificate: in DER
    :return: the hash, or ``None`` where it is not defined or the certificate cannot be parsed
    """
    import hashlib

    try:
        name = _hash_of(certificate)
    except (IndexError, ValueError):  # not a certificate in DER
        return None
    return None if name is None else hashlib.new(name, certificate).digest()


def _hash_of(certificate: bytes) -> str | None:
    """The name of the hash for a certificate, by its field signatureAlgorithm (RFC 5280 section 4.1.1.2).

    :raises ValueError: if the certificate is not DER of the expected structure
    :raises IndexError: if it is truncated
    """
    whole, _ = _value(certificate, _SEQUENCE)
    _, rest = _value(whole, _SEQUENCE)
    algorithm, _ = _value(rest, _SEQUENCE)
    oid, parameters = _value(algorithm, _OID)
    if oid != _PSS:
        return _HASHES.get(oid)
    explicit, _ = _value(parameters, _SEQUENCE)
    if explicit[:1] != bytes([_TAG_0]):
        return "sha256"  # SHA-1 is the default (RFC 4055 section 3.1)
    hashed, _ = _value(explicit, _TAG_0)
    inner, _ = _value(hashed, _SEQUENCE)
    return _HASHES.get(_value(inner, _OID)[0])


def _value(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content octets of the first value in DER, and the octets after that value.

    :param tag: the identifier octet that the value has to have
    :raises ValueError: if it has another
    :raises IndexError: if it is truncated
    """
    if der[0] != tag:
        raise ValueError(f"expected the tag {tag}, not {der[0]}")
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise IndexError("truncated")
    return der[start : start + length], der[start + length :]
