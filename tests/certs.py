"""Certificates for the tests: one that clients may trust, and one for each way in which they must not.

They are made once per run, in memory; ``write`` puts what file-based options need into a directory.
"""

import datetime
import ssl
from functools import cache
from pathlib import Path
from typing import NamedTuple

import trustme

__all__ = ("Authority", "Files", "authority", "client_context", "server_context", "write")


class Authority(NamedTuple):
    """A CA and the certificates of its makers' imagination."""

    ca: trustme.CA
    untrusted_ca: trustme.CA
    server: trustme.LeafCert
    untrusted: trustme.LeafCert
    wrong_host: trustme.LeafCert
    expired: trustme.LeafCert
    client: trustme.LeafCert


class Files(NamedTuple):
    """Paths, as the options of the client take them."""

    ca: str
    untrusted_ca: str
    client_cert: str
    client_key: str
    client_both: str


@cache
def authority() -> Authority:
    ca, untrusted_ca = trustme.CA(), trustme.CA()
    names = ("localhost", "127.0.0.1")
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    return Authority(
        ca=ca,
        untrusted_ca=untrusted_ca,
        server=ca.issue_cert(*names),
        untrusted=untrusted_ca.issue_cert(*names),
        wrong_host=ca.issue_cert("elsewhere.example"),
        expired=ca.issue_cert(*names, not_after=yesterday),
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
