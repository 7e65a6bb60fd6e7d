"""Postfix, as the other tests have it, with logins that Dovecot checks: a pair as old as both of them."""

from pathlib import Path

from ..support import mta
from ..support.mta import DOMAIN
from .dovecot import MECHANISMS
from .server import SIZE_LIMIT, Server

__all__ = ("Postfix",)

MORE = """
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
virtual_mailbox_maps =
    inline:{{ {{kept@{domain} = kept}}, {{other@{domain} = kept}}, {{größe@{domain} = kept}} }}
transport_maps = inline:{{ {{{domain} = keep:}} }}
smtpd_sasl_auth_enable = {auth}
smtpd_sasl_type = dovecot
smtpd_sasl_path = {path}
smtpd_sasl_security_options = noanonymous
broken_sasl_auth_clients = no
"""


# Nobody reads the FIFO that the other tests have, and who writes to it would wait for ever.
KEEP = """\
set -e
cat >"$1/tmp/$2"
mv "$1/tmp/$2" "$1/new/$2"
"""


class _Postfix(mta.Postfix):
    SIZE_LIMIT = SIZE_LIMIT

    def __init__(self, root: Path, auth: Path | None) -> None:
        self._auth = auth
        super().__init__(root)

    def _write(self) -> None:
        super()._write()
        (self.root / "keep").write_text(KEEP)
        with (self.config / "main.cf").open("a", encoding="utf-8") as file:
            auth = "yes" if self._auth else "no"
            file.write(MORE.format(domain=DOMAIN, auth=auth, path=self._auth or "none"))


class Postfix(Server):
    """Postfix, which delivers by a shell script.

    :param auth: the socket of Dovecot's SASL service, where there is one
    """

    title = "Postfix"

    def __init__(self, root: Path, auth: Path | None) -> None:
        self._postfix = _Postfix(root, auth)
        self.port, self.tls_port = self._postfix.port, self._postfix.tls_port
        self.new = root / "kept/new"
        self.mechanisms = MECHANISMS if auth else frozenset()

    @classmethod
    def why_not(cls) -> str | None:
        return mta.why_not()

    def start(self) -> None:
        self._postfix.start()

    def stop(self) -> None:
        self._postfix.stop()

    def log(self) -> str:
        return self._postfix.log()[-4000:]

    @property
    def version(self) -> str:
        return self._postfix.setting("mail_version")
