"""The names of the targets."""

from collections.abc import Callable
from typing import Final

from . import codec, dialogues, messages

__all__ = ("TARGETS",)

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "replies": codec.replies,
    "content": codec.content,
    "large": codec.large,
    "command": codec.command,
    "address": codec.address,
    "recipients": codec.recipients,
    "addresses": codec.addresses,
    "fields": codec.fields,
    "session": dialogues.session,
    "dialogue": dialogues.dialogue,
    "connection": dialogues.connection,
    "parsed": messages.parsed,
    "built": messages.built,
}
