"""Addresses that two readers read as different ones, or as more: what passes, and that nothing gets out.

The corpus of attacks goes through every door: ``parse_address``, ``quote_address``, ``envelope_path``,
``ascii_address`` and the header fields of messages. What comes out of a door is read again by a reader
written for this test, and what passes is held against the readers of the standard library.
"""

import email
import email.policy
import email.utils
import re
import signal
import smtplib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._envelope.arguments import ascii_address, check_argument, envelope_path
from aiosmtplib._envelope.recipient import Recipient
from aiosmtplib._message.fields import extract_addresses
from aiosmtplib.email import extract_recipients, extract_sender, parse_address, quote_address

from ..support.addresses import ACCEPTED, REFUSED, domains, dot_atoms, mailboxes, path_problem, pieces

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


# -- in the header fields of a message ---------------------------------------------------------------

#: A value, and the addresses in it: the only ones that any reader may make out. None: it is refused.
HEADERS: list[tuple[str, list[str] | None]] = [
    ("a@b.example", ["a@b.example"]),
    ("A <a@b.example>, c@d.example (C)", ["a@b.example", "c@d.example"]),
    ("team: a@b.example, C <c@d.example>;", ["a@b.example", "c@d.example"]),
    ("undisclosed-recipients:;", []),
    ("a@b.example, , c@d.example", ["a@b.example", "c@d.example"]),
    ("a@b.example <a@b.example>", ["a@b.example"]),
    ("x: a@b.example <a@b.example>, c@d.example;", ["a@b.example", "c@d.example"]),
    ("=?utf-8?q?evil=40x.example=2C?= <a@b.example>", ["a@b.example"]),
    (
        "=?utf-8?q?=3Cevil=40x.example=3E?= <a@b.example>, c@d.example <c@d.example>",
        ["a@b.example", "c@d.example"],
    ),
    ('"evil@x.example" <a@b.example>', ["a@b.example"]),
    ('"evil@x.example"@b.example', ['"evil@x.example"@b.example']),
    ('"<evil@x.example>"@b.example', ['"<evil@x.example>"@b.example']),
    ("a@b.example (evil@x.example)", ["a@b.example"]),
    ("a@b.example (,evil@x.example)", ["a@b.example"]),
    ("a@b.example(<evil@x.example>)", ["a@b.example"]),
    ("(evil@x.example) a@b.example", ["a@b.example"]),
    ("(evil@x.example, (nested)) A <a@b.example>", ["a@b.example"]),
    # Some readers leave out the second, and nobody who sees it would.
    ("a@b.example; c@d.example", ["a@b.example", "c@d.example"]),
    ("a@b.example.", ["a@b.example."]),
    # Each of these reads as one address, as another, as two or as none, depending on who reads.
    ("a@b.example <evil@x.example>", None),
    ("a@b.example, A@B Corp <c@d.example>", None),
    ("evil@x.example@b.example", None),
    ("a@b.example, evil@x.example@b.example", None),
    ("<evil@x.example>@b.example", None),
    ("<evil@x.example> a@b.example", None),
    ("evil@x.example <a@b.example", None),
    ("a@b.example <", None),
    ("team: a@b.example <evil@x.example>;", None),
    ("'a@b.example' <a@b.example>", None),
    # An encoded word, where none may be (RFC 2047 section 5): the standard library reads its text again.
    ("=?utf-8?q?evil=40x.example=2C?=a@b.example", None),
    ("<=?utf-8?q?evil=40x.example=2C?=a@b.example>", None),
    ("=?utf-8?b?ZXZpbEB4LmV4YW1wbGUs?=a@b.example", None),
    ("=?utf-8?q?evil=40x.example=2C?=@b.example", None),
    ("=?utf-8?q?evil=40x.example=20?= a@b.example", None),
    ("A <a@=?utf-8?q?x.example?=>", None),
    ("a@=?utf-8?q?x.example?=", None),
    ("a@=?utf-8?q?b.example=2Cevil=40x.example?=", None),
    ("=?utf-8?q?a?=@b.example", None),
    ("=?utf-8?q?evil=2E?= a@b.example", None),
    ("a@b.example> AUTH=<c", None),
    ("a@b.example> c@d.example", None),
    ("<a@b.example> c@d.example", None),
    ('<a@b.example> "c@d.example"', None),
    ('"a@b.example" "c@d.example"', None),
    ("a@b.example (c, d@e.example", None),
    ('"a@b.example, <c@d.example>', None),
    ("<a@b.example, c@d.example>", None),
    ("<mailto:evil@x.example> <a@b.example>", None),
    ("a@b.example <mailto:evil@x.example>", None),
    # A group in a group, which the parser of the standard library fails on.
    ("one: a@b.example, two: c@d.example;;", ["a@b.example", "c@d.example"]),
    # What the parser of the standard library fails on.
    ("a@[b.example", None),
    ("=?utf-8?q?a=0D=0ABcc:_evil@x.example?=@b.example", None),
    ("(" * 3000, None),
]


@pytest.mark.parametrize(("value", "expected"), HEADERS)
@pytest.mark.parametrize("kind", ["made", "parsed"])
def test_header(value: str, expected: list[str] | None, kind: str) -> None:
    """Nobody is left out without a word, and nobody gets it who is not in what is read."""

    def message() -> EmailMessage | Message:
        if kind == "parsed":
            return email.message_from_string(f"From: {value}\nTo: {value}\n\n", policy=email.policy.default)
        try:
            made = EmailMessage()
            made["From"] = made["To"] = value
        except (AttributeError, RecursionError, ValueError):
            pytest.skip("the standard library fails on it by itself")
        return made

    if expected is None:
        for extract in (extract_recipients, extract_sender):
            with pytest.raises(ValueError, match="^Not an address for SMTP"):
                extract(message())
    else:
        assert extract_recipients(message()) == expected
        assert extract_sender(message()) == (expected[0] if expected else None)


@pytest.mark.parametrize(("value", "expected"), HEADERS)
def test_header_of_a_legacy_message(value: str, expected: list[str] | None) -> None:
    message = Message()
    message["To"] = value
    if expected is not None:
        assert extract_recipients(message) == expected
        return
    with pytest.raises(ValueError, match="^Not an address for SMTP"):
        extract_recipients(message)


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?q?Doe_Jr=2C_evil=40x.example=2C?= X",
        "=?utf-8?q?Doe_Jr=2C_A_=3Cevil=40x.example=3E=2C_=28?= X",
        "=?utf-8?q?Doe_Jr=2C_A_=3Cevil=40x.example=3E=2C_=22?= X",
        "=?utf-8?q?Doe_Jr=2C_A_=3Cevil=40x.example=3E=3B?= X",
        "=?utf-8?q?Doe=2C?= Jr",
    ],
)
def test_encoded_words_before_a_comma(name: str) -> None:
    """An address in a display name of two parts. The standard library decodes and parses it when assigned."""
    value = f"{name}, A <a@b.example>"
    for policy in (email.policy.default, email.policy.compat32):
        parsed = email.message_from_string(f"To: {value}\n\n", policy=policy)  # type: ignore[arg-type]
        assert extract_recipients(parsed) == ["a@b.example"]
    legacy = Message()
    legacy["To"] = value
    assert extract_recipients(legacy) == ["a@b.example"]
    made = EmailMessage()
    made["To"] = value
    with pytest.raises(ValueError, match="^Not an address for SMTP"):
        extract_recipients(made)


def several() -> st.SearchStrategy[str]:
    return st.lists(mailboxes(), min_size=1, max_size=3).map(
        lambda found: ", ".join(value for value, _ in found)
    )


@given(st.one_of(pieces(), several()))
def test_no_reader_reads_more(value: str) -> None:
    """What is accepted as one address is that one to the readers of the standard library, or none.

    Only whole addresses count: without a domain, or with two, it is the server that says whose they are.
    """
    try:
        address = parse_address(value)
    except ValueError:
        return
    if address.count("@") - address.rpartition("@")[0].count("@") * address.startswith('"') != 1:
        return
    for read in others(value):
        whole = {bare(each) for each in read if re.search(r"[^@\s]@[^@\s]", each)}
        assert whole <= {bare(address)}, value


def bare(address: str) -> str:
    """Without quotes, which make no difference (RFC 5321 section 4.1.2)."""
    return re.sub(r'["\\]', "", address)


def others(value: str) -> Iterator[list[str]]:
    """The addresses that others read, where they can read it: each knows texts on which the other fails."""
    yield [address for _, address in email.utils.getaddresses([value])]
    try:
        header = HeaderRegistry()("To", re.sub(r"[\r\n]+", " ", value))
        yield [address.addr_spec for address in header.addresses]
    except (AttributeError, IndexError, TypeError, ValueError):
        pass


# -- in bounded time ---------------------------------------------------------------------------------

UNITS = ["(", '"', "<", "[", "a ", "@:", "x ", " ", "a,", "\\", '"a', "(\\", ". "]


@pytest.mark.parametrize("unit", UNITS)
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

    steps(100)  # compiles the patterns, once in a process
    assert steps(400) <= 5 * steps(100)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("unit", [*UNITS, "a@b <", "=?", "a.", "a@", '\\"', "((", "<a@b>,", "a b,", '"a@b" '])
def test_regular_expressions_do_not_backtrack(unit: str) -> None:
    """What they do is not to be counted. A quadratic one would take minutes for this, and a linear one takes
    a fraction of a second: the guard is a minute of processor time, which no machine needs for that.
    """

    value = unit * (40_000 // len(unit))
    legacy = Message()
    legacy["To"] = value
    received = EmailMessage()
    received.set_raw("To", value)
    with a_minute_of_processor_time():
        for text in (value, value + "@b", f"<{value}>", f'"{value}"@b', f"({value}) a@b", f"N {value} <a@b>"):
            for door in (parse_address, extract_addresses, Recipient, check_everything):
                try:
                    door(text)
                except ValueError:
                    pass
        for message in (legacy, received):
            try:
                extract_recipients(message)
            except ValueError:
                pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("unit", ["a", "a.", "=?", "=?x?q?", "a\n"])
def test_search_for_an_address_does_not_backtrack(unit: str) -> None:
    """In a From with a line break, of an old-style message."""
    message = Message()
    message["From"] = "x\n" + unit * (600_000 // len(unit))
    with a_minute_of_processor_time():
        try:
            extract_sender(message)
        except ValueError:
            pass


@contextmanager
def a_minute_of_processor_time() -> Iterator[None]:
    def too_long(number: int, frame: types.FrameType | None) -> None:
        raise AssertionError("more than a minute of processor time")

    previous = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def check_everything(text: str) -> None:
    check_argument(text, "option")
    ascii_address(text + "é")
