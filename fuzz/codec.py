"""The codec functions: the compiled twin, the pure one and the oracles of ``tests/support/vectors.py``."""

from email.utils import getaddresses, parseaddr
from typing import Any

from aiosmtplib import _speedups
from aiosmtplib._codec import pure
from aiosmtplib._codec.types import NOT_COPIED
from tests.support.vectors import canonical, read_replies, receive

from .source import Difference, Source, outcome, same, sealed

_LIMITS = [(8192, 32768), (12, 30), (40, 41), (1, 1), (64, 128)]
_KINDS = [bytes, bytes, bytes, bytearray, memoryview]
_REPEATED = [0] * 5 + [16, 200, 5000]


def replies(data: bytes) -> None:
    """ReplyParser: a stream whole and in chunks, within limits."""
    source = Source(data)
    limits = source.pick([*_LIMITS, (source.byte(), source.byte())])
    cut = source.cutter()
    kind = source.pick(_KINDS)
    stream = source.rest()
    expected = read_replies(stream, *limits)
    whole = _speedups.ReplyParser()
    same("a stream that came whole", whole.feed(stream, *limits), expected)
    parser, twin = _speedups.ReplyParser(), pure.ReplyParser()
    got: list[Any] = []
    for chunk in cut(stream):
        step = parser.feed(kind(chunk), *limits)
        same("replies of the twins", step, twin.feed(kind(chunk), *limits))
        same("pending of the twins", parser.pending, twin.pending)
        got += step
    same("replies of a stream in chunks", got, expected)
    same("pending, whole and in chunks", parser.pending, whole.pending)


def content(data: bytes) -> None:
    """encode_data, normalize_newlines, encode_message and DataEncoder: a message whole and in chunks."""
    source = Source(data)
    _content(source, source.pick(_REPEATED))


def large(data: bytes) -> None:
    """The same for messages of a size that is not copied."""
    _content(Source(data), NOT_COPIED - 20)


def _content(source: Source, repeated: int) -> None:
    cut = source.cutter()
    kind = source.pick(_KINDS)
    dots = source.flag()
    # A long line in it is no work for the oracle, which goes byte by byte.
    before, line, after = source.take(16), b"x" * repeated, source.rest()
    message = before + line + after
    normal = _speedups.normalize_newlines(kind(message))
    same("normalize_newlines of the twins", normal, pure.normalize_newlines(kind(message)))
    wire = _speedups.encode_data(kind(message))
    same("encode_data of the twins", wire, pure.encode_data(kind(message)))
    encoded = _speedups.encode_message(kind(message))
    same("encode_message of the twins", encoded, pure.encode_message(kind(message)))
    pieces, size = encoded
    for made in (normal, wire, pieces):
        sealed(made)
    same("encode_message and encode_data", pieces if isinstance(pieces, bytes) else b"".join(pieces), wire)
    expected = canonical(before) + line + canonical(after) if repeated else canonical(message)
    same("normalize_newlines and the oracle", normal, expected)
    if normal == message and kind is bytes:
        for twin in (_speedups, pure):
            if twin.normalize_newlines(message) is not message:
                raise Difference("a copy of what needs none")
    ended = expected if expected.endswith(b"\r\n") else expected + b"\r\n"
    same("what a server reads, and the oracle", receive(wire), ended)
    same("SIZE and the oracle", size, len(ended))
    encoder, twin_encoder = _speedups.DataEncoder(dots), pure.DataEncoder(dots)
    got = []
    for chunk in [*cut(before), line, *cut(after)]:
        step = encoder.encode(kind(chunk))
        same("DataEncoder of the twins", step, twin_encoder.encode(kind(chunk)))
        sealed(step)
        got.append(step)
    got.append(encoder.finish())
    same("finish of the twins", got[-1], twin_encoder.finish())
    same("a message in chunks", b"".join(got), wire if dots else normal)


def command(data: bytes) -> None:
    """encode_command: any arguments, some of them no bytes."""
    source = Source(data)
    odd = source.pick([None] * 15 + ["text", 7, bytearray(b"a"), memoryview(b"a")])  # type: ignore[list-item]
    args: list[Any] = source.rest().split(b"\xff")
    if odd is not None:
        args.append(odd)
    got = outcome(_speedups.encode_command, *args)
    sealed(got)
    same("encode_command of the twins", got, outcome(pure.encode_command, *args))
    if odd is not None:
        same("a type that is refused", got[0], TypeError)
    elif any(byte < 32 or byte == 127 for arg in args for byte in arg):
        same("a control character", got[0], ValueError)
    else:
        same("encode_command and the oracle", got, b" ".join(args) + b"\r\n")


class _Text(str):
    """A string of a caller's own kind."""

    __slots__ = ()


def _text(source: Source) -> str:
    encoding = source.pick(["latin-1", "latin-1", "utf-8", "utf-16-le"])
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    return source.rest().decode(encoding, errors)


def address(data: bytes) -> None:
    """plain_address against email.utils."""
    source = Source(data)
    text = _text(source)
    kind = _Text if source.flag() else str
    got = _speedups.plain_address(kind(text))
    same("plain_address of the twins", got, pure.plain_address(kind(text)))
    if got is not None:
        same("plain_address and email.utils", got, parseaddr(text)[1])
        if any(c in ' <>"\\()[],;:' or not "!" <= c <= "~" for c in got) or got.count("@") != 1:
            raise Difference(f"not a plain address: {got!r}")


def recipients(data: bytes) -> None:
    """encode_recipients: lists of addresses, some of them no plain ones."""
    source = Source(data)
    tail = source.take(source.below(20))
    addresses: list[Any] = _text(source).split(",")
    if source.below(16) == 15:
        addresses.append(source.pick([None, b"a@b", _Text("a@b")]))
    got = outcome(_speedups.encode_recipients, addresses, tail)
    sealed(got)
    same("encode_recipients of the twins", got, outcome(pure.encode_recipients, addresses, tail))
    same("any iterable", got, outcome(_speedups.encode_recipients, iter(addresses), tail))
    plain = [a for a in addresses if type(a) is str and "<" not in a and _speedups.plain_address(a) == a]
    expected = b"".join(b"RCPT TO:<%b>%b\r\n" % (a.encode(), tail) for a in plain)
    same("encode_recipients and the oracle", got, expected if len(plain) == len(addresses) else None)


def addresses(data: bytes) -> None:
    """plain_addresses: lists of addresses, against email.utils."""
    source = Source(data)
    text = _text(source)
    got = _speedups.plain_addresses(text)
    same("plain_addresses of the twins", got, pure.plain_addresses(text))
    if got is not None:
        same("plain_addresses and email.utils", got, [address for _, address in getaddresses([text])])


def fields(data: bytes) -> None:
    """pick_fields: names in any case, among fields that are asked for."""
    source = Source(data)
    names = ("to", "cc", "from", "sender")[: source.below(5)]
    headers: list[Any] = []
    while source.more and len(headers) < 30:
        odd = source.below(12)
        name = (
            source.take(source.below(5)).decode("latin-1")
            if odd < 3
            else source.pick(["To", "cC", "SENDER", "x"])
        )
        if odd == 10:
            name = _Text(name)
        headers.append((name,) if odd == 11 and source.flag() else (name, len(headers)))
    got = outcome(_speedups.pick_fields, headers, names)
    expected = outcome(pure.pick_fields, headers, names)
    if isinstance(got, tuple) and isinstance(expected, tuple):
        same("what pick_fields raises", got[0], expected[0])
        return
    same("pick_fields of the twins", got, expected)
    oracle = [[value for field, value in headers if field.lower() == name] or () for name in names]
    same("pick_fields and the oracle", got, oracle)
