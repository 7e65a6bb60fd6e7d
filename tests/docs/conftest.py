"""Where the examples run: a directory with the files and the variables that they speak of."""

import shutil
import socket
from pathlib import Path

import pytest

from ..support.certs import Files
from ..support.server_fixtures import PASSWORD


@pytest.fixture
def desk(tmp_path: Path, certificates: Files, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that examples run in."""
    for path, name in (
        (certificates.ca, "ca.pem"),
        (certificates.client_cert, "client.pem"),
        (certificates.client_key, "client.key"),
    ):
        shutil.copy(path, tmp_path / name)
    (tmp_path / "message.eml").write_bytes(b"From: me@example.com\nTo: you@example.com\nSubject: Hi\n\nHi!\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "TENANT_ID"):
        monkeypatch.setenv(name, name.lower())
    # What this host is called is no matter of the pages, and asking a name service takes its time.
    monkeypatch.setattr(socket, "getfqdn", lambda: "localhost")
    return tmp_path
