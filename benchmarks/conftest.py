"""Shows the twins side by side: a benchmark that takes ``codec`` runs on both, and both land in one table."""

from collections import defaultdict
from typing import Any

from tests.conftest import codec  # noqa: F401


def pytest_benchmark_group_stats(benchmarks: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Group what differs in the twin alone."""
    groups = defaultdict(list)
    for benchmark in benchmarks:
        function = benchmark["name"].partition("[")[0]
        case = [str(value) for name, value in (benchmark["params"] or {}).items() if name != "codec"]
        groups[" ".join([function, *case])].append(benchmark)
    return sorted(groups.items())
