"""Addresses and arguments on their way to the wire: what passes, what is refused, that nothing gets out.

The corpus of attacks goes through every door: ``parse_address``, ``quote_address``, ``envelope_path``,
``ascii_address``. What comes out of a door is read again by a reader written for this test.
"""

import email.utils
import smtplib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._address import ascii_address, check_argument, envelope_path
from aiosmtplib.email import parse_address, quote_address
from tests.addresses import ACCEPTED, REFUSED, domains, dot_atoms, mailboxes, path_problem, pieces

WRONG_TYPES = [None, b"a@b", 1, ["a@b"], object()]


@pytest.mark.parametrize(("value", "address"), ACCEPTED)
def test_accepted(value: str, address: str) -> None:
    assert parse_address(value) == address
    assert quote_address(value) == f"<{address}>"
    assert envelope_path(value, "utf-8") == address.encode()
    assert path_problem(f"<{address}>") is None
    assert parse_address(address) == address


@pytest.mark.parametrize("value", REFUSED)
def test_refused(value: str) -> None:
    for door in (parse_address, quote_address):
        with pytest.raises(ValueError, match="Not an address for SMTP") as caught:
            door(value)
        assert str(caught.value).isprintable()
    for encoding in ("ascii", "utf-8"):
        with pytest.raises(ValueError):
            envelope_path(value, encoding)


def test_refusal_is_short() -> None:
    with pytest.raises(ValueError) as caught:
        parse_address("x y" * 100_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", WRONG_TYPES)
def test_wrong_type(value: object) -> None:
    for door in (parse_address, quote_address, ascii_address):
        with pytest.raises(TypeError, match="An address must be a str"):
            door(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="An address must be a str"):
        envelope_path(value, "ascii")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="The option must be a str"):
        check_argument(value, "option")  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["é@example.com", "a@é.example", "N <é@b>"])
def test_not_ascii(address: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        envelope_path(address, "ascii")
    assert envelope_path(address, "utf-8") == parse_address(address).encode()


def test_name_that_is_not_ascii_stays_here() -> None:
    assert envelope_path("é <a@b>", "ascii") == b"a@b"


def test_lone_surrogate() -> None:
    with pytest.raises(UnicodeEncodeError):
        envelope_path("a\udcff@b", "utf-8")


@given(st.one_of(st.text(), pieces()), st.sampled_from(["ascii", "utf-8"]))
def test_nothing_gets_out(value: str, encoding: str) -> None:
    try:
        path = envelope_path(value, encoding).decode(encoding)
    except ValueError:
        return
    assert path_problem(f"<{path}>") is None
    assert parse_address(path) == path


@given(st.one_of(st.text(), pieces()))
def test_pieces_are_contained_where_accepted(value: str) -> None:
    # The address is in what the caller wrote, but for blanks and comments around dots and at-signs.
    try:
        address = parse_address(value)
    except ValueError:
        return
    assert address.replace(" ", "") in value.translate(dict.fromkeys(map(ord, " \t\r\n"))) or "(" in value


@given(mailboxes())
def test_valid_mailboxes(mailbox: tuple[str, str]) -> None:
    value, address = mailbox
    assert parse_address(value) == address


@given(mailboxes())
def test_email_utils_agrees(mailbox: tuple[str, str]) -> None:
    value, address = mailbox
    expected = email.utils.parseaddr(value)[1]
    # Where it is strict, email.utils gives up on commas in comments and on escapes; it is never wrong then.
    assert expected in (address, "")


@given(st.builds("{}@{}".format, dot_atoms, domains))
def test_smtplib_agrees(address: str) -> None:
    assert quote_address(address) == smtplib.quoteaddr(address)
    assert quote_address(f"Name <{address}>") == smtplib.quoteaddr(f"Name <{address}>")


@pytest.mark.parametrize("unit", ["(", '"', "<", "[", "a ", "@:", "x ", " ", "a,", "\\", '"a', "(\\", ". "])
def test_long_input_takes_linear_work(unit: str) -> None:
    # Counted, not timed: the calls and lines that Python executes must not grow faster than the input.
    def steps(size: int) -> int:
        count = 0

        def tracer(frame: object, event: str, argument: object) -> object:
            nonlocal count
            count += 1
            return tracer

        previous = sys.gettrace()
        sys.settrace(tracer)  # type: ignore[arg-type]
        try:
            parse_address(unit * size + "@b")
        except ValueError:
            pass
        finally:
            sys.settrace(previous)
        return count

    assert steps(400) <= 5 * steps(100)
