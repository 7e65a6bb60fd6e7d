"""Serialiser of messages in pure Python: the twin of ``_speedups/serializer.pxi``.

It writes what the generator of the standard library writes for the same message and policy, to the byte. What
it recognises it writes itself: a body as it is in the payload, a header field that fits on its line or is
folded at plain white space. For all other fields it asks the policy; of a message whose structure has
anything unusual it says so, and writes nothing. It does not change the message, and looks at each thing in it
once, so that another thread may send the same one.

What it knows of the standard library is in the ``Rules`` of ``_message/rules.py``, which it is given.
"""

from __future__ import annotations

import re
from typing import Any

from ..constants import BCC_FIELDS, BODY, CHUNK, DELIVERY_STATUS, MAX_DEPTH, MESSAGE, PLAIN, SIGNED
from .content import encode_data, normalize_newlines
from .fields import serialize_field

__all__ = ("serialize_message",)


class _UnusualError(Exception):
    """Raised for a message that the standard library's generator has to write."""


_mangle_from = re.compile(r"^From ", re.MULTILINE).sub


class _Part:
    """Plan of a message or part: how it is going to be written.

    :ivar headers: its header fields
    :ivar form: how the rest is written
    :ivar text: the body, ready
    :ivar parts: the parts it consists of
    :ivar preamble: and the epilogue, ready
    :ivar generated: whether the boundary is of our making, and has to be put into the Content-Type field
    """

    __slots__ = ("boundary", "epilogue", "form", "generated", "headers", "parts", "preamble", "text")

    def __init__(self, headers: list[tuple[str, Any]], form: int, boundary: str | None) -> None:
        self.headers = headers
        self.form = form
        self.boundary = boundary
        self.generated = False
        self.parts: list[_Part] = []
        self.text = b""
        self.preamble: bytes | None = None
        self.epilogue = b""


def serialize_message(message: Any, rules: Any, form: int = PLAIN) -> tuple[bytes, int] | None:
    """Write a message, without Bcc and Resent-Bcc.

    :param rules: of the policy to write it with
    :param form: ``PLAIN``, or what goes out by ``DATA`` (dot-stuffed, with its end) or in a ``CHUNK``
    :return: the bytes, and their number as SIZE counts it (RFC 1870 section 3): without stuffed dots and the
        end of DATA. None if the message is for the generator.
    """
    lacking: list[_Part] = []
    try:
        part = _plan(message, rules, lacking, 0)
        if lacking:
            _add_boundaries(part, lacking, rules)
    except _UnusualError:
        return None
    out: list[bytes] = []
    _write(out, part, rules, True)
    content = b"".join(out)
    del out, part, lacking  # what is large is not to be there more often than need be
    if form == PLAIN:
        return content, len(content)
    content = normalize_newlines(content)
    size = len(content) if content.endswith(b"\r\n") else len(content) + 2
    if form == CHUNK:
        return (content if len(content) == size else content + b"\r\n"), size
    return encode_data(content), size


def _plan(message: Any, rules: Any, lacking: list[_Part], depth: int) -> _Part:
    if depth > MAX_DEPTH or not rules.accepts(type(message)):
        raise _UnusualError
    headers = message._headers.copy()
    content_type = None
    for name, value in headers:
        if len(name) == 12 and name.lower() == "content-type":
            if content_type is not None:
                raise _UnusualError  # the first one counts, and which one gets the boundary?
            content_type = value
        elif len(name) == 25 and name.lower() == "content-transfer-encoding" and not _is_ascii(value):
            raise _UnusualError  # the generator looks at it, and may raise
    if content_type is None:
        if message._default_type != "text/plain":
            raise _UnusualError
        part = _Part(headers, BODY, None)
    else:
        found = rules.content_type(str.__str__(content_type)) if isinstance(content_type, str) else None
        if found is None:
            raise _UnusualError
        part = _Part(headers, *found)
    payload = message._payload
    if part.form == BODY:
        if type(payload) is str and not payload.isascii() and not rules.eight_bit:
            message = rules.recoded(message)
            if message is None:
                raise _UnusualError
            part.headers, payload = message._headers, message._payload
        if payload is not None:
            part.text = _body(payload, rules)
        return part
    if not isinstance(payload, list) or (part.form == MESSAGE and len(payload) != 1):
        raise _UnusualError
    inner = rules.signed if part.form == SIGNED else rules
    part.parts = [_plan(one, inner, lacking, depth + 1) for one in payload.copy()]
    if part.form in (MESSAGE, DELIVERY_STATUS):
        return part
    if part.boundary is None:
        part.generated = True
        lacking.append(part)
    if message.preamble is not None:
        part.preamble = _body(message.preamble, rules)
    if message.epilogue is not None:
        part.epilogue = _body(message.epilogue, rules)
    return part


def _is_ascii(value: Any) -> bool:
    return isinstance(value, str) and value.isascii()


def _body(text: Any, rules: Any) -> bytes:
    if type(text) is not str:
        raise _UnusualError
    if rules.legacy and "From " in text:
        text = _mangle_from(">From ", text)
    if not (text.isascii() or rules.eight_bit):
        raise _UnusualError
    try:
        content: bytes = text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        raise _UnusualError from None
    if not rules.legacy:
        return normalize_newlines(content)
    if b"\r" in content:
        return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content


def _add_boundaries(part: _Part, lacking: list[_Part], rules: Any) -> None:
    """Generate the boundaries that are lacking, the inner ones first, as the generator does."""
    found: list[str] = []
    _look_for_boundaries(part, found)
    boundary = rules.new_boundary()
    taken = {one[: len(boundary)] for one in found}  # all that are generated have one length
    for lacked in lacking:
        while boundary in taken:
            boundary = rules.new_boundary()
        lacked.boundary = boundary
        taken.add(boundary)
        if lacked is not lacking[-1]:
            boundary = rules.new_boundary()


def _look_for_boundaries(part: _Part, taken: list[str]) -> None:
    """Collect the boundaries in use; raises where a generated one could be in the content."""
    for text in (part.text, part.preamble, part.epilogue):
        if text and (text.startswith(b"--=") or b"\n--=" in text):
            raise _UnusualError
    if part.boundary is not None:
        taken.append(part.boundary)
    for inner in part.parts:
        _look_for_boundaries(inner, taken)


def _write(out: list[bytes], part: _Part, rules: Any, top: bool) -> None:
    newline = rules.newline
    for name, value in part.headers:
        if top and name.lower() in BCC_FIELDS:
            continue
        if part.generated and name.lower() == "content-type":
            field: bytes | None = rules.with_boundary(name, str.__str__(value), part.boundary)
        else:
            field = serialize_field(name, value, rules)
        out.append(rules.policy.fold_binary(name, value) if field is None else field)
    out.append(newline)
    if part.form == BODY:
        out.append(part.text)
    elif part.form == MESSAGE:
        _write(out, part.parts[0], rules, False)
    elif part.form == DELIVERY_STATUS:
        _write_blocks(out, part, rules)
    else:
        _write_parts(out, part, rules.signed if part.form == SIGNED else rules, newline)


def _write_blocks(out: list[bytes], part: _Part, rules: Any) -> None:
    newline = rules.newline
    for number, block in enumerate(part.parts):
        if number:
            out.append(newline)
        written: list[bytes] = []
        _write(written, block, rules, False)
        out.append(b"".join(written).removesuffix(newline))


def _write_parts(out: list[bytes], part: _Part, rules: Any, newline: bytes) -> None:
    if part.preamble is not None:
        out += (part.preamble, newline)
    assert part.boundary is not None, "it was generated if need be"
    delimiter = b"--" + part.boundary.encode()
    out += (delimiter, newline)
    for number, inner in enumerate(part.parts):
        if number:
            out += (newline, delimiter, newline)
        _write(out, inner, rules, False)
    out += (newline, delimiter, b"--", newline, part.epilogue)
