"""The cookbook's examples run, each in a process of its own, with the packages that they import.

An example makes an application; what ``DRIVEN`` has for it is appended, and uses that application as its
clients would. Where a package is not installed, the example is compiled, and the test skips. They are in the
dependency group ``cookbook``, which ``make docs-check`` installs.
"""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..support.readme_servers import Office
from ..support.threaded_servers import in_thread
from .pages import ROOT, Block, blocks
from .test_examples import moved

ME = "me@example.com"


@dataclass(frozen=True)
class Driven:
    """How an example is used.

    :ivar needs: the packages that it and its driver import
    :ivar driver: the code after it; what is printed has to be what the ``# ->`` comments of both say
    :ivar mail: sender and recipients of each message that the servers must have then
    """

    needs: tuple[str, ...]
    driver: str
    mail: list[tuple[str, list[str]]]


WELCOMED = [(ME, ["you@example.com"])]
DRIVEN = {
    "FastAPI": Driven(
        ("fastapi", "httpx"),
        """
from fastapi.testclient import TestClient
with TestClient(app) as client:
    print(client.post("/welcome/you@example.com").json())  # -> {'sent': True}
    print(client.post("/welcome/nobody@example.com").status_code)  # -> 422
""",
        WELCOMED,
    ),
    "Starlette": Driven(
        ("starlette", "httpx"),
        """
from starlette.testclient import TestClient
with TestClient(app) as client:
    print(client.post("/welcome/you@example.com").status_code)  # -> 202
""",
        WELCOMED,
    ),
    "Litestar": Driven(
        ("litestar", "httpx"),
        """
from litestar.testing import TestClient
with TestClient(app) as client:
    print(client.post("/welcome/you@example.com").json())  # -> {'sent': True}
""",
        WELCOMED,
    ),
    "aiohttp": Driven(
        ("aiohttp",),
        """
import asyncio
from aiohttp.test_utils import TestClient, TestServer

async def drive():
    async with TestClient(TestServer(app)) as client:
        print((await client.post("/welcome/you@example.com")).status)  # -> 202

asyncio.run(drive())
""",
        WELCOMED,
    ),
    "Django": Driven(
        ("django",),
        """
import warnings
warnings.simplefilter("error")
from django.conf import settings
from django.core import mail
server = {"host": "localhost", "port": 1025}
if hasattr(mail, "mailers"):
    settings.configure(MAILERS={"default": {"BACKEND": "__main__.EmailBackend", "OPTIONS": server}})
else:
    settings.configure(EMAIL_BACKEND="__main__.EmailBackend", EMAIL_HOST="localhost", EMAIL_PORT=1025)
hi = mail.EmailMultiAlternatives("Hi", "Hello!", "me@example.com", ["you@example.com"], bcc=["b@example.com"])
hi.attach_alternative("<p>Hello!</p>", "text/html")
print(hi.send())  # -> 1
print(mail.send_mail("Hi", "Hello!", "me@example.com", ["you@example.com"]))  # -> 1
refused = mail.EmailMessage("Hi", "Hi", "me@example.com", ["nobody@example.com"])
with EmailBackend(alias="silent", fail_silently=True, **server) as silent:
    print(silent.send_messages([refused]))  # -> 0
try:
    refused.send()
except aiosmtplib.SMTPRecipientsRefused as error:
    print(error.recipients[0].code)  # -> 550
""",
        [(ME, ["you@example.com", "b@example.com"]), *WELCOMED],
    ),
    "Flask": Driven(
        ("flask",),
        """
client = app.test_client()
print(client.post("/welcome/you@example.com").status_code)  # -> 202
print(client.post("/welcome/nobody@example.com").status_code)  # -> 503
""",
        WELCOMED,
    ),
    "Celery": Driven(
        ("celery",),
        """
args = ["me@example.com", ["you@example.com", "nobody@example.com"], "Subject: Hi\\n\\nHi!\\n"]
print(send_mail.apply(args).get())  # -> ['nobody@example.com']
print(type(send_mail.apply(["me@example.com", ["nobody@example.com"], "x"]).result).__name__)
# -> SMTPRecipientsRefused
""",
        WELCOMED,
    ),
    "taskiq": Driven(
        ("taskiq",),
        """
import asyncio

async def drive():
    await broker.startup()
    task = await send_mail.kiq("you@example.com")
    print((await task.wait_result()).return_value)  # -> 2.0.0 Ok
    await broker.shutdown()

asyncio.run(drive())
""",
        WELCOMED,
    ),
    "Jupyter": Driven((), "", WELCOMED),
    "Jinja2": Driven(("jinja2",), "", [(ME, ["anna@example.com"]), (ME, ["both@example.com"])]),
    "trio: why not, and what to use": Driven(("trio",), "", WELCOMED),
}
EXAMPLES = blocks("python", "cookbook")


def heading(block: Block) -> str:
    return block.name.removeprefix("cookbook: ").removesuffix(" 1")


@pytest.mark.parametrize("block", EXAMPLES, ids=heading)
def test_example(block: Block, tmp_path: Path) -> None:
    driven = DRIVEN[heading(block)]
    missing = [name for name in driven.needs if importlib.util.find_spec(name) is None]
    if missing:
        compile(block.text, "cookbook.md", "exec")
        pytest.skip(
            f"{' and '.join(missing)} not installed; make docs-check installs what the cookbook imports"
        )
    with in_thread(Office(tmp_path, False, None)) as office:
        source = moved(block.text + driven.driver, office)
        (tmp_path / "example.py").write_text("\n" * block.line + source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tests.docs.run_block", str(tmp_path / "example.py")],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"(?m)# -> (.*)$", source)
    assert sorted(office.mail) == sorted(driven.mail)


def test_every_example_is_driven() -> None:
    assert [heading(block) for block in EXAMPLES] == list(DRIVEN)
