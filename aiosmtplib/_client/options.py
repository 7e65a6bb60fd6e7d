"""The connection options of a client: stated once, checked once, before anything is sent.

The options live as attributes of the client, because programs read and assign them between connects.
``SMTP.connect`` and ``aiosmtplib.send`` repeat the names in their signatures, so that editors and type
checkers see them; a test compares the three.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from .._sasl.secret import conceal, reveal
from .._trace.observer import CommandHook, check_hook
from .._transport.timers import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
from .._transport.timers import FINAL_TIMEOUT as FINAL_TIMEOUT
from .._transport.tls_contexts import TLSOptions, shared_tls_context
from ..errors import SMTPException
from ..typing import Default, PlaintextAuth, SMTPTokenGenerator, SocketPathType
from .before_send import ContentHook, check_content_hook
from .defaults import NOT_GIVEN, SMTP_PORT, SMTP_STARTTLS_PORT, SMTP_TLS_PORT
from .deprecation import warn_deprecated
from .hostnames import check_server_name, given_name, name_to_verify
from .variant import SMTP_VARIANT, Variant
from .ways import SocketFactory, Ways


class Options(Ways):
    """The connection options of a client.

    :param hostname: name or address of the server; ``None`` means ``"localhost"``
    :param port: port of the server; by default 465 with ``use_tls``, 587 with ``start_tls=True``, else 25
    :param username: log in as this user after connecting
    :param password: the password for ``username``
    :param oauth_token_generator: instead of ``password``: awaited for an access token, for XOAUTH2 or
        OAUTHBEARER, and once more if the server says that the token has expired
    :param local_hostname: what to call this host in EHLO; by default its fully qualified domain name, which
        may take a DNS query, once in a process, or the address of its end of the connection if it has none
    :param source_address: ``(host, port)`` to connect from
    :param timeout: seconds to wait for a connection, and for each reply; ``None`` for no limit
    :param final_timeout: seconds to wait for the reply to a message, once the server has taken its content;
        ``None`` for no limit. By default ten minutes (RFC 5321 section 4.5.3.2.6), or ``timeout`` where that
        was given, to the client or to the call
    :param loop: does nothing; accepted, with a ``DeprecationWarning``, for programs of the 1.1 series
    :param use_tls: speak TLS from the first byte (RFC 8314 section 3.3)
    :param start_tls: upgrade with STARTTLS (RFC 3207): ``None`` if the server offers it, ``True`` in any case
        (connecting fails where it cannot be done), ``False`` never
    :param validate_certs: verify the certificate of the server and its name
    :param client_cert: path of a PEM file with the certificate to present
    :param client_key: path of a PEM file with its key, if ``client_cert`` does not hold it
    :param tls_context: a context to use as it is, instead of the four TLS options around it
    :param cert_bundle: path of a PEM file with certificates to trust besides those of the system
    :param socket_path: path of a Unix domain socket to connect to
    :param sock: a connected socket to use
    :param server_hostname: the name that the certificate of the server has to show, and that the server is
        asked for by SNI; ``None`` means ``hostname``
    :param socket_factory: an async function without parameters that returns a connected socket, in place of
        connecting; called for each connection, whose end closes the socket. ``hostname`` and ``port`` then
        say to whom it leads
    :param proxy: URL of a proxy to connect through, such as ``socks5://user:password@host:1080``, which also
        resolves ``hostname``: ``socks5`` or ``socks4`` (with python-socks), or ``http``
    :param minimum_tls_version: give up unless the connection is encrypted, by this version of TLS or a later
        one; without ``use_tls``, STARTTLS is insisted upon. ``None`` if it does not matter
    :param allow_plaintext_auth: whether to log in over a connection that is not encrypted: ``True`` always,
        ``False`` never, ``"unix"`` over Unix domain sockets, ``"loopback"`` to loopback addresses,
        ``"local"`` over both
    :param stop_on_auth_failure: after a server said that the credentials are wrong, do not try them with
        another mechanism: some lock an account after a few failures
    :param pipelining: send the commands of a message together (RFC 2920): ``None`` or ``True`` if the server
        announces it, ``False`` never
    :param chunking: send content by BDAT (RFC 3030), if the server announces it: ``True`` always, ``None``
        where many messages are sent, where their size is not known, and for BINARYMIME, ``False`` never
    :param complete_headers: add Date and Message-ID to what goes out where a message has none, and not to
        the message object: mail without them is refused by some servers, and filed as spam by others
    :param before_send: called with each message as it is about to go to this server, as ``bytes`` with CRLF;
        returns the bytes to send, such as those with a signature. It may be asynchronous, and runs in a
        thread if it is marked by :func:`blocking_hook`. What it raises comes out, and nothing is sent
    :param on_command: called with a :class:`CommandEvent` for each command and its reply. What it raises is
        logged, and changes nothing
    :raises ValueError: if options exclude each other
    :raises TypeError: if an option is of the wrong type
    :raises ImportError: for a SOCKS proxy, if python-socks is not installed
    """

    _variant: Variant = SMTP_VARIANT

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        username: str | bytes | None = None,
        password: str | bytes | None = None,
        source_address: tuple[str, int] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        loop: asyncio.AbstractEventLoop | None = None,
        use_tls: bool = NOT_GIVEN,
        start_tls: bool | None = None,
        validate_certs: bool = True,
        client_cert: str | None = None,
        client_key: str | None = None,
        tls_context: ssl.SSLContext | None = None,
        cert_bundle: str | None = None,
        socket_path: SocketPathType | None = None,
        sock: socket.socket | None = None,
        *,
        server_hostname: str | None = None,
        socket_factory: SocketFactory | None = None,
        proxy: str | None = None,
        final_timeout: float | None = FINAL_TIMEOUT,
        oauth_token_generator: SMTPTokenGenerator | None = None,
        local_hostname: str | None = None,
        pipelining: bool | None = None,
        chunking: bool | None = None,
        minimum_tls_version: ssl.TLSVersion | None = None,
        allow_plaintext_auth: PlaintextAuth = True,
        stop_on_auth_failure: bool = False,
        complete_headers: bool = False,
        before_send: ContentHook | None = None,
        on_command: CommandHook | None = None,
    ) -> None:
        password, proxy = conceal(password), conceal(proxy)
        self.hostname: str | None = None
        self.port: int | None = None
        self.local_hostname: str | None = None
        self.source_address: tuple[str, int] | None = None
        self.timeout: float | None = timeout
        self.final_timeout: float | None = FINAL_TIMEOUT
        self.use_tls: bool = False
        self.validate_certs: bool = True
        self.client_cert: str | None = None
        self.client_key: str | None = None
        self.tls_context: ssl.SSLContext | None = None
        self.cert_bundle: str | None = None
        self.socket_path: SocketPathType | None = None
        self.sock: socket.socket | None = None
        self.server_hostname: str | None = None
        self.socket_factory: SocketFactory | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.pipelining: bool | None = None
        self.chunking: bool | None = None
        self.minimum_tls_version: ssl.TLSVersion | None = None
        self.allow_plaintext_auth: PlaintextAuth = True
        self.stop_on_auth_failure: bool = False
        self.complete_headers: bool = False
        self.before_send: ContentHook | None = None
        self.on_command: CommandHook | None = None
        self._username: str | bytes | None = None
        self._password: Any = None  # concealed
        self._proxy: Any = None  # concealed
        self._oauth_token_generator: SMTPTokenGenerator | None = None
        self._start_tls: bool | None = None
        #: Whether the caller wrote ``use_tls=False`` (the recipe of the 1.1 series; see ``starttls``).
        self._no_tls_asked = False
        self._set_up()
        store_options(
            self,
            hostname=hostname,
            port=port,
            username=username,
            password=password,
            source_address=source_address,
            loop=loop,
            use_tls=None if use_tls is NOT_GIVEN else use_tls,
            start_tls=start_tls,
            validate_certs=validate_certs,
            client_cert=client_cert,
            client_key=client_key,
            tls_context=tls_context,
            cert_bundle=cert_bundle,
            socket_path=socket_path,
            sock=sock,
            server_hostname=server_hostname,
            socket_factory=socket_factory,
            proxy=proxy,
            final_timeout=final_timeout,
            oauth_token_generator=oauth_token_generator,
            local_hostname=local_hostname,
            pipelining=pipelining,
            chunking=chunking,
            minimum_tls_version=minimum_tls_version,
            allow_plaintext_auth=allow_plaintext_auth,
            stop_on_auth_failure=stop_on_auth_failure,
            complete_headers=complete_headers,
            before_send=before_send,
            on_command=on_command,
        )

    def _set_up(self) -> None:
        """Set the attributes of a derived class: so this is the one constructor, with the one signature."""

    def _check_options(self) -> None:
        if self.tls_context is not None and (self.client_cert is not None or self.client_key is not None):
            raise ValueError("Either a TLS context or a certificate/key must be provided, not both")
        for name, types in OPTION_TYPES.items():
            value = getattr(self, _PRIVATE.get(name, name))
            if type(value) not in types and not issubclass(type(reveal(value)), types):
                raise TypeError(f"The {name} option cannot be of type {type(reveal(value)).__name__}")
        if self.hostname is not None:
            check_server_name(self.hostname, "hostname")
        if self.server_hostname is not None:
            check_server_name(self.server_hostname, "server_hostname")
            name_to_verify(self.server_hostname)
        if self.local_hostname is not None:
            self.local_hostname = given_name(self.local_hostname, "local_hostname")
        if self._username in ("", b""):  # as it comes from an environment variable that is not set
            self._username = None
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"The port option must be from 1 to 65535, not {self.port}")
        if self.use_tls and self._start_tls:
            raise ValueError("The start_tls and use_tls options are not compatible.")
        self._check_trust()
        check_hook(self.on_command)
        check_content_hook(self.before_send)
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("A client_key needs the client_cert that it belongs to")
        self._check_ways()
        if self._oauth_token_generator is not None and self._password is not None:
            raise ValueError("password and oauth_token_generator are mutually exclusive")

    def _check_trust(self) -> None:
        """Check what decides whether credentials and mail are protected."""
        if self.allow_plaintext_auth not in (True, False, "unix", "loopback", "local"):
            raise ValueError('The allow_plaintext_auth option is True, False, "unix", "loopback" or "local"')
        if self.minimum_tls_version is not None:
            if self.minimum_tls_version is ssl.TLSVersion.MAXIMUM_SUPPORTED:
                raise ValueError("The minimum_tls_version must be a version by its name")
            if self._start_tls is False and not self.use_tls:
                raise ValueError("A minimum_tls_version needs TLS: start_tls=False rules it out")

    # -- what follows from the options ---------------------------------------------------------------

    @property
    def _must_upgrade(self) -> bool:
        """Whether a connection is of no use unless STARTTLS works."""
        return bool(self._start_tls) or (self.minimum_tls_version is not None and not self.use_tls)

    @property
    def _server_name(self) -> str:
        """The name of the server, to resolve."""
        return self.hostname or "localhost"

    @property
    def _certificate_name(self) -> str:
        """The name to verify the certificate of the server against."""
        return self.server_hostname or self._server_name

    @property
    def _effective_port(self) -> int | None:
        """The port of the server, ``None`` if it is not known."""
        if self.port is not None or not self._variant.has_default_port or self.socket_factory is not None:
            return self.port
        if self.use_tls:
            return SMTP_TLS_PORT
        return SMTP_STARTTLS_PORT if self._must_upgrade else SMTP_PORT

    def _check_port(self) -> None:
        """:raises ValueError: if a connection by TCP needs another port, or any"""
        if self.socket_path is not None or self.sock is not None:
            return
        name = self._variant.name
        if self._effective_port is None and self.socket_factory is None:
            raise ValueError(f"{name} has no default port: pass socket_path or port")
        if self.port is not None and self.port == self._variant.forbidden_port:
            raise ValueError(
                f"{name} must not be used on port {self.port} (RFC 2033 section 5): pass another port"
            )

    def _check_token_user(self) -> None:
        """:raises SMTPException: if there are tokens to log in with, and nobody to log in"""
        if self._oauth_token_generator is not None and self._username is None:
            raise SMTPException("A username is required with oauth_token_generator: whom the token is for")

    @property
    def _tls_files_named(self) -> bool:
        """Whether files must be read for TLS: better before there is a connection than in its middle."""
        return self.cert_bundle is not None or self.client_cert is not None

    async def _get_tls_context(self) -> ssl.SSLContext:
        """The given context, or one made from the options.

        :raises SMTPConnectError: if a file cannot be read or is no PEM file
        """
        if self.tls_context is not None:
            return self.tls_context
        return await shared_tls_context(
            TLSOptions(
                self.validate_certs,
                self.cert_bundle,
                self.client_cert,
                self.client_key,
                self.minimum_tls_version,
            )
        )


def store_options(options: Options, **given: Any) -> None:
    """Store options, unless together with those stored before they make no sense.

    ``Default.token`` stands for "not given", as does ``None`` for the two that are never ``None``.
    """
    before = vars(options).copy()
    if given.pop("loop", None) not in (None, Default.token):
        warn_deprecated("The loop option does nothing any more: the running event loop is used.")
    source_address = given.get("source_address")
    if isinstance(source_address, str):
        warn_deprecated("A source_address that is a name is deprecated: pass it as local_hostname.")
        given["source_address"] = None
        if given.get("local_hostname") in (None, Default.token):
            given["local_hostname"] = source_address
    port = given.get("port")
    if isinstance(port, str) and port.isdecimal():  # as it comes from an environment variable
        given["port"] = int(port)
    for name in ("use_tls", "validate_certs"):
        if given.get(name) is None:
            given.pop(name, None)
    for name, value in given.items():
        if value is not Default.token:
            setattr(options, _PRIVATE.get(name, name), value)
    if "use_tls" in given:
        options._no_tls_asked = not options.use_tls
    try:
        options._check_options()
    except Exception:
        vars(options).update(before)
        raise


def destination_of(options: Options) -> str:
    """Where a connection goes, as error messages name it."""
    if options.socket_path is not None:
        return os.fsdecode(options.socket_path)
    if options.sock is not None:
        return f"{options._server_name} on the given socket"
    port = options._effective_port
    if port is None and options.socket_factory is not None:
        return f"{options._server_name} on the socket of the socket_factory"
    return f"{options._server_name} on {'a port not given' if port is None else f'port {port}'}"


_PRIVATE = {
    "username": "_username",
    "password": "_password",
    "proxy": "_proxy",
    "oauth_token_generator": "_oauth_token_generator",
    "start_tls": "_start_tls",
}

#: The types of the options. A text such as "no" is never taken for true.
OPTION_TYPES: dict[str, tuple[type, ...]] = {
    "use_tls": (bool,),
    "validate_certs": (bool,),
    "stop_on_auth_failure": (bool,),
    "complete_headers": (bool,),
    "allow_plaintext_auth": (bool, str),
    **{
        name: (*types, type(None))
        for name, types in {
            "hostname": (str,),
            "port": (int,),
            "username": (str, bytes),
            "password": (str, bytes),
            "source_address": (tuple,),
            "start_tls": (bool,),
            "timeout": (int, float),
            "final_timeout": (int, float),
            "tls_context": (ssl.SSLContext,),
            "client_cert": (str, os.PathLike),
            "client_key": (str, os.PathLike),
            "cert_bundle": (str, os.PathLike),
            "socket_path": (str, bytes, os.PathLike),
            "sock": (socket.socket,),
            "server_hostname": (str,),
            "socket_factory": (cast(type, Callable),),
            "proxy": (str,),
            "local_hostname": (str,),
            "pipelining": (bool,),
            "chunking": (bool,),
            "minimum_tls_version": (ssl.TLSVersion,),
        }.items()
    },
}


def check_timeout(timeout: float | None) -> None:
    """:raises TypeError: if ``timeout`` is neither a number of seconds nor ``None``"""
    if timeout is not None and not isinstance(timeout, int | float):
        raise TypeError(f"A timeout is a number of seconds or None, not {type(timeout).__name__}")
