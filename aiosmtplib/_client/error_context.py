"""What every error of a client says besides its message: where it happened, and what was said before."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ..errors import SMTPException

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def in_phase(phase: str) -> Iterator[None]:
    """Errors that leave the block say that they happened in this phase, unless they know better.

    A cancellation says so, too: a limit that has passed may be its reason.
    """
    try:
        yield
    except SMTPException as error:
        if error.phase is None:
            error.phase = phase
        raise
    except asyncio.CancelledError as cancelled:
        vars(cancelled).setdefault("phase", phase)
        raise


def gives_up(error: BaseException | None) -> bool:
    """Whether what ended a block cancels the task or ends the program, so that nothing is to be waited for.

    GeneratorExit does neither: whoever closes a generator waits for it, and goes on.
    """
    return error is not None and not isinstance(error, Exception | GeneratorExit)


class HasTranscript(Protocol):
    """A client that has a connection, or had one."""

    def _attach_transcript(self, error: SMTPException) -> None: ...


Self = TypeVar("Self", bound=HasTranscript)


@contextlib.contextmanager
def attach_transcript(client: HasTranscript) -> Iterator[None]:
    """Errors that leave the block carry what was said on the connection."""
    try:
        yield
    except SMTPException as error:
        client._attach_transcript(error)
        raise


def attaches_transcript(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Errors that leave the method carry what was said on the connection.

    Not for a method that is given secrets, which the frame of the wrapper would show: those have
    :func:`attach_transcript` for a block.
    """

    @functools.wraps(method)
    async def attaching(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(self, *args, **kwargs)
        except SMTPException as error:
            self._attach_transcript(error)
            raise

    return attaching
