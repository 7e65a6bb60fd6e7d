"""``make soak ARGS=faults``, made short: it runs, and a message that is lost or doubled would be seen."""

import sys
from pathlib import Path

import pytest

if sys.platform != "linux" or not (Path(__file__).parents[2] / "benchmarks/soak.py").exists():
    pytest.skip("run from a checkout, on Linux", allow_module_level=True)

from benchmarks import soak, soak_faults, soak_server

from ..support.model_server import Broken, Manners


def test_some_messages(capsys: pytest.CaptureFixture[str]) -> None:
    soak.main(["faults", "--messages", "2500", "--seed", "7"])
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert {line.split()[0] for line in lines} == {"faults"}
    # Memory is for longer runs: this one is over before the interpreter has all it wants.
    assert [
        line for line in lines if "MISSED" in line and "memory" not in line and "objects" not in line
    ] == []
    assert any(line.split()[1:4] == ["delivered,", "taken", "1"] for line in lines)
    assert any(line.split()[1:] == ["verdicts", "2,500", "2,500", "ok"] for line in lines)
    assert "times 550 to RCPT" in printed.err


ORDER = soak_faults.ORDER
DELIVERED, REJECTED, NOT_SENT, UNKNOWN = range(1, 5)


@pytest.mark.parametrize(
    ("verdicts", "counts", "wrong"),
    [
        ([DELIVERED, REJECTED, NOT_SENT, UNKNOWN, UNKNOWN], [1, 0, 0, 0, 1], {}),
        ([DELIVERED, DELIVERED], [1, 0], {"lost": 1}),
        ([DELIVERED, UNKNOWN], [2, 2], {"doubled": 2}),
        ([REJECTED, NOT_SENT], [1, 1], {"doubled": 2}),
        ([0, DELIVERED], [0, 1], {"without a verdict": 1}),
    ],
)
def test_what_is_wrong(verdicts: list[int], counts: list[int], wrong: dict[str, int]) -> None:
    found = soak_faults.judge(bytes(verdicts), bytes(counts))
    assert {name: found[name] for name in ("lost", "doubled", "without a verdict") if found[name]} == wrong


class Dice:
    """Throws what it is told."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number

    def uniform(self, low: float, high: float) -> float:
        return low


GROUP = b"MAIL FROM:<a@e.x>\r\nRCPT TO:<b@e.x>\r\nDATA\r\n"


@pytest.mark.parametrize("mood", soak_server.SHARES)
def test_every_mood_is_a_different_one(mood: str) -> None:
    office = soak_server.Office(1, 0)
    place = office.names.index(mood)
    office.dice = Dice(office.bounds[place] - 1e-9)  # type: ignore[assignment]
    desk = soak_server.Moody(Manners(("PIPELINING",)), office)
    out, end = b"", None
    try:
        for data in (GROUP, soak_server.HEADER + b"0\r\n\r\nx\r\n.\r\n"):
            out += desk.feed(data)
    except Broken as broken:
        end = broken
    assert office.moods == {mood: 1}
    assert office.counts[0] == (
        mood.endswith("after it is taken") or "delay" in mood or mood == "half a reply"
    )
    assert (end is None) is (mood.split(" ")[0] in ("450", "550", "451", "552", "a"))
    assert end is None or end.reset is mood.startswith("RST")
    assert bool(desk.pause) is ("delay" in mood)
    if mood[0].isdigit() and end is None:
        assert mood[:3].encode() + b" " in out
