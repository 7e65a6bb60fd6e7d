"""TLS contexts made from options, and shared by all connections that would make an equal one.

To load the certificates of the system into a context takes twenty milliseconds of CPU and a megabyte of
memory, much more than to send a message. So a context is kept after it was made, under a key of all that it
was made from: the options, the environment, and the state of the files that were read. A connection computes
the key again, which costs a few calls of ``stat``; a certificate that was rotated, removed or put back gives
another key, and so a new context.

A context that the caller gave is used as it is, and is never kept. Nor is one with a certificate of the
client's: a private key must not stay in memory after the client that it was given to.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections import OrderedDict
from concurrent.futures import Future
from copy import copy
from typing import NamedTuple, TypeAlias

from ..errors import SMTPConnectError
from .tls import tls_error

#: How many contexts are kept, those used last. More than one is rare: a program knows one or two bundles.
MAX_CONTEXTS = 8

#: Identity and state of a file: device, inode, size, and the times of changes to content and inode in
#: nanoseconds. ``None`` for one that is not there.
_State: TypeAlias = tuple[int, ...] | None

_DEFAULT_PATHS = ssl.get_default_verify_paths()


class TLSOptions(NamedTuple):
    """The options that shape a context.

    :ivar minimum_version: raise the minimum of this Python and its OpenSSL to this; they know better than to
        lower it
    """

    validate_certs: bool = True
    cert_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    minimum_version: ssl.TLSVersion | None = None


def make_tls_context(options: TLSOptions) -> ssl.SSLContext:
    """A TLS client context. Reads files: not to be called on the event loop.

    :raises SMTPConnectError: if a file cannot be read or is no PEM file; then also an :class:`ssl.SSLError`
    """
    if options.validate_certs:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    minimum = options.minimum_version
    if minimum is not None and minimum > context.minimum_version:
        context.minimum_version = minimum
    bundle = options.cert_bundle
    if bundle is not None:
        try:
            context.load_verify_locations(cafile=bundle)
        except OSError as error:
            raise _file_error(f"cert_bundle must be a readable PEM file: {bundle}", error) from error
    cert, key = options.client_cert, options.client_key
    if cert is not None:
        try:
            # With no password at all, OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(cert, keyfile=key, password="")
        except OSError as error:
            raise _file_error(
                f"client_cert and client_key must be readable PEM files that belong together, the key not "
                f"encrypted: {cert}, {key}",
                error,
            ) from error
    return context


def _file_error(message: str, cause: OSError) -> SMTPConnectError:
    """For a file that cannot be read, or that OpenSSL does not take: then also an :class:`ssl.SSLError`."""
    if isinstance(cause, ssl.SSLError):
        return tls_error(message, cause)
    return SMTPConnectError(f"{message}: {cause}")


async def shared_tls_context(options: TLSOptions) -> ssl.SSLContext:
    """A TLS client context for these options, shared with all that ask for an equal one, of any thread.

    Those that ask at the same time wait for one maker, without blocking their event loops.

    :raises SMTPConnectError: if a file cannot be read or is no PEM file
    """
    if options.client_cert is not None:
        return await asyncio.get_running_loop().run_in_executor(None, make_tls_context, options)
    found = _contexts.get(_Key.of(options))
    if not isinstance(found, Future):
        return found
    try:
        return await asyncio.wrap_future(found)
    except Exception as error:
        # One error for each, since each adds its own traceback.
        raise copy(error) from error.__cause__


def clear_tls_cache() -> None:
    """Forget the TLS contexts that connections share. Open connections go on with theirs.

    Needed only where certificates change in a way that cannot be seen in the state of files: the store of
    Windows, or a hook of another package.
    """
    _contexts.clear()


class _Key(NamedTuple):
    """All that a context is made from.

    The makers are part of it because other packages put theirs in their place, and those of the standard
    library back.
    """

    options: TLSOptions
    bundle: _State
    defaults: tuple[tuple[str, _State], ...]
    key_log: str | None
    makers: tuple[object, object]

    @classmethod
    def of(cls, options: TLSOptions) -> _Key:
        bundle = None if options.cert_bundle is None else _state_of(options.cert_bundle)
        defaults = (
            tuple((path, _state_of(path)) for path in _default_paths()) if options.validate_certs else ()
        )
        key_log = os.environ.get("SSLKEYLOGFILE")
        return cls(options, bundle, defaults, key_log, (ssl.SSLContext, ssl.create_default_context))


def _default_paths() -> list[str]:
    """The file and the directories that OpenSSL takes certificates from where nothing else is said."""
    defaults, environment = _DEFAULT_PATHS, os.environ
    directories = environment.get(defaults.openssl_capath_env, defaults.openssl_capath)
    return [
        environment.get(defaults.openssl_cafile_env, defaults.openssl_cafile),
        *directories.split(os.pathsep),
    ]


def _state_of(path: str) -> _State:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a path with a NUL in it
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _Contexts:
    """The contexts that were made, and those that are being made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Each with what was set on it when it was made. The one used last comes last.
        self._kept: OrderedDict[_Key, tuple[ssl.SSLContext, tuple[object, ...]]] = OrderedDict()
        self._making: dict[_Key, Future[ssl.SSLContext]] = {}

    def get(self, key: _Key) -> ssl.SSLContext | Future[ssl.SSLContext]:
        """The context that is kept under a key, else one that is being made."""
        with self._lock:
            if key in self._kept:
                context, settings = self._kept[key]
                if _settings_of(context) == settings:
                    self._kept.move_to_end(key)
                    return context
                del self._kept[key]  # somebody has changed what it demands
            making = self._making.get(key)
            if making is None:
                making = Future()
                making.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
                # Not the executor of the event loop, which may end, or be full, while others wait.
                threading.Thread(target=self._make, args=(key, making), name="aiosmtplib TLS").start()
                self._making[key] = making
            return making

    def _make(self, key: _Key, making: Future[ssl.SSLContext]) -> None:
        try:
            context = make_tls_context(key.options)
            # Files that changed while they were read may be neither the old nor the new ones.
            keep = _Key.of(key.options) == key
        except BaseException as error:
            self._finish(key, making)
            making.set_exception(error)
        else:
            self._finish(key, making, context if keep else None)
            making.set_result(context)

    def _finish(
        self, key: _Key, making: Future[ssl.SSLContext], context: ssl.SSLContext | None = None
    ) -> None:
        """Keep a context that was made, unless all were forgotten since.

        :param context: ``None`` where there is none to keep
        """
        with self._lock:
            if self._making.get(key) is not making:
                return
            del self._making[key]
            if context is not None:
                self._kept[key] = context, _settings_of(context)
                if len(self._kept) > MAX_CONTEXTS:
                    self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them. Those that are being made are for those that wait for them, and not kept."""
        with self._lock:
            self._kept.clear()
            self._making.clear()

    def start_again_in_child(self) -> None:  # pragma: no cover - in a process without coverage
        """Take the place of a lock that a thread of the parent process held, and of the contexts it made."""
        self._lock = threading.Lock()
        self._making = {}


def _settings_of(context: ssl.SSLContext) -> tuple[object, ...]:
    """What a context demands of a connection, which whoever gets hold of a transport can change."""
    return (
        context.verify_mode,
        context.check_hostname,
        context.minimum_version,
        context.maximum_version,
        context.options,
        context.verify_flags,
    )


_contexts = _Contexts()
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
    os.register_at_fork(after_in_child=_contexts.start_again_in_child)
