"""Entries come back from their payloads as they were; a damaged one is refused with its reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import Envelope, parameters
from aiosmtplib.contrib.outbox import DirectoryStore, Entry, PayloadError, dump, load, prepare
from aiosmtplib.parameters import Parameter, Recipient

EVERY: list[Parameter] = [
    parameters.Ret("hdrs"),
    parameters.EnvId("order 17", required=True),
    parameters.RequireTLS(),
    parameters.DeliverBy(120, "N", trace=True),
    parameters.HoldFor(60, required=False),
    parameters.MTPriority(-3),
    parameters.SMTPUTF8("if available"),
    parameters.Body("8bitmime"),
]
OWN: list[Parameter] = [
    parameters.Notify("success", "delay", required=True),
    parameters.Orcpt("Zoë <zoë@example.com>"),
]
UNTIL = parameters.HoldUntil(datetime(2030, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=2))))


def round_trip(entry: Entry) -> Entry:
    return load(json.loads(json.dumps(dump(entry))))


def details(option: str) -> Any:
    if not isinstance(option, Parameter):
        return option
    names = [name for base in type(option).__mro__ for name in getattr(base, "__slots__", ())]
    return type(option), str(option), [getattr(option, name) for name in names]


def test_an_entry_comes_back_as_it_was() -> None:
    envelope = Envelope(
        "me@example.com",
        ["you@example.com", Recipient("them@example.com", *OWN, "X=1")],
        b"Subject: x\r\n\r\n\x00\xff",
        [*EVERY, "AUTH=<>"],
        [],
        tag=17,
    )
    entry = replace(prepare(envelope), attempts=2, unsent=1, reason="450 Später")
    back = round_trip(entry)
    assert back == entry
    assert [*map(details, back.envelope.mail_options)] == [*map(details, [*EVERY, "AUTH=<>"])]
    (_, them) = back.recipients
    assert isinstance(them, Recipient)
    assert [*map(details, them.options)] == [*map(details, [*OWN, "X=1"])]


def test_a_moment_and_the_null_reverse_path() -> None:
    entry = prepare(Envelope("", "you@example.com", "Subject: x\n\n", [UNTIL], ["NOTIFY=NEVER"]))
    back = round_trip(entry)
    assert back == entry
    assert [*map(details, back.envelope.mail_options)] == [details(UNTIL)]


def test_every_parameter_has_a_payload() -> None:
    tried = {type(each).__name__ for each in (*EVERY, *OWN, UNTIL)}
    assert tried | {"Parameter", "Recipient"} == set(parameters.__all__)


def test_a_content_in_a_store_is_named(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    entry = prepare(Envelope("a@b.c", "d@e.f", b"X: y\r\n\r\n" + b"x" * 300_000), bodies=store)
    payload = dump(entry)
    assert "content" not in payload
    assert len(json.dumps(payload)) < 1000
    assert round_trip(entry) == entry


class Own(Parameter):
    """A parameter that this package does not have."""

    __slots__ = ()
    keyword = extension = "OWN"

    def __new__(cls) -> "Own":
        return cls.build("OWN", required=False)


def test_what_a_payload_cannot_hold_is_refused_before() -> None:
    with pytest.raises(TypeError, match="Own cannot be in an outbox"):
        prepare(Envelope("a@b.c", "d@e.f", b"", [Own()]))
    with pytest.raises(TypeError, match="not object"):
        prepare(Envelope("a@b.c", "d@e.f", b"", tag=object()))


def changed(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda payload: {**payload, **values}


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda payload: {key: value for key, value in payload.items() if key != name}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda payload: [], "dict"),
        (without("version"), "version None"),
        (changed(version=2), "version 2"),
        (changed(version=True), "version True"),
        (changed(version="9" * 1000), "version '9"),
        (without("id"), "no 'id'"),
        (without("content"), "no 'content'"),
        (changed(id=3), "id must not be"),
        (changed(content="?"), "damaged"),
        (changed(content="AAAA"), "not as long"),
        (changed(body=3), "name of the content"),
        (changed(created="now"), "created must not be"),
        (changed(created=float("nan")), "a number"),
        (changed(attempts=-1), "a number"),
        (changed(attempts=1.5), "attempts must not be"),
        (changed(recipients=[]), "no recipient"),
        (changed(recipients="a@b.c"), "recipients must not be"),
        (changed(recipients=[{"recipient": "a b", "options": []}]), "damaged"),
        (changed(recipients=[3]), "damaged"),
        (changed(mail_options=[{"parameter": "Nothing"}]), "not known"),
        (changed(mail_options=[{"parameter": []}]), "damaged"),
        (changed(mail_options=[{"parameter": "Ret", "what": "all"}]), "damaged"),
        (changed(mail_options=[{"parameter": "Ret", "which": "hdrs"}]), "damaged"),
        (changed(mail_options=[{"parameter": "HoldUntil", "moment": "soon"}]), "damaged"),
        (changed(mail_options=[None]), "damaged"),
        (changed(tag={"a": 1}), "tag"),
        (changed(sender=None), "sender must not be"),
    ],
)
def test_a_damaged_payload_is_refused_with_its_reason(
    damage: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    payload = damage(dump(prepare(Envelope("me@example.com", "you@example.com", b"X: y\r\n\r\n"))))
    with pytest.raises(PayloadError, match=reason) as caught:
        load(payload)
    assert len(str(caught.value)) < 450
