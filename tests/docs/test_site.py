"""The site builds without a warning, its links lead somewhere, and its pages fit into a browser."""

import functools
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from .pages import PAGES, ROOT

pytestmark = pytest.mark.slow

#: Width and height in CSS pixels: a desktop, and a telephone.
SIZES = ((1280, 900), (390, 844))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built anew."""
    for name in ("sphinx", "furo", "myst_parser"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed; make docs-check installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-q",
        ROOT / "docs",
        folder,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


class _Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def test_no_link_is_dead(site: Path) -> None:
    pages = {path: _Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert {path.stem for path in pages} >= {*PAGES} - {"README"}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (
                anchor and target in pages and anchor not in {*pages[target].anchors, "top"}
            ):
                dead.append((path.name, link))
    assert not dead


def test_each_public_name_is_in_the_reference_once(site: Path) -> None:
    import aiosmtplib

    ids = [anchor for path in sorted(site.glob("api/*.html")) for anchor in _Page(path).anchors]
    for name in aiosmtplib.__all__:
        assert len([each for each in ids if re.fullmatch(rf"aiosmtplib(\.[a-z]+)?\.{name}", each)]) == 1, name


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on a server: the beginning of the URL of its pages."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _watched(browser: Any, scheme: str, size: tuple[int, int]) -> tuple[Any, list[str]]:
    """A page, and the list that complaints of the browser are added to."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    complaints: list[str] = []
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # What is still on its way when the next page is opened is aborted.
    page.on("requestfailed", lambda request: "ABORTED" in request.failure or complaints.append(request.url))
    page.on("request", lambda request: "127.0.0.1" in request.url or complaints.append(request.url))
    return page, complaints


#: What reaches beyond the window and cannot be scrolled into it.
OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (node) => {
    for (; node && node !== document.body; node = node.parentElement) {
      const style = getComputedStyle(node);
      if (["auto", "scroll", "hidden"].includes(style.overflowX) || style.position === "fixed") return true;
    }
    return false;
  };
  const far = [...document.querySelectorAll("article *")].filter(
    (node) => node.getBoundingClientRect().right > wide + 1 && !scrolls(node));
  const found = far.slice(0, 3).map((node) => node.outerHTML.slice(0, 120));
  return [document.documentElement.scrollWidth > wide, found];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
def test_pages_fit(address: str, site: Path, browser: Any, scheme: str, size: tuple[int, int]) -> None:
    page, complaints = _watched(browser, scheme, size)
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:
            continue
        name = path.relative_to(site).as_posix()
        page.goto(f"{address}/{name}")
        assert page.evaluate(OVERFLOW) == [False, []], name
        assert page.locator("article h1").count() == 1 or name == "search.html", name
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128
        assert light == (scheme == "light"), name
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), name
    assert not complaints


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
def test_search_finds(address: str, browser: Any, size: tuple[int, int]) -> None:
    page, complaints = _watched(browser, "light", size)
    for words, found in (
        ("SCRAM", "login.html"),
        ("max_connections", "pool.html"),
        ("Celery", "cookbook.html"),
    ):
        page.goto(f"{address}/search.html?q={words}")
        link = page.locator(f"#search-results a[href^='{found}']").first
        link.click()
        assert urlsplit(page.url).path == f"/{found}"
    assert not complaints


def test_menu_opens_on_a_telephone(address: str, browser: Any) -> None:
    page, complaints = _watched(browser, "light", SIZES[1])
    page.goto(f"{address}/quickstart.html")
    link = page.locator(".sidebar-tree a", has_text="The pool").first
    page.locator(".mobile-header label[for='__navigation']").click()
    link.click()
    assert urlsplit(page.url).path in ("/pool.html", "/api/pool.html")
    assert not complaints
