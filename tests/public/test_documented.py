"""Whatever a caller can pass is explained where an editor shows it."""

import enum
import importlib
import inspect
import pkgutil
import pydoc
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aiosmtplib

from ..support.option_texts import DOORS, complete, fields, texts

MODULES = ["aiosmtplib"] + [
    f"aiosmtplib.{module.name}"
    for module in pkgutil.iter_modules(aiosmtplib.__path__)
    if not module.name.startswith("_") and module.name not in ("cli", "contrib")  # which have their own pages
]
#: Methods that asyncio, or the client, calls. They are not for programs.
NOT_FOR_PROGRAMS = {
    name
    for name in dir(aiosmtplib.protocol.SMTPProtocol)
    if name
    not in ("execute_command", "execute_data_command", "read_response", "start_tls", "write", "is_connected")
}


def documentation(owner: object) -> str:
    """The docstrings that tell of an object: of a class also those of its bases and of its constructor."""
    if not inspect.isclass(owner):
        return inspect.getdoc(owner) or ""
    bases = [base for base in owner.__mro__ if base.__module__.startswith("aiosmtplib")]
    return "\n".join(inspect.cleandoc(base.__doc__ or "") for base in bases)


def callables() -> Iterator[tuple[str, Callable[..., object]]]:
    """Public functions, classes and methods, each once."""
    seen = set()
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value) or not str(getattr(value, "__module__", "")).startswith("aiosmtplib"):
                continue
            if value in seen or (inspect.isclass(value) and issubclass(value, enum.Enum)):
                continue
            seen.add(value)
            if value.__module__ == "aiosmtplib.blocking":  # the same names
                name = f"blocking.{name}"
            yield name, value
            if inspect.isclass(value):
                hidden = NOT_FOR_PROGRAMS if name == "SMTPProtocol" else ()
                for method_name, method in inspect.getmembers(value, inspect.isroutine):
                    if method_name.startswith("_") or method_name in hidden:
                        continue
                    if str(getattr(method, "__module__", "")).startswith("aiosmtplib"):
                        yield f"{name}.{method_name}", method


CALLABLES = dict(callables())


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_documented(name: str) -> None:
    value = CALLABLES[name]
    if typing.is_typeddict(value):
        taken = set()
    else:
        taken = {each for each in inspect.signature(value).parameters if each not in ("self", "cls")}
    if name == "send_many":
        taken = set(DOORS["send_many"].takes)  # the options each by its own name
    documented = set(re.findall(r":(?:param|ivar) (\w+):", documentation(value)))
    assert taken - documented == set()
    assert documentation(value)


def test_the_methods_are_among_them() -> None:
    assert {"SMTP.sendmail", "SMTPPool.send_many", "LMTP.connect", "send", "Envelope"} <= set(CALLABLES)
    assert len(CALLABLES) > 100


@pytest.mark.parametrize("name", DOORS)
def test_each_door_has_the_texts_of_the_options(name: str) -> None:
    door = DOORS[name]
    docstring = inspect.getdoc(door.owner) or ""
    wanted = complete(docstring, door, texts())
    assert dict(fields(docstring)) == dict(fields(wanted)), "run python -m tests.support.option_texts"
    shown = [field[7:-1] for field in dict(fields(docstring)) if field.startswith(":param ")]
    assert shown == [each for each in door.takes if each in shown]  # in the order of the parameters


def test_a_text_that_was_changed_at_one_door_is_found() -> None:
    door = DOORS["send"]
    docstring = (inspect.getdoc(door.owner) or "").replace(":param port: port", ":param port: the port")
    assert dict(fields(docstring)) != dict(fields(complete(docstring, door, texts())))


@pytest.mark.parametrize("owner", [aiosmtplib.SMTP, aiosmtplib.SMTPPool, aiosmtplib.send])
def test_help_names_defaults_as_programs_write_them(owner: object) -> None:
    text = pydoc.render_doc(owner, renderer=pydoc.plaintext)
    assert not re.search(r"<[\w.]+: \d+>| object at 0x|_NotGiven|_Default", text)


def test_types_that_a_caller_meets_are_public() -> None:
    names = {
        "PoolStats",
        "CommandHook",
        "CommandEvent",
        "TLSError",
        "TLSVerificationError",
        "TLSInfo",
        "SendResult",
    }
    assert names <= set(aiosmtplib.__all__)
    for name in names - {"CommandHook"}:
        value = getattr(aiosmtplib, name)
        assert value.__module__ in ("aiosmtplib", "aiosmtplib.pool"), name
        assert value.__doc__


def test_the_options_of_a_pool_are_those_of_its_type() -> None:
    taken = list(inspect.signature(aiosmtplib.SMTPPool).parameters)
    assert list(aiosmtplib.pool.PoolOptions.__annotations__) == taken


def test_a_misspelt_option_of_send_many_is_found_by_mypy(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is of the group types")
    program = tmp_path / "program.py"
    program.write_text("import aiosmtplib\naiosmtplib.send_many([], hostname='a', max_conections=3)\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Unexpected keyword argument "max_conections"' in done.stdout
