"""Builds the one extension, ``aiosmtplib._speedups``. All that is declarative is in pyproject.toml.

The extension is optional: where it cannot be compiled the install goes on, and the pure twin runs.
``AIOSMTPLIB_NO_EXTENSIONS=1`` builds none. ``AIOSMTPLIB_REQUIRE_EXTENSIONS=1`` makes a failure an error.
"""

import os
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

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
    "mail",
    "transaction",
    "transcript",
    "session",
    "exchanges",
]
HEADERS = ["replies", "content", "words"]

# Names of functions, for debuggers and profilers, are three quarters of the file. They are kept in place.
if "--inplace" in sys.argv or sys.platform == "win32":
    without_symbols: list[str] = []
else:
    without_symbols = ["-Wl,-S,-x"] if sys.platform == "darwin" else ["-Wl,--strip-all"]

# The .pyx goes to setuptools as it is: cythonize() would lose ``optional``.
extension = Extension(
    "aiosmtplib._speedups",
    ["_speedups/_speedups.pyx"],
    depends=[*(f"_speedups/{part}.pxi" for part in PARTS), *(f"_speedups/{name}.h" for name in HEADERS)],
    extra_compile_args=[] if sys.platform == "win32" else ["-O3"],
    extra_link_args=without_symbols,
    optional=not required,
)


class WheelOfWhatWasBuilt(bdist_wheel):
    """A wheel for every platform where the extension could not be compiled, rather than one for this."""

    def run(self) -> None:
        self.run_command("build")
        self.skip_build = True
        builder = self.get_finalized_command("build_ext")
        if not any(map(os.path.exists, builder.get_outputs())):
            self.distribution.ext_modules = None
            self.root_is_pure = True
        super().run()


# The twin writes into objects as only CPython lays them out. It counts on the lock, which a free-threaded
# CPython would switch on for the whole process at its import.
locked = not sysconfig.get_config_var("Py_GIL_DISABLED")
builds = not unwanted and (required or (sys.implementation.name == "cpython" and locked))

setup(ext_modules=[extension] if builds else [], cmdclass={"bdist_wheel": WheelOfWhatWasBuilt})
