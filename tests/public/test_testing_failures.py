"""The server for other people's tests in a thread, with a script of failures, and those who wait for mail."""

import asyncio
import logging
import pickle
import smtplib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery
from aiosmtplib.testing import ReceivedMessage, Server

ROOT = Path(__file__).parents[2]
MAIL: Any = ("a@example.com", ["b@example.com"], "Subject: Hi\n\nHi!\n")


# In a thread


def test_serves_programs_that_block() -> None:
    with Server(users={"user": "password"}, start_tls=True) as server:
        aiosmtplib.SMTP(**server.connect_options).sendmail_sync(*MAIL)
        with smtplib.SMTP(server.host, server.port) as client, pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(*MAIL)
        [received] = server.wait_for_sync(1)
    assert received.username == "user"
    assert server.messages == [received]
    assert "aiosmtplib.testing" not in {thread.name for thread in threading.enumerate()}


def test_serves_again_and_again() -> None:
    server = Server(use_tls=True)
    for _ in range(2):
        with server:
            aiosmtplib.SMTP(**server.connect_options).sendmail_sync(*MAIL)
    assert len(server.messages) == 2


async def test_serves_an_event_loop_from_another_thread() -> None:
    with Server() as server:
        await aiosmtplib.send(MAIL[2], *MAIL[:2], **server.connect_options)
        assert len(await server.wait_for(1)) == 1
        assert len(server.wait_for_sync(1)) == 1


def test_a_port_that_is_taken_leaves_no_thread() -> None:
    with Server() as server, pytest.raises(OSError), Server(port=server.port):
        pass
    assert "aiosmtplib.testing" not in {thread.name for thread in threading.enumerate()}


def test_ends_with_a_client_that_stays() -> None:
    with Server() as server:
        client = smtplib.SMTP(server.host, server.port)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()
    client.close()


# Waiting


async def test_waits_for_messages_to_come() -> None:
    async with Server() as server:

        async def send_three() -> None:
            async with aiosmtplib.SMTP(**server.connect_options) as client:
                for _ in range(3):
                    await client.sendmail(*MAIL)

        sending = asyncio.create_task(send_three())
        assert len(await server.wait_for(3)) == 3
        await sending
        with pytest.raises(TimeoutError, match=r"^3 of 4 messages came within 0\.01 seconds$"):
            await server.wait_for(4, timeout=0.01)
        with pytest.raises(RuntimeError, match="await wait_for instead"):
            server.wait_for_sync()
        server.messages.clear()
        assert await server.wait_for(0) == []


def test_waits_in_a_thread() -> None:
    with Server() as server:
        client = aiosmtplib.SMTP(**server.connect_options)
        sender = threading.Thread(target=client.sendmail_sync, args=MAIL)
        sender.start()
        [received] = server.wait_for_sync(1)
        sender.join()
        with pytest.raises(TimeoutError, match="1 of 2"):
            server.wait_for_sync(2, timeout=0.01)
    assert isinstance(received, ReceivedMessage)
    assert pickle.loads(pickle.dumps(received)) == received


# Failures


async def attempt(server: Server, **options: Any) -> BaseException | None:
    try:
        await aiosmtplib.send(MAIL[2], *MAIL[:2], **{**server.connect_options, **options})
    except aiosmtplib.SMTPException as error:
        return error
    return None


@pytest.mark.parametrize(
    ("phase", "reply", "raised"),
    [
        ("connect", "554 5.7.1 Not you", aiosmtplib.SMTPConnectResponseError),
        ("EHLO", "502 5.5.1 No", None),  # HELO does
        ("AUTH", "454 4.7.0 Later", aiosmtplib.SMTPAuthenticationError),
        ("STARTTLS", "454 4.7.0 Later", aiosmtplib.SMTPResponseException),
        ("MAIL", "451 4.3.0 Later", aiosmtplib.SMTPSenderRefused),
        ("MAIL", "421 4.3.0 Bye", aiosmtplib.SMTPSenderRefused),
        ("RCPT", "450 4.2.1 Later", aiosmtplib.SMTPRecipientsRefused),
        ("DATA", "451 4.3.0 Later", aiosmtplib.SMTPDataError),
        ("message", "552 5.2.2 Full", aiosmtplib.SMTPDataError),
        ("message", "421 4.3.0 Bye", aiosmtplib.SMTPDataError),
        ("QUIT", "500 5.5.1 No", None),
    ],
)
async def test_says_what_it_was_told(phase: str, reply: str, raised: Any) -> None:
    users = {"user": "password"} if phase in ("AUTH", "STARTTLS") else None
    async with Server(users=users, start_tls=phase == "STARTTLS") as server:
        options = {} if phase in ("AUTH", "STARTTLS") else {"start_tls": None}
        if phase == "AUTH":
            server.fail(phase, reply)  # PLAIN, and then LOGIN
        server.fail(phase, reply)
        error = await attempt(server, **options)
        assert error is None if raised is None else isinstance(error, raised)
        if isinstance(error, aiosmtplib.SMTPResponseException):
            assert f"{error.code} {error.message}" == reply
        assert await attempt(server, **options) is None
        assert len(server.messages) == 1 + (raised is None)


@pytest.mark.parametrize("phase", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "message"])
@pytest.mark.parametrize("pipelining", [True, False])
async def test_drops_the_connection(phase: str, pipelining: bool) -> None:
    async with Server(pipelining=pipelining) as server:
        server.fail(phase, drop=True, times=2)
        for _ in range(2):
            error = await attempt(server)
            assert isinstance(error, ConnectionError)
            unknown = Delivery.UNKNOWN if phase == "message" else Delivery.NOT_SENT
            assert error.delivery is unknown  # type: ignore[attr-defined]
        assert await attempt(server) is None
        server.fail(phase, drop=True, times=None)
        assert isinstance(await attempt(server), ConnectionError)
        server.heal()
        assert await attempt(server) is None
    assert len(server.messages) == 2


async def test_takes_its_time() -> None:
    async with Server() as server:
        server.fail("message", delay=0.01)
        assert await attempt(server) is None
        server.fail("MAIL", delay=60)
        error = await attempt(server, timeout=0.05)
    assert isinstance(error, aiosmtplib.SMTPReadTimeoutError)


async def test_fails_in_the_order_of_the_calls() -> None:
    async with Server() as server, aiosmtplib.SMTP(**server.connect_options) as client:
        server.fail("NOOP", "450 one", times=2)
        server.fail("NOOP", "450 two")
        server.fail("VRFY", "550 three")
        codes = [(await client.execute_command(b"NOOP")).message for _ in range(4)]
        assert codes == ["one", "one", "two", "OK"]
        assert (await client.execute_command(b"VRFY", b"b")).message == "three"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"phase": "mail", "reply": "450 no"}, "none of the phases"),
        ({"phase": "MAIL", "reply": "no"}, "is no reply"),
        ({"phase": "MAIL", "reply": "450 a\r\n250 b"}, "is no reply"),
        ({"phase": "MAIL", "reply": "450 no", "drop": True}, "says nothing"),
        ({"phase": "MAIL"}, "a reply, a delay, or drop=True"),
    ],
)
def test_failures_that_make_no_sense(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Server().fail(**arguments)


# Silence

PROGRAM = """
import smtplib, socket, ssl, sys
import aiosmtplib
from aiosmtplib.testing import Server

with Server(users={"user": "password"}) as server:
    aiosmtplib.SMTP(**server.connect_options).sendmail_sync("a@example.com", "b@example.com", "x")
    try:
        options = {**server.connect_options, "password": "wrong"}
        aiosmtplib.SMTP(**options).sendmail_sync("a@example.com", "b@example.com", "x")
    except aiosmtplib.SMTPAuthenticationError:
        pass
    with socket.create_connection((server.host, server.port)) as sock:
        sock.recv(100)
        sock.sendall(b"NONSENSE\\r\\nMAIL\\r\\n")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")
with Server(use_tls=True) as server:
    server.fail("connect", drop=True)
    for options in (server.connect_options, {**server.connect_options, "tls_context": None}):
        try:
            aiosmtplib.SMTP(**options).sendmail_sync("a@example.com", "b@example.com", "x")
        except aiosmtplib.SMTPConnectError:
            pass
"""


def test_nothing_goes_to_standard_error() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_what_aiosmtpd_logs_can_be_had(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mail.log")
    async with Server() as server:
        await attempt(server)
    assert "mail.log" in {record.name for record in caplog.records}


# The plugin of pytest

TESTS = """
import smtplib
import pytest
import sys

def test_nothing_is_imported_before_a_fixture_is_used(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("pytest_aiosmtplib")
    assert not [name for name in sys.modules if name.split(".")[0] in ("aiosmtplib", "aiosmtpd", "trustme")]

def test_plain(smtp_server):
    with smtplib.SMTP(smtp_server.host, smtp_server.port) as client:
        client.sendmail("a@example.com", "b@example.com", "x")
    assert len(smtp_server.messages) == 1

def test_tls(smtp_server, smtp_server_tls):
    context = smtp_server_tls.connect_options["tls_context"]
    with smtplib.SMTP_SSL("localhost", smtp_server_tls.port, context=context) as client:
        client.sendmail("a@example.com", "b@example.com", "x")
    assert (len(smtp_server.messages), len(smtp_server_tls.messages)) == (0, 1)
"""


def test_fixtures_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    command += ["-p", "no:asyncio", "-p", "pytest_aiosmtplib", str(tmp_path / "test_it.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "3 passed" in done.stdout, done.stdout
