"""Certificates for the tests: one that clients may trust, and one for each way in which they must not.

They are made once per run, in memory; ``write`` puts what file-based options need into a directory.
"""

import datetime
import ipaddress
import ssl
from functools import cache
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

__all__ = ("Authority", "Files", "authority", "client_context", "server_context", "write")


class Authority(NamedTuple):
    """A CA and the certificates of its makers' imagination."""

    ca: trustme.CA
    untrusted_ca: trustme.CA
    server: trustme.LeafCert
    untrusted: trustme.LeafCert
    wrong_host: trustme.LeafCert
    expired: trustme.LeafCert
    not_yet: trustme.LeafCert
    self_signed: trustme.LeafCert
    wrong_ip: trustme.LeafCert
    ip: trustme.LeafCert  # 127.0.0.1 as an address, and no name
    ip_as_name: trustme.LeafCert  # 127.0.0.1 as a name, which it is not
    wildcard: trustme.LeafCert
    client: trustme.LeafCert


class Files(NamedTuple):
    """Paths, as the options of the client take them."""

    ca: str
    untrusted_ca: str
    client_cert: str
    client_key: str
    client_both: str


_LOOPBACK = ipaddress.ip_address("127.0.0.1")


def _issue(ca: trustme.CA | None, *names: x509.GeneralName) -> trustme.LeafCert:
    """What trustme would not make: a certificate for names as they are, signed by ``ca``, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made by hand")])
    signer = key
    if ca is not None:
        issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
        loaded = load_pem_private_key(ca.private_key_pem.bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return trustme.LeafCert(pem, certificate.public_bytes(Encoding.PEM), [])


@cache
def authority() -> Authority:
    ca, untrusted_ca = trustme.CA(), trustme.CA()
    names = ("localhost", "127.0.0.1")
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    return Authority(
        ca=ca,
        untrusted_ca=untrusted_ca,
        server=ca.issue_cert(*names),
        untrusted=untrusted_ca.issue_cert(*names),
        wrong_host=ca.issue_cert("elsewhere.example"),
        expired=ca.issue_cert(*names, not_after=now - day),
        not_yet=ca.issue_cert(*names, not_before=now + day, not_after=now + 2 * day),
        self_signed=_issue(None, x509.DNSName("localhost"), x509.IPAddress(_LOOPBACK)),
        wrong_ip=ca.issue_cert("127.0.0.2"),
        ip=ca.issue_cert("127.0.0.1"),
        ip_as_name=_issue(ca, x509.DNSName("127.0.0.1")),
        wildcard=ca.issue_cert("*.host.example"),
        client=ca.issue_cert("client@example.com"),
    )


def server_context(kind: str = "server", *, ask_client: bool = False) -> ssl.SSLContext:
    """A server context with one of the certificates of :class:`Authority`.

    :param ask_client: insist on a client certificate that our CA issued
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate: trustme.LeafCert = getattr(authority(), kind)
    certificate.configure_cert(context)
    if ask_client:
        authority().ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context() -> ssl.SSLContext:
    """A client context that trusts our CA and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().ca.configure_trust(context)
    return context


def write(directory: Path) -> Files:
    made = authority()
    files = Files(*(str(directory / f"{name}.pem") for name in Files._fields))
    made.ca.cert_pem.write_to_path(files.ca)
    made.untrusted_ca.cert_pem.write_to_path(files.untrusted_ca)
    made.client.cert_chain_pems[0].write_to_path(files.client_cert)
    made.client.private_key_pem.write_to_path(files.client_key)
    made.client.private_key_and_cert_chain_pem.write_to_path(files.client_both)
    return files
