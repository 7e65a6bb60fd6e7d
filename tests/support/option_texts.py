"""What each connection option does, said once and copied to every door where an editor shows it.

The texts are those of ``Options``, the common base of the clients. An editor reads docstrings from the
source, so each door has to have them in its own::

    python -m tests.support.option_texts

writes them there. A test compares them.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiosmtplib
from aiosmtplib._client.options import Options
from aiosmtplib.pool import PoolOptions

WIDTH = 110
FIELD = re.compile(r":(?:param|ivar|return|raises)\b[^:]*:")


@dataclass(frozen=True)
class Door:
    """A class or function that takes connection options.

    :ivar owner: what has the docstring
    :ivar takes: the names of its parameters, in order
    :ivar own: those that look like connection options and mean something else here
    """

    owner: Any
    takes: tuple[str, ...]
    own: frozenset[str] = field(default_factory=frozenset)


def _taken(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


#: What it takes for the one upgrade.
STARTTLS_OWN = frozenset({"timeout", "server_hostname"})

DOORS = {
    "SMTP": Door(aiosmtplib.SMTP, _taken(Options)),
    "SMTP.connect": Door(aiosmtplib.SMTP.connect, _taken(aiosmtplib.SMTP.connect), frozenset({"timeout"})),
    "SMTP.starttls": Door(aiosmtplib.SMTP.starttls, _taken(aiosmtplib.SMTP.starttls), STARTTLS_OWN),
    "LMTP": Door(aiosmtplib.LMTP, _taken(Options)),
    "SMTPPool": Door(aiosmtplib.SMTPPool, _taken(aiosmtplib.SMTPPool)),
    "send_many": Door(aiosmtplib.send_many, ("messages", "window", "deadline", *PoolOptions.__annotations__)),
    "send": Door(aiosmtplib.send, _taken(aiosmtplib.send)),
}


#: The texts of the connection options, and those of a pool alone.
SOURCES = (Options, aiosmtplib.SMTPPool)


def texts() -> dict[str, str]:
    """The text of each option by its name, without line breaks."""
    found: dict[str, str] = {}
    for source in SOURCES:
        for name, text in fields(inspect.getdoc(source) or ""):
            if name.startswith(":param "):
                found.setdefault(name[7:-1], text)
    return found


def fields(docstring: str) -> Iterator[tuple[str, str]]:
    """The fields of a docstring, such as ``:param port:`` with its text, without line breaks."""
    name, lines = "", []
    for line in docstring.splitlines():
        begun = FIELD.match(line)
        if begun:
            if name:
                yield name, " ".join(lines)
            name, lines = begun[0], [line[begun.end() :].strip()]
        elif name:
            lines.append(line.strip())
    if name:
        yield name, " ".join(lines).strip()


def complete(docstring: str, door: Door, wanted: Mapping[str, str]) -> str:
    """A docstring with the texts of the options that its door takes, in the order of its parameters."""
    lines = docstring.splitlines()
    start = next((number for number, line in enumerate(lines) if FIELD.match(line)), len(lines))
    have = dict(fields("\n".join(lines[start:])))
    rest = {name: text for name, text in have.items() if not name.startswith(":param ")}
    described = {
        f":param {name}:": wanted[name] for name in door.takes if name in wanted and name not in door.own
    }
    parameters = {}
    # What is documented and not taken stays, for the test that finds it.
    for key in dict.fromkeys([f":param {name}:" for name in door.takes] + [k for k in have if k not in rest]):
        text = described.get(key) or have.get(key)
        if text:
            parameters[key] = text
    head = "\n".join(lines[:start]).rstrip()
    return head + "\n\n" + "\n".join(f"{name} {text}" for name, text in {**parameters, **rest}.items())


def wrapped(docstring: str, indent: int) -> str:
    """A docstring as it stands in the source, behind its first quotes."""
    margin = " " * indent
    lines = []
    for line in docstring.splitlines():
        if FIELD.match(line):
            lines += textwrap.wrap(
                line,
                WIDTH,
                initial_indent=margin,
                subsequent_indent=margin + "    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        else:
            lines.append(margin + line if line else "")
    return "\n".join(lines).lstrip() + "\n" + margin


def _node(tree: ast.AST, path: list[str]) -> Any:
    for child in ast.walk(tree):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name == path[0]:
            return child if len(path) == 1 else _node(child, path[1:])
    raise LookupError(path)


def write() -> list[Path]:
    """Bring the docstrings of all doors up to date.

    :return: the files that were changed
    """
    changed = []
    for door in DOORS.values():
        owner = inspect.unwrap(door.owner)
        path = Path(inspect.getsourcefile(owner) or "")
        source = path.read_text(encoding="utf-8")
        node = _node(ast.parse(source), owner.__qualname__.split("."))
        expression = node.body[0].value
        docstring = complete(inspect.cleandoc(expression.value), door, texts())
        lines = source.splitlines(keepends=True)
        lines[expression.lineno - 1 : expression.end_lineno] = [
            " " * expression.col_offset + '"""' + wrapped(docstring, expression.col_offset) + '"""\n'
        ]
        if "".join(lines) != source:
            path.write_text("".join(lines), encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    for file in write():
        sys.stdout.write(f"{file}\n")
