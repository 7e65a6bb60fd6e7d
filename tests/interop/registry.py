"""All of the servers, each started when the first test asks for it, and ended with the last."""

import contextlib
import tempfile
from pathlib import Path

import pytest

from .aiosmtpd_server import Aiosmtpd
from .chasquid import Chasquid
from .dovecot import Dovecot, DovecotLMTP, DovecotSubmission
from .exim import Exim
from .maildir import Maildir
from .opensmtpd import OpenSMTPD
from .postfix import Postfix
from .server import Server

__all__ = ("SERVERS", "Park")

#: In the order of the table.
SERVERS: tuple[type[Server], ...] = (
    Postfix,
    Exim,
    OpenSMTPD,
    Chasquid,
    DovecotSubmission,
    DovecotLMTP,
    Aiosmtpd,
)


class Park:
    """The servers of one run. What cannot be had skips the test, and says why.

    :param stack: ends the servers and removes their folders
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._made: dict[type[Server], Server] = {}
        self._failed: dict[type[Server], str] = {}
        self._maildirs: dict[Path, Maildir] = {}

    def get(self, kind: type[Server]) -> Server:
        """A running server."""
        reason = kind.why_not()
        if reason is not None:
            pytest.skip(reason)
        if kind in self._failed:  # what did not start would take its time again
            pytest.fail(self._failed[kind], pytrace=False)
        if kind not in self._made:
            try:
                self._make(kind)
            except (Exception, pytest.fail.Exception) as error:
                self._failed[kind] = f"{kind.title} does not start: {error}"
                raise
        return self._made[kind]

    def maildir(self, server: Server) -> Maildir:
        """What a server has delivered."""
        return self._maildirs.setdefault(server.new, Maildir(server.new))

    def _make(self, kind: type[Server]) -> None:
        if kind not in (Postfix, DovecotSubmission, DovecotLMTP):
            self._start(kind(self._folder()))
            return
        # Postfix asks Dovecot who may log in, and Dovecot hands over to Postfix what is submitted to it. Each
        # does without the other, if need be.
        postfix, dovecot, port = None, None, 0
        folder = self._folder()
        with_dovecot = DovecotLMTP.why_not() is None
        if Postfix.why_not() is None:
            postfix = Postfix(self._folder(), Dovecot.auth_socket(folder) if with_dovecot else None)
            port = postfix.port
        if with_dovecot:
            dovecot = Dovecot(folder, port)
            self._stack.callback(dovecot.stop)
            dovecot.start()
            self._made[DovecotLMTP] = DovecotLMTP(dovecot)
        if postfix is not None:
            self._start(postfix)
            if dovecot is not None:
                self._made[DovecotSubmission] = DovecotSubmission(dovecot, postfix.new)

    def _start(self, server: Server) -> None:
        self._stack.callback(server.stop)
        server.start()
        self._made[type(server)] = server

    def _folder(self) -> Path:
        # Not in pytest's temporary folder, which only its owner may enter: servers have users of their own.
        folder = tempfile.TemporaryDirectory(prefix="interop-", ignore_cleanup_errors=True)
        path = Path(self._stack.enter_context(folder))
        path.chmod(0o755)
        return path
