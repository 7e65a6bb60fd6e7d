"""Some random sessions of ``send_many``; ``make faults ARGS="--seconds 600"`` runs more of them."""

import pytest

from .campaign import main
from .many_sessions import ManySession


@pytest.mark.parametrize("part", range(4))
async def test_random_sessions(part: int) -> None:
    for number in range(part * 10, part * 10 + 10):
        session = ManySession(14, number)
        await session.run()
        assert session.wrong == [], session.name


def test_the_campaign_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "0.2", "--seed", "3"]) == 0
    assert "0 violations" in capsys.readouterr().out
