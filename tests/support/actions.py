"""What a scripted peer can do at a position of the dialogue, besides replying as it should.

See :mod:`tests.support.scripted_server` for where they go. Each function here either is an action or returns
one.
"""

import asyncio

from .scripted_server import Action, Conversation

__all__ = (
    "at_nth",
    "cut",
    "cut_after",
    "drip",
    "flood_bytes",
    "flood_lines",
    "hold",
    "in_turn",
    "reset",
    "reset_after",
    "silence",
    "split",
    "take",
    "then",
    "when_received",
)


def in_turn(*actions: Action) -> Action:
    """A different action each time; the last one stays."""
    left = list(actions)

    async def action(conversation: Conversation) -> str | None:
        return await conversation.perform(left.pop(0) if len(left) > 1 else left[0])

    return action


def at_nth(n: int, action: Action, otherwise: "Action | None" = None) -> Action:
    """This action the n-th time (from 1, over all connections); else the other, or what is usual there."""
    times = 0

    async def nth(conversation: Conversation) -> str:
        nonlocal times
        times += 1
        usual = conversation.default() if otherwise is None else otherwise
        return await conversation.perform(action if times == n else usual)

    return nth


def when_received(data: bytes, action: "Action | None" = None) -> Action:
    """This action, or what is usual, once the client has sent this after the command that is being answered.

    That is proof that the client did not wait for the answer. Where it does wait, the peer waits as well.
    """

    async def proven(conversation: Conversation) -> str:
        await conversation.ahead(data)
        return await conversation.perform(conversation.default() if action is None else action)

    return proven


async def silence(conversation: Conversation) -> None:
    """Never answer."""
    await conversation.drain()


async def cut(conversation: Conversation) -> None:
    """FIN instead of a reply."""
    await conversation.cut()


async def reset(conversation: Conversation) -> None:
    """RST instead of a reply."""
    conversation.reset()


def cut_after(data: bytes) -> Action:
    """Send this much of a reply, then FIN."""
    return then(data, cut)


def reset_after(data: bytes) -> Action:
    """Send this much of a reply, then RST."""
    return then(data, reset)


def then(*actions: Action) -> Action:
    """One after the other; the dialogue goes on as after the first."""

    async def action(conversation: Conversation) -> str | None:
        replies = [await conversation.perform(each) for each in actions]
        return replies[0]

    return action


def drip(data: bytes) -> Action:
    """One byte per write; TCP_NODELAY makes a segment of each."""
    return split(*(data[index : index + 1] for index in range(len(data))))


def split(*pieces: bytes) -> Action:
    """The reply in these pieces, with a turn of the event loop between them."""

    async def action(conversation: Conversation) -> str:
        for piece in pieces:
            await conversation.send(piece)
            await asyncio.sleep(0)
        return b"".join(pieces).decode("latin-1")

    return action


def hold(event: asyncio.Event, reply: str) -> Action:
    """Reply when told."""

    async def action(conversation: Conversation) -> str:
        await event.wait()
        await conversation.reply(reply)
        return reply

    return action


async def take(conversation: Conversation) -> None:
    """Take the message, and say nothing about it."""
    conversation.accept()


async def flood_lines(conversation: Conversation) -> None:
    """A multi-line reply without an end."""
    while True:
        await conversation.send(b"250-more and more and more of this\r\n" * 100)


async def flood_bytes(conversation: Conversation) -> None:
    """A line without an end."""
    while True:
        await conversation.send(b"250 " + b"x" * 8192)
