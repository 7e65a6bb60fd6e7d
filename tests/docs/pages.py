"""The pages of the documentation as text: their fenced blocks and their tables."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: The text of each page by its name: ``README``, and those of the site.
PAGES = {
    "README": README,
    **{path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))},
}
#: All of them.
TEXT = "\n".join(PAGES.values())


class Block(NamedTuple):
    """A fenced block.

    :ivar name: the page, the heading it stands under, and its number among those of its language there
    :ivar page: the name of the page
    :ivar line: the line of the page before its first
    """

    name: str
    page: str
    language: str
    text: str
    line: int


def read_blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, without directives."""
    heading = ""
    counts: dict[tuple[str, str], int] = {}
    for match in re.finditer(
        r"(?ms)^(?:#+ (?P<heading>[^\n]+)|```(?P<language>[^\n]*)\n(?P<text>.*?)^```)$", PAGES[page]
    ):
        if match["heading"] is not None:
            heading = match["heading"]
            continue
        if match["language"].startswith("{"):
            continue
        place = heading, match["language"]
        counts[place] = counts.get(place, 0) + 1
        line = PAGES[page].count("\n", 0, match.start("text"))
        name = f"{page}: {heading} {counts[place]}"
        yield Block(name, page, match["language"], match["text"], line)


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def blocks(language: str, *pages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and block.page in (pages or PAGES)]


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    (match,) = re.finditer(rf"(?m)^\| {re.escape(first)} \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", TEXT)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in match[1].splitlines()]


def names(cell: str) -> list[str]:
    """What stands between backticks, without calls and assignments."""
    return [re.split(r"[=(\[]", name)[0] for name in re.findall(r"`([^`]+)`", cell)]


def named(first: str) -> list[str]:
    return [name for row in table(first) for name in names(row[0])]


def anchors(text: str) -> set[str]:
    """What a link into this page may name: its headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
