"""Channel bindings: of real certificates, held against another implementation, and of what is none."""

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from aiosmtplib._sasl.channel_binding import channel_binding, end_point

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(key: Any, algorithm: Any, **options: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, algorithm, **options)
    )
    return made.public_bytes(Encoding.DER)


def digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    context = hashes.Hash(algorithm)
    context.update(data)
    return context.finalize()


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["rsa", "ecdsa"])
@pytest.mark.parametrize(
    "algorithm", [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda h: h.name
)
def test_the_hash_is_that_of_the_signature(key: Any, algorithm: hashes.HashAlgorithm) -> None:
    # RFC 5929 section 4.1
    der = certificate(key, algorithm)
    assert end_point(der) == digest(algorithm, der)


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384()], ids=lambda h: h.name)
def test_pss_names_its_hash_in_parameters(algorithm: hashes.HashAlgorithm) -> None:
    pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
    der = certificate(RSA_KEY, algorithm, rsa_padding=pss)
    assert end_point(der) == digest(algorithm, der)


def test_old_hashes_give_way_to_sha256() -> None:
    for oid in ("2a864886f70d010104", "2a864886f70d010105"):
        der = certificate(RSA_KEY, hashes.SHA256()).replace(
            bytes.fromhex("2a864886f70d01010b"), bytes.fromhex(oid)
        )
        assert end_point(der) == digest(hashes.SHA256(), der)
    # RSASSA-PSS without parameters means SHA-1 (RFC 4055 section 3.1).
    pss = bytes.fromhex("300d06092a864886f70d01010a3000")
    der = bytes([0x30, 2 + len(pss)]) + b"\x30\x00" + pss
    assert end_point(der) == digest(hashes.SHA256(), der)


def test_no_hash_no_binding() -> None:
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None


def test_what_is_no_certificate() -> None:
    der = certificate(EC_KEY, hashes.SHA256())
    assert all(end_point(der[:length]) is None for length in range(len(der)))
    assert end_point(b"\x31" + der[1:]) is None


class Tls:
    """What an ``SSLObject`` says, also that of an interpreter that is not here."""

    def __init__(self, version: str, exported: bytes | None, certificate: bytes | None) -> None:
        self._said = version, exported, certificate

    def version(self) -> str:
        return self._said[0]

    def get_channel_binding(self, kind: str) -> bytes | None:
        assert kind == "tls-exporter"
        return self._said[1]

    def getpeercert(self, binary: bool) -> bytes | None:
        assert binary
        return self._said[2]


def test_the_exporter_where_the_interpreter_has_it() -> None:
    der = certificate(EC_KEY, hashes.SHA256())
    offered = ["tls-unique", "tls-exporter"]
    assert channel_binding(Tls("TLSv1.3", b"keys", der), offered) == ("tls-exporter", b"keys")
    assert channel_binding(Tls("TLSv1.3", None, der), offered) is None
    end = ("tls-server-end-point", digest(hashes.SHA256(), der))
    assert channel_binding(Tls("TLSv1.2", b"keys", der), offered) == end
    assert channel_binding(Tls("TLSv1.3", b"keys", der), ["tls-unique"]) == end
    assert channel_binding(Tls("TLSv1.3", b"keys", None), ["tls-unique"]) is None
    assert channel_binding(Tls("TLSv1.3", b"keys", b"?"), ["tls-unique"]) is None
