"""Encoded text in parameters: it comes back, and whatever it is, nothing gets out of it."""

import re
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from aiosmtplib._envelope.parameter import option_list
from aiosmtplib.parameters import SMTPUTF8, Body, DeliverBy, EnvId, Notify, Orcpt, Parameter, Ret


def undo_xtext(text: str) -> str:
    """Decode as RFC 3461 section 4 has it; fail for what is none."""
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", text), text
    return re.sub(r"\+(..)", lambda match: chr(int(match[1], 16)), text)


def undo_unitext(text: str) -> str:
    """Decode as RFC 6533 section 3 has it; fail for what is none."""
    point = r"10|20|2B|3D|7F|5C|[89A-F][0-9A-F]|[1-9A-F][0-9A-F]{2}|(?:[1-9A-CEF][0-9A-F]|D[0-7])[0-9A-F]{2}"
    point += r"|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4}"
    assert re.fullmatch(rf"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\\x\{{(?:{point})\}})*", text), text
    return re.sub(r"\\x\{(\w+)\}", lambda match: chr(int(match[1], 16)), text)


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=31)
ANYTHING = st.text(max_size=20)


@given(PRINTABLE)
@example("+=<> ~!")
def test_xtext_comes_back(value: str) -> None:
    text = EnvId(value)
    assert undo_xtext(text.partition("=")[2]) == value
    assert not {"<", ">", " "} & set(text)
    assert option_list([text]) == [text]


@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="<>"),
        min_size=1,
        max_size=30,
    )
)
@example("+=\\ ~!")
@example("\xa0\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff")
def test_unitext_comes_back(value: str) -> None:
    orcpt = Orcpt(value, "utf-8")
    for text in (str(orcpt), orcpt.as_sent(True)):
        assert undo_unitext(text.partition(";")[2]) == value
        assert option_list([text], "RCPT") == [text]
    assert str(orcpt).isascii()
    # What needs no escape does not get one where the message goes with SMTPUTF8.
    assert (
        orcpt.as_sent(True).count("\\") == sum(value.count(special) for special in " +=\\") or value.isascii()
    )


MAKERS: list[Callable[[Any], str]] = [
    Ret,
    EnvId,
    Notify,
    Orcpt,
    lambda value: Orcpt(value, "utf-8"),
    lambda value: Orcpt(value, "x400"),
    lambda value: Orcpt("x", value),
    lambda value: DeliverBy(5, value),
    SMTPUTF8,
    Body,
]


@given(st.sampled_from(MAKERS), ANYTHING, st.booleans())
@example(EnvId, "a\r\nRSET", False)
@example(Orcpt, "a@b> AUTH=<c", False)
@example(Notify, "NEVER X=Y", False)
def test_nothing_gets_out_of_a_value(make: Callable[[Any], Parameter], value: str, utf8: bool) -> None:
    """Whatever the value, what is made of it is one parameter: printable, without a blank."""
    try:
        parameter = make(value)
    except ValueError:
        return
    text = parameter.as_sent(utf8)
    assert not re.search(r"[\x00-\x20\x7f-\x9f\u2028\u2029<>]", text)
    assert text.count("=") <= 1
    text.encode("utf-8" if utf8 else "ascii")
