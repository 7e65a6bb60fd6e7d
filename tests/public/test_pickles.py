"""Public classes are pickled under the name of a public module, whatever file they are in."""

import pickle
from importlib import import_module
from pkgutil import iter_modules
from types import GenericAlias
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import CommandEvent, Delivery, Envelope, SendResult, SMTPResponse, TLSInfo, Transcript
from aiosmtplib.parameters import Notify, Recipient
from aiosmtplib.pool import PoolStats

PUBLIC = [
    "aiosmtplib",
    *(f"aiosmtplib.{each.name}" for each in iter_modules(aiosmtplib.__path__) if each.name[0] != "_"),
]
CLASSES = {
    f"{module}.{name}": value
    for module in PUBLIC
    for name in getattr(import_module(module), "__all__", ())
    # On Python 3.10 the alias of a generic type is a type.
    if isinstance(value := getattr(import_module(module), name), type) and not isinstance(value, GenericAlias)
}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_public_class_is_of_a_public_module(name: str) -> None:
    cls = CLASSES[name]
    assert cls.__module__ in PUBLIC
    assert getattr(import_module(cls.__module__), cls.__name__) is cls


@pytest.mark.parametrize(
    "value",
    [
        CommandEvent("MAIL", 250, 0.1, 20, 8, 1),
        Envelope("a@example.com", ["b@example.com"], b"hi", ["RET=HDRS"]),
        SendResult(0, "item", Delivery.DELIVERED, SMTPResponse(250, "Ok"), {}, None),
        TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, None),
        Transcript(lines=["C: NOOP", "S: 250 Ok"]),
        PoolStats(*range(11)),
        Recipient("a@example.com", Notify("success")),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_values_survive(value: Any, protocol: int) -> None:
    pickled = pickle.dumps(value, protocol)
    assert b"aiosmtplib._" not in pickled
    assert pickle.loads(pickled) == value
