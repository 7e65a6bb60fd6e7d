"""The figures of ``compare`` as tables in Markdown, which read well in a terminal too."""

from typing import Any

__all__ = ("AGAIN", "DOORS", "SERVERS", "by_round_trip", "markdown", "table")

#: The door of stock that a group is compared with, where it is not sendmail.
DOORS = {"message": "send_message", "each": "send", "tls-each": "send"}
#: What the servers of the cases are called.
SERVERS = {"sink": "smtp-sink", "postfix": "Postfix, with CHUNKING"}
#: Behind the name of a client whose rounds differed by more than a quarter, so that it was measured again.
AGAIN = "*"

Document = dict[str, Any]


def table(document: Document) -> str:
    """Every case as a table, what was measured where, and what was left out."""
    parts = []
    sends = [case for case in document["cases"] if case["group"] not in ("rtt", "postfix")]
    parts += [_sending(case) for case in sends]
    road = [case for case in document["cases"] if case["group"] == "rtt"]
    parts += [_road(road, server) for server in SERVERS if any(case["server"] == server for case in road)]
    parts += [_postfix(case) for case in document["cases"] if case["group"] == "postfix"]
    facts = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    parts.append(
        f"Median of {document['rounds']}. {AGAIN}: its rounds differed by more than a quarter, and it was "
        f"measured again. {facts}."
    )
    if document["skipped"]:
        parts.append("\n".join(f"- without {name}: {why}" for name, why in document["skipped"].items()))
    return "\n\n".join(parts)


def _times(reference: float | None, value: float) -> str:
    """How many times less than the reference."""
    return f"{reference / value:.2f}" if reference and value else "-"


def _sending(case: Document) -> str:
    results = case["results"]

    def of(name: str, figure: str) -> float | None:
        return results[name][figure] if name in results else None

    door = DOORS.get(case["group"], "sendmail")
    rows = [
        (
            "client",
            "CPU in us",
            "times less than stock",
            "than Go",
            "than smtp-source",
            "messages/s",
            "times stock",
            "spread",
        )
    ]
    for name, result in sorted(results.items(), key=lambda item: item[1]["cpu_us"]):
        loop = "uvloop" if "uvloop" in name else "asyncio"
        stock = f"stock {loop} {door}"
        cpu, rate, stock_rate = result["cpu_us"], result["rate"], of(stock, "rate")
        rows.append(
            (
                name + (AGAIN if result.get("measured_again") else ""),
                f"{cpu:.1f}",
                _times(of(stock, "cpu_us"), cpu),
                _times(of("Go net/smtp", "cpu_us"), cpu),
                _times(of("smtp-source", "cpu_us"), cpu),
                f"{rate:.0f}",
                f"{rate / stock_rate:.2f}" if stock_rate else "-",
                f"{result.get('spread', 0):.0%}",
            )
        )
    return f"{case['name']}\n\n{markdown(rows)}"


def by_round_trip(
    cases: list[Document], server: str
) -> tuple[list[float], dict[str, list[dict[str, Any] | None]]]:
    """The round-trip times to a server in ms, and for each client its results at these."""
    found = [case for case in cases if case["server"] == server]
    names = dict.fromkeys(name for case in found for name in case["results"])
    results = {name: [case["results"].get(name) for case in found] for name in names}
    return [case["measured_rtt_ms"] for case in found], results


def _road(cases: list[Document], server: str) -> str:
    trips, results = by_round_trip(cases, server)
    rows = [("messages/s, 1 connection", *(f"{trip:.2g} ms" for trip in trips))]
    for name, each in results.items():
        again = any(one.get("measured_again") for one in each if one is not None)
        rates = ("-" if one is None else f"{one['rate']:.1f}" for one in each)
        rows.append((name + (AGAIN if again else ""), *rates))
    return f"Rate against round-trip time, {SERVERS[server]}\n\n{markdown(rows)}"


def _postfix(case: Document) -> str:
    results = case["results"]
    stock = results["stock asyncio sendmail"]["rate"] if "stock asyncio sendmail" in results else None
    rows = [("client", "messages/s", "times stock")]
    for name, result in results.items():
        rows.append((name, f"{result['rate']:.1f}", f"{result['rate'] / stock:.2f}" if stock else "-"))
    return f"{case['name']}\n\n{markdown(rows)}"


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows as a table, the first of them its head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in (rows[0], rule, *rows[1:]):
        first, *others = row
        cells = [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
