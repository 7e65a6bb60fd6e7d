"""Random sessions of ``send_many``: 421 in windows, slow readers, sources that cancel, two consumers.

``make faults ARGS="--seconds 600 --seed 1"`` runs them for a stated time. A session is made from its seed and
its number alone, so that one that went wrong can be had again with ``--session``. What has to hold:

* A message that was pulled has one result, whoever took it from the iterator: a consumer, or ``aclose``.
* ``DELIVERED`` is in the ledger of the server once and as it was sent; ``NOT_SENT`` and ``REJECTED`` are not
  there; ``UNKNOWN`` is there at most once.
* A body whose source raises ``CancelledError`` fails alone, and is ``NOT_SENT``. A source of messages that
  does so ends the iteration with it, behind the results of those before.
* A task that asks for a result while another waits for one gets a ``RuntimeError``, and nothing else.
* Over a pool, a server that only says 421 gets every message, unless it resets the connection.
* Nothing hangs.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiosmtplib import SMTP, Delivery, Envelope, SendResult, SMTPPool

from ..support.clients import SENDER, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Action, Conversation, Peer

__all__ = ("ManySession",)

WINDOWS = (1, 7, 64)
#: Seconds after which a session hangs.
HANGING = 30.0


class ManySession:
    """One random session.

    :ivar results: what was handed back
    :ivar wrong: what contradicts the rules
    """

    def __init__(self, seed: int, number: int) -> None:
        self.name = f"session {number} of seed {seed}"
        self.dice = dice = random.Random(f"{seed}/{number}")
        self.wrong: list[str] = []
        self.results: list[SendResult[Any]] = []
        self.window = dice.choice(WINDOWS)
        self.count = dice.randint(1, dice.choice((3, 20, 90)))
        self.pooled = dice.random() < 0.6
        self.chunked = dice.random() < 0.5
        self.slow = dice.random() < 0.2
        self.goodbyes = dice.random() < 0.6
        self.resets = self.goodbyes and dice.random() < 0.3
        self.two = dice.random() < 0.3
        self.leaves = dice.random() < 0.25
        self.asynchronous = dice.random() < 0.5
        #: The message before which the source of the messages raises, if any.
        self.broken_at = dice.randrange(self.count) if dice.random() < 0.2 else None
        self.pulled = 0
        self.contents: dict[str, bytes] = {}
        self.cancelling: set[str] = set()
        self.came_out = False

    # -- what is sent --------------------------------------------------------------------------------

    def _message(self, number: int) -> Envelope:
        who = f"r{number}@example.com"
        size = self.dice.choice((0, 100, 2_000)) if not self.slow else self.dice.choice((10, 60_000))
        content = b"Subject: %d\r\n\r\n" % number + b"0123456789abcdef\r\n" * (size // 18)
        self.contents[who] = content
        if self.dice.random() < 0.85:
            return Envelope(SENDER, who, content)
        if self.dice.random() < 0.5:
            self.cancelling.add(who)
        return Envelope(SENDER, who, self._pieces(content, who in self.cancelling))

    async def _pieces(self, content: bytes, cancels: bool) -> AsyncIterator[bytes]:
        middle = len(content) // 2
        yield content[:middle]
        await asyncio.sleep(0)
        if cancels:
            raise asyncio.CancelledError
        yield content[middle:]

    def _messages(self) -> Iterator[Envelope]:
        for number in range(self.count):
            if number == self.broken_at:
                raise asyncio.CancelledError
            yield self._message(number)

    def _messages_now(self) -> Iterator[Envelope]:
        for message in self._messages():
            self.pulled += 1
            yield message

    async def _messages_later(self) -> AsyncIterator[Envelope]:
        for message in self._messages():
            if self.dice.random() < 0.1:
                await asyncio.sleep(0)
            self.pulled += 1
            yield message

    # -- the server ----------------------------------------------------------------------------------

    def _peer(self) -> Peer:
        actions: dict[str, Action] = {}
        if self.goodbyes:
            position = self.dice.choice(("MAIL", "RCPT", "BDAT LAST" if self.chunked else "DATA", "."))
            actions[position] = self._dismiss_after(self.dice.randint(1, self.window + 3))
        if self.slow and "DATA" not in actions:
            actions["DATA"] = _reads_slowly
        return Peer(
            actions,
            extensions=CHUNKING if self.chunked else PIPELINING if self.dice.random() < 0.8 else ("SIZE",),
            receive_buffer=4096 if self.slow else None,
        )

    def _dismiss_after(self, most: int) -> Action:
        """421 to the next command of this kind, once a connection has had so many."""
        had: Counter[Conversation] = Counter()

        async def dismiss(conversation: Conversation) -> str:
            had[conversation] += 1
            if had[conversation] <= most:
                return await conversation.perform(conversation.default())
            await conversation.reply("421 4.7.0 enough")
            if self.resets:
                conversation.reset()
            await conversation.cut()
            return ""

        return dismiss

    # -- the session ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run it, and judge what was said."""
        try:
            async with self._peer() as peer:
                await asyncio.wait_for(self._send(options_for(peer)), HANGING)
                self._judge(peer)
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    async def _send(self, options: dict[str, Any]) -> None:
        sender: Any = SMTPPool(**options, max_connections=3) if self.pooled else SMTP(**options)
        async with sender:
            messages = self._messages_later() if self.asynchronous else self._messages_now()
            results = sender.send_many(messages, window=self.window)
            consumers = [asyncio.create_task(self._consume(results)) for _ in range(1 + self.two)]
            if self.leaves:
                for _ in range(self.dice.randint(0, 40)):
                    await asyncio.sleep(0)
                self.results += await self._rest(results)
            await asyncio.gather(*consumers)
            self.results += await self._rest(results)

    async def _consume(self, results: Any) -> None:
        while True:
            try:
                self.results.append(await anext(results))
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:  # as the source raised it: nobody cancels a consumer
                self.came_out = True
                return
            except RuntimeError as error:
                if not self.two or "Another task" not in str(error):
                    raise
                await asyncio.sleep(0)

    async def _rest(self, results: Any) -> list[SendResult[Any]]:
        try:
            rest: list[SendResult[Any]] = await results.aclose()
        except asyncio.CancelledError:
            self.came_out = True
            rest = await results.aclose()
        return rest

    # -- the verdicts --------------------------------------------------------------------------------

    def _judge(self, peer: Peer) -> None:
        if sorted(each.index for each in self.results) != list(range(self.pulled)):
            self.wrong.append(f"{len(self.results)} results of {self.pulled} messages")
        if not self.leaves and self.came_out != (self.broken_at is not None):
            self.wrong.append("what the source raised came out" if self.came_out else "an error was lost")
        ledger = Counter(who.decode() for taken in peer.accepted for who in taken.recipients)
        for taken in peer.accepted:
            for who in taken.recipients:
                if taken.content != self.contents[who.decode()]:
                    self.wrong.append(f"{who!r} got something else")
        for result in self.results:
            self._judge_one(result, ledger[result.item.recipients])

    def _judge_one(self, result: SendResult[Any], taken: int) -> None:
        who, delivery = result.item.recipients, result.delivery
        least, most = {Delivery.DELIVERED: (1, 1), Delivery.UNKNOWN: (0, 1)}.get(delivery, (0, 0))
        if not least <= taken <= most:
            self.wrong.append(f"{who} is {delivery}, and was taken {taken} times")
        if who in self.cancelling and delivery is not Delivery.NOT_SENT:
            self.wrong.append(f"{who} is {delivery}, and its source raised")
        whole = isinstance(result.item.message, bytes) and self.pooled and not (self.resets or self.leaves)
        if whole and self.broken_at is None and not self.cancelling and delivery is not Delivery.DELIVERED:
            self.wrong.append(f"{who} is {delivery}: {result.error}")


async def _reads_slowly(conversation: Conversation) -> str:
    await conversation.reply("354 go on")
    for _ in range(30):
        await asyncio.sleep(0)
    return "354"
