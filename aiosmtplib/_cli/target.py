"""The server as the command line names it: a host, ``host:port``, or a URL such as ``smtps://user@host``."""

from __future__ import annotations

import argparse
import re

from .._client.defaults import SMTP_TLS_PORT
from .._client.url import from_url, revealed
from .._sasl.secret import conceal
from ..lmtp import LMTP
from ..smtp import SMTP
from .console import UsageError

__all__ = ("find_target",)

#: What a URL may say here. All else has an option of the command line.
FROM_URL = {"hostname", "port", "socket_path", "username", "use_tls", "start_tls"}


def find_target(args: argparse.Namespace) -> type[SMTP]:
    """Take apart what names the server, into the arguments that have its parts; port 465 implies ``--tls``.

    :return: the class of the client that speaks its protocol
    :raises UsageError: if it is not valid, has a password, or contradicts another argument
    """
    client_class = SMTP
    if args.host and "://" in args.host:
        client_class = _from_url(args)
    elif args.host and (found := re.fullmatch(r"\[([^\]]*)\](?::(\d+))?|([^:\s]*):(\d+)", args.host)):
        port = found[2] or found[4]
        args.host = found[1] or found[3]
        if port:
            _put(args, "port", int(port))
            if not 0 < args.port < 65536:
                raise UsageError(f"{port} is not a port (1 to 65535).")
    if args.port == SMTP_TLS_PORT and args.starttls is None:
        args.tls = True
    return client_class


def _from_url(args: argparse.Namespace) -> type[SMTP]:
    url, args.host = conceal(args.host), None
    try:
        client_class, found = from_url(url, {}, SMTP)
    except ValueError as exc:
        raise UsageError(f"{exc}.") from None
    if "password" in found:
        raise UsageError(
            "A password on the command line can be read by every user of this machine: leave it out of the "
            "URL, and use AIOSMTPLIB_PASSWORD, --password-file, or the prompt."
        )
    for name in found:
        if name not in FROM_URL:
            raise UsageError(f"{name} cannot be in a URL here: use the options of the command line.")
    options = revealed(found)
    args.host = options.get("hostname")
    for name, value in (("port", "port"), ("socket_path", "socket_path"), ("user", "username")):
        if value in options:
            _put(args, name, options[value])
    args.tls = options.get("use_tls", args.tls)
    if "start_tls" in options:
        _put(args, "starttls", options["start_tls"])
    return client_class if issubclass(client_class, LMTP) else SMTP


def _put(args: argparse.Namespace, name: str, value: object) -> None:
    if getattr(args, name, None) not in (None, value):
        raise UsageError(f"--{name.replace('_', '-')} and what names the server say different things.")
    setattr(args, name, value)
