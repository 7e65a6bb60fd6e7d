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
        *within("_codec", "types constants endings waiting"),
        *within(
            "_codec.pure",
            "content replies commands words addresses fields serializer session mail exchanges transaction"
            " __init__",
        ),
        "_speedups",
        "_codec",
    ],
    "messages and logins": [
        *within("_sasl", "secret saslprep base mechanisms scram channel_binding"),
        "auth",
        *within("_message", "domains recoding rules samples phrases specs flatten addresses fields"),
        "email",
    ],
    "envelopes": [
        "esmtp",
        *within("_envelope", "arguments parameter recipient xtext"),
        "parameters",
        *within("_envelope", "commands"),
    ],
    "session": within("_session", "__init__ dialogues record transaction"),
    "transport": [
        *within("_transport", "wakeup timers limit progress exchange writer base_protocol"),
        *within("_transport", "task_protocol stream_protocol client_protocol tls tls_contexts"),
        "protocol",
    ],
    "client": [
        *within("_client", "hints content results division variant hostnames url_parts proxy_url ways"),
        *within(
            "_client", "defaults deprecation before_send options url capabilities error_context security"
        ),
        *within("_client", "happy_eyeballs proxy connector completion compose"),
        *within("_client", "connection authentication commands lifetime streaming"),
        *within("_client", "transactions hooked sending bulk items send_many pipeline"),
        "smtp",
    ],
    "pool": [
        *within("_pool", "options rate turns states connection counts limit state manager retry"),
        *within("_pool", "send_one whole messages streams jobs holding dispatcher sending verification"),
        "pool",
    ],
    "faces": [
        "lmtp",
        "api",
        "",
        *within("_blocking", "thread send_many"),
        "blocking",
        *within("_testing", "received failures protocol"),
        "testing",
    ],
    "contrib": [
        *within("contrib", "extras django dkim opentelemetry prometheus"),
        *within("contrib.outbox", "bodies ledger outcomes entry policy wire prepare __init__"),
        *within("contrib._taskiq", "scripts messages queue ledger rates records intake worker control"),
        "contrib.taskiq",
    ],
    "command line": [
        *within(
            "_cli", "masking console parser verbose credentials options target sources message meter report"
        ),
        *within("_cli", "single bulk send probe outbox prompt demo_sink demo_client demo"),
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
WITHOUT_IO |= {"_pool.rate", "_pool.states", "_pool.connection", "_pool.counts", "_pool.limit", "_pool.state"}


def name_of(path: Path) -> str:
    """The name of a module within the package, ``""`` for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
#: Folders that only hold modules: their ``__init__`` has a docstring at most.
FOLDERS = {name for name, path in PATHS.items() if path.name == "__init__.py"} - set(RANK)
MODULES = sorted(set(PATHS) - FOLDERS)

#: Private names of the standard library, those of a NamedTuple and of messages; and of Django's backend.
FOREIGN = {"_fields", "_headers", "_parse_tree", "_payload", "_lock", "_send"}

MAX_LINES = 400
#: So many modules may import each other in a row, from the package itself down to one that imports none.
MAX_CHAIN = 14
SOURCES = sorted(
    path
    for folder in ("aiosmtplib", "pytest_aiosmtplib", "_speedups", "tests", "benchmarks", "fuzz")
    for path in [ROOT / "setup.py", *(ROOT / folder).rglob("*")]
    if path.suffix in (".py", ".pyi", ".pyx", ".pxi", ".h") and "surface" not in path.parts
)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, source: str | None = None) -> Iterator[tuple[str, bool]]:
    """Yield the absolute name of everything imported, and whether a test of the version guards it.

    :param source: a part of the file, to look at that alone
    """
    tree = parse(path) if source is None else ast.parse(source)
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
def siblings(name: str, source: str | None = None) -> frozenset[str]:
    """Return the modules of the package that a module imports, or a part of it."""
    found = set()
    for imported, _ in imports(PATHS[name], source):
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


def folder_of(name: str) -> str:
    """The folder in which a module is, or which it is."""
    return name if PATHS[name].name == "__init__.py" else name.rpartition(".")[0]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in FOREIGN


def defined_names(tree: ast.Module) -> Iterator[str]:
    """Yield every private name that a module gives to something of its own."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                yield name


def used_names(tree: ast.Module) -> Iterator[str]:
    """Yield every private name that a module asks of something, or imports from a sibling."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from (alias.name for alias in node.names)


@cache
def private_names() -> dict[str, set[str]]:
    """By private name, the folders that define it."""
    found: dict[str, set[str]] = {}
    for name, path in PATHS.items():
        for defined in filter(is_private, defined_names(parse(path))):
            found.setdefault(defined, set()).add(folder_of(name))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_private_names_stay_in_their_folder(name: str) -> None:
    known = private_names()
    used = {used for used in filter(is_private, used_names(parse(PATHS[name]))) if used in known}
    # A folder, such as _client, is no private name, though its own begins with an underscore.
    elsewhere = {each for each in used if folder_of(name) not in known[each] and each not in FOLDERS}
    assert not elsewhere


def test_private_names_are_seen() -> None:
    assert private_names()["_attach_transcript"] == {"_client"}
    assert private_names()["_on_lost"] == {"_transport", ""}


@cache
def longest_chain(name: str) -> tuple[str, ...]:
    """Return the modules that are imported in a row when this one is, the longest way."""
    top = ast.Module([node for node in parse(PATHS[name]).body if isinstance(node, ast.ImportFrom)], [])
    below = [other for other in siblings(name, ast.unparse(top)) if other in PATHS]
    return (name, *max(map(longest_chain, below), key=len, default=()))


def test_imports_are_not_deep() -> None:
    assert len(longest_chain("")) <= MAX_CHAIN, " ".join(longest_chain(""))


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
    else:  # C, or Cython: directives may come first
        first = next(line for line in text.splitlines() if line.strip() and not line.startswith("# cython:"))
        assert first.startswith(('"""', "# ", "/* "))
