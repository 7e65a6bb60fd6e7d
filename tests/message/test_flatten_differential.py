"""Drawn messages, built and mangled: both twins write what the standard library does, and change nothing.

The examples are the same in each run. ``python -m tests.support.differential`` draws as many others as are
wanted.
"""

from email.message import EmailMessage, Message
from email.policy import Policy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from aiosmtplib._message import flatten as flattening

from ..conftest import EXPECT_EXTENSIONS, NO_EXTENSIONS
from ..support.differential import Flatten, check, run, twins, ways
from ..support.messages import Recipe, messages, rubble
from ..support.oracle import differences

Ways = dict[str, tuple[Flatten, str]]
fixed = settings(
    derandomize=True,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@pytest.fixture(scope="module", name="each_way")
def _each_way() -> Ways:
    """What is compared: both twins, if there are two, in all three forms."""
    return ways(twins(compiled=EXPECT_EXTENSIONS and not NO_EXTENSIONS))


@fixed
@given(recipe=messages)
def test_built(each_way: Ways, recipe: Recipe) -> None:
    check(recipe, each_way)


@fixed
@given(recipe=rubble)
def test_rubble(each_way: Ways, recipe: Recipe) -> None:
    check(recipe, each_way)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["built", "rubble"])
def test_many(each_way: Ways, kind: str) -> None:
    count, what = run(kind, 1500, 4711, each_way)
    assert not what
    assert count >= 5000


class TestOracle:
    """That the comparison sees what it is there for."""

    @staticmethod
    def found(flatten: Any, message: Message) -> str:
        return "; ".join(differences(lambda: message, {"one": (flatten, "plain")}))

    @staticmethod
    def message(policy: Policy | None = None) -> EmailMessage:
        message = EmailMessage(policy=policy)
        message["Subject"] = "s"
        message.set_content("text\n")
        return message

    def test_other_bytes(self) -> None:
        def flatten(*arguments: Any) -> bytes:
            return flattening.flatten(*arguments).replace(b"text", b"test")

        assert "one, utf8=False, cte_type='8bit': at 28: " in self.found(flatten, self.message())

    def test_no_error(self) -> None:
        message = self.message()
        message.set_payload("é")
        found = self.found(lambda *_: b"", message)
        assert found.startswith(
            "one, utf8=False, cte_type='8bit': b'' instead of <class 'UnicodeEncodeError'>"
        )

    def test_a_changed_message(self) -> None:
        def add(message: Message, *arguments: Any) -> bytes:
            content = flattening.flatten(message, *arguments)
            message.preamble = ""
            return content

        held: list[Any] = []

        def renew(message: Message, *arguments: Any) -> bytes:
            content = flattening.flatten(message, *arguments)
            # Held, so that the new one cannot be in its place.
            held.append(list(message.raw_items()))
            message.replace_header("Subject", "s")
            return content

        assert "the message changed" in self.found(add, self.message())
        assert "the message changed" in self.found(renew, self.message())

    def test_other_boundaries(self) -> None:
        def build() -> EmailMessage:
            message = self.message()
            message.make_mixed()
            return message

        def draw_more(*arguments: Any) -> bytes:
            content = flattening.flatten(*arguments)
            flattening.flatten(*arguments)
            return content

        found = differences(build, {"one": (draw_more, "plain")})
        assert found[0] == "one, utf8=False, cte_type='8bit': boundaries were drawn otherwise"
