"""The options of ``send`` and ``probe`` for the connection."""

from __future__ import annotations

import argparse
from typing import Any

from .._client.options import DEFAULT_TIMEOUT
from .._sasl.secret import conceal
from .console import UsageError
from .credentials import Credentials

__all__ = ("add_server_options", "client_options")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both commands have."""
    server = parser.add_argument_group("server")
    server.add_argument(
        "--port",
        type=_port,
        metavar="PORT",
        help="default: 465 with --tls, 587 with --starttls, else 25; 465 implies --tls",
    )
    server.add_argument("--socket-path", metavar="PATH", help="connect to this Unix socket instead")
    server.add_argument(
        "--proxy", metavar="URL", help="connect through this proxy: socks5://HOST:PORT, socks4:// or http://"
    )
    server.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="for each step; default: 60, and 600 for the reply to a message",
    )
    server.add_argument("--local-hostname", metavar="NAME", help="what to call this host in EHLO")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls", action="store_true", help="use TLS from the first byte (implicit TLS)")
    tls.add_argument(
        "--starttls",
        action=argparse.BooleanOptionalAction,
        help="require STARTTLS, or never use it; default: use it if the server offers it",
    )
    tls.add_argument(
        "--cafile", metavar="FILE", help="PEM file with certificates to trust besides the system's"
    )
    tls.add_argument("--client-cert", metavar="FILE", help="PEM file with the certificate to present")
    tls.add_argument("--client-key", metavar="FILE", help="PEM file with its key, if --client-cert has none")
    tls.add_argument("--no-verify", action="store_true", help="accept any certificate (unsafe)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, one object a line")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log the connection to standard error, without secrets"
    )


def client_options(args: argparse.Namespace, login: Credentials | None = None) -> dict[str, Any]:
    """The keyword arguments of :class:`~aiosmtplib.SMTP` for these options.

    :raises UsageError: if options exclude each other, or a file cannot be read
    """
    if args.tls and args.starttls:
        raise UsageError("--tls and --starttls exclude each other.")
    if args.socket_path and (args.host or args.port):
        raise UsageError("--socket-path says where to connect: leave out the host and --port.")
    if args.proxy:
        _check_proxy(args)
    if args.client_key and not args.client_cert:
        raise UsageError("--client-key needs the --client-cert that it belongs to.")
    for option in ("cafile", "client_cert", "client_key"):
        if path := getattr(args, option):
            _check_readable(path)
    start_tls = args.starttls
    if login and start_tls is None and not args.tls and not _is_local(args):
        # An attacker on the network could remove STARTTLS from the EHLO reply to read the password.
        start_tls = True
    options: dict[str, Any] = {
        "hostname": args.host,
        "port": args.port,
        "socket_path": args.socket_path,
        "proxy": args.proxy,
        "timeout": args.timeout,
        "local_hostname": args.local_hostname,
        "use_tls": args.tls,
        "start_tls": start_tls,
        "cert_bundle": args.cafile,
        "client_cert": args.client_cert,
        "client_key": args.client_key,
        "validate_certs": not args.no_verify,
    }
    if login:
        options["username"] = login.username
        options["password"] = login.password
        if (token := login.token) is not None:

            async def generate() -> str:
                return token

            options["oauth_token_generator"] = generate
    return options


def _check_proxy(args: argparse.Namespace) -> None:
    from .._client.proxy_url import proxy_of

    if args.socket_path:
        raise UsageError("--socket-path says where to connect: leave out --proxy.")
    if proxy_of(conceal(args.proxy)).password is not None:
        raise UsageError(
            "A password on the command line can be read by every user of this machine: --proxy takes none."
        )


def _is_local(args: argparse.Namespace) -> bool:
    host = args.host or "localhost"
    if args.proxy:  # which has a localhost of its own
        return False
    return bool(args.socket_path) or host in ("localhost", "::1") or host.startswith("127.")


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as exc:
        raise UsageError(f"Cannot read {path}: {exc.strerror}") from exc


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
