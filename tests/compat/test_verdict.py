"""A suite passes when everything that counts was found, and passed or has an excuse on file."""

import json

import pytest

from .suites import DOWNSTREAM, FASTAPI_MAIL, SERIES_1, SERIES_5
from .verdict import LISTS, Listed, Verdict, judge, listed

PRIVATE = Listed("private", "reads an attribute", frozenset({"test_a::test_private"}))
EXCUSED = Listed("excused", "5.x differs", frozenset({"test_a::test_old[one]", "test_gone"}))
UNPATCHED = Listed("unpatched", "stock fails it too", frozenset({"test_a::test_address"}))


def verdict(outcomes: dict[str, str], *, expected: int, unpatched: bool = False) -> Verdict:
    return judge("suite-1", outcomes, [PRIVATE, EXCUSED, UNPATCHED], expected=expected, unpatched=unpatched)


def test_all_that_counts_passes() -> None:
    outcomes = {"test_a::test_one": "passed", "test_a::test_two[x]": "passed"}
    assert verdict(outcomes, expected=2) == Verdict(("suite-1: 2/2",), True)


def test_a_failure_is_named() -> None:
    outcomes = {"test_a::test_one": "passed", "test_a::test_two[x]": "failed"}
    assert verdict(outcomes, expected=2) == Verdict(("suite-1: 1/2", "    FAILED test_a::test_two[x]"), False)


@pytest.mark.parametrize("outcomes", [{}, {"test_a::test_one": "skipped"}])
def test_what_was_not_found_has_not_passed(outcomes: dict[str, str]) -> None:
    assert verdict(outcomes, expected=1) == Verdict(
        ("suite-1: 0/1", "    1 were not found or skipped"), False
    )


def test_more_than_expected_count() -> None:
    assert verdict({"test_a::test_one": "passed", "test_b": "failed"}, expected=1).passed is False


def test_private_ones_are_told_and_not_counted() -> None:
    outcomes = {"test_a::test_one": "passed", "test_a::test_private[x]": "failed"}
    expected = (
        "suite-1: 1/1",
        "suite-1 private: 0/1, not counted",
        "    reads an attribute",
        "        test_a::test_private[x]",
    )
    assert verdict(outcomes, expected=1) == Verdict(expected, True)


def test_an_excuse_has_a_reason_and_is_for_its_parameters() -> None:
    outcomes = {"test_a::test_old[one]": "failed", "test_gone": "failed", "test_a::test_one": "passed"}
    expected = (
        "suite-1: 1/3, 2 excused",
        "    excused: 5.x differs",
        "        test_a::test_old[one]",
        "        test_gone",
    )
    assert verdict(outcomes, expected=3) == Verdict(expected, True)
    assert not verdict({**outcomes, "test_a::test_old[two]": "failed"}, expected=3).passed


@pytest.mark.parametrize("unpatched", [True, False])
def test_some_may_fail_where_the_standard_library_is_unpatched(unpatched: bool) -> None:
    assert verdict({"test_a::test_address[x]": "failed"}, expected=1, unpatched=unpatched).passed == unpatched


def test_every_list_belongs_to_a_suite_and_has_a_reason() -> None:
    labels = {suite.label for suite in (SERIES_5, SERIES_1, FASTAPI_MAIL, *DOWNSTREAM)}
    assert json.loads(LISTS.read_text(encoding="utf-8")).keys() <= labels
    for label in labels:
        tests: list[str] = []
        for one in listed(label):
            assert one.kind in {"private", "excused", "unpatched"}
            assert one.reason.endswith(".")
            tests += one.tests
        assert len(tests) == len(set(tests))
