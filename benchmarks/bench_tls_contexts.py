"""The TLS context of a connection: made anew, as stock makes it each time, against the shared one.

Both in one run, milliseconds beside microseconds. A connection with TLS begins with a context.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiosmtplib import clear_tls_cache
from aiosmtplib._transport.tls_contexts import TLSOptions, make_tls_context, shared_tls_context


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    clear_tls_cache()
    asyncio.run(shared_tls_context(TLSOptions()))
    yield
    clear_tls_cache()


def made_anew() -> ssl.SSLContext:
    return make_tls_context(TLSOptions())


def shared() -> ssl.SSLContext:
    try:
        shared_tls_context(TLSOptions()).send(None)
    except StopIteration as found:  # what is kept is returned without a wait
        context: ssl.SSLContext = found.value
        return context
    raise AssertionError("no context was kept")


@pytest.mark.parametrize("get", [made_anew, shared])
def test_tls_context(benchmark: Any, get: Callable[[], ssl.SSLContext]) -> None:
    assert benchmark(get).check_hostname
