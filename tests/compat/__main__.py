"""``python -m tests.compat``: run the suites, print a line for each, and fail where one that counts fails."""

import argparse
import subprocess
import sys
from pathlib import Path

from ..support import toolchain
from .environment import CACHE, ROOT, Environment, UnreachableIndexError, build_wheel, run, unpack_sdist
from .suites import DOWNSTREAM, FASTAPI_MAIL, SERIES_1, SERIES_5, Suite, run_suite
from .verdict import judge, listed

BUILDING = ("setuptools>=77.0.3,<81", "wheel", "Cython>=3.1")
TESTING = (
    *("pytest>=8.4", "pytest-asyncio>=1.4", "pytest-mock", "pytest-xdist>=3.6"),
    *("hypothesis>=6.56", "aiosmtpd>=1.4.2", "trustme>=0.9.0"),
)
#: What the packages below need, apart from the one that is replaced here.
NEEDED = (
    *("aiofiles", "anyio", "asphalt~=4.8", "blinker", "cryptography", "email-validator", "httpx", "jinja2"),
    *(
        "litestar",
        "mailcore",
        "pydantic",
        "pydantic-settings",
        "regex",
        "starlette>=1,<2",
        "typing-extensions",
    ),
)
USERS = tuple(f"{suite.name}=={suite.version}" for suite in (FASTAPI_MAIL, *DOWNSTREAM))
#: What the suite of 1.1.3 was written for. These work on no Python newer than 3.11.
OLD = ("pytest<8", "pytest-asyncio==0.21.2", "hypothesis", "aiosmtpd==1.2")
OLD_PYTHONS = ("3.11", "3.10")
#: Where the suite of 5.1.3 passes with the package that it came with. On 3.10 to 3.12 some of it does not.
PREFERRED = "3.13"

SURFACE = ROOT / "tests" / "public" / "surface"
ABOUT = """
import email.errors, sys
from aiosmtplib import _codec
unpatched = not hasattr(email.errors, "HeaderWriteError")
print("%d.%d.%d" % sys.version_info[:3], _codec.IMPLEMENTATION, unpatched)
"""


class Run:
    """One run on one interpreter: prints as it goes, and remembers whether something failed."""

    def __init__(self, python: Path) -> None:
        name = run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])", cwd=ROOT).stdout.strip()
        self.python, self.name, self.failed = python, name, False
        self.wheels: dict[Path, Path] = {}

    def say(self, text: str) -> None:
        print(text, flush=True)

    def fail(self, text: str) -> None:
        self.failed = True
        self.say(text)

    def suite(self, suite: Suite, environment: Environment, source: Path, *, unpatched: bool) -> None:
        try:
            outcomes = run_suite(suite, source, environment)
        except (subprocess.TimeoutExpired, RuntimeError) as error:
            self.fail(f"{suite.label}: 0/{suite.expected}\n    {error}")
            return
        verdict = judge(
            suite.label, outcomes, listed(suite.label), expected=suite.expected, unpatched=unpatched
        )
        (self.say if verdict.passed else self.fail)("\n".join(verdict.lines))

    def surface(self, environment: Environment) -> None:
        dump = SURFACE / "surface_5.1.3.json"
        done = run(environment.python, SURFACE / "surface.py", "compare", dump, "--modules")
        lines = done.stdout.strip().splitlines()
        errors = [f"\n    {line}" for line in lines if line.startswith("ERROR")]
        (self.fail if done.returncode else self.say)(lines[-1] + "".join(errors))

    def install(self, environment: Environment, building: Environment) -> None:
        """Install the wheel into an environment; one for each interpreter is built in another."""
        if building.base not in self.wheels:
            self.wheels[building.base] = build_wheel(building)
        environment.install_wheel(self.wheels[building.base])

    def everything(self) -> None:
        environment = Environment(
            self.python, self.name, [*BUILDING, *TESTING, *NEEDED], without_dependencies=USERS
        )
        self.install(environment, environment)
        version, codec, without = run(environment.python, "-c", ABOUT).stdout.split()
        self.say(f"The wheel on Python {version}, codec: {codec}")
        unpatched = without == "True"
        source = unpack_sdist(environment, SERIES_5.name, SERIES_5.version)
        self.suite(SERIES_5, environment, source, unpatched=unpatched)
        self.surface(environment)
        here = Path(__file__).parent
        self.suite(FASTAPI_MAIL, environment, here / FASTAPI_MAIL.tests, unpatched=unpatched)
        for suite in DOWNSTREAM:
            source = unpack_sdist(environment, suite.name, suite.version)
            self.suite(suite, environment, source, unpatched=unpatched)
        self.series_1()

    def series_1(self) -> None:
        found = {**toolchain.interpreters(), self.name: self.python}
        name = self.name if self.name in OLD_PYTHONS else next(filter(found.get, OLD_PYTHONS), None)
        if name is None:
            self.say(f"{SERIES_1.label}: skipped, its pytest needs Python {' or '.join(OLD_PYTHONS)}")
            return
        environment = Environment(found[name], f"{name}-series-1", [*BUILDING, *OLD])
        self.install(environment, environment)
        source = unpack_sdist(environment, SERIES_1.name, SERIES_1.version)
        self.suite(SERIES_1, environment, source, unpatched=True)


def main() -> int:
    """Run every suite; 1 if one that counts failed, 0 also where the index cannot be reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__)
    parser.add_argument(
        "--python", type=Path, help=f"which interpreter to test on; by default {PREFERRED}, or else this one"
    )
    chosen = parser.parse_args().python or toolchain.interpreters().get(PREFERRED, Path(sys.executable))
    CACHE.mkdir(exist_ok=True)
    going = Run(chosen)
    try:
        going.everything()
    except UnreachableIndexError as error:
        print(f"The package index cannot be reached; what is not named above was skipped.\n{error}")
    return int(going.failed)


if __name__ == "__main__":
    raise SystemExit(main())
