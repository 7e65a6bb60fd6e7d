"""``aiosmtplib.blocking`` where processes begin and end: imported, forked, exiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..support import actions
from ..support.scripted_server import PATIENCE, Peer
from ..support.threaded_servers import in_thread

ROOT = Path(__file__).parents[2]
POOL = """
import os, sys, threading
import aiosmtplib
from aiosmtplib import blocking
pool = blocking.SMTPPool("127.0.0.1", port=int(sys.argv[1]), local_hostname="me")
send = lambda who: pool.sendmail("me@example.com", f"{who}@example.com", "Subject: Hi\\n\\nHi!\\n")
"""


def run(code: str, port: int) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code, str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_nothing_of_it_is_loaded_by_the_package() -> None:
    code = "import sys, aiosmtplib; print([name for name in sys.modules if 'blocking' in name])"
    code += "; import aiosmtplib.blocking"  # and it starts nothing that has to be ended
    assert run(code, 0) == "[]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_opens_its_own_connections() -> None:
    code = """
send("parent")
closed = blocking.SMTPPool("127.0.0.1")
closed.close()
child = os.fork()
if child:
    assert os.waitpid(child, 0) == (child, 0)
    send("parent")
else:
    send("child")
    try:
        closed.sendmail("me@example.com", "you@example.com", "")
    except aiosmtplib.SMTPServerDisconnected as error:
        print(error)
print(pool.stats().sent)
"""
    with in_thread(Peer()) as peer:
        # The parent prints after the child, of which nothing is buffered when it forks.
        assert run(POOL + code, peer.port) == "The pool is closed\n1\n2\n"
    people = sorted(each.recipients[0] for each in peer.accepted)
    assert people == [b"child@example.com", b"parent@example.com", b"parent@example.com"]
    assert len(peer.conversations) == 2
    assert peer.verbs.count("QUIT") == 2


def test_the_exit_says_goodbye() -> None:
    with in_thread(Peer()) as peer:
        run(f"{POOL}send('you')", peer.port)
    assert peer.verbs[-1] == "QUIT"


@pytest.mark.parametrize("at", [".", "QUIT"])
def test_the_exit_does_not_wait_for_a_silent_server(at: str) -> None:
    code = """
def work():
    begun.set()
    try:
        send("you")
    except aiosmtplib.SMTPException as error:
        print(error.delivery.value, flush=True)

begun = threading.Event()
threading.Thread(target=work, daemon=True).start()
begun.wait()
"""
    with in_thread(Peer({at: actions.silence})) as peer:
        run(POOL + code, peer.port)


def test_the_exit_does_not_wait_for_results_that_were_left() -> None:
    code = """
results = pool.send_many(aiosmtplib.Envelope("me@example.com", "you@example.com", "") for _ in range(9))
print(next(results).ok)
"""
    with in_thread(Peer()) as peer:
        assert run(POOL + code, peer.port) == "True\n"
