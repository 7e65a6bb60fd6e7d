"""The hook for content, ``before_send``: its type, and how it is called."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ..errors import SMTPException
from ..status import Delivery

__all__ = ("ContentHook", "blocking_hook", "check_content_hook", "finished_by", "is_streamed")

#: The type of ``before_send``: a function that is called with the octets of a message, header and body, and
#: returns those to be sent, or an awaitable of them.
ContentHook: TypeAlias = Callable[[bytes], bytes | Awaitable[bytes]]


def blocking_hook(function: Callable[[bytes], bytes]) -> ContentHook:
    """Mark a function for ``before_send`` as one that blocks: it is called in a thread.

    >>> @aiosmtplib.blocking_hook
    ... def sign(content: bytes) -> bytes:
    ...     return signature_of(content) + content

    An object that can be called needs no mark if it has an attribute ``blocking`` that is true.

    :param function: the function
    :return: a function that does the same, with the mark
    """

    @functools.wraps(function)
    def hook(content: bytes) -> bytes:
        return function(content)

    hook.blocking = True  # type: ignore[attr-defined]
    return hook


def check_content_hook(hook: object) -> None:
    """Check the ``before_send`` option.

    :raises TypeError: if it is neither ``None`` nor something that can be called
    """
    if hook is not None and not callable(hook):
        raise TypeError(f"The before_send option is a function, or None, not {type(hook).__name__}")


async def finished_by(hook: ContentHook, content: bytes) -> bytes:
    """What a hook makes of a message.

    :raises TypeError: if that is no ``bytes``
    :raises BaseException: whatever the hook raises
    """
    called: Any = hook
    try:
        blocking = getattr(hook, "blocking", False)
        result = await asyncio.to_thread(called, content) if blocking else called(content)
        if inspect.isawaitable(result):
            result = await result
    except SMTPException as error:
        error.delivery = Delivery.NOT_SENT  # it is about something else than this message
        raise
    if type(result) is not bytes:
        raise TypeError(f"before_send is to return bytes, not {type(result).__name__}")
    return result


def is_streamed() -> TypeError:
    """The error for a message of which there is no whole to call the hook with."""
    return TypeError("A message that is streamed cannot go through before_send: read it, and pass bytes")
