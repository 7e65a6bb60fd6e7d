"""Messages and addresses: each on both twins, beside the standard library.

Each table holds one case. ``flatten_message`` of the same message has a row for each twin and one for the
generator of the standard library, which is what the twins leave to it what they do not know. ``make
bench-message`` prints the ratios alone.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import NO_EXTENSIONS, compiled  # noqa: F401
from tests.support.serializing import by_generator

from .message_cases import ADDRESS_DOORS, ADDRESSES, MESSAGES, of_the_standard_library, with_codec

WAYS = ["compiled", "pure", "standard library"]


@pytest.fixture
def codec(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The package with one of the twins, or what stands for the standard library."""
    if request.param == "standard library":
        yield None
        return
    if request.param == "compiled":
        request.getfixturevalue("compiled")
    undo = with_codec(request.param)
    try:
        yield importlib.import_module("aiosmtplib.email")
    finally:
        undo()


def _of_the_standard_library(message: Any) -> bytes:
    return by_generator(message, False, "8bit")


@pytest.mark.parametrize("codec", WAYS, indirect=True)
@pytest.mark.parametrize("case", MESSAGES)
def test_flatten_message(benchmark: Any, codec: Any, case: str) -> None:
    message = MESSAGES[case].build()
    flatten: Callable[[Any], bytes] = codec.flatten_message if codec else _of_the_standard_library
    assert benchmark(flatten, message)


@pytest.mark.parametrize("codec", WAYS, indirect=True)
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("door", ADDRESS_DOORS)
def test_address(benchmark: Any, codec: Any, door: str, address: str) -> None:
    function = getattr(codec or of_the_standard_library, door)
    assert "someone@example.com" in benchmark(function, ADDRESSES[address])


@pytest.mark.parametrize("codec", WAYS[:2], indirect=True)
@pytest.mark.parametrize("case", ["plain 2 KiB", "many recipients"])
@pytest.mark.parametrize("door", ["extract_sender", "extract_recipients"])
def test_extract(benchmark: Any, codec: Any, door: str, case: str) -> None:
    from tests.corpus import LETTERS

    assert benchmark(getattr(codec, door), LETTERS[case]())
