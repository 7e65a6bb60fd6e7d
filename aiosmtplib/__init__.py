"""aiosmtplib: an SMTP client for asyncio.

``send`` sends one message; ``SMTP`` is a client with a connection that stays open. Everything here may be
imported from the package itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from . import auth as auth
from . import email as email
from . import esmtp as esmtp
from . import parameters as parameters
from . import protocol as protocol
from ._client.before_send import ContentHook, blocking_hook
from ._client.defaults import SECURE
from ._client.results import Envelope, SendResult
from ._codec import IMPLEMENTATION
from ._trace.observer import CommandEvent, CommandHook
from ._trace.transcript import Transcript
from ._transport.tls import TLSError, TLSInfo, TLSVerificationError
from ._transport.tls_contexts import clear_tls_cache
from .api import send, send_many
from .errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPReadTimeoutError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from .lmtp import LMTP
from .parameters import Recipient
from .response import EnhancedCode, SMTPResponse
from .smtp import SMTP
from .status import Delivery, SMTPStatus
from .typing import SMTPTokenGenerator

if TYPE_CHECKING:
    from .pool import PoolStats, PoolVerification, SMTPPool

__title__ = "aiosmtplib"
__version__ = "5.2.0"
__author__ = "aiosmtplib contributors"
__license__ = "MIT"
__copyright__ = "Copyright 2026 aiosmtplib contributors"

__all__ = (
    "CommandEvent",
    "CommandHook",
    "ContentHook",
    "Delivery",
    "EnhancedCode",
    "Envelope",
    "IMPLEMENTATION",
    "LMTP",
    "PoolStats",
    "PoolVerification",
    "Recipient",
    "SECURE",
    "SMTP",
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPConnectResponseError",
    "SMTPConnectTimeoutError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPNotSupported",
    "SMTPPool",
    "SMTPReadTimeoutError",
    "SMTPRecipientRefused",
    "SMTPRecipientsRefused",
    "SMTPResponse",
    "SMTPResponseException",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "SMTPStatus",
    "SMTPTimeoutError",
    "SMTPTokenGenerator",
    "SendResult",
    "TLSError",
    "TLSInfo",
    "TLSVerificationError",
    "Transcript",
    "blocking_hook",
    "clear_tls_cache",
    "send",
    "send_many",
)

# Where users import these from is what a pickle names, and stays when a file moves.
for _public in (
    CommandEvent,
    Envelope,
    SendResult,
    TLSError,
    TLSInfo,
    TLSVerificationError,
    Transcript,
    blocking_hook,
    clear_tls_cache,
):
    _public.__module__ = __name__


def __getattr__(name: str) -> object:
    # A quarter of the package is for the pool, which most programs do not need (PEP 562).
    if name not in ("PoolStats", "PoolVerification", "SMTPPool", "pool"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    pool = import_module(".pool", __name__)
    return pool if name == "pool" else getattr(pool, name)


def __dir__() -> list[str]:
    return sorted({*globals(), "PoolStats", "PoolVerification", "SMTPPool", "pool"})
