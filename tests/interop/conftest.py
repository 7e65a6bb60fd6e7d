"""The servers for the tests of this folder, and the table that their results end in: server by feature."""

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from .maildir import Maildir
from .matrix import FAIL, LACKING, LACKS, OK, SKIP, Matrix, lacking
from .registry import SERVERS, Park
from .server import Server

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
_MATRIX = pytest.StashKey[Matrix]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-matrix", action="store_true", help=f"write the table of servers to {PAGE.name}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(name): a row of the table of servers")
    config.stash[_MATRIX] = Matrix()


@pytest.fixture(scope="session")
def park() -> Iterator[Park]:
    """All servers."""
    with contextlib.ExitStack() as stack:
        yield Park(stack)


@pytest.fixture(scope="session", params=SERVERS, ids=lambda kind: kind.title.replace(" ", "-"))
def server(request: pytest.FixtureRequest, park: Park) -> Server:
    """Each of the servers, running."""
    found = park.get(request.param)
    matrix = request.config.stash[_MATRIX]
    matrix.versions.setdefault(found.title, found.version)
    return found


@pytest.fixture
def maildir(server: Server, park: Park) -> Maildir:
    """What the server has delivered."""
    return park.maildir(server)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # Before the server is started, and so even where it cannot be.
    name, kind = _cell(item)
    if kind is not None and name in kind.lacks:
        lacking(kind.lacks[name])


def _cell(item: pytest.Item) -> tuple[str, type[Server] | None]:
    marker = item.get_closest_marker("feature")
    if marker is None or not hasattr(item, "callspec"):
        return "", None
    params: dict[str, Any] = item.callspec.params
    return marker.args[0].format(**params), params.get("server")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    report = yield
    name, kind = _cell(item)
    if kind is not None:
        matrix = item.config.stash[_MATRIX]
        reason = str(call.excinfo.value) if call.excinfo is not None else ""
        if report.failed:
            running = getattr(item, "funcargs", {}).get("server")
            if running is not None:
                report.sections.append(("log of the server", running.log()))
            matrix.add(name, kind.title, FAIL)
        elif report.skipped and reason.startswith(LACKING):
            matrix.add(name, kind.title, LACKS, reason.removeprefix(LACKING))
        elif report.skipped:
            matrix.add(name, kind.title, SKIP)
        elif report.when == "call":
            matrix.add(name, kind.title, OK, kind.remarks.get(name, ""))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    matrix = config.stash[_MATRIX]
    if matrix.cells:
        order = [kind.title for kind in SERVERS]
        terminalreporter.section("real servers")
        for line in matrix.text(order):
            terminalreporter.line(line)
        if config.getoption("--write-matrix", default=False):
            PAGE.parent.mkdir(exist_ok=True)
            PAGE.write_text(matrix.markdown(order), encoding="utf-8")
            terminalreporter.line(f"written to {PAGE}")
