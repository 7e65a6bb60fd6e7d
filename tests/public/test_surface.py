"""Callers of the two earlier series find every name, signature and default where they left it.

``surface/`` holds a tool and two dumps: what 5.1.3 and 1.1.3 offered, as data. The tool judges from the
point of view of a caller written for them.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib

HERE = Path(__file__).parent / "surface"

#: Where the two series disagree, 5.x wins. These are all the differences from 1.1.3 that remain.
DIFFERENCES_FROM_1_1_3 = {
    ("SMTP().hostname", "initial value 'localhost' -> None"),
    ("SMTP().source_address", "initial value <getfqdn> -> None"),
    ("SMTP.__init__", "default of 'hostname': 'localhost' -> None"),
    ("SMTP.__init__", "default of 'start_tls': False -> None"),
    ("SMTP.connect", "default of 'start_tls': None -> <Default.token>"),
    ("SMTPResponse", "repr: (250, OK) -> SMTPResponse(code=250, message='OK')"),
    ("send", "default of 'start_tls': False -> None"),
}

MODULES_OF_5_X = (
    "api",
    "auth",
    "email",
    "errors",
    "esmtp",
    "protocol",
    "response",
    "smtp",
    "status",
    "typing",
)


def compare(version: str, *options: str) -> list[dict[str, Any]]:
    """Run the tool on the package under test, and return what it found."""
    origin = Path(str(aiosmtplib.__file__)).parent.parent
    done = subprocess.run(
        [
            sys.executable,
            HERE / "surface.py",
            "compare",
            HERE / f"surface_{version}.json",
            "--json",
            *options,
        ],
        env={**os.environ, "PYTHONPATH": str(origin)},
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["found"]
    return found


def test_nothing_that_5_1_3_offered_has_changed() -> None:
    assert [entry for entry in compare("5.1.3", "--modules") if entry["level"] != "NOTE"] == []


def test_only_the_known_differences_from_1_1_3_remain() -> None:
    found = [entry for entry in compare("1.1.3") if entry["level"] != "NOTE"]
    assert [entry for entry in found if entry["level"] == "ERROR"] == []
    assert {(entry["where"], entry["what"]) for entry in found} == DIFFERENCES_FROM_1_1_3


def test_the_package_says_what_it_is() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.search(r'^version = "(.+)"$', pyproject, re.MULTILINE)
    assert declared is not None
    assert aiosmtplib.__version__ == declared[1]
    assert aiosmtplib.__title__ == "aiosmtplib"
    assert aiosmtplib.__author__
    assert aiosmtplib.__license__ == "MIT"
    assert aiosmtplib.__copyright__


@pytest.mark.parametrize("name", MODULES_OF_5_X)
def test_modules_are_attributes_of_the_package(name: str) -> None:
    """A fresh interpreter: here the tests have long imported everything."""
    origin = Path(str(aiosmtplib.__file__)).parent.parent
    code = f"import aiosmtplib; assert aiosmtplib.{name}.__name__ == 'aiosmtplib.{name}'"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(origin)}, check=True)


@pytest.mark.parametrize("name", MODULES_OF_5_X)
def test_modules_export_what_they_list(name: str) -> None:
    module = importlib.import_module(f"aiosmtplib.{name}")
    assert [export for export in module.__all__ if not hasattr(module, export)] == []


def test_importing_loads_nothing_that_sending_may_not_need() -> None:
    """What is slow to import, or cannot be imported first by an interpreter with a lock of its own.

    Without `site`: what an environment loads at its start would hide what the package loads.
    """
    origin = str(Path(str(aiosmtplib.__file__)).parent.parent)
    names = "email.message", "email.utils", "datetime", "random", "urllib.parse"
    code = (
        f"import sys; sys.path.insert(0, {origin!r}); import aiosmtplib; "
        f"print(*[name for name in {names} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
