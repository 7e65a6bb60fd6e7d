"""What every error of a client says besides its message: where it happened, and what was said before."""

import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ..errors import SMTPException

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def in_phase(phase: str) -> Iterator[None]:
    """Errors that leave the block say that they happened in this phase, unless they know better."""
    try:
        yield
    except SMTPException as error:
        if error.phase is None:
            error.phase = phase
        raise


class Teller(Protocol):
    """Who has a connection, or had one."""

    def _attach_transcript(self, error: SMTPException) -> None: ...


Self = TypeVar("Self", bound=Teller)


def with_transcript(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Errors that leave the method carry what was said.

    Not for a method that is given secrets, which the frame would show: there is :func:`told` for those.
    """

    @functools.wraps(method)
    async def telling(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(self, *args, **kwargs)
        except SMTPException as error:
            self._attach_transcript(error)
            raise

    return telling


@contextlib.contextmanager
def told(client: Teller) -> Iterator[None]:
    """The same for a block."""
    try:
        yield
    except SMTPException as error:
        client._attach_transcript(error)
        raise
