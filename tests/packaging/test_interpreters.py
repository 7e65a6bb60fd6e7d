"""Several interpreters in a process, and one without a lock: the package works there, by the pure twin.

The compiled twin keeps its constants once for the whole process. So it can be loaded by the interpreter that
asks first, and by none that has a lock of its own (PEP 684). The others get an ``ImportError``, which
``_codec/__init__.py`` takes as it takes a missing extension.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

CREATE = """
import atexit, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def create(kind):
    if sys.version_info >= (3, 13):
        return interpreters.create(kind)
    return interpreters.create(isolated=kind == "isolated")

made = []

@atexit.register
def destroy():
    # Newer Pythons warn of those that remain. Older ones destroy them by themselves.
    if sys.version_info >= (3, 14):
        for each in made:
            interpreters.destroy(each)

def run(kind, code):
    made.append(create(kind))
    failed = interpreters.run_string(made[-1], code)
    if failed is not None:
        print(getattr(failed, "formatted", failed), flush=True)
"""
#: Says which twin it is, and sends a message by it.
SEND = r"""
import asyncio
import aiosmtplib
from aiosmtplib import _codec

async def serve(reader, writer):
    writer.write(b"220 hi\r\n")
    while line := await reader.readline():
        verb = line.split()[0].upper()
        writer.write({b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n"))
        if verb == b"DATA":
            await reader.readuntil(b"\r\n..dot\r\n.\r\n")
            writer.write(b"250 taken\r\n")
    writer.close()
    over.set()

async def main():
    global over
    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    message = "Subject: x\r\n\r\n.dot\r\n"
    # With a name of its own, because to look one up takes a thread, which is not for all interpreters.
    _, text = await aiosmtplib.send(
        message, sender="a@example.com", recipients=["b@example.com"],
        hostname="127.0.0.1", port=port, local_hostname="client.example.com"
    )
    await over.wait()
    server.close()
    return text

print(_codec.IMPLEMENTATION, asyncio.run(main()), flush=True)
"""


def lines(code: str, **variables: str) -> list[str]:
    # Coverage cannot be measured in all of them.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIOSMTPLIB_", "COV"))}
    done = subprocess.run(
        [sys.executable, "-c", CREATE + code, SEND],
        env={**env, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture(autouse=True)
def _several() -> None:
    done = subprocess.run([sys.executable, "-c", CREATE], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this Python has no module for several interpreters: {done.stderr.splitlines()[-1]}")


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_the_first_has_the_compiled_twin_and_others_the_pure_one(compiled: ModuleType, kind: str) -> None:
    code = f"exec(sys.argv[1]); run({kind!r}, sys.argv[1]); run({kind!r}, sys.argv[1]); exec(sys.argv[1])"
    assert lines(code) == ["cython taken", "python taken", "python taken", "cython taken"]


def test_another_may_be_first(compiled: ModuleType) -> None:
    code = "run('legacy', sys.argv[1]); exec(sys.argv[1]); run('legacy', sys.argv[1])"
    assert lines(code) == ["cython taken", "python taken", "python taken"]


# Python 3.12 has them, and crashes when one of them is the first to import asyncio and ssl.
@pytest.mark.skipif(sys.version_info < (3, 13), reason="no sound interpreters with a lock of their own here")
def test_none_with_a_lock_of_its_own_gets_the_compiled_twin(compiled: ModuleType) -> None:
    code = "run('isolated', sys.argv[1]); exec(sys.argv[1])"
    assert lines(code) == ["python taken", "cython taken"]


def test_the_pure_twin_runs_in_all() -> None:
    code = "exec(sys.argv[1]); run('isolated', sys.argv[1]); run('legacy', sys.argv[1])"
    assert lines(code, AIOSMTPLIB_NO_EXTENSIONS="1") == ["python taken"] * 3


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_the_compiled_twin_can_be_insisted_on(compiled: ModuleType, kind: str) -> None:
    attempt = """
try:
    import aiosmtplib
except ImportError as error:
    print(str(error).partition(":")[0], flush=True)
"""
    code = f"import aiosmtplib; run({kind!r}, {attempt!r}); run({kind!r}, {attempt!r})"
    expected = "AIOSMTPLIB_REQUIRE_EXTENSIONS is set and aiosmtplib._speedups cannot be loaded"
    assert lines(code, AIOSMTPLIB_REQUIRE_EXTENSIONS="1") == [expected, expected]


THREADS = """
import sys, threading
import aiosmtplib._codec
assert aiosmtplib._codec.IMPLEMENTATION == "python"
assert not sys._is_gil_enabled()
from email.message import EmailMessage
from aiosmtplib.email import flatten_message
message = EmailMessage()
message["Subject"], message["From"], message["To"] = "x" * 90, "a@example.com", "b@example.com"
message.set_content("one\\n.two\\n" * 100)
expected, results = flatten_message(message), []
def work():
    for _ in range(100):
        results.append(flatten_message(message) == expected)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert results == [True] * 800
"""


def test_without_a_lock_the_pure_twin_runs_and_none_is_switched_on() -> None:
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = [shutil.which(f"python3.{minor}t") for minor in range(13, 20)]
    found += [str(path) for path in sorted(versions.glob("3.1*t/bin/python"))]
    for python in filter(None, found):
        code = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'))"
        if subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip() == "1":
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                [python, "-W", "error", "-c", THREADS], env=env, capture_output=True, text=True
            )
            assert (done.returncode, done.stderr) == (0, "")
            return
    pytest.skip("no free-threaded CPython here")
