"""Types of parameters, used by the public API and by several layers."""

from __future__ import annotations

import enum
import os
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from .status import SMTPStatus

__all__ = ("Default", "PlaintextAuth", "SMTPStatus", "SMTPTokenGenerator", "SocketPathType", "_default")


class Default(enum.Enum):
    """The type of the default "not given", for parameters where ``None`` has another meaning."""

    token = 0

    def __repr__(self) -> str:
        return "Default.token"  # as it is written, in signatures


_default: Literal[Default.token] = Default.token

#: A coroutine function without parameters that returns an OAuth 2.0 access token. It is called for each
#: login, and once more if the server says that the token has expired.
SMTPTokenGenerator: TypeAlias = Callable[[], Awaitable[str]]

#: Whether to log in over a connection that is not encrypted: always (True), never (False), or only if it
#: stays on this host: over a Unix domain socket, a loopback address, or either ("local").
PlaintextAuth: TypeAlias = bool | Literal["unix", "loopback", "local"]

#: The path of a Unix domain socket.
SocketPathType: TypeAlias = str | bytes | os.PathLike[str]
