"""Shows the twins side by side: a benchmark that takes ``codec`` runs on both, and both land in one table."""

from collections import defaultdict
from typing import Any

import pytest

from tests.conftest import codec  # noqa: F401

_TABLES = pytest.StashKey[list[str]]()


def pytest_benchmark_group_stats(benchmarks: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Group what differs in the twin alone."""
    groups = defaultdict(list)
    for benchmark in benchmarks:
        function = benchmark["name"].partition("[")[0]
        case = [str(value) for name, value in (benchmark["params"] or {}).items() if name != "codec"]
        groups[" ".join([function, *case])].append(benchmark)
    return sorted(groups.items())


@pytest.fixture(scope="session")
def tables(pytestconfig: pytest.Config) -> list[str]:
    """Takes what is to be shown at the end, behind the tables of pytest-benchmark."""
    return pytestconfig.stash.setdefault(_TABLES, [])


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    for table in config.stash.get(_TABLES, []):
        terminalreporter.write_line(f"\n{table}")
