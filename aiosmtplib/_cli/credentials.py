"""The credentials of ``send``: from a file, the environment, systemd, or a prompt, in this order.

There is no option for a password, because every user of the machine can read the command lines of processes.
"""

from __future__ import annotations

import argparse
import getpass
import os
import warnings
from collections.abc import Mapping
from typing import NamedTuple

from .console import Console, UsageError

__all__ = ("Credentials", "add_credential_options", "credentials")

USERNAME, PASSWORD, TOKEN = "AIOSMTPLIB_USERNAME", "AIOSMTPLIB_PASSWORD", "AIOSMTPLIB_TOKEN"  # nosec

#: The variable with the directory of the credentials that systemd hands to a service (systemd.exec(5)), and
#: what the files in it are called.
DIRECTORY = "CREDENTIALS_DIRECTORY"
FILES = {USERNAME: "aiosmtplib.username", PASSWORD: "aiosmtplib.password", TOKEN: "aiosmtplib.token"}

#: How much of a file is read, in octets. No password or token is longer.
MAX_FILE = 1 << 16

ABOUT = f"""The user name comes from --user, the URL, {USERNAME}, or the systemd credential
{FILES[USERNAME]}; the password from --password-file, {PASSWORD}, the systemd credential
{FILES[PASSWORD]}, or a prompt on the terminal; an OAuth 2.0 access token, instead, from {TOKEN} or
{FILES[TOKEN]}. With credentials, and a host that is not this one, STARTTLS is insisted on, unless --tls or
--no-starttls is given."""


class Credentials(NamedTuple):
    """The user name to log in with, and a password or an OAuth 2.0 access token."""

    username: str
    password: str | None = None
    token: str | None = None


class _Refuse(argparse.Action):
    """The option that there is not, which must not be taken for the beginning of another."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.error(
            "there is no --password, because every user of this machine can read command lines: use "
            f"--password-file, {PASSWORD}, or the prompt"
        )


def add_credential_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for logging in."""
    login = parser.add_argument_group("login")
    login.add_argument("--user", metavar="NAME", help="log in as this user")
    login.add_argument("--password", nargs="?", action=_Refuse, help=argparse.SUPPRESS)
    login.add_argument("--password-file", metavar="FILE", help="with the password in its only line")


def credentials(
    args: argparse.Namespace, environment: Mapping[str, str], console: Console
) -> Credentials | None:
    """The credentials, masked in all output of the console from now on.

    :return: ``None`` if there is no user name
    :raises UsageError: if a password and a token are given, or the user name is missing, or the password is
        missing and there is no terminal, or a file cannot be read or is not of one line
    """
    found = {name: environment.get(name) for name in FILES}
    if args.password_file:
        found[PASSWORD] = _read(args.password_file)
    directory = environment.get(DIRECTORY)
    if directory:
        secret = found[PASSWORD] or found[TOKEN]  # what is nearer has precedence
        for name in FILES if not secret else [USERNAME]:
            path = os.path.join(directory, FILES[name])
            if not found[name] and os.path.exists(path):
                found[name] = _read(path)
    username, password, token = args.user or found[USERNAME], found[PASSWORD], found[TOKEN]
    if password and token:
        raise UsageError(f"{PASSWORD} and {TOKEN} are both set: unset the one that is not meant.")
    if not username:
        if password or token:
            raise UsageError(f"{PASSWORD if password else TOKEN} is set: add --user, or set {USERNAME}.")
        return None
    if not password and not token:
        password = _ask_password(username)
    console.secrets.protect(password or token or "", username)
    return Credentials(username, password or None, token or None)


def _read(path: str) -> str:
    """The only line of a file."""
    try:
        with open(path, "rb") as file:
            octets = file.read(MAX_FILE)
    except OSError as exc:
        raise UsageError(f"Cannot read {path}: {exc.strerror}") from exc
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    if b"\n" in line or len(octets) == MAX_FILE:
        raise UsageError(f"{path} is to have one line.")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise UsageError(f"{path} {'is not UTF-8' if line else 'is empty'}.")
    return text


def _ask_password(username: str) -> str:
    with warnings.catch_warnings():
        # getpass warns before it reads with echo. The exception keeps it from reading.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            password = getpass.getpass(f"Password for {username}: ")
        except (getpass.GetPassWarning, EOFError, OSError):
            raise UsageError(f"No password for {username}, and no terminal to ask: set {PASSWORD}.") from None
    if not password:
        raise UsageError("An empty password cannot be used.")
    return password
