"""What is built is what people get: distributions are built, installed outside of the tree, and looked at.

Nothing here sees the checkout: each environment is fresh, and every command runs in an empty folder with
none of the variables that steer the extension.
"""

import functools
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from email.parser import HeaderParser
from pathlib import Path

import pytest

from ..support import clean_run, toolchain

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).parents[2]
NOT_IN_A_CHECKOUT = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "build", "dist", "*.egg-info", "*.so", "*.c"
)
WHICH = "from aiosmtplib import _codec; print(_codec.IMPLEMENTATION)"

Run = Callable[..., str]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command in an empty folder, with the given variables only added, and return what it printed."""
    folder = tmp_path_factory.mktemp("outside")

    return functools.partial(clean_run.run, cwd=folder)


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    tree = tmp_path_factory.mktemp("tree") / "aiosmtplib"
    shutil.copytree(ROOT, tree, ignore=NOT_IN_A_CHECKOUT)
    return build(run, "sdist", tree)


@pytest.fixture
def unpacked(sdist: Path, tmp_path: Path) -> Path:
    """The contents of the sdist: what every wheel here is built from."""
    return unpack(sdist, tmp_path)


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    reason = toolchain.missing()
    if reason is not None:
        pytest.skip(f"no C compiler for Python extensions here: {reason}")
    return build(run, "wheel", unpack(sdist, tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    return install(run, wheel, tmp_path_factory.mktemp("installed"))


def unpack(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    return folder / sdist.name.removesuffix(".tar.gz")


def build(run: Run, kind: str, tree: Path, **variables: str) -> Path:
    """Call the build backend as an installer would, with what is installed here instead of a download."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}('dist')"
    run(sys.executable, "-c", code, cwd=tree, **variables)
    (made,) = (tree / "dist").iterdir()
    return made


def environment(run: Run, folder: Path, python: object = sys.executable) -> Path:
    """Make a clean environment and return its interpreter."""
    run(python, "-m", "venv", "--without-pip", folder / "venv")
    return folder / "venv" / "bin" / "python"


def install(run: Run, distribution: Path, folder: Path) -> Path:
    python = environment(run, folder)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", distribution)
    return python


def test_sdist_has_all_that_a_build_and_a_test_run_need(unpacked: Path) -> None:
    there = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    for pattern in (
        "aiosmtplib/**/*.py*",
        "_speedups/*.p[yx][xi]",
        "tests/**/*.py",
        "tests/public/surface/*",
        "benchmarks/*.py",
        "fuzz/*.py",
        "fuzz/corpus/*.txt",
        "tests/support/*.supp",
        "docs/**/*.md",
        "docs/*.py",
        "docs/_static/*",
    ):
        found = (path.relative_to(ROOT) for path in ROOT.glob(pattern))
        assert {str(path) for path in found if "__pycache__" not in path.parts} <= there
    assert {"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "pyproject.toml", "setup.py"} <= there
    assert {"_speedups/_speedups.pyx", "aiosmtplib/py.typed"} <= there
    assert not [name for name in there if name.endswith((".c", ".so", ".pyc"))]


def test_wheel_has_the_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {
        str(path.relative_to(ROOT))
        for package in ("aiosmtplib", "pytest_aiosmtplib")
        for path in (ROOT / package).rglob("*.py")
    }
    extension = f"aiosmtplib/_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
    assert names == modules | {extension, "aiosmtplib/_speedups.pyi", "aiosmtplib/py.typed"}


def test_wheel_needs_nothing_without_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Name"] == "aiosmtplib"
    assert metadata["Version"] == "5.2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert {line.partition(",")[0] for line in metadata.get_all("Project-URL", [])} >= {
        "Documentation",
        "Source",
    }
    assert set(metadata.get_all("Provides-Extra", [])) == {
        *("cli", "proxy", "taskiq", "testing", "uvloop"),
        *("django", "dkim", "opentelemetry", "prometheus"),
    }
    requirements = metadata.get_all("Requires-Dist", [])
    assert requirements
    assert [line for line in requirements if "extra ==" not in line] == []


def test_install_adds_the_package_and_its_plugin_of_pytest_to_site_packages(
    installed: Path, run: Run
) -> None:
    site = Path(run(installed, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip())
    assert {path.name for path in site.iterdir()} == {
        "aiosmtplib",
        "aiosmtplib-5.2.0.dist-info",
        "pytest_aiosmtplib",
    }
    assert not [path for path in site.rglob("*") if path.suffix in (".pyx", ".pxi", ".h", ".c")]
    assert run(installed, "-c", "import aiosmtplib; print(aiosmtplib.__file__)").startswith(str(site))


def test_install_runs_the_compiled_twin(installed: Path, run: Run) -> None:
    assert run(installed, "-c", WHICH) == "cython\n"
    assert run(installed, "-c", WHICH, AIOSMTPLIB_REQUIRE_EXTENSIONS="1") == "cython\n"


def test_pure_twin_can_be_chosen_at_import(installed: Path, run: Run) -> None:
    assert run(installed, "-c", WHICH, AIOSMTPLIB_NO_EXTENSIONS="1") == "python\n"
    assert run(installed, "-c", WHICH, AIOSMTPLIB_NO_EXTENSIONS="0") == "cython\n"


def test_wanting_and_refusing_the_extension_is_an_error(installed: Path, unpacked: Path, run: Run) -> None:
    both = {"AIOSMTPLIB_NO_EXTENSIONS": "1", "AIOSMTPLIB_REQUIRE_EXTENSIONS": "1"}
    assert "are both set" in run(installed, "-c", WHICH, fails=True, **both)
    assert "are both set" in run(sys.executable, "setup.py", "build", cwd=unpacked, fails=True, **both)


def test_command_is_installed(installed: Path, run: Run) -> None:
    for command in ([installed, "-m", "aiosmtplib"], [installed.parent / "aiosmtplib"]):
        text = run(*command, "--help")
        assert "send" in text
        assert "probe" in text


def test_build_without_the_extension(unpacked: Path, tmp_path: Path, run: Run) -> None:
    wheel = build(run, "wheel", unpacked, AIOSMTPLIB_NO_EXTENSIONS="1")
    assert wheel.name == "aiosmtplib-5.2.0-py3-none-any.whl"
    python = install(run, wheel, tmp_path)
    assert run(python, "-c", WHICH) == "python\n"
    required = run(python, "-c", WHICH, fails=True, AIOSMTPLIB_REQUIRE_EXTENSIONS="1")
    assert "ImportError: AIOSMTPLIB_REQUIRE_EXTENSIONS" in required


def test_build_without_a_compiler_gives_a_working_install(unpacked: Path, tmp_path: Path, run: Run) -> None:
    wheel = build(run, "wheel", unpacked, **no_compiler(tmp_path))
    # pip keeps it, and must not install it in place of one with the extension, nor only here.
    assert wheel.name == "aiosmtplib-5.2.0-py3-none-any.whl"
    python = install(run, wheel, tmp_path)
    assert run(python, "-c", WHICH) == "python\n"
    assert "send" in run(python, "-m", "aiosmtplib", "--help")


def test_the_extension_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (size,) = (each.file_size for each in archive.infolist() if each.filename.endswith((".so", ".pyd")))
    assert size <= 700_000


@pytest.mark.slow
def test_the_same_sources_make_the_same_wheel(sdist: Path, tmp_path: Path, run: Run) -> None:
    """Whoever wants to know whether a wheel is made of what is published can make it again."""
    made = [
        build(run, "wheel", unpack(sdist, tmp_path / folder), SOURCE_DATE_EPOCH="1700000000")
        for folder in ("first", "second")
    ]
    assert made[0].read_bytes() == made[1].read_bytes()


def test_required_extension_without_a_compiler_fails_the_build(
    unpacked: Path, tmp_path: Path, run: Run
) -> None:
    variables = {**no_compiler(tmp_path), "AIOSMTPLIB_REQUIRE_EXTENSIONS": "1"}
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    run(sys.executable, "-c", code, cwd=unpacked, fails=True, **variables)
    assert not list(unpacked.glob("dist/*.whl"))


def no_compiler(folder: Path) -> dict[str, str]:
    """Variables that hide every compiler."""
    empty = folder / "no-compiler"
    empty.mkdir()
    return {"PATH": str(empty), "CC": str(empty / "cc"), "CXX": str(empty / "c++")}


@pytest.mark.slow
@pytest.mark.parametrize("version", toolchain.SUPPORTED)
def test_sdist_installs_on(version: str, sdist: Path, tmp_path: Path, run: Run) -> None:
    """The way of a user without a matching wheel: pip fetches the build requirements and compiles."""
    python = toolchain.interpreters().get(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed here")
    run(python, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--disable-pip-version-check", sdist)
    expected = "python" if toolchain.missing() else "cython"
    assert run(python, "-c", WHICH) == f"{expected}\n"
    assert "send" in run(python, "-m", "aiosmtplib", "--help")
