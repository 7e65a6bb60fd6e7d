"""``aiosmtplib probe``: show the greeting, TLS parameters, certificate and extensions of a server.

No mail is sent. A certificate that cannot be verified is fetched over a second connection without
verification, so that its contents can be shown; the exit code is that of the first connection.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import ssl
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._client.connection import introduced_protocol
from ..errors import SMTPConnectError, SMTPException
from ..response import SMTPResponse
from ..smtp import SMTP, SMTP_PORT, SMTP_STARTTLS_PORT, SMTP_TLS_PORT
from .console import Console, Exit, UsageError, run_async
from .options import add_server_options, client_options
from .parser import describe, exit_codes
from .target import find_target
from .verbose import closing

__all__ = ("add_arguments", "run")

EXAMPLES = """examples:
  aiosmtplib probe mail.example.com
  aiosmtplib probe smtp.example.com --tls
  aiosmtplib probe smtp.example.com --port 587 --verbose"""

MEANINGS = {
    Exit.OK: "connected, and the certificate, if there is one, is valid for the host",
    Exit.USAGE: "the command line makes no sense",
    Exit.CONNECTION: "no connection, a timeout, or the certificate cannot be verified",
    Exit.UNABLE: "the server cannot do what was asked for",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


class Findings(NamedTuple):
    """The facts about a server from one connection.

    :ivar where: the address that was connected to
    :ivar seconds: the time until the greeting came
    :ivar plain: the extensions announced without TLS, or ``None``
    :ivar encrypted: the extensions announced with TLS, or ``None``
    :ivar tls: the TLS parameters, or why there are none
    """

    where: str
    greeting: SMTPResponse
    seconds: float
    plain: dict[str, str] | None
    encrypted: dict[str, str] | None
    tls: TLSFacts | str


class TLSFacts(NamedTuple):
    """The parameters of a TLS connection.

    :ivar by: how TLS began: by STARTTLS, or from the first byte
    :ivar bits: the number of secret bits of the cipher
    :ivar fingerprint: the SHA-256 digest of the server's certificate, in hexadecimal
    :ivar certificate: the server's certificate as :meth:`ssl.SSLSocket.getpeercert` has it; empty if it
        cannot be decoded
    """

    by: str
    version: str
    cipher: str
    bits: int
    fingerprint: str
    certificate: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    describe(
        parser,
        "Connect to a server, and show its greeting, TLS parameters and extensions.",
        [EXAMPLES, exit_codes(MEANINGS)],
        usage="[OPTIONS] HOST",
    )
    parser.add_argument(
        "host",
        nargs="?",
        metavar="HOST",
        help="or HOST:PORT, or a URL such as smtps://host; may be left out with --socket-path",
    )
    add_server_options(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command: connect, and print the facts.

    :return: the exit code
    :raises UsageError: if the command line is not valid
    :raises SMTPException: if there is no connection, or the server does not support what was asked for
    """
    if not args.host and not args.socket_path:
        raise UsageError("Say which host to probe.")
    client_class = find_target(args)
    options = client_options(args)
    verified = "not asked for (--no-verify)" if args.no_verify else "yes, chain and name"
    code = Exit.OK
    try:
        findings = run_async(_probe(client_class, options, args, console))
    except SMTPConnectError as exc:
        if not isinstance(exc, ssl.SSLCertVerificationError):
            raise
        verified = f"NO: {exc.verify_message}"
        code = Exit.CONNECTION
        findings = run_async(_probe(client_class, {**options, "validate_certs": False}, args, console))
    if args.json:
        console.say(json.dumps(_as_object(findings, verified)))
        return code
    _print_facts(findings, verified, console)
    _print_extensions(findings, console)
    return code


def _as_object(findings: Findings, verified: str) -> dict[str, Any]:
    """The facts as a JSON object has them."""
    tls = findings.tls
    facts: dict[str, Any] = {
        "server": findings.where,
        "greeting": str(findings.greeting),
        "seconds": round(findings.seconds, 6),
        "tls": tls if isinstance(tls, str) else tls._asdict(),
        "extensions": {"plain": findings.plain, "encrypted": findings.encrypted},
    }
    return facts if isinstance(tls, str) else {**facts, "verified": verified}


async def _probe(
    client_class: type[SMTP], options: dict[str, Any], args: argparse.Namespace, console: Console
) -> Findings:
    """The facts from a new connection with these options."""
    # connect() would keep only the extensions that are announced after STARTTLS.
    client = client_class(**{**options, "start_tls": False, "port": _port(args, client_class)})
    plain = encrypted = None
    tls: TLSFacts | str = "none"
    with closing(client, args, console):
        started = time.perf_counter()
        greeting = await client.connect()
        seconds = time.perf_counter() - started
        await introduced_protocol(client)
        if args.tls:
            encrypted = client.esmtp_extensions
            tls = _tls_facts(client, "from the first byte")
        else:
            plain = client.esmtp_extensions
            if args.starttls is False:
                tls = "none, as asked for (--no-starttls)"
            elif args.starttls is None and not client.supports_extension("starttls"):
                tls = "none: STARTTLS is not announced"
            else:
                await client.starttls()
                await introduced_protocol(client)
                encrypted = client.esmtp_extensions
                tls = _tls_facts(client, "by STARTTLS")
        try:
            await client.quit()
        except SMTPException:
            pass  # all facts are known
    where = args.socket_path or f"{args.host} port {client.port}"
    return Findings(where, greeting, seconds, plain, encrypted, tls)


def _port(args: argparse.Namespace, client_class: type[SMTP] = SMTP) -> int | None:
    """The port to connect to: by default that of mail servers, 25, unless TLS is asked for."""
    if args.port or args.socket_path or client_class is not SMTP:
        port: int | None = args.port
        return port
    return SMTP_TLS_PORT if args.tls else SMTP_STARTTLS_PORT if args.starttls else SMTP_PORT


def _tls_facts(client: SMTP, by: str) -> TLSFacts:
    connection: ssl.SSLObject = client.get_transport_info("ssl_object")
    name, _, bits = connection.cipher() or ("?", "", 0)
    der = connection.getpeercert(binary_form=True) or b""
    certificate = connection.getpeercert() or _decode(der)
    fingerprint = hashlib.sha256(der).hexdigest()
    return TLSFacts(by, connection.version() or "?", name, bits, fingerprint, certificate)


def _decode(der: bytes) -> dict[str, Any]:
    """The contents of a certificate that was not verified.

    The ssl module has a function for it, which is meant for its tests alone.
    """
    decode: Any = getattr(importlib.import_module("_ssl"), "_test_decode_cert", None)
    if decode is None:  # pragma: no cover - every CPython from 3.10 to 3.14 has it
        return {}
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "certificate.pem")
        with open(path, "w", encoding="ascii") as file:
            file.write(ssl.DER_cert_to_PEM_cert(der))
        decoded: dict[str, Any] = decode(path)
    return decoded


def _print_facts(findings: Findings, verified: str, console: Console) -> None:
    console.say(f"server       {findings.where}")
    console.say(f"greeting     {findings.greeting} (after {findings.seconds * 1000:.0f} ms)")
    tls = findings.tls
    if isinstance(tls, str):
        console.say(f"TLS          {tls}")
        return
    console.say(f"TLS          {tls.version}, {tls.cipher} ({tls.bits} bits), {tls.by}")
    console.say(f"verified     {verified}")
    if tls.certificate:
        console.say(f"subject      {_distinguished_name(tls.certificate['subject'])}")
        names = ", ".join(value for _, value in tls.certificate.get("subjectAltName", ()))
        console.say(f"names        {names or 'none'}")
        console.say(f"issuer       {_distinguished_name(tls.certificate['issuer'])}")
        console.say(f"valid        {_validity(tls.certificate)}")
    console.say(f"SHA-256      {tls.fingerprint}")


def _distinguished_name(name: Sequence[Sequence[tuple[str, str]]]) -> str:
    return ", ".join(f"{key}={value}" for part in name for key, value in part) or "(empty)"


def _validity(certificate: dict[str, Any]) -> str:
    first, last = certificate["notBefore"], certificate["notAfter"]
    days = int((ssl.cert_time_to_seconds(last) - time.time()) // 86400)
    return f"from {first} until {last} ({f'{days} days left' if days >= 0 else 'EXPIRED'})"


def _print_extensions(findings: Findings, console: Console) -> None:
    plain, encrypted = findings.plain, findings.encrypted
    columns = ["extension"]
    if plain is not None:
        columns.append("without TLS" if encrypted is None else "before STARTTLS")
    if encrypted is not None:
        columns.append("with TLS" if plain is None else "after STARTTLS")
    announced = [extensions for extensions in (plain, encrypted) if extensions is not None]
    rows = [
        [keyword.upper(), *(_parameters(extensions, keyword) for extensions in announced)]
        for keyword in sorted({keyword for extensions in announced for keyword in extensions})
    ]
    console.say()
    if rows:
        console.table(columns, rows)
    else:
        console.say("no extensions")


def _parameters(extensions: dict[str, str], keyword: str) -> str:
    return (extensions[keyword] or "yes") if keyword in extensions else "-"
