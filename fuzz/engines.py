"""What makes inputs: atheris, guided by the coverage of both twins; or mutation of the seeds, unguided."""

import hashlib
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import build, seeds

#: Longest inputs, in bytes, where an execution takes long for each byte.
_LENGTHS = {"content": 160, "large": 80, "replies": 240, "parsed": 800}

FOLDER = build.ROOT / "build" / "fuzz"

#: What is counted of the modules in Python.
_TWINS = {
    "aiosmtplib._codec.pure",
    "aiosmtplib._codec.endings",
    "aiosmtplib._codec.pure.session",
    "aiosmtplib._codec.pure.serializer",
    "aiosmtplib._codec.pure.transaction",
    "aiosmtplib._session.transaction",
}


def atheris(target: str, seconds: float, runs: int, seed: int, fast: bool) -> None:
    """Fuzz under libFuzzer. Does not return: libFuzzer ends the process, with 77 for a difference or a crash.

    :param fast: count what the compiled twin does and not what the pure one does, which is slow to count
    """
    import ctypes

    import atheris as engine

    from .tokens import TOKENS

    found = FOLDER / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    unpacked = FOLDER / "seeds" / target
    seeds.unpack(target, unpacked)
    dictionary = FOLDER / f"{target}.dict"
    options = [
        f"-max_total_time={seconds:.0f}" if seconds else "-max_total_time=0",
        f"-runs={runs or -1}",
        f"-seed={seed}",
        f"-max_len={_LENGTHS.get(target, 400)}",
        "-timeout=60",
        "-print_final_stats=1",
        *([f"-dict={dictionary}"] if target in TOKENS else []),
        f"-artifact_prefix={FOLDER}/{target}-",
    ]

    def call(data: bytes) -> None:
        TARGETS[target](data)

    escaped = ["".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS.get(target, ())]
    dictionary.write_text("".join(f'"{token}"\n' for token in escaped), encoding="ascii")
    engine.Setup([sys.argv[0], *options, str(found), str(unpacked)], call, internal_libfuzzer=True)
    path = build.extension()
    if path is not None:
        # The counters of the extension ask for functions of libFuzzer, which atheris loads for itself alone.
        core = __import__("atheris.core_with_libfuzzer", fromlist=["__file__"])
        ctypes.CDLL(core.__file__, mode=ctypes.RTLD_GLOBAL)
        build.prefer(path)
    twins = set() if fast and path is not None else _TWINS
    exclude = sorted(build.modules() - twins)
    with engine.instrument_imports(include=["aiosmtplib"], exclude=exclude):
        from .targets import TARGETS
    engine.Fuzz()


def plain(target: str, seconds: float, runs: int, seed: int) -> int:
    """Mutate the seeds for so long, or so many times; each seed itself comes first.

    :return: the number of inputs
    """
    from .targets import TARGETS
    from .tokens import TOKENS

    call, tokens = TARGETS[target], TOKENS.get(target, (b"\0",))
    chance = random.Random(seed)
    inputs = seeds.load(target) or [b""]
    stop = time.monotonic() + seconds if seconds else float("inf")
    count = 0
    while not (runs and count >= max(runs, len(inputs))) and time.monotonic() < stop:
        data = inputs[count] if count < len(inputs) else mutate(chance, inputs, tokens)
        try:
            call(data)
        except Exception as error:
            error.args = (f"{error}\n{target}: {data!r}", *error.args[1:])
            raise
        count += 1
    return count


def mutate(chance: random.Random, inputs: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    data = bytearray(chance.choice(inputs))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        what = chance.randrange(6)
        if what == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 1:
            data[at:at] = chance.choice(tokens)
        elif what == 2:
            del data[at : at + chance.randrange(1, 8)]
        elif what == 3:
            other = chance.choice(inputs)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        elif what == 4:
            data[at:at] = data[at : at + chance.randrange(1, 20)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 8))
    return bytes(data[:600])


def reproducer(target: str) -> Any:
    """The newest input that libFuzzer has kept because of what it did."""
    paths = [path for kind in ("crash", "timeout", "oom") for path in FOLDER.glob(f"{target}-{kind}-*")]
    return max(paths, key=lambda path: path.stat().st_mtime, default=None)


def small(target: str, limit: int) -> list[bytes]:
    """What is kept already, and of what libFuzzer found worth keeping some of every length."""
    folder = FOLDER / "corpus" / target
    found = seeds.read(folder) if folder.exists() else []
    kept = seeds.load(target)
    rest = sorted({*found} - {*kept}, key=lambda data: (len(data), hashlib.sha256(data).digest()))
    room = max(0, limit - len(kept))
    return [*kept, *rest[:: max(1, len(rest) // max(1, room))][:room]]


def have_atheris() -> bool:
    import importlib.util

    return importlib.util.find_spec("atheris") is not None


__all__ = ("FOLDER", "Path", "atheris", "have_atheris", "mutate", "plain", "reproducer", "small")
