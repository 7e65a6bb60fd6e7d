"""The files under ``examples/deploy/``: what they name exists, and what they start works."""

import asyncio
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..support.clean_run import clean_environ
from ..support.redis_server import redis_server
from ..support.threaded_servers import in_thread
from .pages import PAGES, ROOT

DEPLOY = ROOT / "examples/deploy"
UNIT = DEPLOY / "aiosmtplib-outbox@.service"


def test_all_of_them_are_on_the_page() -> None:
    shown = re.findall(r"(?m)^```\{literalinclude\} \.\./examples/deploy/(\S+)$", PAGES["outbox-scale"])
    assert sorted(shown) == sorted(path.name for path in DEPLOY.iterdir() if path.is_file())


def test_compose() -> None:
    yaml: Any = pytest.importorskip("yaml")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    volumes, services = services["volumes"], services["services"]
    assert set(services) == {"redis", "worker", "relay"}
    worker = services["worker"]
    assert worker["deploy"]["replicas"] == 4
    assert set(worker["depends_on"]) <= set(services)
    for service in services.values():
        assert service["command"][0] in ("sh", "redis-server")
        for volume in service.get("volumes", ()):
            source, target = volume.split(":")[:2]
            assert source in volumes or (DEPLOY / source).is_file()
            if source not in volumes:
                assert f"python {target}" in worker["command"][-1]
    assert "redis://redis:6379" == worker["environment"]["REDIS_URL"]
    assert worker["environment"]["SMTP_HOST"] in services
    assert f":{worker['environment']['SMTP_PORT']} " in services["relay"]["command"][-1]
    read = re.findall(r'environ\.get\("(\w+)"', (DEPLOY / "worker.py").read_text(encoding="utf-8"))
    assert set(worker["environment"]) <= set(read)


def test_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    read = re.findall(r'environ\.get\("(\w+)"', (DEPLOY / "worker.py").read_text(encoding="utf-8"))
    named = [
        word.split("=")[0] for line in re.findall(r"(?m)^Environment=(.*)$", text) for word in line.split()
    ]
    assert set(named) <= set(read)
    assert "LoadCredential=smtp-password:" in text
    assert 'secret("smtp-password")' in (DEPLOY / "worker.py").read_text(encoding="utf-8")
    assert "StateDirectory=aiosmtplib-outbox" in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    # Its program is on no machine of ours.
    copy = tmp_path / "aiosmtplib-outbox@1.service"
    copy.write_text(re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={sys.executable}", text), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_password_is_that_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("taskiq")
    secret = runpy.run_path(str(DEPLOY / "worker.py"))["secret"]
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert secret("smtp-password") is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret("smtp-password") is None
    (tmp_path / "smtp-password").write_text("correct horse\n", encoding="utf-8")
    assert secret("smtp-password") == "correct horse"


async def test_worker(tmp_path: Path) -> None:
    pytest.importorskip("taskiq")
    from aiosmtplib import Envelope
    from aiosmtplib.contrib.taskiq import Outbox
    from aiosmtplib.testing import Server

    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as redis, in_thread(Server()) as server:
        async with Outbox(redis.url) as outbox:
            await outbox.enqueue(Envelope("me@example.com", "you@example.com", "Subject: Hi\n\nHi!\n"))
            environ = {
                **clean_environ(),
                "PYTHONPATH": str(ROOT),
                "REDIS_URL": redis.url,
                "SMTP_PORT": str(server.port),
                "OUTBOX_BODIES": str(tmp_path / "bodies"),
            }
            worker = subprocess.Popen([sys.executable, DEPLOY / "worker.py"], env=environ)
            try:
                while any((await outbox.status())[:2]):  # noqa: ASYNC110  # another process does it
                    await asyncio.sleep(0.05)
            finally:
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(30) == 0
        assert len(server.messages) == 1
