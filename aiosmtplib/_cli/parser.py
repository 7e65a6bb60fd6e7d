"""The parser of the command line: help wrapped to the terminal, errors of one line, completion.

``rich-argparse`` colours the help and ``argcomplete`` completes words, where they are installed. They are
imported when there is something to colour or to complete.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from .console import Exit, has_colours
from .masking import Secrets

__all__ = ("Parser", "complete", "describe", "exit_codes")

#: Help is not narrower, however narrow the terminal is.
MIN_WIDTH = 30

#: What the exit codes mean, where a command says nothing else.
MEANINGS = {
    Exit.OK: "accepted for every recipient",
    Exit.REFUSED: "the server refused the sender, a message, or at least one recipient",
    Exit.USAGE: "nothing was sent: the command line, a message, a file or the environment makes no sense",
    Exit.CONNECTION: "not sent: no connection, a timeout, or TLS failed",
    Exit.UNABLE: "not sent: the server refused the login, or cannot do what was asked for",
    Exit.UNKNOWN: "unknown: a message was written and no reply came; sending it again may duplicate it",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.BROKEN_PIPE: "the reader of the output went away",
}


class Parser(argparse.ArgumentParser):
    """A parser whose help has colours on a terminal, and whose errors are two lines: usage and error."""

    def format_help(self) -> str:
        self.formatter_class = _help_formatter()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        text = Secrets().mask(" ".join(message.split()))
        self.exit(Exit.USAGE, f"{self.prog}: error: {text} (see {self.prog} --help)\n")


def describe(parser: argparse.ArgumentParser, description: str, epilog: Sequence[str], *, usage: str) -> None:
    """Set the texts of a parser, wrapped to the width of the terminal.

    :param epilog: paragraphs. Where the first line is ``examples:``, they are kept as they are; where it ends
        in a colon, each line is wrapped by itself.
    :param usage: what follows the name of the command
    """
    width = max(shutil.get_terminal_size().columns - 2, MIN_WIDTH)
    parser.description = textwrap.fill(description, width)
    parser.epilog = "\n\n".join(_wrapped(paragraph, width) for paragraph in epilog)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = f"%(prog)s {usage}"


def exit_codes(meanings: Mapping[Exit, str] = MEANINGS) -> str:
    """The paragraph of the help that explains the exit codes."""
    return "exit codes:\n" + "\n".join(f"  {code:<4d} {text}" for code, text in meanings.items())


def _wrapped(paragraph: str, width: int) -> str:
    lines = paragraph.splitlines()
    if lines[0] == "examples:":
        return paragraph
    if not lines[0].endswith(":"):
        return textwrap.fill(paragraph, width)
    wrapped = (textwrap.wrap(line, width, subsequent_indent=" " * 7) for line in lines[1:])
    return "\n".join([lines[0], *itertools.chain(*wrapped)])


def _help_formatter() -> Any:
    if not has_colours(sys.stdout):
        return argparse.RawDescriptionHelpFormatter
    try:
        from rich_argparse import RawDescriptionRichHelpFormatter
    except ImportError:
        return argparse.RawDescriptionHelpFormatter

    class Formatter(RawDescriptionRichHelpFormatter):  # type: ignore[misc, unused-ignore]
        text_markup = help_markup = False  # "[x]" is no markup
        group_name_formatter = str  # "TLS" stays as it is

    return Formatter


def complete(parser: argparse.ArgumentParser, fill: Callable[[], None]) -> None:
    """Complete the word that a shell asks about, and exit; do nothing if none does.

    :param fill: adds the arguments of all commands to the parser
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        from argcomplete import autocomplete
    except ImportError:
        return
    fill()
    autocomplete(parser)
