"""The options of a pool by name and type, for signatures that hand them on."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, TypedDict

from .._client.before_send import ContentHook
from .._client.ways import SocketFactory
from .._trace.observer import CommandHook
from ..typing import PlaintextAuth, SMTPTokenGenerator, SocketPathType

if TYPE_CHECKING:
    from ..smtp import SMTP


class PoolOptions(TypedDict, total=False):
    """The options of :class:`SMTPPool`, so that a type checker knows them where they are handed on.

    >>> def newsletter(**options: Unpack[PoolOptions]) -> None: ...
    """

    hostname: str | None
    port: int | None
    username: str | bytes | None
    password: str | bytes | None
    source_address: tuple[str, int] | None
    timeout: float | None
    final_timeout: float | None
    use_tls: bool
    start_tls: bool | None
    validate_certs: bool
    client_cert: str | None
    client_key: str | None
    tls_context: ssl.SSLContext | None
    cert_bundle: str | None
    socket_path: SocketPathType | None
    server_hostname: str | None
    socket_factory: SocketFactory | None
    proxy: str | None
    oauth_token_generator: SMTPTokenGenerator | None
    local_hostname: str | None
    pipelining: bool | None
    chunking: bool | None
    minimum_tls_version: ssl.TLSVersion | None
    allow_plaintext_auth: PlaintextAuth
    stop_on_auth_failure: bool
    complete_headers: bool
    before_send: ContentHook | None
    on_command: CommandHook | None
    max_connections: int
    max_messages: int | None
    max_age: float | None
    idle_timeout: float | None
    rate: float | None
    client_class: type[SMTP]


#: The types of those that only a pool has, for a URL: others cannot be in one.
POOL_OPTION_TYPES: dict[str, tuple[type, ...]] = {
    "max_connections": (int,),
    "max_messages": (int, type(None)),
    "max_age": (int, float, type(None)),
    "idle_timeout": (int, float, type(None)),
    "rate": (int, float, type(None)),
}
