"""Environments of their own for the suites, and what is fetched for them, in one folder of this tree."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ("CACHE", "ROOT", "Environment", "UnreachableIndexError", "build_wheel", "run", "unpack_sdist")

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".compat-cache"

#: What a wheel is built from.
SOURCES = (
    "aiosmtplib",
    "pytest_aiosmtplib",
    "_speedups",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
#: Does the same as ``pip wheel``, without leaving anything in the tree, and without fetching what it has.
BUILD = "from setuptools import build_meta; build_meta.build_wheel('dist')"
#: pip says one of these where there is no index, or not the one that has every package.
NO_INDEX = (
    *("after connection broken by", "Connection aborted", "Name or service not known"),
    "(from versions: none)",
)


class UnreachableIndexError(Exception):
    """The package index cannot be reached."""


def run(
    *command: object, cwd: Path = CACHE, timeout: float | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that sees nothing of this tree, and none of the variables that steer Python.

    ``AIOSMTPLIB_NO_EXTENSIONS`` is handed on: it chooses the twin that is tested.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name == "AIOSMTPLIB_NO_EXTENSIONS"
        or not name.startswith(("AIOSMTPLIB_", "COV", "PYTHON", "PYTEST"))
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**env, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
    )


def checked(*command: object, cwd: Path = CACHE, **variables: str) -> str:
    """Run a command that has to succeed, and return its output.

    :raises UnreachableIndexError: pip could not reach the index
    :raises RuntimeError: the command failed
    """
    done = run(*command, cwd=cwd, **variables)
    if done.returncode == 0:
        return done.stdout
    last = "\n".join(done.stdout.strip().splitlines()[-15:])
    if "pip" in command and any(text in done.stdout for text in NO_INDEX):
        raise UnreachableIndexError(last)
    raise RuntimeError(f"{' '.join(map(str, command[:6]))} failed:\n{last}")


class Environment:
    """A virtual environment in the cache, made at its first use and again when its requirements change."""

    def __init__(
        self, base: Path, name: str, requirements: Iterable[str], *, without_dependencies: Iterable[str] = ()
    ) -> None:
        self.base = base
        self.folder = CACHE / name
        self.python = self.folder / "bin" / "python"
        wanted, alone = list(requirements), list(without_dependencies)
        complete = self.folder / "complete"
        statement = "\n".join([str(base), *wanted, "--no-deps", *alone])
        if complete.exists() and complete.read_text() == statement:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        checked(base, "-m", "venv", self.folder)
        self.install(*wanted)
        if alone:
            self.install("--no-deps", *alone)
        complete.write_text(statement)

    def pip(self, command: str, *arguments: object) -> str:
        options = ("--disable-pip-version-check", "--no-input", "-q", "--retries", "2", "--timeout", "20")
        return checked(self.python, "-m", "pip", command, *options, *arguments)

    def install(self, *arguments: object) -> None:
        """Install packages. What is imported of them is compiled then: of most of it, nothing is."""
        self.pip("install", "--no-compile", *arguments)

    def install_wheel(self, wheel: Path) -> None:
        """Install the wheel under test, and see that it is what an import finds."""
        self.install("--no-index", "--no-deps", "--force-reinstall", wheel)
        found = Path(checked(self.python, "-c", "import aiosmtplib; print(aiosmtplib.__file__)").strip())
        if self.folder not in found.parents:
            raise RuntimeError(f"not the wheel, but {found} would be tested")


def build_wheel(environment: Environment) -> Path:
    """Build the wheel of this tree for the interpreter of an environment that has setuptools and Cython."""
    tree = environment.folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.c")
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree)
    checked(environment.python, "-c", BUILD, cwd=tree)
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


def unpack_sdist(environment: Environment, name: str, version: str) -> Path:
    """Return the folder of a source distribution, fetched from the index at its first use."""
    into = CACHE / "sdists" / f"{name}-{version}"
    if not into.exists():
        fetched = into.with_name(into.name + ".fetched")
        shutil.rmtree(fetched, ignore_errors=True)
        environment.pip("download", "--no-deps", "--no-binary", name, "-d", fetched, f"{name}=={version}")
        (archive,) = fetched.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            if hasattr(tarfile, "data_filter"):
                opened.extraction_filter = tarfile.data_filter
            opened.extractall(fetched)
        fetched.rename(into)
    (unpacked,) = (path for path in into.iterdir() if path.is_dir())
    return unpacked
