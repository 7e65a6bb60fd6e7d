"""The layers of the package hold: imports point down, and the lower half does no I/O.

What a bytes-in, bytes-out core buys (tests without loops, twins that can be swapped, other front ends) is
lost with the first import in the wrong direction. So is the overview, with files that grow without bound.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "aiosmtplib"

#: Each module may import from lower layers, and from modules to its left in its own layer.
LAYERS = (
    ("values", ("status", "response", "typing", "_transcript", "errors", "_secret")),
    ("codec", ("_steps", "_parts", "_pure", "_pure_message", "_pure_session", "_speedups", "_codec")),
    (
        "functions",
        (
            "esmtp",
            "_message_rules",
            "_flatten",
            "email",
            "_saslprep",
            "_sasl",
            "_sasl_scram",
            "_binding",
            "auth",
            "_address",
            "_parameter",
            "_recipient",
            "_xtext",
            "parameters",
            "_addressed",
            "_envelope",
        ),
    ),
    ("sans-I/O", ("_session", "_dialogues", "_mail", "_transaction")),
    ("rim", ("_waiting", "_wire", "_turns", "protocol", "_tls", "_options")),
    (
        "client",
        ("_told", "_connection", "_trust", "_login", "_verbs", "_stream", "_sending", "_many", "smtp"),
    ),
    (
        "many",
        (
            "_rate",
            "_pool_slot",
            "_pool_limit",
            "_pool_state",
            "_pool_driver",
            "_pool_verdict",
            "_pool_one",
            "_pool_stream",
            "_pool_message",
            "_pool_crew",
            "_pool_many",
            "pool",
            "lmtp",
            "api",
        ),
    ),
    ("package", ("__init__",)),
    (
        "people",
        (
            "testing",
            "_cli_dialogue",
            "_cli_console",
            "_cli_options",
            "_cli_send",
            "_cli_probe",
            "_cli_ask",
            "_demo",
            "cli",
            "__main__",
        ),
    ),
)
RANK = {name: (height, place) for height, (_, names) in enumerate(LAYERS) for place, name in enumerate(names)}
WITHOUT_IO = [name for _, names in LAYERS[:4] for name in names]
WITHOUT_IO += ["_rate", "_pool_slot", "_pool_limit", "_pool_state"]
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))

MAX_LINES = 400
SOURCES = sorted(
    path
    for pattern in (
        "setup.py",
        "aiosmtplib/*.py*",
        "_speedups/*.p*",
        "tests/*.py",
        "tests/hostile/*.py",
        "tests/interop/*.py",
        "benchmarks/*.py",
    )
    for path in ROOT.glob(pattern)
    if path.suffix in (".py", ".pyi", ".pyx", ".pxi")
)


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield the absolute name of everything imported, and whether a test of the version guards it."""
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "sys.version_info" in ast.unparse(node.test)
        for branch in (node.body, node.orelse)
        for statement in branch
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, "the package is flat"
            base = ".".join(part for part in ("aiosmtplib" if node.level else "", node.module) if part)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node in guarded


def siblings(name: str) -> set[str]:
    """Return the modules of the package that ``name`` imports."""
    found = set()
    for imported, _ in imports(parse(PACKAGE / f"{name}.py")):
        package, _, rest = imported.partition(".")
        if package == "aiosmtplib":
            module = rest.partition(".")[0]
            found.add(module if module in RANK else "__init__")
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_every_module_has_a_place_in_the_table() -> None:
    assert set(RANK) - {"_speedups"} == set(MODULES)


@pytest.mark.parametrize("name", [name for name in MODULES if name in RANK])
def test_imports_point_down_or_to_the_left(name: str) -> None:
    upwards = {other for other in siblings(name) if RANK[other] >= RANK[name]}
    assert not upwards


@pytest.mark.parametrize("name", [name for name in MODULES if name in WITHOUT_IO])
def test_the_lower_half_does_no_io(name: str) -> None:
    found = {
        imported
        for imported, guarded in imports(parse(PACKAGE / f"{name}.py"))
        if imported.partition(".")[0] in ("asyncio", "socket", "ssl", "_ssl", "_socket", "_asyncio")
        # Before Python 3.11 asyncio had a TimeoutError of its own, and errors has to derive from it.
        and not (name == "errors" and imported == "asyncio.TimeoutError" and guarded)
    }
    assert not found


@pytest.mark.parametrize("name", MODULES)
def test_only_the_chooser_imports_the_twins(name: str) -> None:
    if name not in ("_codec", "_pure_message", "_pure_session"):  # all but the first are of the pure twin
        assert not siblings(name) & {"_pure", "_pure_message", "_pure_session", "_speedups"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short_and_say_why_they_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= MAX_LINES
    if path.suffix in (".py", ".pyi"):
        docstring = ast.get_docstring(ast.parse(text))
        assert docstring
    else:  # Cython: directives may come first
        first = next(line for line in text.splitlines() if line.strip() and not line.startswith("# cython:"))
        assert first.startswith(('"""', "# "))
