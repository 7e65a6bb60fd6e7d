"""chasquid: written in Go, with a TLS library of its own, and deliveries by a program."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ..support.mta import DOMAIN, free_ports
from .jail import Daemon, Jail
from .server import PASSWORD, SIZE_LIMIT, USER, Server

__all__ = ("Chasquid",)

CONFIGURE = """
hostname: "{domain}"
max_data_size_mb: {megabytes}
smtp_address: "127.0.0.1:{port}"
submission_over_tls_address: "127.0.0.1:{tls_port}"
mail_delivery_agent_bin: "/bin/sh"
mail_delivery_agent_args: "/etc/keep"
data_dir: "/var/lib/chasquid"
mail_log_path: "<stderr>"
suffix_separators: "+"
"""

# It delivers by a program alone. The name is that of the process, which nobody else has at the time.
KEEP = """
set -e
cat >"/home/kept/tmp/$$"
n=0
while [ -e "/home/kept/new/$$.$n" ]; do n=$((n + 1)); done
mv "/home/kept/tmp/$$" "/home/kept/new/$$.$n"
"""


class Chasquid(Daemon, Server):
    """chasquid, with a shell script that delivers."""

    title = "chasquid"
    packages = "chasquid"
    command = ("/usr/bin/chasquid", "--config_dir=/etc/chasquid")
    lacks: ClassVar[Mapping[str, str]] = {
        "CHUNKING": "not announced by chasquid",
        "DSN": "not announced by chasquid",
    }
    # RFC 2920 section 3.1 lets commands follow the content at once.
    many: ClassVar[Mapping[str, Any]] = {"pipelining": False}
    remarks: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("send_many", "pool"),
        "with `pipelining=False`: chasquid 1.11 loses commands that follow a message in the same segment",
    )
    mechanisms = frozenset({"PLAIN"})
    login_doors = frozenset({"implicit TLS"})

    def __init__(self, root: Path) -> None:
        self.port, self.tls_port = free_ports(2)
        self._jail = jail = Jail(root, "chasquid", ["/usr/bin/chasquid"])
        self.new = jail.maildir()
        jail.folder("var/lib/chasquid")
        jail.write("etc/keep", KEEP)
        # The package comes with filters that would need more of a system than there is.
        (root / "etc/chasquid/hooks/post-data").unlink(missing_ok=True)
        folder = f"etc/chasquid/certs/{DOMAIN}"
        jail.certificate(f"{folder}/fullchain.pem", f"{folder}/privkey.pem")
        values = {"port": self.port, "tls_port": self.tls_port, "domain": DOMAIN}
        configure = CONFIGURE.format(**values, megabytes=SIZE_LIMIT // 2**20)
        jail.write("etc/chasquid/chasquid.conf", configure)
        jail.write(f"etc/chasquid/domains/{DOMAIN}/aliases", f"other: kept@{DOMAIN}\n")
        for user in (USER, USER.replace("kept", "größe")):
            jail.run("/usr/bin/chasquid-util", f"--password={PASSWORD}", "user-add", user)

    @property
    def version(self) -> str:
        return self._jail.find(r"chasquid ([\d.]+)", "/usr/bin/chasquid", "--version")
