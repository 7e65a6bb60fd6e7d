"""Dovecot: the one with the most SASL mechanisms, as a submission server, as an LMTP server, and for Postfix.

Its submission service keeps no mail. It hands each message on while it comes in, so it needs a server behind
it: the Postfix that the tests have anyway.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import aiosmtplib

from ..support import mta
from ..support.mta import DOMAIN, free_ports
from .jail import Daemon, Jail
from .server import DOORS, FULL, KEPT, OTHER, PASSWORD, SIZE_LIMIT, TOKEN_KEY, Server

__all__ = ("MECHANISMS", "Dovecot", "DovecotLMTP", "DovecotSubmission")

CONFIGURE = """
protocols = lmtp submission
base_dir = /run/dovecot
log_path = /dev/stderr
hostname = dovecot.example
postmaster_address = postmaster@{domain}
listen = 127.0.0.1
ssl = yes
ssl_cert = </etc/server.crt
ssl_key = </etc/server.key
# No pauses after a refused login.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
auth_mechanisms = {mechanisms}
mail_location = maildir:/home/kept
passdb {{
  driver = passwd-file
  args = username_format=%u /etc/people
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf
}}
userdb {{
  driver = passwd-file
  args = username_format=%u /etc/people
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
  inet_listener lmtps {{
    port = {lmtps_port}
    ssl = yes
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission_port}
  }}
  inet_listener submissions {{
    port = {submissions_port}
    ssl = yes
  }}
}}
protocol lmtp {{
  mail_plugins = quota
}}
plugin {{
  quota = count:all
  quota_vsizes = yes
}}
submission_max_mail_size = {size_limit}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
"""

#: Tokens are checked by their signature, with nobody to ask.
OAUTH = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=/etc/oauth/
username_attribute = sub
"""

MECHANISMS = frozenset(
    {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"}
)


class Dovecot(Daemon):
    """The daemon with all of its services.

    :param relay_port: where its submission service hands messages to
    """

    command = ("/usr/sbin/dovecot", "-F")

    def __init__(self, root: Path, relay_port: int) -> None:
        self.lmtp_port, self.lmtps_port, self.submission_port, self.submissions_port = free_ports(4)
        helpers = ("auth", "lmtp", "submission", "submission-login", "config", "log", "anvil", "stats")
        programs = [f"/usr/lib/dovecot/{name}" for name in helpers]
        modules = ("libssl_iostream_openssl.so", "lib10_quota_plugin.so")
        programs += [f"/usr/lib/dovecot/modules/{name}" for name in modules]
        self._jail = jail = Jail(root, "dovecot", ["/usr/sbin/dovecot", "/usr/bin/doveconf", *programs])
        self.new = jail.maildir()
        jail.certificate("etc/server.crt", "etc/server.key")
        person = f":{{PLAIN}}{PASSWORD}:kept:kept::/home/kept::\n"
        people = "".join(name + person for name in (KEPT, OTHER))
        # Nothing fits in there, which comes out when the message is over.
        jail.folder("home/full", "kept")
        people += f"{FULL}:{{PLAIN}}{PASSWORD}:kept:kept::/home/full::"
        people += "userdb_mail=maildir:/home/full userdb_quota_rule=*:storage=1\n"
        jail.write("etc/people", people, "dovecot", 0o600)
        jail.write("etc/dovecot/oauth2.conf", OAUTH)
        jail.write("etc/oauth/default/HS256/default", base64.b64encode(TOKEN_KEY))
        ports = {name: value for name, value in vars(self).items() if name.endswith("_port")}
        values = {"domain": DOMAIN, "size_limit": SIZE_LIMIT, "mechanisms": " ".join(sorted(MECHANISMS))}
        configure = CONFIGURE.format(**ports, **values, relay_port=relay_port)
        jail.write("etc/dovecot/dovecot.conf", configure)

    @staticmethod
    def auth_socket(root: Path) -> Path:
        """The socket of its SASL service, for others."""
        return root / "run/dovecot/auth-client"

    @property
    def version(self) -> str:
        """As its makers number it."""
        return self._jail.run("/usr/sbin/dovecot", "--version").split()[0]


class DovecotLMTP(Server):
    """Its LMTP service, which has delivered when it answers."""

    title = "Dovecot LMTP"
    packages = "dovecot"
    client_class = aiosmtplib.LMTP
    without_mechanism = "nobody logs in by LMTP"
    lacks: ClassVar[Mapping[str, str]] = {
        "SIZE": "not announced by Dovecot's LMTP service",
        "SMTPUTF8": "not announced by Dovecot 2.3",
        "DSN": "not announced by Dovecot's LMTP service",
        "CHUNKING": "announced, and not used: this client's LMTP class sends by DATA alone",
    }

    def __init__(self, dovecot: Dovecot) -> None:
        self._dovecot = dovecot
        self.port, self.tls_port = dovecot.lmtp_port, dovecot.lmtps_port
        self.new = dovecot.new

    def start(self) -> None:
        """Started with the others."""

    def stop(self) -> None:
        """Ended with the others."""

    def log(self) -> str:
        return self._dovecot.log()

    @property
    def version(self) -> str:
        return self._dovecot.version


class DovecotSubmission(DovecotLMTP):
    """Its submission service, which hands over to another server.

    :param new: where that one delivers
    """

    title = "Dovecot submission"
    client_class = aiosmtplib.SMTP
    without_mechanism = Server.without_mechanism
    lacks: ClassVar[Mapping[str, str]] = {
        "SMTPUTF8": "not announced by Dovecot 2.3",
    }
    mechanisms = MECHANISMS
    login_doors = frozenset(DOORS)

    @classmethod
    def why_not(cls) -> str | None:
        return super().why_not() or mta.why_not()

    def __init__(self, dovecot: Dovecot, new: Path) -> None:
        super().__init__(dovecot)
        self.port, self.tls_port = dovecot.submission_port, dovecot.submissions_port
        self.new = new
