"""The table says no better of a server than its worst test."""

import itertools

import pytest

from .matrix import FAIL, LACKS, OK, SKIP, Matrix


@pytest.mark.parametrize(
    ("results", "cell"),
    [
        ((OK, OK), OK),
        ((OK, FAIL), FAIL),
        ((SKIP, OK), SKIP),
        ((LACKS, OK), OK),
        ((SKIP, FAIL, OK), FAIL),
    ],
)
def test_the_worst_result_counts(results: tuple[str, ...], cell: str) -> None:
    for order in itertools.permutations(results):
        matrix = Matrix()
        for result in order:
            matrix.add("DSN", "Exim", result, "why")
        assert matrix.cells == {("DSN", "Exim"): cell}


def test_notes_are_numbered_once() -> None:
    matrix = Matrix()
    matrix.add("SIZE", "b", LACKS, "not there")
    matrix.add("SIZE", "a", OK, "in its way")
    matrix.add("DSN", "a", FAIL, "not there")
    matrix.add("DSN", "b", LACKS, "not there")
    matrix.versions["a"] = "1.0"
    assert matrix.text(["a", "c", "b"]) == [
        "         a       b",
        "version  1.0",
        "SIZE     ok (1)  - (2)",
        "DSN      FAIL    - (2)",
        "",
        "(1) in its way",
        "(2) not there",
    ]
    page = matrix.markdown(["a", "b"])
    assert "|  | a | b |\n| --- | --- | --- |\n| version | 1.0 |  |\n| SIZE | ok (1) | - (2) |\n" in page
    assert page.endswith("\n1. in its way\n2. not there\n")
