"""Clean environments with this package and one of its extras, for what has to run as it does for users.

The wheel is built once, without the extension; each environment is a new one, with nothing else in it than
what the extra brings along and what is asked for by name.
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ..support.clean_run import run

ROOT = Path(__file__).parents[2]

#: Returns the interpreter of an environment with these extras and packages.
Environment = Callable[..., Path]


def install(python: object, *what: object) -> None:
    """:raises pytest.skip.Exception: if the index cannot be reached"""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        python,
        "install",
        "--quiet",
    ]
    try:
        run(*pip, *what, timeout=600)
    except AssertionError as error:
        if "Could not find a version" in str(error) or "connection" in str(error).lower():
            pytest.skip(f"the packages cannot be had here: {str(error)[-300:]}")
        raise


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Make an environment: ``environment("django")``, ``environment("", "flask")``."""

    @cache
    def wheel() -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        run(
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", folder, ROOT),
            AIOSMTPLIB_NO_EXTENSIONS="1",
        )
        (made,) = folder.iterdir()
        return made

    @cache
    def environment(extras: str, *packages: str, base: str = sys.executable) -> Path:
        folder = tmp_path_factory.mktemp(extras or "plain")
        run(base, "-m", "venv", "--without-pip", folder)
        python = folder / "bin" / "python"
        install(python, f"{wheel()}[{extras}]" if extras else wheel(), *packages)
        return python

    return environment
