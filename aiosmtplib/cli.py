# PYTHON_ARGCOMPLETE_OK
"""The command line: ``aiosmtplib send``, ``probe``, ``outbox`` and ``demo``, or questions without arguments.

Each command has a module in :mod:`aiosmtplib._cli`, which is imported when the command runs. This module has
the list of commands, and turns exceptions into exit codes and error messages. An error message is one line,
without a traceback and without secrets.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from ._cli.console import Console, Exit, UsageError
from ._cli.parser import Parser, complete, describe, exit_codes
from ._client.hints import for_command_line
from ._trace.observer import log
from .errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from .status import Delivery

__all__ = ("main",)

COMMANDS = {
    "send": "send messages from files, directories, mailboxes or standard input",
    "probe": "show a server's TLS parameters and extensions",
    "outbox": "look into an outbox on Redis, and send, hold or discard what is in it",
    "demo": "measure how much CPU a message takes, beside smtplib",
    "help": "show the help of a command",
}

#: Without a handler, logging prints warnings to standard error by itself. The error message says the same.
NO_LOG = logging.NullHandler()

EPILOG = [
    "Without a command: ask for host, port, From, To and a message, and send it.",
    """examples:
  aiosmtplib send message.eml --host mail.example.com
  aiosmtplib probe mail.example.com
  aiosmtplib help send""",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: the entry point of ``aiosmtplib`` and ``python -m aiosmtplib``.

    :param argv: the arguments, by default those of the process
    :return: the exit code (see ``aiosmtplib send --help``)
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    console = Console()
    log.addHandler(NO_LOG)
    try:
        try:
            return _run(argv, console)
        finally:
            sys.stdout.flush()
    except SystemExit as exc:  # argparse: 0 after --help, 2 for what it does not understand
        return int(exc.code or 0)
    except KeyboardInterrupt:
        console.note("Interrupted.")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The interpreter must not try to write what is still buffered when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except SMTPException as exc:
        return _explain(exc, console)
    except (UsageError, ImportError, ValueError) as exc:
        console.complain(str(exc))
        return Exit.USAGE
    except OSError as exc:
        console.complain(str(exc))
        return Exit.CONNECTION


def _run(argv: Sequence[str], console: Console) -> int:
    parser, commands = _parser()
    complete(parser, functools.partial(_fill_all, commands))
    if not argv:
        code: int = import_module("._cli.prompt", __package__).run(console)
        return code
    name = next((word for word in argv if not word.startswith("-")), "")
    if name == "help":
        topic = [each for each in argv[argv.index(name) + 1 :] if each != name]
        argv = [*topic[:1], "--help"]
        name = argv[0]
    if name in commands:
        _fill(name, commands[name])
    args, left = parser.parse_known_args(argv)
    if left:
        commands[name].error(f"unrecognized arguments: {' '.join(left)}")
    command: Callable[[argparse.Namespace, Console], int] = args.run
    return command(args, console)


def _parser() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(prog="aiosmtplib")
    describe(
        parser, "Send mail, and look at mail servers.", [*EPILOG, exit_codes()], usage="[OPTIONS] COMMAND ..."
    )
    parser.add_argument(
        "--version", action=_Version, help="show the version, and which implementation of the codec is used"
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands = {
        name: subparsers.add_parser(name, prog=f"aiosmtplib {name}", help=text)
        for name, text in COMMANDS.items()
    }
    return parser, commands


def _fill_all(commands: Mapping[str, argparse.ArgumentParser]) -> None:
    for name, parser in commands.items():
        _fill(name, parser)


def _fill(name: str, parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command. Its module defines them, and only that module is imported."""
    if name == "help":
        parser.add_argument("command", nargs="?", choices=[*COMMANDS])
        return
    module = import_module(f"._cli.{name}", __package__)
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from . import __version__
        from ._codec import IMPLEMENTATION

        twin = "compiled (cython)" if IMPLEMENTATION == "cython" else "pure Python"
        print(f"aiosmtplib {__version__}, codec: {twin}")
        parser.exit()


def _explain(exc: SMTPException, console: Console) -> int:
    """Print the error message of an exception: what went wrong, and what became of the mail.

    :return: the exit code
    """
    text = exc.message
    replied = isinstance(exc, SMTPResponseException) and exc.code > 0
    if isinstance(exc, SMTPResponseException):
        text = f"{exc.code} {exc.message}" if replied else f"The server sent no SMTP reply: {exc.message}"
    hint = "" if exc.hint is None else f". {for_command_line(exc.hint)}"
    text = f"{text.removesuffix('.')}{hint}" if hint else text
    if exc.delivery is Delivery.UNKNOWN:
        console.complain(f"{text}. The message was written, and may have been accepted.")
        return Exit.UNKNOWN
    if isinstance(exc, SMTPRecipientsRefused):
        for refused in exc.recipients:
            console.complain(f"Refused: {refused.recipient}: {refused.code} {refused.message}{hint}")
        return Exit.REFUSED
    if isinstance(exc, SMTPSenderRefused | SMTPDataError):
        console.complain(f"Refused: {text}")
        return Exit.REFUSED
    if isinstance(exc, SMTPConnectError | SMTPTimeoutError | SMTPServerDisconnected):
        console.complain(text)
        return Exit.CONNECTION
    if isinstance(exc, SMTPAuthenticationError):
        text = f"The login was refused: {text}"
    elif replied:
        text = f"The server replied {text}"
    console.complain(text)
    return Exit.UNABLE
