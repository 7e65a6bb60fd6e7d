"""Draws a flame graph: a box for each function, as wide as its share of samples, on what called it."""

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

__all__ = ("draw",)

# As in the other charts.
CARD, INK, FAINT = "#fbfbf9", "#222222", "#c9c9c4"
WIDTH, ROW, TOP = 1200, 17, 58
#: What is narrower is left out, in parts of the whole.
LEAST = 0.0015
#: Only what the event loop does counts, and each of its frames on the way to us only once.
LOOP = "_run_once (asyncio"
#: Where nothing is done but waiting for the server.
WAITING = "epoll_wait (libc"
KINDS = (
    ("this package", "#56b4e9", re.compile(r"\(aiosmtplib/")),
    ("its extension", "#0072b2", re.compile(r"\.pxi|\.pyx|_speedups")),
    ("email", "#d55e00", re.compile(r"\((?:email/|base64|quopri|random|re/|sre_|copy\.py|_header)")),
    ("asyncio", "#c9c9c4", re.compile(r"\((?:asyncio/|selectors|_asyncio)")),
    ("system and interpreter", "#e5e5e0", re.compile("")),
)


class Box:
    """A function, called by the one below."""

    def __init__(self) -> None:
        self.samples = 0
        self.calls: dict[str, Box] = {}


def _frames(stack: str) -> list[str]:
    """The names of the functions, without line numbers, from the event loop on."""
    names = [re.sub(r":\d+\)", ")", name) for name in stack.split(";")]
    if names[-1].startswith(WAITING):
        return []
    names = [name for name in names if not re.match(r"0x[0-9a-f]+ |\[?unknown", name)]
    start = next((place for place, name in enumerate(names) if LOOP in name), None)
    return [] if start is None else names[start:]


def _merge(stacks: Iterable[str]) -> Box:
    root = Box()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = _frames(stack)
        if frames:
            root.samples += int(count)
        box = root
        for name in frames:
            box = box.calls.setdefault(name, Box())
            box.samples += int(count)
    return root


def _boxes(box: Box, left: float, level: int, whole: int) -> Iterator[tuple[str, float, int, int]]:
    """Name, left edge, level and samples of all boxes wide enough."""
    for name, inner in sorted(box.calls.items()):
        if inner.samples >= LEAST * whole:
            yield name, left, level, inner.samples
            yield from _boxes(inner, left, level + 1, whole)
        left += inner.samples


def _colour(name: str) -> str:
    return next(colour for _, colour, pattern in KINDS if pattern.search(name))


def draw(stacks: Iterable[str], title: str) -> str:
    """The graph as SVG. Who points at a box sees its name and share."""
    root = _merge(stacks)
    boxes = list(_boxes(root, 0, 0, root.samples))
    height = TOP + ROW * (1 + max((level for _, _, level, _ in boxes), default=0)) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="10">',
        f'<rect width="{WIDTH}" height="{height}" fill="{CARD}"/>',
        f'<text x="10" y="20" font-size="14" font-weight="bold" fill="{INK}">{escape(title)}</text>',
    ]
    for number, (kind, colour, _) in enumerate(KINDS):
        x = 10 + 170 * number
        parts.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="41" fill="{INK}">{kind}</text>')
    scale = (WIDTH - 20) / max(root.samples, 1)
    for name, left, level, samples in boxes:
        x, y, width = 10 + left * scale, height - 10 - ROW * (level + 1), samples * scale
        colour = _colour(name)
        ink = "#ffffff" if colour in ("#0072b2", "#d55e00") else INK
        share = 100 * samples / root.samples
        label = name[: int(width / 6)] if width > 30 else ""
        parts.append(
            f'<g><title>{escape(name)}, {share:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
            f'height="{ROW - 1}" fill="{colour}" stroke="{FAINT}" stroke-width="0.3"/>'
            + (f'<text x="{x + 3:.1f}" y="{y + 12}" fill="{ink}">{escape(label)}</text>' if label else "")
            + "</g>"
        )
    return "\n".join([*parts, "</svg>", ""])
