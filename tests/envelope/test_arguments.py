"""Command arguments that are no addresses, and addresses whose domain has to become ASCII."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._envelope.arguments import ascii_address, check_argument

from ..support.addresses import path_problem

ARGUMENTS_ACCEPTED = [
    "",
    "BODY=8BITMIME",
    "SIZE=100",
    "AUTH=<>",
    "auth=<>",
    "ENVID=QQ314159",
    "ORCPT=rfc822;a+2Bb@example.com",
    "é",
    "\xa0",
    "two words",
    '"a<b"@c',
    '"a>b\\">"@c',
]
ARGUMENTS_REFUSED = [
    "a<b",
    "a>",
    "AUTH=<a@b>",
    "AUTH=<>>",
    "X Y=<>",
    "=<>",
    '"a"<b',
    '"a@<"@<',
    '"a\\"<b@c',
    "X\r\nDATA",
    "X\n",
    "X\r",
    "\0",
    "\t",
    "\x7f",
    "\x1b[2J",
    "é\n",
    "é\x85NOOP",
    "\u2028NOOP",
    "\u2029",
]


@pytest.mark.parametrize("value", ARGUMENTS_ACCEPTED)
def test_argument_accepted(value: str) -> None:
    check_argument(value, "option")


@pytest.mark.parametrize("value", ARGUMENTS_REFUSED)
def test_argument_refused(value: str) -> None:
    with pytest.raises(ValueError, match="^The option must not hold") as caught:
        check_argument(value, "option")
    assert str(caught.value).isprintable()


def test_argument_is_not_echoed() -> None:
    with pytest.raises(ValueError) as caught:
        check_argument("s3cr3t\n", "option")
    assert "s3cr3t" not in str(caught.value)


@given(st.text())
def test_argument_any_text(value: str) -> None:
    try:
        check_argument(value, "option")
    except ValueError:
        return
    assert not any(character < " " or character == "\x7f" for character in value)
    assert not {"<", ">"} & set(value) or value.endswith("=<>") or value.startswith('"')


@pytest.fixture(params=["idna", "standard library"])
def idna_codec(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways to A-labels: with the package, and as if it were not installed."""
    if request.param == "idna":
        pytest.importorskip("idna")
        yield "idna"
        return
    installed = {name: sys.modules[name] for name in sys.modules if name.partition(".")[0] == "idna"}
    for name in installed:
        del sys.modules[name]
    sys.modules["idna"] = None  # type: ignore[assignment]
    try:
        yield "standard library"
    finally:
        del sys.modules["idna"]
        sys.modules.update(installed)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a@b.example", "a@b.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("Jürgen <a@bücher.example>", "a@xn--bcher-kva.example"),
        ("Jürgen <a@b.example>", "a@b.example"),
        ('"a@b"@bücher.example', '"a@b"@xn--bcher-kva.example'),
        ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("a@bücher。example", "a@xn--bcher-kva.example"),
    ],
)
def test_ascii_address(address: str, expected: str, idna_codec: str) -> None:
    assert ascii_address(address) == expected


def test_newer_rules_where_idna_is_installed(idna_codec: str) -> None:
    # RFC 5891 keeps the sharp s, RFC 3490 wrote it as two.
    expected = "a@xn--strae-oqa.example" if idna_codec == "idna" else "a@strasse.example"
    assert ascii_address("a@straße.example") == expected


def test_ascii_address_is_the_same_object() -> None:
    address = " ".join(["Name", "<a@b.example>"])
    assert ascii_address(address) is address


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("é@b.example", "local part .* not ASCII"),
        ("é@bücher.example", "local part .* not ASCII"),
        ("é", "local part .* not ASCII"),
        ("a@[é]", "no ASCII form"),
        ("a@b..é", "no ASCII form"),
        ("a@" + "é" * 70, "no ASCII form"),
        # Full-width forms, which compatibility mapping turns into < > @ and a blank.
        ("a@b\uff1eé", "no ASCII form"),
        ("a@b\uff1e.example", "no ASCII form"),
        ("a@b\uff1cc.example", "no ASCII form"),
        ("a@b\uff20c.example", "no ASCII form"),
        ("a@b\u3000c", "Not an address"),
        ("a@b\ufe68.example", "no ASCII form"),
        ("a@é> AUTH=<c", "Not an address"),
        ("a@é, b@c", "Not an address"),
    ],
)
def test_no_ascii_address(address: str, match: str, idna_codec: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        ascii_address(address)
    assert str(caught.value).isprintable()


@given(st.text(min_size=1))
def test_ascii_address_of_any_domain(domain: str) -> None:
    try:
        address = ascii_address(f"a@é{domain}")
    except ValueError:
        return
    assert address.isascii()
    assert path_problem(f"<{address}>") is None
