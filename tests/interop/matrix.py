"""The table of results, server by feature, as text for the terminal and as Markdown for the documentation."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

__all__ = ("LACKING", "FAIL", "LACKS", "OK", "SKIP", "Matrix", "lacking")

#: Begins the reason of a skip that is a property of the server.
LACKING = "not offered: "
OK, LACKS, SKIP, FAIL = "ok", "-", "skip", "FAIL"
#: Of several results for one cell, the last of these counts.
_RANK = (LACKS, OK, SKIP, FAIL)

HEAD = """\
# Real servers

`make interop` starts each of these servers on the loopback interface, sends to it, reads back what it has
delivered and compares it byte by byte, less the trace fields that servers put before. This table is what
`make interop-docs` last saw.

- **ok**: the server offers it, and it works
- **-**: the server does not offer it, or it is not used there; the note says which
- **skip**: the server, or what it needs, cannot be had on the machine; `make interop` says why
"""


def lacking(reason: str) -> None:
    """End the test of a feature that a server has not."""
    pytest.skip(LACKING + reason)


@dataclass
class Matrix:
    """Results, as they come in."""

    servers: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    cells: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, feature: str, server: str, result: str, note: str = "") -> None:
        """Take in one result.

        :param note: why the server lacks it, or how it has it
        """
        for name, names in ((feature, self.features), (server, self.servers)):
            if name not in names:
                names.append(name)
        before = self.cells.get((feature, server), result)
        self.cells[feature, server] = max(before, result, key=_RANK.index)
        if note:
            self.notes[feature, server] = note

    def _rows(self, order: Iterable[str]) -> tuple[list[str], list[list[str]], list[str]]:
        servers = [server for server in order if server in self.servers]
        reasons: list[str] = []
        rows = [["version", *(self.versions.get(server, "") for server in servers)]]
        for feature in self.features:
            row = [feature]
            for server in servers:
                cell = self.cells.get((feature, server), "")
                reason = self.notes.get((feature, server))
                if reason is not None and cell in (OK, LACKS):
                    if reason not in reasons:
                        reasons.append(reason)
                    cell = f"{cell} ({reasons.index(reason) + 1})"
                row.append(cell)
            rows.append(row)
        return servers, rows, reasons

    def text(self, order: Iterable[str]) -> list[str]:
        """Lines for a terminal."""
        servers, rows, reasons = self._rows(order)
        table = [["", *servers], *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        return [*lines, "", *(f"({number}) {reason}" for number, reason in enumerate(reasons, 1))]

    def markdown(self, order: Iterable[str]) -> str:
        """The page for the documentation."""
        servers, rows, reasons = self._rows(order)
        table = [["", *servers], ["---"] * (len(servers) + 1), *rows]
        lines = [f"| {' | '.join(row)} |" for row in table]
        notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
        return "\n".join([HEAD, *lines, "", *notes, ""])
