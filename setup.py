"""Builds the one extension, ``aiosmtplib._speedups``. All that is declarative is in pyproject.toml.

The extension is optional: where it cannot be compiled the install goes on, and the pure twin runs.
``AIOSMTPLIB_NO_EXTENSIONS=1`` builds none. ``AIOSMTPLIB_REQUIRE_EXTENSIONS=1`` makes a failure an error.
"""

import os
import sys
import sysconfig

from setuptools import Extension, setup

unwanted = os.environ.get("AIOSMTPLIB_NO_EXTENSIONS", "0") not in ("", "0")
required = os.environ.get("AIOSMTPLIB_REQUIRE_EXTENSIONS", "0") not in ("", "0")

if unwanted and required:
    sys.exit("AIOSMTPLIB_NO_EXTENSIONS and AIOSMTPLIB_REQUIRE_EXTENSIONS are both set: unset one")

PARTS = [
    "replies",
    "content",
    "commands",
    "output",
    "words",
    "addresses",
    "fields",
    "serializer",
    "transaction",
    "transcript",
    "session",
]
HEADERS = ["replies", "content", "words"]

# The .pyx goes to setuptools as it is: cythonize() would lose ``optional``.
extension = Extension(
    "aiosmtplib._speedups",
    ["_speedups/_speedups.pyx"],
    depends=[*(f"_speedups/{part}.pxi" for part in PARTS), *(f"_speedups/{name}.h" for name in HEADERS)],
    extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
    optional=not required,
)

# The twin writes into objects as only CPython lays them out. It counts on the lock, which a free-threaded
# CPython would switch on for the whole process at its import.
locked = not sysconfig.get_config_var("Py_GIL_DISABLED")
builds = not unwanted and (required or (sys.implementation.name == "cpython" and locked))

setup(ext_modules=[extension] if builds else [])
