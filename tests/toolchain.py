"""Tells whether this interpreter can compile C extensions here.

The extension is optional for users and expected by the tests. Those two meet in this question: with a
working compiler a missing extension is a failure, without one it is a reason to skip.
``python -m tests.toolchain`` exits 0 if the answer is yes, and else says what is missing.
"""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SOURCE = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "probe", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_probe(void) { return PyModule_Create(&module); }
"""
SETUP = """
from setuptools import Extension, setup
setup(name="probe", ext_modules=[Extension("probe", ["probe.c"])])
"""


def missing(python: str = sys.executable, env: dict[str, str] | None = None) -> str | None:
    """Return why ``python`` cannot compile extensions, or ``None`` if it can."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe.c").write_text(SOURCE)
        done = subprocess.run(
            [python, "-c", SETUP, "-q", "build_ext", "--inplace"],
            cwd=folder,
            env=env,
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


if __name__ == "__main__":
    reason = missing()
    if reason is not None:
        print(f"No C compiler for Python extensions here ({reason}).")
        raise SystemExit(1)
