"""Flame graphs: what is drawn of the stacks that a profiler has seen."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

if sys.platform == "win32" or not (Path(__file__).parents[2] / "benchmarks/flame_chart.py").exists():
    pytest.skip("benchmarks are run from a checkout, on POSIX", allow_module_level=True)

from benchmarks.flame_chart import draw

LOOP = "main (client.py:1);BaseEventLoop._run_once (asyncio/base_events.py:7)"
STACKS = [
    f"0x7f00 (libc.so.6);{LOOP};send (aiosmtplib/smtp.py:10);flatten (aiosmtplib/_message/flatten.py:3) 30",
    f"{LOOP};send (aiosmtplib/smtp.py:12);write<a> (asyncio/events.py:1) 10",
    f"{LOOP};select (selectors.py:3);epoll_wait (libc.so.6) 1000",
    "main (client.py:1);connect (client.py:2) 500",
]


def boxes(drawn: str) -> dict[str, float]:
    """The titles of the boxes and their widths."""
    space = "{http://www.w3.org/2000/svg}"
    found = {}
    for group in ElementTree.fromstring(drawn).iter(f"{space}g"):
        title, box = group.find(f"{space}title"), group.find(f"{space}rect")
        assert title is not None and title.text is not None and box is not None
        found[title.text] = float(box.attrib["width"])
    return found


def test_shares() -> None:
    found = boxes(draw(STACKS, "sending"))
    assert list(found) == [
        "BaseEventLoop._run_once (asyncio/base_events.py), 100.0 %",
        "send (aiosmtplib/smtp.py), 100.0 %",
        "flatten (aiosmtplib/_message/flatten.py), 75.0 %",
        "write<a> (asyncio/events.py), 25.0 %",
    ]
    whole, _, flatten, _ = found.values()
    assert flatten == pytest.approx(0.75 * whole)


def test_what_is_narrow_is_left_out() -> None:
    rare = f"{LOOP};rare (aiosmtplib/smtp.py:12) 1"
    assert not [name for name in boxes(draw([f"{LOOP} 999", rare], "")) if name.startswith("rare")]
    assert [name for name in boxes(draw([f"{LOOP} 99", rare], "")) if name.startswith("rare")]


def test_nothing_seen() -> None:
    assert boxes(draw([], "a < b")) == {}
