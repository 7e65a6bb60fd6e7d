"""The suites, and how one is run: in a folder of its own that holds nothing but its tests."""

import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .environment import Environment, run

__all__ = ("DOWNSTREAM", "FASTAPI_MAIL", "SERIES_1", "SERIES_5", "Suite", "run_suite")

HERE = Path(__file__).parent
#: Seconds. A suite that hangs has failed.
PATIENCE = 600

AUTO = "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
# The servers of these suites are aiosmtpd's.
AIOSMTPD = "filterwarnings =\n    ignore:'typing.ByteString':DeprecationWarning:aiosmtpd.proxy_protocol\n"


@dataclass(frozen=True)
class Suite:
    """A suite that others wrote.

    :param tests: its tests, a folder in the source distribution; of :data:`FASTAPI_MAIL`, a file here
    :param expected: how many tests count; fewer means that some were not found
    :param settings: lines of ``pytest.ini``
    :param arguments: for pytest
    """

    name: str
    version: str
    tests: str
    expected: int
    settings: str = AUTO
    arguments: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.name}-{self.version}"


SERIES_5 = Suite(
    "aiosmtplib",
    "5.1.3",
    "tests",
    364,
    AUTO
    + AIOSMTPD
    + "markers =\n    smtpd_options\n    smtpd_mocks\n    smtp_client_options\n    skip_if_uvloop\n",
    ("-n", "auto", "--import-mode=importlib", "--strict-markers"),
)
SERIES_1 = Suite(
    "aiosmtplib",
    "1.1.3",
    "tests",
    299,
    "asyncio_mode = strict\nfilterwarnings =\n    ignore\n",
    ("-p", "series_1", "--continue-on-collection-errors"),
)
FASTAPI_MAIL = Suite("fastapi-mail", "1.6.8", "fastapi_mail_calls.py", 12, AUTO + AIOSMTPD)
DOWNSTREAM = (
    Suite("asphalt-mailer", "4.0.0", "tests", 34),
    Suite("mailtoolsbox", "3.0.0", "tests", 47),
    Suite("mailcore-aiosmtplib", "0.1.0", "tests", 18, AUTO + "markers =\n    e2e\n    conformance\n"),
    Suite("litestar-email", "0.4.0", "src/tests", 21, arguments=("tests/test_smtp_backend.py",)),
)


def run_suite(suite: Suite, source: Path, environment: Environment) -> Mapping[str, str]:
    """Run a suite from its source and return what became of each test: passed, failed or skipped.

    A test is named ``module::function[parameters]``; a module that cannot be imported, by itself. The output
    is left there, in ``.compat-cache/<interpreter>/run``.

    :raises subprocess.TimeoutExpired: it hangs
    :raises RuntimeError: pytest broke off
    """
    folder = environment.folder / "run" / suite.label
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if source.is_dir():
        shutil.copytree(source / suite.tests, folder / "tests")
    else:
        (folder / "tests").mkdir()
        shutil.copy(source, folder / "tests" / f"test_{source.name}")
    (folder / "pytest.ini").write_text(f"[pytest]\ntestpaths = tests\n{suite.settings}")
    results = folder / "results.xml"
    done = run(
        *(environment.python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir=."),
        *(f"--junitxml={results}", *suite.arguments),
        cwd=folder,
        timeout=PATIENCE,
        PYTHONPATH=str(HERE / "plugins"),
    )
    (folder / "output.txt").write_text(done.stdout)
    if not results.exists():
        raise RuntimeError("\n".join(done.stdout.strip().splitlines()[-15:]))
    return _read(results)


def _read(results: Path) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        # A test that fails to clean up has two entries; the worse one counts.
        path = [part for part in (case.get("classname"), case.get("name")) if part]
        name = "::".join(path).removeprefix("tests.")
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if outcomes.get(name) != "failed":
            outcomes[name] = outcome
    return outcomes
