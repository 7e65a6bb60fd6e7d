"""The programs that measure kept connections, and a pool: that every row is sent, and what they say."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import floor_rows, pool_rows
from benchmarks.compare_servers import Missing, own_sink, tls_sink


@pytest.mark.parametrize("tls", [False, True])
def test_each_row_beside_a_floor(tls: bool) -> None:
    with tls_sink() if tls else own_sink() as port:
        times = floor_rows.measure(port, 20, 1, tls=tls)
    assert list(times) == list(floor_rows.ROWS)
    assert all(each > 0 for (each,) in times.values())


def test_each_row_of_a_pool() -> None:
    with own_sink() as port:
        times = pool_rows.measure(port, 100, 1)
    assert list(times) == list(pool_rows.ROWS)
    assert all(each > 0 for (each,) in times.values())


@contextlib.contextmanager
def no_sink() -> Iterator[int]:
    yield 0


@contextlib.contextmanager
def none_here() -> Iterator[int]:
    raise Missing("no server here")
    yield 0


@pytest.mark.parametrize("module", [floor_rows, pool_rows])
def test_what_they_say(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(port: int, messages: int, runs: int, **options: bool) -> dict[str, list[float]]:
        return {name: [10.0 * place, 20.0 * place] for place, name in enumerate(module.ROWS, 1)}

    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(module, "sink", no_sink)
    assert module.main([]) == 0
    said = capsys.readouterr().out
    assert "1.00x" in said
    assert "2.00x" in said
    monkeypatch.setattr(module, "sink", none_here)
    assert module.main([]) == 1
    assert "no server here" in capsys.readouterr().err
