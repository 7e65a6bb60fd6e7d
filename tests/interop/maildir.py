"""Messages as the servers have delivered them: found as they arrive, without what servers put before."""

import asyncio
import contextlib
import ctypes
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from ..support.scripted_server import PATIENCE

__all__ = ("KEY", "Maildir", "as_sent")

#: The first header field of each message that the tests send: its value finds the message again.
KEY = b"X-Interop"
#: What servers and delivery agents write before the message (RFC 5321 section 4.4, and custom).
TRACE = re.compile(
    rb"(?:(?:Received|Received-SPF|Authentication-Results|Return-Path|Delivered-To|Envelope-to|Delivery-date)"
    rb"\s*:.*\n(?:[ \t].*\n)*)*\Z",
    re.IGNORECASE,
)

_IN_CREATE, _IN_MOVED_TO = 0x100, 0x80


def as_sent(message: bytes, newline: bytes) -> bytes:
    """A message as a file has it: each CR, LF and CRLF is a line end, and the last line has one."""
    text = re.sub(rb"\r\n|\r|\n", newline, message)
    return text if text.endswith(newline) else text + newline


class Maildir:
    """The folder ``new`` of a maildir.

    :ivar messages: by key, the messages read so far, without trace fields
    :ivar others: what has no key, such as a delivery status notification
    """

    def __init__(self, new: Path) -> None:
        self._new = new
        self._read: set[str] = set()
        self.messages: dict[bytes, list[bytes]] = {}
        self.others: list[bytes] = []

    async def wait_for(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Wait until a message with each of these keys is there, and return them.

        Where there are several copies, for several recipients, they have to be the same.
        """
        wanted = set(keys)
        await self.wait_until(lambda: wanted <= self.messages.keys())
        for key in wanted:
            assert len(set(self.messages[key])) == 1, self.messages[key]
        return {key: self.messages[key][0] for key in wanted}

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until, with what has arrived, ``condition()`` is true."""
        async with self._changes() as changed:
            while True:
                changed.clear()
                self._scan()
                if condition():
                    return
                await asyncio.wait_for(changed.wait(), PATIENCE)

    def _scan(self) -> None:
        for name in os.listdir(self._new):
            if name not in self._read:
                self._read.add(name)
                text = (self._new / name).read_bytes()
                found = re.search(rb"^" + KEY + rb": (.*?)\r?$", text.partition(b"\n\n")[0], re.MULTILINE)
                if found is None or not TRACE.match(text[: found.start()].replace(b"\r\n", b"\n")):
                    self.others.append(text)
                else:
                    self.messages.setdefault(found[1], []).append(text[found.start() :])

    @contextlib.asynccontextmanager
    async def _changes(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set when a file appears in the folder (inotify(7))."""
        changed = asyncio.Event()
        if sys.platform != "linux":
            # Only a server that delivers before it answers is run there, so there is nothing to wait for.
            yield changed
            return
        libc = ctypes.CDLL(None, use_errno=True)
        inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert inotify >= 0, os.strerror(ctypes.get_errno())
        loop = asyncio.get_running_loop()

        def read() -> None:
            os.read(inotify, 65536)
            changed.set()

        try:
            watch = libc.inotify_add_watch(inotify, os.fsencode(self._new), _IN_CREATE | _IN_MOVED_TO)
            assert watch >= 0, os.strerror(ctypes.get_errno())
            loop.add_reader(inotify, read)
            yield changed
            loop.remove_reader(inotify)
        finally:
            os.close(inotify)
