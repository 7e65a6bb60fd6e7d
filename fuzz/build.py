"""The extension with counters, so that libFuzzer sees which branches of the compiled twin an input takes.

It needs clang, whose counters libFuzzer reads. Without, the coverage of the pure twin guides alone.
"""

import importlib.util
import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from tests.support.toolchain import compile_extension

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build/fuzz" / str(sys.implementation.cache_tag)

_COUNTERS = "-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp"


def clang() -> str | None:
    names = ["clang", *(f"clang-{version}" for version in range(22, 13, -1))]
    return next(filter(None, map(shutil.which, names)), None)


def modules() -> set[str]:
    """The dotted names of the package and of all its modules, but for the extension."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "aiosmtplib").rglob("*.py")]
    return {".".join(path.parts).removesuffix(".__init__") for path in paths}


def extension() -> Path | None:
    """Build it where something has changed. None where there is no clang."""
    compiler = clang()
    if compiler is None:
        return None
    built = sorted(FOLDER.glob("aiosmtplib/_speedups*"))
    sources = [*(ROOT / "_speedups").glob("*.[ph]*"), Path(__file__)]
    if built and built[0].stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return built[0]
    return compile_extension(FOLDER, compiler, "-g", "-O1", _COUNTERS)


class _Finder:
    """Finds the built one, and no other module."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "aiosmtplib._speedups":
            return None
        return importlib.util.spec_from_file_location(name, self._path)


def prefer(path: Path) -> None:
    """Make it the one that ``aiosmtplib`` imports."""
    sys.meta_path.insert(0, _Finder(path))
