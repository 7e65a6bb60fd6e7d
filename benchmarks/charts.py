"""The charts of ``compare``: rate and CPU for a message by case, and rate against round-trip time.

They lie on a light card of their own, so that they read the same on light and dark pages. Colours are those
of Okabe and Ito, which colour-blind people can tell apart; no bar or line is told by its colour alone.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .compare_table import ON_POSTFIX, by_round_trip

__all__ = ("draw",)

Document = dict[str, Any]

CARD, INK, FAINT = "#fbfbf9", "#222222", "#c9c9c4"
COMPILED, PURE, STOCK, OTHERS = "#0072b2", "#56b4e9", "#d55e00", "#8a8a86"

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "figure.facecolor": CARD,
    "savefig.facecolor": CARD,
    "axes.facecolor": CARD,
    "axes.edgecolor": FAINT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    # The same figures give the same file.
    "svg.hashsalt": "aiosmtplib",
}

#: From the name in the JSON to the label; in the order in which they are shown.
BARS = {
    "aiosmtplib uvloop send_many": "send_many, uvloop",
    "aiosmtplib asyncio send_many": "send_many",
    "aiosmtplib uvloop pool_send_many": "pool send_many, uvloop",
    "aiosmtplib asyncio pool_send_many": "pool send_many",
    "aiosmtplib uvloop sendmail": "sendmail, uvloop",
    "aiosmtplib asyncio sendmail": "sendmail",
    "aiosmtplib pure asyncio send_many": "send_many, pure Python",
    "aiosmtplib pure asyncio sendmail": "sendmail, pure Python",
    "stock uvloop sendmail": "aiosmtplib 5.1.3, uvloop",
    "stock asyncio sendmail": "aiosmtplib 5.1.3",
    "smtplib threads": "smtplib, threads",
    "nodemailer pool": "nodemailer, pool",
    "Go net/smtp": "Go net/smtp",
    "smtp-source": "Postfix smtp-source",
}
LINES = {
    ON_POSTFIX: ("send_many, to a server\nwith CHUNKING (Postfix)", "P", "-"),
    "aiosmtplib asyncio send_many": ("send_many", "o", "-"),
    "aiosmtplib asyncio sendmail": ("sendmail", "s", "-"),
    "nodemailer pool": ("nodemailer", "D", "--"),
    "Go net/smtp": ("Go net/smtp", "v", ":"),
    "smtplib threads": ("smtplib", "^", "-."),
    "stock asyncio sendmail": ("aiosmtplib 5.1.3", "X", "-"),
}


MESSAGE_BARS = {
    "aiosmtplib uvloop send_many_messages": "send_many, uvloop",
    "aiosmtplib asyncio send_many_messages": "send_many",
    "aiosmtplib uvloop send_message": "send_message, uvloop",
    "aiosmtplib asyncio send_message": "send_message",
    "aiosmtplib pure asyncio send_many_messages": "send_many, pure Python",
    "aiosmtplib pure asyncio send_message": "send_message, pure Python",
    "stock uvloop send_message": "aiosmtplib 5.1.3, uvloop",
    "stock asyncio send_message": "aiosmtplib 5.1.3",
    "smtplib threads send_message": "smtplib, threads",
}


def colour(name: str) -> str:
    """Whose it is: ours compiled, ours pure, stock, or another's."""
    if name.startswith("stock"):
        return STOCK
    if not name.startswith("aiosmtplib"):
        return OTHERS
    return PURE if " pure " in name else COMPILED


def number(value: float) -> str:
    """A figure in the fewest characters that still say it."""
    if value >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def draw(document: Document, folder: Path) -> list[Path]:
    """Draw what the document has figures for, and return the files."""
    drawn = []
    sends = [case for case in document["cases"] if case["group"] not in ("rtt", "postfix", "message")]
    objects = [case for case in document["cases"] if case["group"] == "message"]
    road = [case for case in document["cases"] if case["group"] == "rtt"]
    trips, rates = by_round_trip(road)
    with mpl.rc_context(STYLE):
        if sends:
            title = "Messages per second (longer is better)"
            drawn.append(_save(_bars(sends, "rate", title, BARS), folder / "rate.svg"))
            title = "CPU of the client for one message, in µs (shorter is better)"
            drawn.append(_save(_bars(sends, "cpu_us", title, BARS), folder / "cpu.svg"))
        if objects:
            title = "CPU of the client for one EmailMessage, in µs (shorter is better)"
            drawn.append(_save(_bars(objects, "cpu_us", title, MESSAGE_BARS), folder / "message.svg"))
        if road:
            drawn.append(_save(_lines(trips, rates), folder / "rtt.svg"))
    return drawn


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def _bars(cases: list[Document], figure_of: str, title: str, labels: dict[str, str]) -> Figure:
    names = [name for name in labels if any(name in case["results"] for case in cases)]
    columns = min(3, len(cases))
    rows = -(-len(cases) // columns)
    figure = Figure(figsize=(2.6 + 3 * columns, 1.1 + rows * (0.5 + 0.25 * len(names))), layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
    panels = figure.subplots(rows, columns, squeeze=False)
    places = range(len(names))
    for index, panel in enumerate(panels.flat):
        if index >= len(cases):
            panel.axis("off")
            _key(panel)
            continue
        case = cases[index]
        values = [case["results"][name][figure_of] if name in case["results"] else 0.0 for name in names]
        panel.barh(places, values, color=[colour(name) for name in names], height=0.72)
        for place, value in zip(places, values, strict=True):
            panel.text(
                value, place, f" {number(value)}" if value else " not measured", va="center", fontsize=9
            )
        panel.set_title(case["name"].replace(", ", "\n", 1), fontsize=10, loc="left")
        panel.set_yticks(places, [labels[name] for name in names] if index % columns == 0 else [])
        panel.invert_yaxis()
        panel.set_xlim(0, max(values) * 1.25)
        panel.set_xticks([])
        panel.tick_params(length=0)
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def _key(panel: Any) -> None:
    texts = {
        COMPILED: "this project, compiled",
        PURE: "this project, pure Python",
        STOCK: "aiosmtplib 5.1.3",
        OTHERS: "others",
    }
    for place, (shade, text) in enumerate(texts.items()):
        panel.text(0.02, 0.9 - 0.1 * place, "■", color=shade, fontsize=14, va="center")
        panel.text(0.12, 0.9 - 0.1 * place, text, va="center")
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)


def _lines(trips: list[float], rates: dict[str, list[float | None]]) -> Figure:
    figure = Figure(figsize=(10.5, 5), layout="constrained")
    title = "Messages per second against round-trip time (one connection, 2 KiB; higher is better)"
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    panel = figure.subplots()
    ends: dict[str, float] = {}
    for name, (label, marker, dashes) in LINES.items():
        points = [(place, rate) for place, rate in enumerate(rates.get(name, ())) if rate is not None]
        if not points:
            continue
        x, y = zip(*points, strict=True)
        shade = {"nodemailer pool": "#009e73", ON_POSTFIX: "#cc79a7"}.get(name) or colour(name)
        width = 2.4 if name.startswith(("aiosmtplib", "stock")) else 1.5
        panel.plot(x, y, marker=marker, linestyle=dashes, color=shade, label=label, linewidth=width)
        ends[label] = y[-1]
    panel.set_yscale("log")
    # Even steps, so that loopback does not take half of the width.
    panel.set_xticks(range(len(trips)), [f"{trip:.2g}" for trip in trips])
    panel.set_xlabel("round-trip time in ms, as measured with NOOP")
    panel.yaxis.set_major_formatter("{x:,.0f}")
    panel.grid(which="major", color=FAINT, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    # In the order in which the lines arrive at the right.
    handles, labels = panel.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: ends[labels[i]], reverse=True)
    shown = [handles[i] for i in order], [labels[i] for i in order]
    # Beside the lines: between them there is no room that is free in every run.
    figure.legend(*shown, loc="outside right upper", frameon=False, handlelength=3.2)
    return figure
