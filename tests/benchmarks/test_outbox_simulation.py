"""The simulation of many workers of an outbox: it is the same each time, and nothing is lost in it."""

from dataclasses import replace

import pytest

from aiosmtplib.contrib.outbox import Policy
from benchmarks import outbox_simulation
from benchmarks.outbox_simulation import PROVIDER, World, fate, simulate

FEW = replace(PROVIDER, messages=300)


def test_it_is_the_same_with_the_same_seed() -> None:
    assert simulate(FEW) == simulate(FEW)
    assert simulate(FEW) != simulate(replace(FEW, seed=2))


@pytest.mark.parametrize("workers", [1, 10, 100])
@pytest.mark.parametrize("relay_connections", [5, 200])
def test_each_message_ends(workers: int, relay_connections: int) -> None:
    world = replace(FEW, workers=workers, relay_connections=relay_connections, outages=((1, 5),))
    counts = simulate(world)
    never = sum(fate(world, number) == "permanent" for number in range(world.messages))
    assert (counts.delivered, counts.failed, counts.held) == (world.messages - never, never, 0)
    assert counts.most <= min(relay_connections, 10 * workers)


def test_what_is_cut_off_is_held_if_the_policy_says_so() -> None:
    world = World(messages=300, service=1, outages=((2.5, 1),), policy=Policy(unknown="hold"))
    counts = simulate(world)
    assert counts.held == counts.unknown == 10
    assert counts.delivered == 290


def test_a_rate_is_kept() -> None:
    counts = simulate(World(messages=2000, workers=4, rate=200, service=0.01))
    assert counts.until(1) == pytest.approx(10, rel=0.02)


def test_a_service_takes_its_time() -> None:
    assert simulate(World(messages=1000, workers=2, service=0.1)).until(1) == pytest.approx(5, rel=0.05)


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert outbox_simulation.main(["--messages", "100", "--workers", "1", "10"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + sum(workers < 100 for _, workers, _ in outbox_simulation.SCENES)
    assert len({row.count("|") for row in rows}) == 1
