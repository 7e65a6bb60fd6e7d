"""The layers of the package hold: imports point down, and the lower half does no I/O.

What a bytes-in, bytes-out core buys (tests without loops, twins that can be swapped, other front ends) is
lost with the first import in the wrong direction. So is the overview, with files that grow without bound.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "aiosmtplib"


def within(folder: str, names: str) -> list[str]:
    """The modules of a folder; ``__init__`` is the folder itself."""
    return [folder if name == "__init__" else f"{folder}.{name}" for name in names.split()]


#: From the ground. Each module may import from lower layers, and from those before it in its own.
LAYERS = {
    "values": ["status", "response", "typing", *within("_trace", "transcript redaction observer"), "errors"],
    "codec": [
        *within("_codec", "types constants"),
        *within("_codec.pure", "content replies commands serializer session __init__"),
        "_speedups",
        "_codec",
    ],
    "messages and logins": [
        *within("_sasl", "secret saslprep base mechanisms scram channel_binding"),
        "auth",
        *within("_message", "rules flatten addresses fields"),
        "email",
    ],
    "envelopes": [
        "esmtp",
        *within("_envelope", "arguments parameter recipient xtext"),
        "parameters",
        *within("_envelope", "commands"),
    ],
    "session": within("_session", "__init__ dialogues mail transaction"),
    "transport": [*within("_transport", "wakeup timers exchange writer base_protocol tls"), "protocol"],
    "client": [
        *within("_client", "results options error_context connection security authentication commands"),
        *within("_client", "streaming compose sending pipeline send_many"),
        "smtp",
    ],
    "pool": [
        *within("_pool", "rate connection limit state manager retry send_one streams jobs dispatcher"),
        *within("_pool", "send_many"),
        "pool",
    ],
    "faces": ["lmtp", "api", "", "testing"],
    "command line": [
        *within("_cli", "masking console verbose options send probe prompt demo"),
        "cli",
        "__main__",
    ],
}
RANK = {
    name: (height, place) for height, names in enumerate(LAYERS.values()) for place, name in enumerate(names)
}
WITHOUT_IO = {
    name
    for layer in ("values", "codec", "messages and logins", "envelopes", "session")
    for name in LAYERS[layer]
}
WITHOUT_IO |= {"_pool.rate", "_pool.connection", "_pool.limit", "_pool.state"}


def name_of(path: Path) -> str:
    """The name of a module within the package, ``""`` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
#: Folders that only hold modules: their ``__init__`` has a docstring at most.
FOLDERS = {name for name, path in PATHS.items() if path.name == "__init__.py"} - set(RANK)
MODULES = sorted(set(PATHS) - FOLDERS)

MAX_LINES = 400
SOURCES = sorted(
    path
    for folder in ("aiosmtplib", "_speedups", "tests", "benchmarks", "fuzz")
    for path in [ROOT / "setup.py", *(ROOT / folder).rglob("*")]
    if path.suffix in (".py", ".pyi", ".pyx", ".pxi", ".h") and "surface" not in path.parts
)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the absolute name of everything imported, and whether a test of the version guards it."""
    tree = parse(path)
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "sys.version_info" in ast.unparse(node.test)
        for branch in (node.body, node.orelse)
        for statement in branch
        for inner in ast.walk(statement)
    }
    folder = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*folder[: len(folder) - node.level + 1]] if node.level else []
            names = [".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node in guarded


@cache
def siblings(name: str) -> frozenset[str]:
    """Return the modules of the package that a module imports."""
    found = set()
    for imported, _ in imports(PATHS[name]):
        package, _, rest = imported.partition(".")
        if package == "aiosmtplib":
            while rest and rest not in RANK:
                rest = rest.rpartition(".")[0]
            found.add(rest)
    return frozenset(found)


def test_every_module_has_a_place_in_the_table() -> None:
    assert set(RANK) - {"_speedups"} == set(MODULES)


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_folders_only_hold_modules(name: str) -> None:
    assert all(isinstance(node, ast.Expr) for node in parse(PATHS[name]).body)


@pytest.mark.parametrize("name", [name for name in MODULES if name in RANK])
def test_imports_point_down_or_to_the_left(name: str) -> None:
    upwards = {other for other in siblings(name) if RANK[other] >= RANK[name]}
    assert not upwards


@pytest.mark.parametrize("name", [name for name in MODULES if name in WITHOUT_IO])
def test_the_lower_half_does_no_io(name: str) -> None:
    found = {
        imported
        for imported, guarded in imports(PATHS[name])
        if imported.partition(".")[0] in ("asyncio", "socket", "ssl", "_ssl", "_socket", "_asyncio")
        # Before Python 3.11 asyncio had a TimeoutError of its own, and errors has to derive from it.
        and not (name == "errors" and imported == "asyncio.TimeoutError" and guarded)
    }
    assert not found


@pytest.mark.parametrize("name", MODULES)
def test_only_the_chooser_imports_the_twins(name: str) -> None:
    if name != "_codec" and not name.startswith("_codec.pure"):
        twins = {other for other in siblings(name) if other.startswith("_codec.pure") or other == "_speedups"}
        assert not twins


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
