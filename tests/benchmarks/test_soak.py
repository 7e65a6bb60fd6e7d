"""The long runs of ``make soak``, made short: they run, and what they check can fail."""

import sys
from pathlib import Path

import pytest

if sys.platform != "linux" or not (Path(__file__).parents[2] / "benchmarks/soak.py").exists():
    pytest.skip("run from a checkout, on Linux", allow_module_level=True)

from benchmarks import soak

pytestmark = pytest.mark.interop  # smtp-sink


def test_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    soak.main(["--messages", "200", "--stream", "2", "--tasks", "20"])
    printed = capsys.readouterr().out
    if "not run" in printed:
        pytest.skip(printed)
    assert {line.split()[0] for line in printed.splitlines()} == set(soak.SCENARIOS)
    accepted = [line for line in printed.splitlines() if "messages" in line]
    assert len(accepted) == 3
    assert all(line.endswith("ok") for line in accepted)


def test_a_miss_is_a_failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def missed(port: int, args: object) -> list[soak.Check]:
        return [soak.Check("stream", "memory", "much", "little", ok=False)]

    monkeypatch.setitem(soak.SCENARIOS, "stream", missed)
    code = soak.main(["stream"])
    printed = capsys.readouterr().out
    if "not run" in printed:
        pytest.skip(printed)
    assert code == 1
    assert "MISSED" in printed
