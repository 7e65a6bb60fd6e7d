"""What every error of a client says besides its message: where it happened, what was said before, and what to
do about it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from ..errors import SMTPException
from .defaults import SMTP_TLS_PORT
from .hints import Setup, hint_for
from .options import Options, destination_of

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

    _opening_timeout: float | None

    def _attach_transcript(self, error: SMTPException) -> None: ...


def explain(client: HasTranscript, error: SMTPException) -> None:
    """Let an error carry what was said on the connection, and what to do about it."""
    client._attach_transcript(error)
    if error.hint is None:
        options = cast(Options, client)
        error.hint = hint_for(
            error,
            Setup(
                destination_of(options),
                options._server_name,
                tls=options.use_tls,
                tls_port=is_tls_port(options),
                login=options._username is not None,
                token=options._oauth_token_generator is not None,
                waited=client._opening_timeout is None or client._opening_timeout > 0,
            ),
        )


def is_tls_port(options: Options) -> bool:
    """Whether a connection goes to the port for TLS from the first byte (RFC 8314 section 7.3)."""
    by_tcp = options.sock is None and options.socket_path is None and options._variant.has_default_port
    return by_tcp and options._effective_port == SMTP_TLS_PORT


Self = TypeVar("Self", bound=HasTranscript)


@contextlib.contextmanager
def attach_transcript(client: HasTranscript) -> Iterator[None]:
    """Errors that leave the block carry what was said on the connection, and what to do about them."""
    try:
        yield
    except SMTPException as error:
        explain(client, error)
        raise


def attaches_transcript(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Errors that leave the method carry what was said on the connection, and what to do about them.

    Not for a method that is given secrets, which the frame of the wrapper would show: those have
    :func:`attach_transcript` for a block.
    """

    @functools.wraps(method)
    async def attaching(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(self, *args, **kwargs)
        except SMTPException as error:
            explain(self, error)
            raise

    return attaching
