"""TLS contexts are shared by those, and only by those, for which an equal one would be made."""

import asyncio
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import aiosmtplib
from aiosmtplib import SMTPConnectError
from aiosmtplib._transport import tls_contexts
from aiosmtplib._transport.tls_contexts import MAX_CONTEXTS, TLSOptions, shared_tls_context

from ..support import certs
from ..support.certs import Files
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, client_for
from ..support.scripted_server import PATIENCE, Peer


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    aiosmtplib.clear_tls_cache()
    yield
    aiosmtplib.clear_tls_cache()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[TLSOptions]:
    """What contexts were made from since the test began."""
    made: list[TLSOptions] = []
    make = tls_contexts.make_tls_context

    def counting(options: TLSOptions) -> ssl.SSLContext:
        made.append(options)
        return make(options)

    monkeypatch.setattr(tls_contexts, "make_tls_context", counting)
    return made


class Gate:
    """A maker of contexts that waits, in its thread, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.opened = threading.Semaphore(0), threading.Event()
        self.calls = 0
        make = tls_contexts.make_tls_context

        def waiting(options: TLSOptions) -> ssl.SSLContext:
            self.calls += 1
            self.begun.release()
            assert self.opened.wait(PATIENCE)
            return make(options)

        monkeypatch.setattr(tls_contexts, "make_tls_context", waiting)

    async def begins(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


def bundle(path: Path, files: Files, untrusted: bool = False) -> str:
    """A bundle of its own in a file of its own; written anew it is another file."""
    other = path.with_suffix(".new")
    other.write_bytes(Path(files.untrusted_ca if untrusted else files.ca).read_bytes())
    other.replace(path)
    return str(path)


# -- the same one ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("validate", [True, False])
async def test_equal_options_share_a_context(validate: bool, made: list[TLSOptions]) -> None:
    first = await shared_tls_context(TLSOptions(validate))
    assert await shared_tls_context(TLSOptions(validate)) is first
    assert len(made) == 1


async def test_connections_share_a_context(certificates: Files, made: list[TLSOptions]) -> None:
    async with Peer(tls=certs.server_context()) as peer:
        used = []
        for options in ({"start_tls": True}, {}, {"start_tls": True}):
            async with client_for(peer, cert_bundle=certificates.ca, **options) as client:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
                used.append(client.get_transport_info("sslcontext"))
        assert used[0] is used[1] is used[2]
    assert len(made) == 1


async def test_a_hundred_at_once_make_one(gate: Gate) -> None:
    tasks = [asyncio.create_task(shared_tls_context(TLSOptions())) for _ in range(100)]
    await gate.begins()  # the loop runs meanwhile
    assert not any(task.done() for task in tasks)
    gate.opened.set()
    assert len(set(await asyncio.gather(*tasks))) == 1
    assert gate.calls == 1


def test_threads_and_loops_share_a_context(gate: Gate) -> None:
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(asyncio.run, shared_tls_context(TLSOptions())) for _ in range(8)]
        assert gate.begun.acquire(timeout=PATIENCE)
        gate.opened.set()
        assert len({job.result(PATIENCE) for job in jobs}) == 1
    assert gate.calls == 1


async def test_who_is_cancelled_leaves_the_others_alone(gate: Gate) -> None:
    first, second = (asyncio.create_task(shared_tls_context(TLSOptions())) for _ in range(2))
    await gate.begins()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.opened.set()
    assert await second is await shared_tls_context(TLSOptions())
    assert gate.calls == 1


# -- another one -----------------------------------------------------------------------------------------


async def test_other_options_get_another_context(certificates: Files) -> None:
    options = [
        TLSOptions(),
        TLSOptions(False),
        TLSOptions(cert_bundle=certificates.ca),
        TLSOptions(minimum_version=ssl.TLSVersion.TLSv1_3),
    ]
    contexts = [await shared_tls_context(each) for each in options]
    assert len(set(contexts)) == len(options)
    assert [await shared_tls_context(each) for each in options] == contexts


async def test_a_bundle_rotated_removed_and_restored(certificates: Files, tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    async with Peer(tls=certs.server_context()) as peer:
        for untrusted in (False, True, False):
            client = client_for(peer, cert_bundle=bundle(path, certificates, untrusted))
            if untrusted:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await client.connect()
            else:
                await client.connect()
                client.close()
        path.unlink()
        with pytest.raises(SMTPConnectError, match="cert_bundle must be a readable PEM file"):
            await client_for(peer, cert_bundle=str(path)).connect()
        async with client_for(peer, cert_bundle=bundle(path, certificates)) as client:
            await client.noop()


async def test_a_bundle_written_in_place(certificates: Files, tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    path.write_bytes(Path(certificates.ca).read_bytes())
    first = await shared_tls_context(TLSOptions(cert_bundle=str(path)))
    with path.open("ab") as file:
        file.write(Path(certificates.untrusted_ca).read_bytes())
    second = await shared_tls_context(TLSOptions(cert_bundle=str(path)))
    assert len(second.get_ca_certs()) == len(first.get_ca_certs()) + 1


@pytest.mark.skipif(sys.platform == "win32", reason="certificates come from the store of Windows")
async def test_the_default_file_and_directories(
    certificates: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = [tmp_path / "a", tmp_path / "b"]
    directories[0].mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", bundle(tmp_path / "file.pem", certificates))
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(map(str, directories)))
    contexts = [await shared_tls_context(TLSOptions())]

    async def another() -> None:
        context = await shared_tls_context(TLSOptions())
        assert context not in contexts
        assert await shared_tls_context(TLSOptions()) is context
        contexts.append(context)

    assert len(contexts[0].get_ca_certs()) == 1
    bundle(tmp_path / "file.pem", certificates, untrusted=True)
    await another()
    directories[1].mkdir()
    await another()
    (directories[1] / "12345678.0").write_bytes(Path(certificates.ca).read_bytes())
    await another()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    await another()
    monkeypatch.setenv("SSL_CERT_FILE", "\0" if sys.platform == "win32" else "")
    await another()


async def test_a_key_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    plain = await shared_tls_context(TLSOptions())
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    logging = await shared_tls_context(TLSOptions())
    assert logging.keylog_filename == str(tmp_path / "keys")
    monkeypatch.delenv("SSLKEYLOGFILE")
    assert await shared_tls_context(TLSOptions()) is plain and plain.keylog_filename is None


class Replacement(ssl.SSLContext):
    """What another package puts in the place of the standard library's context."""

    verify_mode = property(lambda self: ssl.CERT_NONE, lambda self, mode: None)  # type: ignore[assignment]


def replacement() -> ssl.SSLContext:
    return Replacement(ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize(
    ("name", "maker", "options"),
    [
        ("SSLContext", Replacement, TLSOptions(False)),
        ("create_default_context", replacement, TLSOptions()),
    ],
)
async def test_another_maker(
    name: str, maker: object, options: TLSOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = await shared_tls_context(options)
    with monkeypatch.context() as patch:
        patch.setattr(ssl, name, maker)
        assert type(await shared_tls_context(options)) is Replacement
    assert await shared_tls_context(options) is usual


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("check_hostname", False),
        ("minimum_version", ssl.TLSVersion.TLSv1_3),
        ("maximum_version", ssl.TLSVersion.TLSv1_2),
        ("options", ssl.OP_ALL | ssl.OP_NO_TICKET),
        ("verify_flags", ssl.VERIFY_CRL_CHECK_LEAF),
    ],
)
async def test_a_context_that_somebody_changed(name: str, value: object) -> None:
    changed = await shared_tls_context(TLSOptions())
    setattr(changed, name, value)
    context = await shared_tls_context(TLSOptions())
    assert context is not changed and getattr(context, name) != value
    assert await shared_tls_context(TLSOptions()) is context


async def test_a_context_that_no_longer_verifies() -> None:
    changed = await shared_tls_context(TLSOptions())
    changed.check_hostname = False
    changed.verify_mode = ssl.CERT_NONE
    assert (await shared_tls_context(TLSOptions())).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.skipif(sys.platform == "win32", reason="certificates come from the store of Windows")
async def test_files_that_change_while_they_are_read(
    gate: Gate, certificates: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
    making = asyncio.create_task(shared_tls_context(TLSOptions()))
    await gate.begins()
    monkeypatch.setenv("SSL_CERT_FILE", certificates.untrusted_ca)
    gate.opened.set()
    other = await making
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
    assert await shared_tls_context(TLSOptions()) is not other
    assert gate.calls == 2


# -- what is not shared ----------------------------------------------------------------------------------


async def test_a_private_key_is_not_kept(certificates: Files, made: list[TLSOptions]) -> None:
    options = TLSOptions(True, None, certificates.client_cert, certificates.client_key)
    assert await shared_tls_context(options) is not await shared_tls_context(options)
    assert len(made) == 2


async def test_the_context_of_the_caller_is_not_kept(
    trusting: ssl.SSLContext, made: list[TLSOptions]
) -> None:
    async with (
        Peer(tls=certs.server_context()) as peer,
        client_for(peer, tls_context=trusting, start_tls=True) as client,
    ):
        assert client.get_transport_info("sslcontext") is trusting
    assert made == []


async def test_the_ones_used_last_are_kept(certificates: Files, tmp_path: Path) -> None:
    options = [
        TLSOptions(False, cert_bundle=bundle(tmp_path / f"{i}.pem", certificates))
        for i in range(MAX_CONTEXTS + 1)
    ]
    contexts = []
    for each in options:
        contexts.append(await shared_tls_context(each))
        assert await shared_tls_context(options[0]) is contexts[0]
    assert await shared_tls_context(options[-1]) is contexts[-1]
    assert await shared_tls_context(options[2]) is contexts[2]
    assert await shared_tls_context(options[1]) is not contexts[1]


async def test_clearing(made: list[TLSOptions]) -> None:
    first = await shared_tls_context(TLSOptions())
    aiosmtplib.clear_tls_cache()
    assert await shared_tls_context(TLSOptions()) is not first
    assert len(made) == 2


async def test_clearing_while_one_is_made(gate: Gate) -> None:
    before = asyncio.create_task(shared_tls_context(TLSOptions()))
    await gate.begins()
    aiosmtplib.clear_tls_cache()
    after = asyncio.create_task(shared_tls_context(TLSOptions()))
    await gate.begins()
    gate.opened.set()
    assert await before is not await after
    assert await shared_tls_context(TLSOptions()) is await after


async def test_an_error_for_each(gate: Gate, tmp_path: Path) -> None:
    options = TLSOptions(cert_bundle=str(tmp_path / "none.pem"))
    tasks = [asyncio.create_task(shared_tls_context(options)) for _ in range(3)]
    await gate.begins()
    gate.opened.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert gate.calls == 1 and len(set(map(id, errors))) == 3
    for error in errors:
        assert isinstance(error, SMTPConnectError) and isinstance(error.__cause__, FileNotFoundError)
        assert "cert_bundle must be a readable PEM file" in str(error)
    with pytest.raises(SMTPConnectError):  # and is not kept
        await shared_tls_context(options)
    assert gate.calls == 2


# -- processes -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_makes_its_own_where_the_parent_was_making_one(gate: Gate) -> None:
    kept = asyncio.run(_with_gate_open(gate))

    async def parent() -> None:
        waiting = asyncio.create_task(shared_tls_context(TLSOptions()))
        await gate.begins()
        with tls_contexts._contexts._lock:  # as another thread may, at that moment
            child = os.fork()
            if not child:
                status = 1
                try:
                    gate.opened.set()
                    asyncio.events._set_running_loop(None)
                    status = 0 if asyncio.run(_in_child(kept)) else 2
                finally:
                    os._exit(status)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        gate.opened.set()
        await waiting

    asyncio.run(parent())


async def _with_gate_open(gate: Gate) -> ssl.SSLContext:
    gate.opened.set()
    kept = await shared_tls_context(TLSOptions(False))
    gate.opened.clear()
    assert gate.begun.acquire(timeout=PATIENCE)
    return kept


async def _in_child(kept: ssl.SSLContext) -> bool:
    """Whether contexts that the parent had finished are there, and those that it was making can be made."""
    same = await asyncio.wait_for(shared_tls_context(TLSOptions(False)), PATIENCE) is kept
    return same and bool(await asyncio.wait_for(shared_tls_context(TLSOptions()), PATIENCE))
