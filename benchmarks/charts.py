"""The charts of ``compare``: rate and CPU for a message by case, and rate against round-trip time.

Each figure is a median, and the thin line over it goes from the least to the most of its rounds. What was
measured again, because its rounds differed, has an asterisk. Each picture says where and when it was made.

They lie on a light card of their own, so that they read the same on light and dark pages. Colours are those
of Okabe and Ito, which colour-blind people can tell apart; no bar or line is told by its colour alone.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .compare_table import AGAIN, SERVERS, by_round_trip

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
    "aiosmtplib asyncio send_many": ("send_many", "o", "-"),
    "aiosmtplib asyncio sendmail": ("sendmail", "s", "-"),
    "nodemailer pool": ("nodemailer", "D", "--"),
    "Go net/smtp": ("Go net/smtp", "v", ":"),
    "smtplib threads": ("smtplib", "^", "-."),
    "stock asyncio sendmail": ("aiosmtplib 5.1.3", "X", "-"),
}
EACH_BARS = {
    "aiosmtplib uvloop send": "send, uvloop",
    "aiosmtplib asyncio send": "send",
    "aiosmtplib pure asyncio send": "send, pure Python",
    "stock uvloop send": "aiosmtplib 5.1.3, uvloop",
    "stock asyncio send": "aiosmtplib 5.1.3",
    "smtplib threads send": "smtplib, threads",
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
    groups: dict[str, list[Document]] = {}
    for case in document["cases"]:
        groups.setdefault(case["group"], []).append(case)
    road = groups.pop("rtt", [])
    groups.pop("postfix", None)
    objects = groups.pop("message", [])
    each = groups.pop("each", []) + groups.pop("tls-each", [])
    sends = [case for cases in groups.values() for case in cases]
    cpu = "CPU of the client for one {}, in µs (shorter is better)"
    plan = [
        ("rate.svg", sends, "rate", "Messages per second (longer is better)", BARS),
        ("cpu.svg", sends, "cpu_us", cpu.format("message"), BARS),
        ("message.svg", objects, "cpu_us", cpu.format("EmailMessage"), MESSAGE_BARS),
        ("each.svg", each, "cpu_us", cpu.format("message and its connection"), EACH_BARS),
    ]
    with mpl.rc_context(STYLE):
        drawn = [
            _save(_bars(cases, figure_of, title, labels), folder / name, document)
            for name, cases, figure_of, title, labels in plan
            if cases
        ]
        if road:
            drawn.append(_save(_lines(road), folder / "rtt.svg", document))
    return drawn


def provenance(document: Document) -> str:
    """Where, when and of what the figures are."""
    machine = document["machine"]
    versions = sorted(
        {
            f"{name.split()[0]} {result['version']}"
            for case in document["cases"]
            for name, result in case["results"].items()
        }
    )
    facts = [str(machine[name]) for name in ("date", "cpu", "system", "python") if name in machine]
    cores = [f"{machine['cores']} cores"] if "cores" in machine else []
    return (
        f"{', '.join([*facts, *cores])}; median of {document['rounds']} rounds, lines from least to most; "
        f"{AGAIN} measured again\n{', '.join(versions)}"
    )


def _save(figure: Figure, path: Path, document: Document) -> Path:
    figure.supxlabel(provenance(document), fontsize=7, x=0.01, ha="left", color="#666666")
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def _extent(result: Document, figure_of: str) -> tuple[float, float, float]:
    """Median, least and most of the rounds."""
    value = result[figure_of]
    rounds = [each[figure_of] for each in result["rounds"]] or [value]
    return value, min(value, *rounds), max(value, *rounds)


def _bars(cases: list[Document], figure_of: str, title: str, labels: dict[str, str]) -> Figure:
    columns = min(2, len(cases))
    rows = -(-len(cases) // columns)
    most = max(len(labels.keys() & case["results"].keys()) for case in cases)
    width = max(0.6 + 5.4 * columns, 8.5)  # the title, and what is below, need as much
    figure = Figure(figsize=(width, 1.3 + rows * (0.6 + 0.25 * most)), layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
    panels = figure.subplots(rows, columns, squeeze=False)
    for index, panel in enumerate(panels.flat):
        if index >= len(cases):
            panel.axis("off")
            _key(panel)
            continue
        case = cases[index]
        # The best comes first: the most messages, or the least CPU.
        names = sorted(
            labels.keys() & case["results"].keys(),
            key=lambda name, results=case["results"]: (results[name][figure_of], name),
            reverse=figure_of == "rate",
        )
        places = range(len(names))
        extents = [_extent(case["results"][name], figure_of) for name in names]
        values = [value for value, _, _ in extents]
        errors = [
            [value - least for value, least, _ in extents],
            [most - value for value, _, most in extents],
        ]
        panel.barh(
            places,
            values,
            xerr=errors,
            color=[colour(name) for name in names],
            error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 2},
            height=0.72,
        )
        for place, (value, _, end) in zip(places, extents, strict=True):
            panel.text(end, place, f"  {number(value)}", va="center", fontsize=9)
        panel.set_title(case["name"], fontsize=10, loc="left")
        panel.set_yticks(places, [labels[name] + _mark(case["results"][name]) for name in names])
        panel.invert_yaxis()
        panel.set_xlim(0, max(end for _, _, end in extents) * 1.2 or 1)
        panel.set_xticks([])
        panel.tick_params(length=0)
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    return figure


def _mark(result: Document) -> str:
    return AGAIN if result.get("measured_again") else ""


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


def _lines(cases: list[Document]) -> Figure:
    """A panel for each server, with all clients that were sent to it."""
    servers = [server for server in SERVERS if any(case["server"] == server for case in cases)]
    figure = Figure(figsize=(3 + 5 * len(servers), 5), layout="constrained")
    title = "Messages per second against round-trip time (one connection, 2 KiB; higher is better)"
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    shown: dict[str, Any] = {}
    ends: dict[str, float] = {}
    panels = figure.subplots(1, len(servers), squeeze=False, sharey=True)
    for panel, server in zip(panels.flat, servers, strict=True):
        trips, results = by_round_trip(cases, server)
        for name, (label, marker, dashes) in LINES.items():
            points = [
                (trip, *_extent(result, "rate"))
                for trip, result in zip(trips, results.get(name, ()), strict=False)
                if result is not None
            ]
            if not points:
                continue
            x, y, least, most = zip(*points, strict=True)
            errors = [
                [value - low for value, low in zip(y, least, strict=True)],
                [high - value for value, high in zip(y, most, strict=True)],
            ]
            shade = "#009e73" if name == "nodemailer pool" else colour(name)
            width = 2.4 if name.startswith(("aiosmtplib", "stock")) else 1.5
            look = {"marker": marker, "linestyle": dashes, "color": shade, "linewidth": width}
            shown[label] = panel.errorbar(x, y, yerr=errors, elinewidth=0.9, capsize=2, **look)
            ends[label] = y[-1]
        panel.set_title(SERVERS[server], fontsize=10, loc="left")
        panel.set_yscale("log")
        panel.set_xlim(left=0)
        panel.set_xlabel("round-trip time in ms, as measured with NOOP")
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.grid(which="major", color=FAINT, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    # In the order in which the lines arrive at the right, and beside them: there is no room between them.
    order = sorted(shown, key=lambda label: ends[label], reverse=True)
    figure.legend(
        [shown[label] for label in order], order, loc="outside right upper", frameon=False, handlelength=3.2
    )
    return figure
