"""Exim: the second opinion of the Internet, with CHUNKING on by default and a maildir writer of its own."""

from pathlib import Path

from ..support import certs
from ..support.mta import DOMAIN, free_ports
from .jail import Daemon, Jail
from .server import PASSWORD, SIZE_LIMIT, USER, Server

__all__ = ("Exim",)

CONFIGURE = """
primary_hostname = exim.example
domainlist ours = {domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {tls_port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = *
tls_certificate = /etc/server.pem
log_file_path = /var/log/exim-%slog
spool_directory = /var/spool/exim4
pid_file_path = /run/exim.pid
message_size_limit = {size_limit}
# No name service, no questions back, no limits that a test would meet.
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 1000
queue_run_max = 0
keep_environment =
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_mail = accept
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept

begin acl
check_rcpt:
  accept domains = +ours
         verify = recipient
  deny message = no such user

begin routers
ours:
  driver = accept
  domains = +ours
  local_parts = kept : other : größe
  transport = keep

begin transports
keep:
  driver = appendfile
  directory = /home/kept
  maildir_format
  user = kept
  group = kept

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and {{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{password}}}fail}}
  server_set_id = $auth1
"""


class Exim(Daemon, Server):
    """Exim as a daemon, which delivers into the maildir by itself."""

    title = "Exim"
    packages = "exim"
    command = ("/usr/sbin/exim4", "-bdf")
    mechanisms = frozenset({"PLAIN", "LOGIN", "CRAM-MD5"})

    def __init__(self, root: Path) -> None:
        self.port, self.tls_port = free_ports(2)
        self._jail = jail = Jail(root, "exim", ["/usr/sbin/exim4"])
        self.new = jail.maildir()
        for name in ("var/spool/exim4", "var/log"):
            jail.folder(name, "Debian-exim")
        pem = certs.authority().server.private_key_and_cert_chain_pem.bytes()
        jail.write("etc/server.pem", pem, "Debian-exim", 0o600)
        values = {"port": self.port, "tls_port": self.tls_port, "domain": DOMAIN, "size_limit": SIZE_LIMIT}
        configure = CONFIGURE.format(**values, user=USER, password=PASSWORD)
        jail.write("etc/exim4/exim4.conf", configure)

    def log(self) -> str:
        logs = sorted((self._jail.root / "var/log").glob("exim-*"))
        return super().log() + "".join(path.read_text(errors="replace") for path in logs)[-4000:]

    @property
    def version(self) -> str:
        return self._jail.find(r"Exim version (\S+)", "/usr/sbin/exim4", "-C", "/dev/null", "-bV")
