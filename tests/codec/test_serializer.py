"""The serialiser of messages: which of them it writes itself, and what it writes for the wire, on both twins.

``test_flatten.py`` and ``test_flatten_differential.py`` hold the bytes against the standard library for all
kinds of messages. Here is what those cannot see: the way that a message goes, and its other forms.
"""

import contextlib
import importlib
import random
from collections.abc import Callable
from email.headerregistry import BaseHeader, UnstructuredHeader
from email.message import EmailMessage, Message
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from aiosmtplib._codec import encode_message, normalize_newlines
from aiosmtplib._codec.constants import OTHER_WORDS
from aiosmtplib._message import flatten as flattening
from aiosmtplib._message import samples
from aiosmtplib._message.flatten import flatten, flatten_for
from aiosmtplib._message.rules import Rules

from ..support.sample_messages import (
    ENCODED,
    FOLDED,
    GENERATED,
    OURS,
    WORDS,
    Own,
    OwnPayload,
    Reading,
    modern,
    multipart,
    nest,
    parsed,
    with_payload,
)
from ..support.serializing import Tally, by_generator, flatten_counted


@pytest.fixture(autouse=True)
def twin(codec: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both twins, whichever was chosen at the import."""
    if codec.__name__.endswith(".pure"):
        codec = importlib.import_module("aiosmtplib._codec.pure.serializer")
    monkeypatch.setattr(flattening, "serialize_message", codec.serialize_message)


def both_ways(make: Callable[[], Message], tally: Tally, utf8: bool = False, cte: str = "8bit") -> Any:
    """What the codec, or the generator where it is its turn, and the generator alone make of it."""
    outcomes: list[Any] = []
    for write in (
        lambda one: flatten_counted(one, utf8, cte, tally),
        lambda one: by_generator(one, utf8, cte),
    ):
        random.seed(1)
        try:
            outcomes.append(write(make()))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    return outcomes


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("utf8", [False, True])
def test_written_by_the_codec(name: str, utf8: bool) -> None:
    tally = Tally()
    ours, theirs = both_ways(OURS[name], tally, utf8)
    assert ours == theirs
    assert (tally.messages, tally.generated, tally.folded) == (1, 0, 0)


@pytest.mark.parametrize("name", FOLDED)
def test_folded_by_the_standard_library(name: str) -> None:
    make, fields = FOLDED[name]
    tally = Tally()
    ours, theirs = both_ways(make, tally)
    assert ours == theirs
    assert (tally.generated, tally.folded) == (0, fields)


@pytest.mark.parametrize("name", ENCODED)
def test_encoded_words(name: str) -> None:
    make, fields = ENCODED[name]
    tally = Tally()
    ours, theirs = both_ways(make, tally)
    assert ours == theirs
    assert (tally.generated, tally.folded) == (0, 0 if flattening._words() else fields)
    ours, theirs = both_ways(make, Tally(), utf8=True)
    assert ours == theirs


def test_a_field_that_the_codec_cannot_read_is_for_the_policy() -> None:
    """Where the generator writes the message, too: its errors are the policy's."""
    kind = type("Odd", (UnstructuredHeader, BaseHeader), {})
    message = parsed("Content-Type: text/plain\nContent-Type: text/plain\n\nx\n")
    message._headers.append(("X", str.__new__(kind, "no header object has made it")))  # type: ignore[attr-defined]
    tally = Tally()
    ours, theirs = both_ways(lambda: message, tally)
    assert ours == theirs
    assert b"X: no header object has made it\r\n" in ours
    assert tally.generated == 1


@pytest.mark.parametrize("name", GENERATED)
def test_written_by_the_generator(name: str) -> None:
    tally = Tally()
    ours, theirs = both_ways(GENERATED[name], tally)
    assert ours == theirs
    assert (tally.messages, tally.generated) == (1, 1)


@pytest.mark.parametrize("name", [*OURS, *ENCODED])
@pytest.mark.parametrize("chunk", [False, True])
def test_forms_for_the_wire(name: str, chunk: bool) -> None:
    make = OURS[name] if name in OURS else ENCODED[name][0]
    random.seed(1)
    content = flatten(make(), False, "8bit")
    expected: Any = encode_message(content)
    if chunk:
        content = normalize_newlines(content)
        content += b"" if content.endswith(b"\r\n") else b"\r\n"
        expected = content, len(content)
    random.seed(1)
    assert flatten_for(make(), False, "8bit", chunk) == expected


@pytest.mark.parametrize("name", [*FOLDED, *GENERATED])
@pytest.mark.parametrize("chunk", [False, True])
def test_forms_of_what_the_standard_library_wrote(name: str, chunk: bool) -> None:
    make = FOLDED[name][0] if name in FOLDED else GENERATED[name]
    try:
        random.seed(1)
        content = flatten(make(), False, "8bit")
    except Exception as error:
        with pytest.raises(type(error)):
            flatten_for(make(), False, "8bit", chunk)
        return
    random.seed(1)
    wire, size = flatten_for(make(), False, "8bit", chunk)
    content = normalize_newlines(content)
    content += b"" if content.endswith(b"\r\n") else b"\r\n"
    assert size == len(content)
    assert wire == (content if chunk else encode_message(content)[0])


def test_large_message() -> None:
    """The buffer grows."""
    message = multipart(boundary="b")
    for size in (1, 5000, 100_000, 300_000):
        message.attach(with_payload(".\n" * size))
    assert flatten(message, False, "8bit") == by_generator(message, False, "8bit")


def test_seven_bits() -> None:
    tally = Tally()
    ours, theirs = both_ways(OURS["eight bits"], tally, cte="7bit")
    assert ours == theirs
    assert b"base64" in ours
    assert tally.generated == (0 if flattening._decodes(False) is not None else 1)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("charset", ["utf-8", "ISO-8859-1", "us-ascii", "x-unknown", None, "koi8-r"])
@pytest.mark.parametrize("encoding", ["8bit", "7bit", "quoted-printable", None])
def test_bodies_for_a_server_without_8bitmime(
    legacy: bool, charset: str | None, encoding: str | None
) -> None:
    def make(text: str) -> Message:
        message: Any = OwnPayload() if legacy else EmailMessage()
        message["Subject"] = "s"
        if encoding:
            message["content-Transfer-encoding"] = encoding
        message["content-type"] = f'text/plain; charset="{charset}"' if charset else "text/plain"
        message._payload = text
        return message

    for text in ("\udcc3\udca9\nFrom here\r\n no end", "\udcc3\udca9\n\udce9", "é"):
        for build in (make, lambda text: nest(multipart(boundary="b"), make(text))):
            ours, theirs = both_ways(partial(build, text), Tally(), cte="7bit")
            assert ours == theirs


def test_a_python_that_encodes_bodies_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    for rules in flattening._RULES.values():
        monkeypatch.setattr(rules, "decodes", None)
    ours, theirs = both_ways(OURS["eight bits"], tally, cte="7bit")
    assert ours == theirs
    assert tally.generated == 1


def test_it_is_noticed_that_bodies_are_encoded_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    flattening._decodes.cache_clear()
    original = flattening.generate
    monkeypatch.setattr(flattening, "generate", lambda *args: original(*args).replace(b"=C3", b"=c3"))
    assert flattening._decodes(False) is None
    monkeypatch.setattr(flattening, "generate", lambda *args: 1 / 0)
    flattening._decodes.cache_clear()
    assert flattening._decodes(True) is None
    flattening._decodes.cache_clear()


def test_many_boundaries_are_generated_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same are drawn as by the generator, however many there are."""
    message = nest(multipart(), *(multipart() for _ in range(200)))
    ours, theirs = both_ways(lambda: message, Tally())
    assert ours == theirs


@pytest.mark.parametrize("text", ["é", "\udcc3\udca9"])
def test_utf8_fields(text: str) -> None:
    tally = Tally()
    ours, theirs = both_ways(lambda: modern(("Subject", text), ("From", f"{text} <a@b>")), tally, True)
    assert ours == theirs
    assert tally.folded == (0 if text == "é" else 2)
    ours, theirs = both_ways(lambda: modern(("Subject", f"{text} {WORDS}"), ("X", "\ufffd")), tally, True)
    assert ours == theirs


def test_boundaries_do_not_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is there, nor one that was generated before."""
    drawn = iter(["=a", "=a", "=b", "=c"])
    monkeypatch.setattr(Rules, "new_boundary", staticmethod(lambda: next(drawn)))
    written = flatten(nest(multipart(), multipart(), multipart(boundary="=b.0")), False, "8bit")
    assert b'multipart/mixed; boundary="=a"' in written
    assert written.startswith(b'Content-Type: multipart/mixed; boundary="=c"')


def held(message: Any) -> list[Any]:
    """What a message and its parts hold."""
    payload = message._payload
    parts = (
        [held(part) for part in payload if isinstance(part, Message)]
        if isinstance(payload, list)
        else payload
    )
    return [id(message), list(message.raw_items()), message.policy, parts, message.preamble, message.epilogue]


def test_nothing_is_left_behind() -> None:
    """No boundary, no policy, nothing removed; whichever way it goes."""
    for make in (*OURS.values(), *GENERATED.values()):
        message = make()
        before = held(message)
        with contextlib.suppress(Exception):
            flatten(message, False, "8bit")
        assert held(message) == before


@pytest.mark.parametrize(
    ("kind", "ours"), [(Own, True), (OwnPayload, True), (Reading, False), (Message, True), (dict, False)]
)
def test_whose_messages_they_are(kind: type, ours: bool) -> None:
    assert Rules.accepts(kind) is ours


def test_a_python_that_writes_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this interpreter does is right by definition."""
    assert flattening._is_known(False)
    assert flattening._folds()
    tally = Tally()
    for rules in flattening._RULES.values():
        monkeypatch.setattr(rules, "words", OTHER_WORDS)
    for make, fields in ENCODED.values():
        tally = Tally()
        ours, theirs = both_ways(make, tally)
        assert ours == theirs
        assert (tally.generated, tally.folded) == (0, fields)
    for rules in flattening._RULES.values():
        monkeypatch.setattr(rules, "folds", False)
    tally = Tally()
    ours, theirs = both_ways(OURS["words"], tally)
    assert ours == theirs
    assert (tally.generated, tally.folded) == (0, 1)
    ours, theirs = both_ways(OURS["long source"], tally)
    assert ours == theirs
    monkeypatch.setattr(flattening, "_is_known", lambda legacy: False)
    ours, theirs = both_ways(OURS["plain"], tally)
    assert ours == theirs
    assert tally.generated == 1


def test_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = samples.folded
    assert flattening._agrees(sample)
    original = flattening.generate
    monkeypatch.setattr(flattening, "generate", lambda *args: original(*args).replace(b"\r\n ", b"\r\n\t"))
    assert not flattening._agrees(sample)


NAME = "n" * 41


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (f'text/plain; {NAME}="{WORDS}"', True),
        (f"text/plain; (c x){NAME} (c)=é", True),
        ("text/plain; ch" + "\udcf8" * 90 + 'arset="utf-8"', True),
        (f'text/plain; {NAME[1:]}="{WORDS}"', False),
        (f'text/plain; {NAME[1:]}="é{WORDS}"', False),
        (f'application/{NAME}; a="{NAME}={WORDS}\\" {NAME}"; b={NAME}; c=é', False),
    ],
)
def test_names_that_leave_no_room(value: str, refused: bool) -> None:
    """The standard library would fold such a field for ever."""
    for name in ("Content-Type", "content-disposition"):
        message = parsed(f"{name}: {value}\n\nx\n")
        if refused:
            with pytest.raises(ValueError, match=f"parameter of the {name} field has a name of more than 40"):
                flatten(message, False, "8bit")
        else:
            assert flatten(message, False, "8bit") == by_generator(message, False, "8bit")
