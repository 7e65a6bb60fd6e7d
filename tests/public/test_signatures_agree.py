"""The doors agree: what one takes, every other takes, in the same order and with the same default.

Options are stated once and derived from there. These tests see to it that no door is forgotten.
"""

import inspect
import re
import typing

import aiosmtplib
from aiosmtplib import SMTP, SMTPPool, errors, send, status
from aiosmtplib.typing import Default

#: What ``send`` takes for the mail itself; all its other parameters are about the connection.
MAIL = [
    "message",
    "sender",
    "recipients",
    "mail_options",
    "rcpt_options",
    "deadline",
    "divide_recipients",
]


def parameters(door: typing.Callable[..., object]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(door).parameters)
    found.pop("self", None)
    return found


def test_connect_takes_the_options_of_the_constructor() -> None:
    assert sorted(parameters(SMTP.connect)) == sorted(parameters(SMTP.__init__))


def test_send_takes_the_options_of_the_constructor() -> None:
    of_send = [name for name in parameters(send) if name not in MAIL]
    assert sorted(of_send) == sorted(parameters(SMTP.__init__))
    assert set(MAIL) <= set(parameters(send))


def test_send_has_the_defaults_of_the_constructor() -> None:
    constructor, function = parameters(SMTP.__init__), parameters(send)
    differing = {
        name: (parameter.default, function[name].default)
        for name, parameter in constructor.items()
        if name in function and function[name].default != parameter.default
    }
    # The one-call door documents the host that both fall back to.
    assert differing == {"hostname": (None, "localhost")}


def test_the_pool_takes_the_options_of_the_constructor() -> None:
    of_pool = parameters(SMTPPool.__init__)
    # One socket is one connection; loop did its deed in the 1.1 series.
    shared = {name: each for name, each in parameters(SMTP.__init__).items() if name not in ("sock", "loop")}
    assert {name: of_pool[name].default for name in shared} == {
        name: parameter.default for name, parameter in shared.items()
    }


def test_the_pool_sends_like_a_client() -> None:
    for name in ("sendmail", "send_message", "send_many"):
        of_pool, of_client = parameters(getattr(SMTPPool, name)), parameters(getattr(SMTP, name))
        assert list(of_pool) == list(of_client), name
    assert set(MAIL) <= set(parameters(SMTPPool.send))


def test_connect_leaves_what_is_not_given_alone() -> None:
    """Each default of ``connect`` means "as stored"; none may overwrite what the constructor was given."""
    for name, parameter in parameters(SMTP.connect).items():
        assert isinstance(parameter.default, Default) or (
            # None cannot be a setting of these two, so it means the same.
            name in ("use_tls", "validate_certs") and parameter.default is None
        ), name


def test_sendmail_and_send_message_take_the_same_options() -> None:
    assert set(MAIL) <= set(parameters(SMTP.sendmail))
    assert set(MAIL) <= set(parameters(SMTP.send_message))


def test_everything_listed_is_exported_once() -> None:
    assert len(aiosmtplib.__all__) == len(set(aiosmtplib.__all__))
    assert [name for name in aiosmtplib.__all__ if not hasattr(aiosmtplib, name)] == []


def test_every_error_and_status_is_exported() -> None:
    assert set(errors.__all__) <= set(aiosmtplib.__all__)
    assert set(status.__all__) <= set(aiosmtplib.__all__)


def test_doors_have_docstrings() -> None:
    for name in aiosmtplib.__all__:
        exported = getattr(aiosmtplib, name)
        # Python 3.10 takes an alias such as Callable[..., str] for a class. A mapping is of no module.
        if getattr(exported, "__module__", "").startswith("aiosmtplib"):
            assert exported.__doc__, name
    for door in (SMTP, SMTPPool):
        for name, method in vars(door).items():
            if not name.startswith("_") and inspect.isfunction(method):
                assert method.__doc__, name


def test_every_option_is_explained() -> None:
    text = "\n".join(base.__doc__ or "" for base in SMTP.__mro__)
    unexplained = {name for name in parameters(SMTP.__init__) if not re.search(rf"\b{name}\b", text)}
    assert not unexplained
    own = set(parameters(SMTPPool.__init__)) - set(parameters(SMTP.__init__))
    assert [name for name in own if f":param {name}:" not in (SMTPPool.__doc__ or "")] == []
