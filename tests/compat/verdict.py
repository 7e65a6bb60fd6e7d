"""Judges what a suite showed: a test counts, is private to its package, or may fail for a reason on file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Listed", "Verdict", "judge", "listed")

LISTS = Path(__file__).with_name("lists.json")


@dataclass(frozen=True)
class Listed:
    """Tests of one suite that are treated alike, and why.

    :param kind: ``private``: run and reported, not counted, because they test what only the package that they
        came with can have; ``excused``: may fail; ``unpatched``: may fail where :mod:`email.errors` has
        no ``HeaderWriteError`` (3.10 to 3.12, before the patches of 2024), because stock fails them there too
    :param tests: ``module::function`` for all its parameters, ``module::function[parameters]``, or ``module``
    """

    kind: str
    reason: str
    tests: frozenset[str]

    def has(self, test: str) -> bool:
        return bool(self.tests & {test, test.partition("[")[0], test.partition("::")[0]})


def listed(label: str) -> list[Listed]:
    """Return the lists of a suite."""
    every = json.loads(LISTS.read_text(encoding="utf-8"))
    return [Listed(one["kind"], one["reason"], frozenset(one["tests"])) for one in every.get(label, ())]


@dataclass(frozen=True)
class Verdict:
    """What a suite showed.

    :param lines: what to print, the counts first
    :param passed: whether nothing failed that counts, and nothing was missing
    """

    lines: tuple[str, ...]
    passed: bool


def judge(
    label: str, outcomes: Mapping[str, str], lists: Iterable[Listed], *, expected: int, unpatched: bool
) -> Verdict:
    """Judge a suite.

    :param outcomes: what became of each test: ``passed``, ``failed`` or ``skipped``
    :param expected: how many tests count; where fewer have run, some were not found
    :param unpatched: whether this interpreter has no ``email.errors.HeaderWriteError``
    """
    lists = list(lists)
    private = [one for one in lists if one.kind == "private"]
    excuses = [one for one in lists if one.kind == "excused" or (unpatched and one.kind == "unpatched")]
    ran = {test: outcome for test, outcome in outcomes.items() if outcome != "skipped"}
    apart = {test for test in ran if any(one.has(test) for one in private)}
    counted = ran.keys() - apart
    failed = sorted(test for test in counted if ran[test] == "failed")
    excused = {one.reason: [test for test in failed if one.has(test)] for one in excuses}
    known = {test for tests in excused.values() for test in tests}
    total = max(expected, len(counted))
    passed = len(counted) - len(failed)
    lines = [f"{label}: {passed}/{total}" + (f", {len(known)} excused" if known else "")]
    lines += [f"    FAILED {test}" for test in failed if test not in known]
    if missing := total - len(counted):
        lines.append(f"    {missing} were not found or skipped")
    for reason, tests in excused.items():
        if tests:
            lines.append(f"    excused: {reason}")
            lines += [f"        {test}" for test in tests]
    if apart:
        broken = sorted(test for test in apart if ran[test] == "failed")
        lines.append(f"{label} private: {len(apart) - len(broken)}/{len(apart)}, not counted")
        for one in private:
            if tests := [test for test in broken if one.has(test)]:
                lines.append(f"    {one.reason}")
                lines += [f"        {test}" for test in tests]
    return Verdict(tuple(lines), passed + len(known) == total)
