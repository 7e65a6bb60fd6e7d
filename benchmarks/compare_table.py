"""The figures of ``compare`` as tables in Markdown, which read well in a terminal too."""

from typing import Any

__all__ = ("ON_POSTFIX", "by_round_trip", "markdown", "table")

#: Our send_many over BDAT, among those that send to smtp-sink.
ON_POSTFIX = "aiosmtplib asyncio send_many, CHUNKING (Postfix)"

Document = dict[str, Any]


def table(document: Document) -> str:
    """Every case as a table, what was measured where, and what was left out."""
    parts = []
    sends = [case for case in document["cases"] if case["group"] not in ("rtt", "postfix")]
    parts += [_sending(case) for case in sends]
    if road := [case for case in document["cases"] if case["group"] == "rtt"]:
        parts.append(_road(road))
    parts += [_postfix(case) for case in document["cases"] if case["group"] == "postfix"]
    facts = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    parts.append(f"Median of {document['rounds']}. {facts}.")
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

    door = "send_message" if case["group"] == "message" else "sendmail"
    rows = [
        (
            "client",
            "CPU in us",
            "times less than stock",
            "than Go",
            "than smtp-source",
            "messages/s",
            "times stock",
        )
    ]
    for name, result in results.items():
        loop = "uvloop" if "uvloop" in name else "asyncio"
        stock = f"stock {loop} {door}"
        cpu, rate, stock_rate = result["cpu_us"], result["rate"], of(stock, "rate")
        rows.append(
            (
                name,
                f"{cpu:.1f}",
                _times(of(stock, "cpu_us"), cpu),
                _times(of("Go net/smtp", "cpu_us"), cpu),
                _times(of("smtp-source", "cpu_us"), cpu),
                f"{rate:.0f}",
                f"{rate / stock_rate:.2f}" if stock_rate else "-",
            )
        )
    return f"{case['name']}\n\n{markdown(rows)}"


def by_round_trip(cases: list[Document]) -> tuple[list[float], dict[str, list[float | None]]]:
    """The round-trip times in ms, and for each client its rates at these.

    Against Postfix there is only what smtp-sink cannot show, because it has no CHUNKING.
    """
    on_sink = [case for case in cases if case["server"] == "sink"]
    on_postfix = {case["rtt"]: case["results"] for case in cases if case["server"] == "postfix"}
    rates: dict[str, list[float | None]] = {}
    for name in dict.fromkeys(name for case in on_sink for name in case["results"]):
        rates[name] = [case["results"].get(name, {}).get("rate") for case in on_sink]
    if on_postfix:
        found = [on_postfix.get(case["rtt"], {}) for case in on_sink]
        rates[ON_POSTFIX] = [next((one["rate"] for one in results.values()), None) for results in found]
    return [case["measured_rtt_ms"] for case in on_sink], rates


def _road(cases: list[Document]) -> str:
    trips, all_rates = by_round_trip(cases)
    rows = [("messages/s, 1 connection", *(f"{trip:.2g} ms" for trip in trips))]
    for name, rates in all_rates.items():
        rows.append((name, *("-" if rate is None else f"{rate:.1f}" for rate in rates)))
    return f"Rate against round-trip time, smtp-sink unless said\n\n{markdown(rows)}"


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
