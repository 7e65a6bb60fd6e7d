"""The log of the package as a fixture: what ``aiosmtplib`` and ``aiosmtplib.wire`` got at level DEBUG."""

import logging

import pytest

__all__ = ("Log", "log_of_all")


class Log:
    """The lines of a connection, without its number."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def of(self, name: str) -> list[str]:
        return [each.getMessage().split("] ", 1)[1] for each in self._caplog.records if each.name == name]

    @property
    def wire(self) -> list[str]:
        return self.of("aiosmtplib.wire")

    @property
    def connection(self) -> list[tuple[str, str]]:
        names = [each.levelname for each in self._caplog.records if each.name == "aiosmtplib"]
        return list(zip(names, self.of("aiosmtplib"), strict=True))


@pytest.fixture(name="log")
def log_of_all(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    return Log(caplog)
