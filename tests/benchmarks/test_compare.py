"""What ``make compare`` does beside measuring: who is left out and why, its tables, its charts.

Nothing here sends or measures: ``make compare ARGS=--quick`` shows that it runs.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32" or not (Path(__file__).parents[2] / "benchmarks/compare.py").exists():
    pytest.skip("benchmarks are run from a checkout, on POSIX", allow_module_level=True)

from benchmarks import compare, compare_peers
from benchmarks.compare_servers import Missing
from benchmarks.compare_table import by_round_trip, table


def result(cpu: float, rate: float) -> dict[str, Any]:
    rounds = [{"cpu_us": cpu * share, "rate": rate / share} for share in (0.9, 1, 1.2)]
    return {"cpu_us": cpu, "rate": rate, "version": "1", "spread": 0.3, "measured_again": cpu == 10} | {
        "rounds": rounds
    }


def case(group: str, name: str, results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return (
        {"group": group, "name": name, "server": "sink", "rtt": 0, "measured_rtt_ms": 0.05}
        | more
        | {"results": results}
    )


@pytest.fixture
def document() -> dict[str, Any]:
    """A little of everything, as it is written to JSON."""
    sends = {
        "aiosmtplib asyncio sendmail": result(50, 8000),
        "aiosmtplib uvloop send_many": result(10, 40000),
        "stock asyncio sendmail": result(200, 4000),
        "stock uvloop sendmail": result(120, 5000),
        "Go net/smtp": result(60, 9000),
    }
    objects = {
        "aiosmtplib asyncio send_message": result(40, 9000),
        "aiosmtplib asyncio send_many_messages": result(20, 20000),
        "stock asyncio send_message": result(400, 2000),
    }
    on_road = {"aiosmtplib asyncio send_many": result(10, 25), "stock asyncio sendmail": result(200, 6.25)}
    return {
        "machine": {"python": "CPython 3.11", "cores": 2},
        "rounds": 3,
        "skipped": {"nodemailer pool": "npm is not installed"},
        "cases": [
            case("10x1", "2 KiB, 10 connections, 1 recipient", sends),
            case("message", "2 KiB EmailMessage", objects),
            case(
                "tls-each", "2 KiB over TLS, one message a connection", {"stock asyncio send": result(9, 1)}
            ),
            case("rtt", "0 ms round trip", on_road),
            case("rtt", "40 ms round trip", on_road, rtt=0.04, measured_rtt_ms=41.2),
            case(
                "rtt",
                "40 ms round trip, Postfix",
                {"aiosmtplib asyncio send_many": result(10, 900)},
                server="postfix",
                rtt=0.04,
            ),
            case("postfix", "Postfix, 40 ms round trip", on_road, server="postfix", rtt=0.04),
        ],
    }


def cells(text: str, name: str) -> list[str]:
    """The first row of this name in the tables."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return next(row for row in rows if row[0] == name)[1:]


class TestTable:
    def test_each_is_compared_with_stock_on_the_same_loop(self, document: dict[str, Any]) -> None:
        text = table(document)
        assert cells(text, "aiosmtplib asyncio sendmail") == [
            "50.0",
            "4.00",
            "1.20",
            "-",
            "8000",
            "2.00",
            "30%",
        ]
        # Measured again, because its rounds had differed.
        [*figures, spread] = cells(text, "aiosmtplib uvloop send_many*")
        assert figures == ["10.0", "12.00", "6.00", "-", "40000", "8.00"]
        assert spread == "30%"

    def test_rows_are_sorted(self, document: dict[str, Any]) -> None:
        first = table(document).split("\n\n")[1].splitlines()[2:]
        cpu = [float(line.split("|")[2]) for line in first]
        assert cpu == sorted(cpu)

    def test_message_objects_are_compared_with_message_objects(self, document: dict[str, Any]) -> None:
        assert cells(table(document), "aiosmtplib asyncio send_many_messages")[1] == "20.00"

    def test_who_is_left_out(self, document: dict[str, Any]) -> None:
        assert "- without nodemailer pool: npm is not installed" in table(document).splitlines()

    @pytest.mark.parametrize("server", ["sink", "postfix"])
    def test_round_trips(self, server: str, document: dict[str, Any]) -> None:
        cases = [case for case in document["cases"] if case["group"] == "rtt"]
        trips, results = by_round_trip(cases, server)
        rates = {name: [one and one["rate"] for one in each] for name, each in results.items()}
        if server == "sink":
            assert trips == [0.05, 41.2]
            assert rates == {"aiosmtplib asyncio send_many": [25, 25], "stock asyncio sendmail": [6.25, 6.25]}
        else:
            assert trips == [0.05]
            assert rates == {"aiosmtplib asyncio send_many": [900]}

    def test_ratio_on_postfix(self, document: dict[str, Any]) -> None:
        last = table(document).partition("Postfix, 40 ms round trip")[2]
        assert cells(last, "aiosmtplib asyncio send_many") == ["25.0", "4.00"]


class TestCharts:
    @pytest.fixture(autouse=True)
    def _matplotlib(self) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is in the dependency group compare")

    def test_all_are_drawn(self, document: dict[str, Any], tmp_path: Path) -> None:
        from benchmarks.charts import draw

        drawn = draw(document, tmp_path)
        assert [path.name for path in drawn] == ["rate.svg", "cpu.svg", "message.svg", "each.svg", "rtt.svg"]
        for path in drawn:
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"

    def test_the_same_figures_give_the_same_files(self, document: dict[str, Any], tmp_path: Path) -> None:
        from benchmarks.charts import draw

        first = [path.read_bytes() for path in draw(document, tmp_path)]
        assert [path.read_bytes() for path in draw(document, tmp_path)] == first

    def test_each_says_where_and_when_it_was_made(self, document: dict[str, Any], tmp_path: Path) -> None:
        from benchmarks.charts import draw, provenance

        document["machine"]["date"] = "2026-11-29"
        text = provenance(document)
        assert text.startswith("2026-11-29, CPython 3.11, 2 cores; median of 3 rounds")
        assert text.endswith("\nGo 1, aiosmtplib 1, stock 1")
        for path in draw(document, tmp_path):
            assert "2026-11-29" in path.read_text()

    def test_what_was_not_measured_is_not_drawn(self, document: dict[str, Any], tmp_path: Path) -> None:
        from benchmarks.charts import draw

        document["cases"] = document["cases"][:1]
        assert [path.name for path in draw(document, tmp_path)] == ["rate.svg", "cpu.svg"]


class TestMissing:
    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (compare_peers.go, "no go on PATH, and none is downloaded"),
            (compare_peers.nodemailer, "node is not installed"),
        ],
        ids=["go", "nodemailer"],
    )
    def test_reason(self, make: Any, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Missing, match=reason):
            make()

    def test_a_client_that_says_what_it_lacks(self, tmp_path: Path) -> None:
        client = tmp_path / "client.py"
        client.write_text('print(\'{"skipped": "no such door"}\')')
        compare_peers.WORK.mkdir(exist_ok=True)
        one = compare_peers.Contestant("one", "one", [sys.executable, str(client)])
        with pytest.raises(Missing, match="no such door"):
            one.run(compare_peers.Order(1, 100, 1, 1, 1, 1))


def test_amount() -> None:
    """About as many seconds as asked for, however fast the client is."""
    assert compare.amount(rate=1000, connections=10, seconds=2) == (200, 41)
    assert compare.amount(rate=0.5, connections=10, seconds=1) == (2, 1)


def test_who_takes_to_the_road() -> None:
    def named(name: str) -> compare.Contestant:
        return compare.Contestant(name, "", [], loop="asyncio")

    found = [named(name) for name in (*compare.ON_THE_ROAD, "smtp-source")]
    sending, slow = (next(case for case in compare.CASES if case.group == group) for group in ("1x1", "rtt"))
    assert compare.entered(sending, found) == found
    assert [one.name for one in compare.entered(slow, found)] == list(compare.ON_THE_ROAD)


def test_who_sends_message_objects() -> None:
    doors = ("sendmail", "send_message", "send_many", "send_many_messages")
    found = [compare.Contestant(door, "", [], door=door) for door in doors]
    plain, objects = (
        next(case for case in compare.CASES if case.group == group) for group in ("10x1", "message")
    )
    assert [one.door for one in compare.entered(plain, found)] == ["sendmail", "send_many"]
    assert [one.door for one in compare.entered(objects, found)] == ["send_message", "send_many_messages"]


def test_only() -> None:
    options = argparse.Namespace(only=["GO", "pure"])
    comparison = compare.Comparison([], {}, options)
    names = ("Go net/smtp", "aiosmtplib pure uvloop sendmail", "smtp-source")
    chosen = [comparison._chosen(compare.Contestant(name, "", [])) for name in names]
    assert chosen == [True, True, False]


def test_who_sends_one_message_a_connection_and_who_speaks_tls() -> None:
    found = [
        compare.Contestant(f"{package} {door}", package, [], door=door)
        for package in ("aiosmtplib", "stock", "smtplib", "go")
        for door in ("send", "sendmail")
    ]
    cases = {case.group: case for case in compare.CASES}
    for group in ("each", "tls-each"):
        assert {one.door for one in compare.entered(cases[group], found)} == {"send"}
    assert [one.package for one in compare.entered(cases["tls"], found)] == list(compare.SPEAK_TLS)


def test_what_differs_from_round_to_round_is_measured_again(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([1, 1, 1, 2, 1, 1, 9, 1, 1.1, 1, 1.1, 1, 1, 1])

    class Moody(compare.Contestant):
        def run(self, order: compare.Order) -> compare.Sample:
            return compare.Sample(next(times), 1, 1, "1")

    options = argparse.Namespace(rounds=7)
    case = compare.CASES[0]
    moody, steady = Moody("moody", "", []), Moody("steady", "", [])
    comparison = compare.Comparison([moody, steady], {}, options)
    comparison.options.only, comparison.options.quick, comparison.options.seconds = None, False, 0
    samples: dict[str, list[compare.Sample]] = {}
    order = compare.Order(1, 1, 1, 1, 1, 1)
    comparison._take_turns(case, [(moody, order)], samples)
    assert compare.spread(samples["moody"]) == 8
    comparison.settle(case, [(moody, order)], samples)
    assert compare.spread(samples["moody"]) == pytest.approx(0.1)
    assert comparison.again == {case.name: {"moody"}}
    comparison.settle(case, [(moody, order)], samples)
    assert comparison.again == {case.name: {"moody"}}
    assert "again, for their rounds differ: moody" in capsys.readouterr().err
    assert compare.spread([]) == 0


def test_the_sink_with_tls() -> None:
    with compare.road(next(case for case in compare.CASES if case.group == "tls-each")) as port:
        assert 0 < compare.round_trip(port, tls=True) < 60
