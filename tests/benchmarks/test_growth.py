"""The program that measures how the time of functions grows: that it runs, and what it says, untimed."""

from typing import Any

import pytest

from benchmarks import growth


@pytest.mark.parametrize("name", growth.FUNCTIONS)
def test_each_function_takes_each_text(name: str) -> None:
    for unit in growth.UNITS:
        assert growth.measure(growth.FUNCTIONS[name], unit, 48, 1) >= 0


@pytest.mark.parametrize(
    ("power", "status", "said"), [(1, 0, "0 of more than 3"), (2, 1, "4.00  "), (0, 0, "0 of more than 3")]
)
def test_what_it_says(
    power: int, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(function: Any, unit: str, size: int, runs: int) -> float:
        return float(size**power) * 1e-5

    monkeypatch.setattr(growth, "measure", measure)
    assert growth.main(["--only", "esmtp"]) == status
    assert said in capsys.readouterr().out
    assert growth.main(["--only", "no such function", "--all"]) == 0
