"""Fixtures for pytest: SMTP servers for the tests of programs that send mail.

pytest imports this module whenever it starts, wherever aiosmtplib is installed. So it is not a part of that
package, which would be imported along, and imports nothing before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aiosmtplib.testing import Server


@pytest.fixture
def smtp_server() -> Iterator[Server]:
    """An :class:`aiosmtplib.testing.Server` without TLS, in a thread of its own."""
    from aiosmtplib.testing import Server

    with Server() as server:
        yield server


@pytest.fixture
def smtp_server_tls() -> Iterator[Server]:
    """An :class:`aiosmtplib.testing.Server` that speaks TLS from the first byte, in a thread of its own."""
    from aiosmtplib.testing import Server

    with Server(use_tls=True) as server:
        yield server
