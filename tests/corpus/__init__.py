"""Mails as people and programs send them, written for this project: what the serialiser has to be good at.

Each of them is built with the API of ``EmailMessage``, and the same mail is read from its bytes with either
policy, as a program has it that passes mail on. The files beside this one are mails as others wrote them,
with folds and encodings of their own.
"""

import email
import email.policy
from collections.abc import Callable, Iterator, Mapping
from email.generator import BytesGenerator
from email.message import EmailMessage, Message
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from . import everyday, machines, rich, world

__all__ = ("LETTERS", "realistic", "sources", "with_boundaries")

#: By name, what builds a mail anew.
LETTERS: Mapping[str, Callable[[], EmailMessage]] = {
    **everyday.LETTERS,
    **machines.LETTERS,
    **rich.LETTERS,
    **world.LETTERS,
}
_FOLDER = Path(__file__).parent
_READERS: Mapping[str, Any] = {
    "parsed": email.policy.default,
    "parsed, compat32": email.policy.compat32,
}


def with_boundaries(message: EmailMessage) -> EmailMessage:
    """The message, with boundaries that are the same each time."""
    for number, part in enumerate(message.walk()):
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"=_part_{number}_=")
    return message


@cache
def sources() -> Mapping[str, bytes]:
    """By name, the octets of each mail, with CRLF; the files as they are."""
    found = {}
    for name, build in LETTERS.items():
        buffer = BytesIO()
        BytesGenerator(buffer, policy=email.policy.SMTP).flatten(with_boundaries(build()))
        found[name] = buffer.getvalue()
    files = {path.stem: path.read_bytes() for path in sorted(_FOLDER.glob("*.eml"))}
    assert not found.keys() & files.keys()
    return found | files


def realistic() -> Iterator[tuple[str, Callable[[], Message]]]:
    """The name of every mail in every form, and what makes it."""
    for name, build in LETTERS.items():
        yield f"{name}, built", build
    for name, source in sources().items():
        for form, policy in _READERS.items():
            yield f"{name}, {form}", lambda s=source, p=policy: email.message_from_bytes(s, policy=p)
