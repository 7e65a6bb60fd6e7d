"""Types that callers and several layers share."""

import enum
import os
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from .status import SMTPStatus

__all__ = ("Default", "PlaintextAuth", "SMTPStatus", "SMTPTokenGenerator", "SocketPathType", "_default")


class Default(enum.Enum):
    """The type of "not given", for parameters where ``None`` has a meaning of its own."""

    token = 0


_default: Literal[Default.token] = Default.token

#: Called without arguments whenever an OAuth 2.0 access token is needed.
SMTPTokenGenerator: TypeAlias = Callable[[], Awaitable[str]]

#: Whether to log in over a connection that is not encrypted: always, never, or only where it does not leave
#: this host, over a Unix domain socket, a loopback address, or both.
PlaintextAuth: TypeAlias = bool | Literal["unix", "loopback", "local"]

#: The path of a Unix domain socket.
SocketPathType: TypeAlias = str | bytes | os.PathLike[str]
