"""The harness of the fuzzers works: each target on seeds and mutations; each sees a twin that is wrong."""

import ctypes
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

if not (Path(__file__).parents[2] / "fuzz").exists():
    pytest.skip("run from a checkout", allow_module_level=True)

from fuzz import engines, seeds
from fuzz.source import Difference, sealed

RUNS = 300


@pytest.fixture(scope="module")
def targets(compiled: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = importlib.import_module("fuzz.targets").TARGETS
    return found


def test_there_are_seeds_for_each_target(targets: dict[str, Any]) -> None:
    assert sorted(targets) == sorted(path.stem for path in seeds.CORPUS.glob("*.txt"))


@pytest.mark.parametrize("target", sorted(path.stem for path in seeds.CORPUS.glob("*.txt")))
def test_the_twins_agree(targets: dict[str, Any], target: str) -> None:
    count = engines.plain(target, 0, RUNS if target != "large" else 40, seed=1)
    assert count >= len(seeds.load(target)) > 0


def _shifted(function: Any) -> Any:
    """The same with an odd result for what is not so common."""

    def wrong(*args: Any) -> Any:
        result = function(*args)
        return b"wrong" if isinstance(result, bytes) and len(result) % 7 == 5 else result

    return wrong


@pytest.mark.parametrize(
    ("target", "module", "name"),
    [
        ("content", "_codec.pure", "encode_data"),
        ("content", "_codec.pure", "normalize_newlines"),
        ("content", "_speedups", "encode_data"),
        ("command", "_speedups", "encode_command"),
        ("recipients", "_codec.pure", "encode_recipients"),
    ],
)
def test_a_wrong_function_is_seen(
    targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch, target: str, module: str, name: str
) -> None:
    twin = importlib.import_module(f"aiosmtplib.{module}")
    monkeypatch.setattr(twin, name, _shifted(getattr(twin, name)))
    with pytest.raises(Difference):
        engines.plain(target, 0, 10_000, seed=1)


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        ("session", "_SERVICE_CLOSING", 422),
        ("connection", "_SERVICE_CLOSING", 422),
        ("session", "LAST", 0),
        ("session", "_NEVER", 0),
    ],
)
def test_a_wrong_session_is_seen(
    targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch, target: str, name: str, value: Any
) -> None:
    monkeypatch.setattr(importlib.import_module("aiosmtplib._codec.pure.session"), name, value)
    with pytest.raises(Difference):
        engines.plain(target, 0, 10_000, seed=1)


@pytest.mark.parametrize(
    ("target", "module", "name"), [("replies", "replies", "_echo"), ("address", "commands", "_match_named")]
)
def test_a_wrong_part_is_seen(
    targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch, target: str, module: str, name: str
) -> None:
    twin = importlib.import_module(f"aiosmtplib._codec.pure.{module}")
    monkeypatch.setattr(twin, name, lambda text: None)
    with pytest.raises(Difference):
        engines.plain(target, 0, 10_000, seed=1)


def test_a_wrong_transaction_is_seen(targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("aiosmtplib._session.transaction")
    monkeypatch.setattr(module, "_outcome", lambda record, server, refused, final: ({"x": final}, final))
    with pytest.raises(Difference):
        engines.plain("dialogue", 0, 10_000, seed=1)


def test_what_is_written_beyond_the_end_is_seen() -> None:
    data = bytes(bytearray(b"of nobody else"))
    sealed(data)
    ctypes.memset(id(data) + bytes.__basicsize__ - 1 + len(data), 1, 1)
    with pytest.raises(Difference, match="written beyond the end"):
        sealed(data)


def test_mutations_are_the_same_for_the_same_seed(targets: dict[str, Any]) -> None:
    def some(seed: int) -> list[bytes]:
        chance = engines.random.Random(seed)
        return [engines.mutate(chance, [b"250 ok\r\n", b""], [b"\r\n"]) for _ in range(50)]

    assert some(1) == some(1) != some(2)
