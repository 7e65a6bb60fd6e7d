"""The inputs that are kept: a file for each target in ``fuzz/corpus``, an input a line, as bytes literals."""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def load(target: str) -> list[bytes]:
    path = CORPUS / f"{target}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [ast.literal_eval(line) for line in lines]


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Write them down, the shortest first."""
    ordered = sorted(set(inputs), key=lambda data: (len(data), data))
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.txt").write_text("".join(f"{data!r}\n" for data in ordered), encoding="ascii")


def unpack(target: str, folder: Path) -> None:
    """As libFuzzer wants them: a file for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in load(target):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def read(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]
