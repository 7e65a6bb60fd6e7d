"""Runs one example in a process of its own: ``python -m tests.docs.run_block FILE``.

``await`` may stand at its top level, as in a notebook.
"""

import ast
import asyncio
import inspect
import sys
from pathlib import Path


def main(path: Path) -> None:
    code = compile(
        path.read_text(encoding="utf-8"),
        path.name,
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    scope = globals()  # what an example defines can be imported from __main__, as from a module
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, scope))
    else:
        exec(code, scope)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
