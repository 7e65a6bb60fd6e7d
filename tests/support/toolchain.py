"""Tells what this machine can build with: a compiler for extensions, and which interpreters.

The extension is optional for users and expected by the tests. Those two meet in the first question: with a
working compiler a missing extension is a failure, without one it is a reason to skip.

``python -m tests.support.toolchain`` exits 0 if extensions can be compiled, and else says what is missing.
``python -m tests.support.toolchain interpreters`` prints the supported Pythons that are installed, one a
line.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")

SOURCE = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "probe", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_probe(void) { return PyModule_Create(&module); }
"""
SETUP = """
from setuptools import Extension, setup
setup(name="probe", ext_modules=[Extension("probe", ["probe.c"])])
"""


def missing() -> str | None:
    """Return why this interpreter cannot compile extensions, or ``None`` if it can."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this Python is free-threaded, and runs the pure twin"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe.c").write_text(SOURCE)
        done = subprocess.run(
            [sys.executable, "-c", SETUP, "-q", "build_ext", "--inplace"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode == 0 and list(Path(folder).glob("probe*" + _suffix())):
            return None
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "the compiler made nothing"


def _suffix() -> str:
    return str(sysconfig.get_config_var("EXT_SUFFIX") or "").rpartition(".")[2]


def compile_extension(folder: Path, compiler: str, *flags: str) -> Path:
    """Compile the codec by hand, into ``folder``: with these flags alone, which setup.py would add to."""
    source = folder / "_speedups.c"
    built = folder / "aiosmtplib" / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
    built.parent.mkdir(parents=True, exist_ok=True)
    cython = [sys.executable, "-m", "cython", "--module-name", "aiosmtplib._speedups", "-o", source]
    subprocess.run([*cython, ROOT / "_speedups/_speedups.pyx"], check=True)
    include = [f"-I{sysconfig.get_path('include')}", f"-I{ROOT / '_speedups'}"]
    subprocess.run([compiler, "-shared", "-fPIC", "-w", *include, *flags, source, "-o", built], check=True)
    return built


def interpreters() -> Mapping[str, Path]:
    """Return the supported interpreters that are installed: on PATH, or by pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = {}
    for version in SUPPORTED:
        on_path = shutil.which(f"python{version}")
        candidates = [
            *sorted(versions.glob(f"{version}.*/bin/python")),
            *([Path(on_path)] if on_path else []),
        ]
        for candidate in candidates:
            # pyenv puts a command for each version on PATH, also for those that it has not activated.
            code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
            if done.stdout.strip() == version:
                found[version] = candidate
                break
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["interpreters"]:
        for version, path in interpreters().items():
            print(version, path)
    elif reason := missing():
        print(f"No C compiler for Python extensions here ({reason}).")
        raise SystemExit(1)
