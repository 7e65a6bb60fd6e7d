"""Typed parameters: their texts, what they refuse, and what a server has to announce."""

import copy
import enum
import pickle
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib import Recipient, SMTPNotSupported
from aiosmtplib._envelope.parameter import available, option_list
from aiosmtplib.esmtp import parse_deliverby, parse_futurerelease
from aiosmtplib.parameters import (
    SMTPUTF8,
    Body,
    DeliverBy,
    EnvId,
    HoldFor,
    HoldUntil,
    MTPriority,
    Notify,
    Orcpt,
    Parameter,
    RequireTLS,
    Ret,
)

UTC = timezone.utc
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)

#: One of each, with the text and whether the message may go without it.
EACH: list[tuple[Parameter, str, bool]] = [
    (Ret("hdrs"), "RET=HDRS", False),
    (Ret("FULL", required=True), "RET=FULL", True),
    (EnvId("QQ314159"), "ENVID=QQ314159", False),
    (EnvId("a+b = c", required=True), "ENVID=a+2Bb+20+3D+20c", True),
    (EnvId("x" * 94), "ENVID=" + "x" * 94, False),
    (Notify("never"), "NOTIFY=NEVER", False),
    (Notify("SUCCESS", "Failure", "delay", required=True), "NOTIFY=SUCCESS,FAILURE,DELAY", True),
    (Orcpt("Bob@Example.COM"), "ORCPT=rfc822;Bob@Example.COM", False),
    (Orcpt("Bob <b+tag@example.com>"), "ORCPT=rfc822;b+2Btag@example.com", False),
    (Orcpt('"a <b>=c"@example.com'), 'ORCPT=rfc822;"a+20+3Cb+3E+3Dc"@example.com', False),
    (Orcpt("jürgen+x@bücher.example"), r"ORCPT=utf-8;j\x{FC}rgen\x{2B}x@b\x{FC}cher.example", False),
    (Orcpt("a+b=c\\d e@x", "utf-8"), r"ORCPT=utf-8;a\x{2B}b\x{3D}c\x{5C}d\x{20}e@x", False),
    (Orcpt("\U0001f600@x", required=True), r"ORCPT=utf-8;\x{1F600}@x", True),
    (Orcpt("/S=Steve/C=GB/", "x400"), "ORCPT=x400;/S+3DSteve/C+3DGB/", False),
    (RequireTLS(), "REQUIRETLS", True),
    (RequireTLS(required=False), "REQUIRETLS", False),
    (DeliverBy(120), "BY=120;R", True),
    (DeliverBy(120, "R", trace=True, required=False), "BY=120;RT", False),
    (DeliverBy(-30, "n"), "BY=-30;N", False),
    (DeliverBy(0, "N", trace=True, required=True), "BY=0;NT", True),
    (HoldFor(3600), "HOLDFOR=3600", True),
    (HoldFor(999_999_999, required=False), "HOLDFOR=999999999", False),
    (HoldUntil(NOON), "HOLDUNTIL=2026-11-26T12:00:00Z", True),
    (HoldUntil(NOON.replace(microsecond=1), required=False), "HOLDUNTIL=2026-11-26T12:00:01Z", False),
    (HoldUntil(NOON.astimezone(timezone(timedelta(hours=-3)))), "HOLDUNTIL=2026-11-26T12:00:00Z", True),
    (HoldUntil(datetime(1, 1, 1, tzinfo=UTC)), "HOLDUNTIL=0001-01-01T00:00:00Z", True),
    (MTPriority(-9), "MT-PRIORITY=-9", False),
    (MTPriority(0), "MT-PRIORITY=0", False),
    (MTPriority(9, required=True), "MT-PRIORITY=9", True),
    (SMTPUTF8(), "SMTPUTF8", True),
    (SMTPUTF8("if available"), "SMTPUTF8", False),
    (SMTPUTF8("never"), "SMTPUTF8", False),
    (Body("7bit"), "BODY=7BIT", False),
    (Body("7BIT", required=True), "BODY=7BIT", True),
    (Body("8BitMime"), "BODY=8BITMIME", True),
    (Body("8BITMIME", required=False), "BODY=8BITMIME", False),
    (Body("BINARYMIME"), "BODY=BINARYMIME", True),
    (Body("binarymime", required=True), "BODY=BINARYMIME", True),
]


@pytest.mark.parametrize(("parameter", "text", "required"), EACH)
def test_text(parameter: Parameter, text: str, required: bool) -> None:
    assert isinstance(parameter, str)
    assert parameter == text and hash(parameter) == hash(text)
    assert type(str(parameter)) is str and f"{parameter}" == text
    assert parameter.required is required
    assert parameter.as_sent(False) == text
    assert text.partition("=")[0] == parameter.keyword
    assert text in repr(parameter)
    assert option_list([parameter], parameter.verbs[0]) == [text]


@pytest.mark.parametrize(("parameter", "text", "required"), EACH)
def test_values_cannot_be_changed_and_can_be_copied(parameter: Parameter, text: str, required: bool) -> None:
    with pytest.raises(AttributeError, match="cannot be changed"):
        parameter.required = not required
    with pytest.raises(AttributeError, match="cannot be changed"):
        del parameter.required
    with pytest.raises(AttributeError, match="cannot be changed"):
        parameter.anything = 1
    for twin in (copy.copy(parameter), copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert type(twin) is type(parameter) and twin == text
        slots = [name for base in type(parameter).__mro__ for name in getattr(base, "__slots__", ())]
        assert "required" in slots
        assert [getattr(twin, name) for name in slots] == [getattr(parameter, name) for name in slots]


def test_values_can_be_read() -> None:
    assert Ret("full").what == "FULL"
    assert EnvId("a b").identifier == "a b"
    assert Notify("delay", "success").conditions == ("DELAY", "SUCCESS")
    assert (Orcpt("B <b@x>").address, Orcpt("b@x").address_type) == ("b@x", "rfc822")
    by = DeliverBy(5, "n", trace=True)
    assert (by.seconds, by.mode, by.trace) == (5, "N", True)
    assert HoldFor(7).seconds == 7
    assert HoldUntil(NOON).moment == NOON
    assert MTPriority(-1).priority == -1
    assert SMTPUTF8("never").use == "never"
    assert Body("7bit").kind == "7BIT"


def test_repr_says_whether_it_is_required() -> None:
    assert repr(RequireTLS()) == "<REQUIRETLS, required>"
    assert repr(Ret("hdrs")) == "<RET=HDRS, if available>"
    assert repr(SMTPUTF8("never")) == "<SMTPUTF8, never>"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ret("body"), "RET takes FULL or HDRS, not 'body'"),
        (lambda: Ret(""), "RET takes"),
        (lambda: Ret("HDRS X=Y"), "RET takes"),
        (lambda: EnvId(""), "empty"),
        (lambda: EnvId("x" * 95), "up to 100"),
        (lambda: EnvId("=" * 32), "up to 100"),
        (lambda: EnvId("ä"), r"must not hold '\\xe4'"),
        (lambda: EnvId("a\tb"), "must not hold"),
        (lambda: EnvId("a\r\nRSET"), "must not hold"),
        (lambda: EnvId("a\x7f"), "must not hold"),
        (lambda: Notify(), "needs a condition"),
        (lambda: Notify("never", "delay"), "alone"),
        (lambda: Notify("delay", "DELAY"), "once"),
        (lambda: Notify("success,failure"), "NOTIFY takes"),
        (lambda: Notify("always"), "NOTIFY takes"),
        (lambda: Orcpt("a@x, b@x"), "addresses"),
        (lambda: Orcpt(""), "empty"),
        (lambda: Orcpt("ä", "rfc822"), "must not hold"),
        (lambda: Orcpt("a\nb", "x400"), "must not hold"),
        (lambda: Orcpt("a\u2028b", "utf-8"), "must not hold"),
        (lambda: Orcpt("a\ud800b", "utf-8"), "must not hold"),
        (lambda: Orcpt("a<b", "UTF-8"), "must not hold"),
        (lambda: Orcpt("a@x", ""), "no address type"),
        (lambda: Orcpt("a@x", "rfc822;x"), "no address type"),
        (lambda: Orcpt("a@x", "rfc 822"), "no address type"),
        (lambda: Orcpt("a@x", "rfc822\n"), "no address type"),
        (lambda: Orcpt("x" * 486 + "@x", "rfc822"), "up to 500"),
        (lambda: DeliverBy(0), "from 1 to 999999999, not 0"),
        (lambda: DeliverBy(-5, "R"), "from 1"),
        (lambda: DeliverBy(1_000_000_000), "from 1"),
        (lambda: DeliverBy(-1_000_000_000, "N"), "from -999999999"),
        (lambda: DeliverBy(5, "RT"), "BY takes R or N"),
        (lambda: HoldFor(0), "from 1"),
        (lambda: HoldFor(1_000_000_000), "from 1"),
        (lambda: HoldUntil(datetime(2026, 1, 1)), "time zone"),
        (lambda: HoldUntil(datetime.max.replace(tzinfo=UTC)), "beyond"),
        (lambda: HoldUntil(datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))), "beyond"),
        (lambda: MTPriority(10), "from -9 to 9"),
        (lambda: MTPriority(-10), "from -9 to 9"),
        (lambda: SMTPUTF8("sometimes"), "use of SMTPUTF8"),  # type: ignore[arg-type]
        (lambda: Body("9BIT"), "BODY takes"),
        (lambda: Body("BINARYMIME", required=False), "cannot go without"),
        (lambda: Recipient("a@x, b@x"), "addresses"),
        (lambda: Recipient("a@x\r\nRSET"), "control"),
        (lambda: Recipient("a@x", "NOTIFY=NEVER\r\nRSET"), "control"),
        (lambda: Recipient("a@x", "A=<b>"), "must not hold"),
        (lambda: Recipient("a@x", Ret("hdrs")), "RET is a parameter of MAIL, not of RCPT"),
        (lambda: Recipient("a@x", Notify("never"), "notify=delay"), "NOTIFY is given more than once"),
        (lambda: Recipient("a@x", "X=1", "x=2"), "X is given more than once"),
        (lambda: Recipient(Recipient("a@x", Notify("never")), Notify("delay")), "more than once"),
    ],
)
def test_what_is_not_well_formed(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ret(None),  # type: ignore[arg-type]
        lambda: EnvId(b"x"),  # type: ignore[arg-type]
        lambda: Notify(1),  # type: ignore[arg-type]
        lambda: Orcpt(None),  # type: ignore[arg-type]
        lambda: Orcpt(b"x", "x400"),  # type: ignore[arg-type]
        lambda: Orcpt("x", 5),  # type: ignore[arg-type]
        lambda: DeliverBy("5"),  # type: ignore[arg-type]
        lambda: DeliverBy(5.0),  # type: ignore[arg-type]
        lambda: HoldFor(True),
        lambda: HoldUntil("2026-11-26T12:00:00Z"),  # type: ignore[arg-type]
        lambda: MTPriority(None),  # type: ignore[arg-type]
        lambda: SMTPUTF8(True),  # type: ignore[arg-type]
        lambda: Body(8),  # type: ignore[arg-type]
        lambda: Recipient(b"a@x"),  # type: ignore[arg-type]
        lambda: Recipient("a@x", 5),  # type: ignore[arg-type]
        lambda: Parameter("X=Y"),
    ],
)
def test_what_is_of_the_wrong_type(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


class Odd(str, enum.Enum):
    """Its ``str()`` is not what it holds, where enumerations have it so."""

    WHAT = "hdrs"
    ADDRESS = "a@example.com"

    def __str__(self) -> str:
        return "X\r\nRSET"


class Hour(int):
    def __format__(self, spec: str) -> str:
        return "1 X=Y"


def test_what_a_class_makes_of_its_text_does_not_count() -> None:
    assert Ret(Odd.WHAT) == "RET=HDRS"
    assert EnvId(Odd.WHAT) == "ENVID=hdrs" and type(EnvId(Odd.WHAT).identifier) is str
    assert Orcpt("x", Odd.WHAT) == "ORCPT=hdrs;x"
    assert str(Recipient(Odd.ADDRESS)) == "a@example.com"
    assert HoldFor(Hour(3600)) == "HOLDFOR=3600" and type(HoldFor(Hour(3600)).seconds) is int


# -- what a server announces -------------------------------------------------------------------------

FUTURE = {"futurerelease": "86400 2026-11-27T00:00:00Z"}


@pytest.mark.parametrize(
    ("parameter", "extensions", "obstacle"),
    [
        (Ret("hdrs"), {"dsn": ""}, None),
        (Ret("hdrs"), {}, "RET is not supported by this server: it does not announce DSN"),
        (Notify("never"), {"DSN": ""}, "it does not announce DSN"),
        (RequireTLS(), {}, "^REQUIRETLS is not supported by this server$"),
        (RequireTLS(), {"requiretls": ""}, None),
        (DeliverBy(120), {"deliverby": ""}, None),
        (DeliverBy(120), {"deliverby": "120"}, None),
        (DeliverBy(119), {"deliverby": "120"}, "asks for 119 seconds, and this server needs 120"),
        (DeliverBy(1, "N"), {"deliverby": "120"}, None),
        (DeliverBy(1), {"deliverby": "soon"}, None),
        (HoldFor(86400), FUTURE, None),
        (HoldFor(86401), FUTURE, "asks for 86401 seconds, and this server holds a message for up to 86400"),
        (HoldFor(86401), {"futurerelease": ""}, None),
        (HoldFor(1), {}, "does not announce FUTURERELEASE"),
        (HoldUntil(NOON), FUTURE, None),
        (HoldUntil(NOON + timedelta(hours=12)), FUTURE, None),
        (HoldUntil(NOON + timedelta(hours=13)), FUTURE, "no later than 2026-11-27"),
        (HoldUntil(NOON + timedelta(hours=13)), {"futurerelease": "86400"}, None),
        (MTPriority(3), {"mt-priority": ""}, None),
        (MTPriority(3), {"mt-priority": "MIXER"}, None),
        (MTPriority(3), {}, "^MT-PRIORITY is not supported by this server$"),
        (SMTPUTF8(), {"smtputf8": ""}, None),
        (SMTPUTF8(), {}, "^SMTPUTF8 is not supported by this server$"),
        (SMTPUTF8("never"), {"smtputf8": ""}, "not wanted"),
        (Body("7bit"), {"8bitmime": ""}, None),
        (Body("8bitmime"), {"binarymime": ""}, "BODY=8BITMIME is not .* announce 8BITMIME"),
        (Body("binarymime"), {"8bitmime": ""}, "does not announce BINARYMIME"),
        (Body("binarymime"), {"binarymime": ""}, None),
    ],
)
def test_obstacles(parameter: Parameter, extensions: dict[str, str], obstacle: str | None) -> None:
    found = parameter.obstacle(extensions, True)
    if obstacle is None:
        assert found is None
        assert available(["X", parameter], extensions, True) == ["X", parameter]
        return
    assert found is not None and re.search(obstacle, found)
    if parameter.required:
        with pytest.raises(SMTPNotSupported, match=re.escape(found)):
            available(["X", parameter], extensions, True)
    else:
        assert available(["X", parameter], extensions, True) == ["X"]


def test_requiretls_needs_a_verified_connection() -> None:
    assert "verified certificate" in str(RequireTLS().obstacle({"requiretls": ""}, False))
    assert Ret("hdrs").obstacle({"dsn": ""}, False) is None


@pytest.mark.parametrize(
    ("announced", "seconds"),
    [
        ("", None),
        ("0", 0),
        ("240", 240),
        ("240 x", 240),
        ("-1", None),
        ("9" * 9, 999_999_999),
        ("1" * 10, None),
        ("٣", None),
    ],
)
def test_parse_deliverby(announced: str, seconds: int | None) -> None:
    assert parse_deliverby({"deliverby": announced}) == seconds
    assert parse_deliverby({}) is None


@pytest.mark.parametrize(
    ("announced", "limits"),
    [
        ("", (None, None)),
        ("60", (60, None)),
        ("60 2026-11-26T12:00:00Z", (60, NOON)),
        ("60 2026-11-26t13:00:00+01:00", (60, NOON)),
        ("x 2026-11-26T12:00:00z", (None, NOON)),
        ("60 2026-11-26T12:00:00", (60, None)),
        ("60 2026-11-26", (60, None)),
        ("60 soon", (60, None)),
        ("60  2026-11-26T12:00:00Z ", (60, NOON)),
    ],
)
def test_parse_futurerelease(announced: str, limits: tuple[int | None, datetime | None]) -> None:
    assert parse_futurerelease({"futurerelease": announced}) == limits
    assert parse_futurerelease({}) == (None, None)


@given(st.text(max_size=40))
def test_whatever_is_announced_is_no_error(announced: str) -> None:
    for name in ("deliverby", "futurerelease"):
        for parameter in (DeliverBy(1), HoldFor(1), HoldUntil(NOON)):
            parameter.obstacle({name: announced}, True)


# -- lists of parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "keyword"),
    [
        ([Ret("hdrs"), Ret("full")], "RET"),
        ([Ret("hdrs"), "ret=full"], "RET"),
        (["RET", Ret("hdrs")], "RET"),
        ([SMTPUTF8(), "SMTPUTF8"], "SMTPUTF8"),
        ([HoldFor(5), HoldUntil(NOON)], "HOLDFOR"),
        (["HOLDUNTIL=2026-11-26T12:00:00Z", HoldFor(5)], "HOLDFOR"),
        ([HoldUntil(NOON), "HOLDFOR=5"], "HOLDFOR"),
    ],
)
def test_a_typed_parameter_is_there_once(options: list[str], keyword: str) -> None:
    with pytest.raises(ValueError, match=f"{keyword} is given more than once"):
        option_list(options)


def test_plain_parameters_are_the_callers_own_affair() -> None:
    assert option_list(["X=1", "x=2", Ret("hdrs")]) == ["X=1", "x=2", "RET=HDRS"]


@pytest.mark.parametrize(
    ("parameter", "verb"), [(Ret("hdrs"), "RCPT"), (Notify("never"), "MAIL"), (Ret("hdrs"), "VRFY")]
)
def test_a_typed_parameter_is_for_its_command(parameter: Parameter, verb: str) -> None:
    with pytest.raises(ValueError, match=f"{parameter.keyword} is a parameter of .*, not of {verb}"):
        option_list([parameter], verb)


# -- recipients --------------------------------------------------------------------------------------


def test_a_recipient_equals_its_address() -> None:
    recipient = Recipient("b@example.com", Notify("never"), "X=Y")
    assert recipient == "b@example.com" and {recipient: 1} == {"b@example.com": 1}
    assert recipient.options == ("NOTIFY=NEVER", "X=Y")
    assert repr(recipient) == "Recipient('b@example.com', <NOTIFY=NEVER, if available>, 'X=Y')"
    assert type(str(recipient)) is str
    with pytest.raises(AttributeError, match="cannot be changed"):
        recipient.options = ()
    twin = pickle.loads(pickle.dumps(recipient))
    assert (type(twin), twin, twin.options) == (Recipient, recipient, recipient.options)
    assert type(twin.options[0]) is Notify


def test_parameters_are_added_to_those_of_a_recipient() -> None:
    recipient = Recipient(Recipient("b@example.com", Notify("never")), Orcpt("b@example.com"))
    assert recipient.options == ("NOTIFY=NEVER", "ORCPT=rfc822;b@example.com")
