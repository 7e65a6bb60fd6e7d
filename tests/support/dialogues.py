"""Plays a server to a dialogue, by hand."""

from collections.abc import Sequence
from typing import Any

from aiosmtplib._session import Dialogue
from aiosmtplib.errors import SMTPException
from aiosmtplib.response import SMTPResponse

__all__ = ("play", "reply")


def reply(code: int) -> SMTPResponse:
    return SMTPResponse(code, f"text of {code}")


def play(dialogue: Dialogue[Any], answers: Sequence[list[int] | SMTPException]) -> tuple[list[bytes], Any]:
    """Answer each step with replies or a loss. Returns what was written, and the result or the error."""
    written = []
    try:
        data, expected, _ = next(dialogue)
        for answer in answers:
            written.append(data if isinstance(data, bytes) else b"".join(data))
            if isinstance(answer, SMTPException):
                data, expected, _ = dialogue.throw(answer)
            else:
                assert expected in (len(answer), 0)  # chunks are counted as they are pushed
                data, expected, _ = dialogue.send([reply(code) for code in answer])
    except StopIteration as stop:
        return written, stop.value
    except SMTPException as error:
        return written, error
    raise AssertionError(f"the dialogue waits for more, after writing {data!r}")
