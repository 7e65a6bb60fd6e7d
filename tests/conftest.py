"""What every test gets: both codec twins, both event loops, and a check that nothing was left behind.

A test that takes ``codec`` runs on ``_pure`` and on ``_speedups``. An ``async def`` test runs on asyncio's
own loop and on uvloop. After each test, whatever asyncio had to complain about is a failure: an exception
nobody retrieved, a task that was destroyed or is still running, a transport that nobody closed.
"""

import asyncio
import gc
import importlib
import inspect
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import ModuleType

import hypothesis
import pytest

from .support.server_fixtures import *  # noqa: F403

#: The compiled twin is expected unless the environment says otherwise. ``make`` sets this to 0 where it
#: found no C compiler; a run that merely lost the extension must fail, not skip.
EXPECT_EXTENSIONS = os.environ.get("AIOSMTPLIB_EXPECT_EXTENSIONS", "1") != "0"
NO_EXTENSIONS = os.environ.get("AIOSMTPLIB_NO_EXTENSIONS", "") not in ("", "0")

# Examples are bounded by their number alone: a slow machine must not turn a test red.
hypothesis.settings.register_profile("default", deadline=None, max_examples=100)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=400, print_blob=True)
# Where each costs many times as much: --hypothesis-profile=few
hypothesis.settings.register_profile("few", deadline=None, max_examples=20)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_report_header() -> str:
    try:
        codec = importlib.import_module("aiosmtplib._codec")
    except Exception as error:  # the tests will fail by it, and better than a header does
        return f"aiosmtplib: no codec: {error}"
    return f"aiosmtplib: {codec.IMPLEMENTATION} codec from {os.path.dirname(str(codec.__file__))}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"codec", "compiled"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("twins")


def pytest_collection_finish() -> None:
    # What was imported by now stays; leaving it out makes the collection after each test cheap.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def expected_implementations() -> set[str]:
    """The values that ``aiosmtplib._codec.IMPLEMENTATION`` may have in this run."""
    if NO_EXTENSIONS:
        return {"python"}
    # Without a compiler nothing was built, but what somebody else has built may be there.
    return {"cython"} if EXPECT_EXTENSIONS else {"cython", "python"}


@pytest.fixture(scope="session", params=["pure", "compiled"])
def codec(request: pytest.FixtureRequest) -> ModuleType:
    """One of the codec twins, as a module (``aiosmtplib._codec.pure``, ``aiosmtplib._speedups``)."""
    return _twin(request.param)


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    """The compiled twin, for tests that hold it against the pure one."""
    return _twin("compiled")


def _twin(name: str) -> ModuleType:
    if name == "pure":
        return importlib.import_module("aiosmtplib._codec.pure")
    if NO_EXTENSIONS:
        pytest.skip("compiled twin left out: AIOSMTPLIB_NO_EXTENSIONS is set")
    if not EXPECT_EXTENSIONS:
        pytest.skip("compiled twin left out: no C compiler here (AIOSMTPLIB_EXPECT_EXTENSIONS=0)")
    try:
        return importlib.import_module("aiosmtplib._speedups")
    except ImportError as error:
        pytest.fail(f"the compiled twin was expected and cannot be imported: {error}")


def _uvloop() -> asyncio.AbstractEventLoop:
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        pytest.skip("uvloop is not installed")
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": _uvloop}


class _Complaints(logging.Handler):
    """Keeps what the default exception handler of either loop has logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def loop_complaints(request: pytest.FixtureRequest) -> Iterator[list[logging.LogRecord]]:
    """What the event loop's exception handler was called with; must be empty when the test ends.

    A test that provokes such a call takes this fixture, asserts on it, and clears the list.
    """
    handler = _Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        yield handler.records
        if _is_async(request):
            # Futures and transports complain when they are collected.
            gc.collect()
    finally:
        logger.removeHandler(handler)
    if handler.records:
        texts = "\n".join(logging.Formatter().format(record) for record in handler.records)
        pytest.fail(f"the event loop's exception handler was called:\n{texts}", pytrace=False)


@pytest.fixture(autouse=True)
def _watch_tasks(request: pytest.FixtureRequest, loop_complaints: object) -> None:
    # Set up before the fixtures that the test names, so torn down after they have closed their servers.
    if _is_async(request):
        request.getfixturevalue("_no_leaked_tasks")


def _is_async(request: pytest.FixtureRequest) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(request.function))


@pytest.fixture
async def _no_leaked_tasks() -> AsyncIterator[None]:
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        # Tasks that are on their way out may finish; the bound only ends the wait for those that are not.
        _, left = await asyncio.wait(left, timeout=1)
    if left:
        pytest.fail(f"tasks still running after the test: {left}", pytrace=False)
