"""The relay of the outbox's campaign, in a process of its own: moody, and with a ledger that outlives it.

``python -m benchmarks.outbox_relay PORT SEED LEDGER MOODS``: what it takes is in the file before it says so,
with a line for each message: its number and the time. ``MOODS`` is ``moody`` or ``kind``.
"""

import asyncio
import os
import re
import sys
import time

from tests.support.model_server import Taken

from .soak_server import Office, Window

__all__ = ("NUMBER", "SHARES")

NUMBER = re.compile(rb"X-Number: (\d+)")
#: What happens to one message of so many: 5 % are refused for now, 1 % for ever, and 1 % cut the connection.
SHARES = {
    "450 to MAIL": 40,
    "451 to DATA": 40,
    "550 to RCPT": 200,
    "552 to the content": 200,
    "FIN instead of a reply to RCPT": 500,
    "FIN before it is taken": 500,
    "RST before it is taken": 500,
    "FIN after it is taken": 500,
    "RST after it is taken": 500,
}


class Relay(Office):
    """What all connections share: the moods, and the ledger."""

    def __init__(self, seed: int, ledger: str, moody: bool) -> None:
        super().__init__(0, seed, SHARES if moody else {"none": float("inf")})
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def take(self, taken: Taken) -> None:
        number = NUMBER.search(taken.content)
        assert number is not None
        os.write(self._ledger, b"%b %.6f\n" % (number[1], time.time()))


async def _serve(port: int, relay: Relay) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Window(relay, False), "127.0.0.1", port, backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Relay(int(sys.argv[2]), sys.argv[3], sys.argv[4] == "moody")))
