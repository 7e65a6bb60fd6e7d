"""The search for a secret in all that a crash reporter could get hold of."""

import base64
import traceback
from collections.abc import Iterator
from pathlib import Path

import aiosmtplib

#: Long enough that no piece of it comes up by chance.
SECRET = "correct-horse/battery staple"
TESTS = str(Path(__file__).parents[1])


def needles(secret: str) -> list[str]:
    """The secret, and its base64 at each of the three places that it can have within a longer text."""
    found = [secret, repr(secret)[1:-1]]
    for offset in range(3):
        whole = base64.b64encode(b"x" * offset + secret.encode()).decode()
        # The first and last characters also depend on what is beside it.
        found.append(whole[4 if offset else 0 : len(whole) // 4 * 4 - 4])
    return found


def frames(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    """All that a reporter shows of an error and of those behind it, but for the frames of the tests."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield f"{error} {error!r} {error.args} {vars(error)}"
    if isinstance(error, aiosmtplib.SMTPException):
        yield f"{error.transcript._entries} {error.transcript}"
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in told.stack:
        if not frame.filename.startswith(TESTS):
            yield f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.locals}"
    yield from frames(error.__cause__, seen)
    yield from frames(error.__context__, seen)


def assert_hidden(*texts: str, secret: str = SECRET) -> None:
    for text in texts:
        for needle in needles(secret):
            assert needle not in text, f"{needle} shows in: {text}"


def assert_error_hides(error: BaseException, secret: str = SECRET) -> None:
    assert_hidden(*frames(error, set()), secret=secret)
    assert_hidden(*traceback.format_exception(error), secret=secret)
