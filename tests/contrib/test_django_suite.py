"""Django's own tests of its SMTP backend, with ours in its place.

They come with the sdist of Django, which is fetched when this runs, for each series that this machine has a
Python for; nothing of them is kept here. What cannot hold is listed, with the reason.
"""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ..support.clean_run import run
from .environments import Environment, environment, python_for

__all__ = ("environment",)

pytestmark = [pytest.mark.slow, pytest.mark.packaging]

#: Its tests, as far as they cannot hold, and why.
OTHERWISE = {
    "test_reopen_replaces_partial_connection": "looks at the socket of an smtplib.SMTP",
    "test_email_msg_uses_crlf": "patches smtplib.SMTP.send",
    "test_serialized_message_uses_crlf_line_ending": "patches smtplib.SMTP.sendmail",
    "test_smtp_connection_uses_host_and_port": "patches smtplib.SMTP.connect",
    "test_smtp_connection_uses_timeout": "looks at an smtplib.SMTP",
    "test_auth_attempted": "the text of the error is our own",
    "test_direct_construction_deprecated": "warns of classes of Django's by their module",
}
#: What Python each needs, and what its tests import that came with 3.12.5.
SERIES = {"5.2": ((3, 10), "pass"), "6.1": ((3, 12), "from email.errors import HeaderWriteError")}

#: Of the sdist, which has thousands of files, what the tests of mail need.
NEEDED = re.compile(r"[^/]+/tests/([^/]+|(mail|templates)/.*)")

RUNNER = """
import pathlib, sys, unittest
from django.core.mail.backends import smtp
from aiosmtplib.contrib.django import EmailBackend
smtp.EmailBackend = EmailBackend
# They look at the order in which messages arrive, which two connections do not keep.
EmailBackend.pool_options = {"max_connections": 1}
sys.path.insert(0, ".")
import runtests
skipped = set(sys.argv[1].split(","))
import unittest.loader
original = unittest.TestLoader.getTestCaseNames
unittest.TestLoader.getTestCaseNames = lambda self, case: [
    name for name in original(self, case) if "SMTPBackend" in case.__name__ and name not in skipped
]
sys.argv = ["runtests.py", "mail", "--parallel=1", "-v2"]
scope = {"__name__": "__main__", "__file__": "runtests.py"}
exec(compile(pathlib.Path("runtests.py").read_text(), "runtests.py", "exec"), scope)
"""


@pytest.mark.parametrize("series", SERIES)
def test_suite(series: str, environment: Environment, tmp_path: Path) -> None:
    needed, code = SERIES[series]
    base = python_for(needed, code)
    if base is None:
        pytest.skip(
            f"The tests of Django {series} need a Python of {'.'.join(map(str, needed))} that can: {code}"
        )
    python = environment("django", f"django=={series}.*", "aiosmtpd", base=base)
    version = run(python, "-c", "import django; print(django.__version__)").strip()
    # The sdist alone has the tests. It is not built.
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    run(
        *download,
        "--no-build-isolation",
        "--ignore-requires-python",
        "--dest",
        tmp_path,
        f"django=={version}",
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(
            tmp_path, [each for each in archive if NEEDED.fullmatch(each.name) and each.isfile()]
        )
    (tests,) = tmp_path.glob("[dD]jango-*/tests")
    (tests / "run_with_ours.py").write_text(RUNNER, encoding="utf-8")
    done = subprocess.run(
        [python, "-W", "ignore", "run_with_ours.py", ",".join(OTHERWISE)],
        cwd=tests,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (count,) = re.findall(r"Ran (\d+) tests", done.stderr)
    assert int(count) >= 40
