"""OpenSMTPD: written from scratch, sparing with extensions, and strict about what it takes."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ..support import certs
from ..support.mta import DOMAIN, free_ports
from .jail import ACCOUNTS, Daemon, Jail
from .server import PASSWORD, SIZE_LIMIT, USER, Server

__all__ = ("OpenSMTPD",)

CONFIGURE = """
pki server cert "/etc/server.crt"
pki server key "/etc/server.key"
smtp limit max-mails 1000
smtp max-message-size {size_limit}
table people {{ {user} = "{hashed}" }}
table names {{ kept@{domain} = kept, other@{domain} = kept }}
listen on 127.0.0.1 port {port} tls pki server auth-optional <people> hostname opensmtpd.example
listen on 127.0.0.1 port {tls_port} smtps pki server auth-optional <people> hostname opensmtpd.example
action keep maildir "/home/kept" virtual <names>
match from any for domain {domain} action keep
"""


class OpenSMTPD(Daemon, Server):
    """OpenSMTPD, whose own maildir program delivers."""

    title = "OpenSMTPD"
    packages = "opensmtpd"
    command = ("/usr/sbin/smtpd", "-d")
    lacks: ClassVar[Mapping[str, str]] = {
        "PIPELINING": "not announced by OpenSMTPD",
        "CHUNKING": "not announced by OpenSMTPD",
        "SMTPUTF8": "not announced by OpenSMTPD",
    }
    remarks: ClassVar[Mapping[str, str]] = {"DSN": "OpenSMTPD's reports leave the ENVID out"}
    mechanisms = frozenset({"PLAIN", "LOGIN"})

    def __init__(self, root: Path) -> None:
        self.port, self.tls_port = free_ports(2)
        programs = ["/usr/sbin/smtpd", "/usr/libexec/opensmtpd/mail.maildir"]
        self._jail = jail = Jail(root, "opensmtpd", programs)
        self.new = jail.maildir()
        jail.folder("var/spool/smtpd", mode=0o711)
        jail.folder("var/lib/opensmtpd/empty")
        # Since version 7 it does not start without somebody to trust.
        jail.write("etc/ssl/certs/ca-certificates.crt", certs.authority().ca.cert_pem.bytes())
        jail.certificate("etc/server.crt", "etc/server.key")
        values = {"port": self.port, "tls_port": self.tls_port, "domain": DOMAIN, "size_limit": SIZE_LIMIT}
        # It insists on this, which an installation would have arranged.
        smtpctl = root / "usr/sbin/smtpctl"
        os.chown(smtpctl, 0, ACCOUNTS["opensmtpq"])
        smtpctl.chmod(0o2755)
        hashed = jail.run("/usr/sbin/smtpctl", "encrypt", text=f"{PASSWORD}\n").strip()
        jail.write("etc/smtpd.conf", CONFIGURE.format(**values, user=USER, hashed=hashed))

    @cached_property
    def version(self) -> str:
        # It has no option that prints this and succeeds.
        return self._jail.find(r"OpenSMTPD (\S+)", "/bin/sh", "-c", "smtpd -h 2>&1 || true")
