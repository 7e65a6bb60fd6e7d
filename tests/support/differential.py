"""Many drawn messages through the serialiser and the generator of the standard library, until they differ.

    python -m tests.support.differential --examples 50000 --seed 1

runs on both twins and prints how many examples there were, and each difference with the recipe of the
smallest message that shows it. ``test_flatten_differential`` runs a few of the same.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from email.message import Message
from functools import partial
from importlib.util import find_spec
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

import aiosmtplib._message.flatten as target

from .messages import Recipe, messages, rubble
from .oracle import FORMS, SETTINGS, differences

__all__ = ("KINDS", "Flatten", "check", "twins", "ways")

Flatten = Callable[[Message, bool, str], Any]
KINDS: Mapping[str, st.SearchStrategy[Recipe]] = {"built": messages, "rubble": rubble}
#: One run of hypothesis remembers all that it has tried.
BATCH = 400


def twins(compiled: bool) -> dict[str, Any]:
    """The serialisers, by name.

    :param compiled: whether with the compiled one
    """
    modules = {"pure": "_codec.pure.serializer", **({"compiled": "_speedups"} if compiled else {})}
    return {
        name: importlib.import_module(f"aiosmtplib.{module}").serialize_message
        for name, module in modules.items()
    }


def ways(found: Mapping[str, Any]) -> dict[str, tuple[Flatten, str]]:
    """Each form by each twin, whichever was chosen at the import."""
    for legacy in (False, True):  # asked once, and boundaries are drawn for it: before any are compared
        target._is_known(legacy)
    target._folds()

    def flatten(serialize_message: Any, form: str, message: Message, utf8: bool, cte_type: str) -> Any:
        chosen = target.serialize_message
        target.serialize_message = serialize_message
        try:
            if form == "plain":
                return target.flatten(message, utf8, cte_type)
            data, size = target.flatten_for(message, utf8, cte_type, form == "BDAT")
            return b"".join(data) if isinstance(data, tuple) else data, size
        finally:
            target.serialize_message = chosen

    return {
        f"{name}, {form}": (partial(flatten, twin, form), form)
        for form in FORMS
        for name, twin in found.items()
    }


def check(recipe: Recipe, flattens: Mapping[str, tuple[Flatten, str]]) -> None:
    """Hold each of the functions against the standard library.

    :raises AssertionError: with what differs
    """
    found = differences(recipe.build, flattens)
    assert not found, f"{'; '.join(found)}: {recipe!r}"


def run(kind: str, number: int, seed: int, flattens: Mapping[str, tuple[Flatten, str]]) -> tuple[int, str]:
    """Draw this many messages of a kind; how often one was compared, and what differed first."""
    count = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @hypothesis.given(KINDS[kind])
    def examine(recipe: Recipe) -> None:
        nonlocal count
        count += len(SETTINGS)
        check(recipe, flattens)

    try:
        examine()
    except Exception as error:
        return count, "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    return count, ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=50_000,
        help="a message with one of the four settings (default: 50,000)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    found = twins(find_spec("aiosmtplib._speedups") is not None)
    # The others are these with little more to them.
    flattens = {
        name: way
        for name, way in ways(found).items()
        if name in ("pure, plain", "compiled, plain", "compiled, DATA")
    }
    done, different, started, seed = 0, 0, time.monotonic(), options.seed
    while done < options.examples:
        for kind in options.kinds:
            count, what = run(kind, min(BATCH, options.examples // 8 + 1), seed, flattens)
            done += count
            if what:
                different += 1
                print(f"seed {seed}, {kind}: {what}\n", flush=True)
            print(f"{done:,} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        seed += 1
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"Python {version}: {done:,} examples ({done // 4:,} messages with 4 settings each) on "
        f"{' and '.join(found)} in {time.monotonic() - started:.0f} s, {different} batches with a difference"
    )
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
