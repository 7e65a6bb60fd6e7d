"""The program that measures a connection for each message: that it runs, and what it says, untimed."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import send_rows

HERE = str(Path(send_rows.__file__).parent.parent)


@pytest.mark.parametrize("row", send_rows.ROWS)
def test_each_row_is_sent(row: str) -> None:
    (figures,) = send_rows.measure({"this": HERE}, row, messages=1, runs=1)["this"]
    assert all(figure > 0 for figure in figures.values())


def test_many_at_once() -> None:
    (figures,) = send_rows.measure({"this": HERE}, "TLS", messages=4, runs=1, at_once=4)["this"]
    assert figures["memory"] > 1


@pytest.mark.parametrize("stock_is_there", [True, False])
def test_what_it_says(
    stock_is_there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(options: dict[str, Any], path: str, messages: int, at_once: int = 1) -> dict[str, float]:
        times = 1 if path == HERE else 4
        return {"cpu": 1000.0 * times, "wall": 2000.0 * times, "memory": 50.0 * times}

    def stock() -> Any:
        if stock_is_there:
            return send_rows.Contestant("stock", {"PYTHONPATH": "elsewhere"}, "none")
        raise LookupError("no network")

    monkeypatch.setattr(send_rows, "run", run)
    monkeypatch.setattr(send_rows, "stock", stock)
    send_rows.main(["--runs", "1"])
    said = capsys.readouterr().out
    assert said.count("4.0 x") == (len(send_rows.ROWS) + 2 if stock_is_there else 0)
    assert ("no network" in said) is not stock_is_there
