"""Clean environments with this package and one of its extras, for what has to run as it does for users.

The wheel is built once, without the extension; each environment is a new one, with nothing else in it than
what the extra brings along and what is asked for by name.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ..support.clean_run import run

ROOT = Path(__file__).parents[2]

#: What a wheel is built from.
SOURCES = ("aiosmtplib", "pytest_aiosmtplib", "setup.py", "pyproject.toml", "README.md", "LICENSE")

#: Returns the interpreter of an environment with these extras and packages.
Environment = Callable[..., Path]


def python_for(needed: tuple[int, int], code: str = "pass") -> str | None:
    """An interpreter for this version or a later one that runs this code: this one, or one beside it."""
    candidates = [sys.executable] if sys.version_info >= needed else []
    for minor in range(needed[1], 20):
        installed = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")
        candidates += filter(None, [shutil.which(f"python3.{minor}"), *map(str, installed)])
    for candidate in candidates:
        # A shim of pyenv is found and does not run.
        if subprocess.run([candidate, "-c", code], capture_output=True).returncode == 0:
            return candidate
    return None


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
        # Of a copy: a build writes into its tree, and other processes may be at it.
        tree, folder = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
        for part in SOURCES:
            if (ROOT / part).is_dir():
                shutil.copytree(
                    ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__", "*.so")
                )
            else:
                shutil.copy(ROOT / part, tree)
        run(
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", folder, tree),
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
