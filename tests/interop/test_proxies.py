"""Through real proxies: mail by each protocol, with TLS and without, and what they say where it cannot go."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTPConnectError, SMTPPool

from ..support import certs
from ..support.clients import HOST, MESSAGE, RECIPIENTS, SENDER
from ..support.dead_addresses import refusing_address
from ..support.scripted_server import PATIENCE, PIPELINING, Peer
from .proxies import KINDS, RealProxy, real_proxy

pytest.importorskip("python_socks", reason="python-socks is of the group test")
pytestmark = pytest.mark.interop


@pytest.fixture(
    scope="module",
    params=[(name, login) for name in KINDS for login in (False, True)],
    ids=lambda param: f"{param[0]} with a login" if param[1] else param[0],
)
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProxy]:
    """Each proxy, with and without a login."""
    name, login = request.param
    with real_proxy(name, tmp_path_factory.mktemp(name), login=login) as running:
        yield running


def options_by(proxy: RealProxy, port: int, **options: Any) -> dict[str, Any]:
    """The host is no address to us, and 127.0.0.1 to the resolver of the proxy."""
    return {
        "hostname": "127.1",
        "port": port,
        "proxy": proxy.url,
        "server_hostname": "localhost",
        "tls_context": certs.client_context(),
        "local_hostname": HOST,
        "timeout": PATIENCE,
        **options,
    }


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "implicit"])
async def test_mail(proxy: RealProxy, implicit: bool) -> None:
    async with Peer(extensions=PIPELINING, tls=certs.server_context(), implicit_tls=implicit) as peer:
        options = options_by(proxy, peer.port, use_tls=implicit, start_tls=None if implicit else True)
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options)
        async with SMTPPool(**options, max_connections=3) as pool:
            await asyncio.gather(*(pool.sendmail(SENDER, RECIPIENTS, MESSAGE) for _ in range(20)))
            tls = (await pool.verify()).tls
            assert tls is not None
        await peer.hung_up()
        assert [each.content for each in peer.accepted] == [peer.accepted[0].content] * 21


async def test_without_tls(proxy: RealProxy) -> None:
    """The greeting may come in one segment with what the proxy says."""
    async with Peer() as peer:
        for _ in range(5):
            await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options_by(proxy, peer.port))
        await peer.hung_up()
        assert len(peer.accepted) == 5


async def test_nothing_listens_behind_it(proxy: RealProxy) -> None:
    _, port = refusing_address()
    with pytest.raises(SMTPConnectError) as caught:
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options_by(proxy, port))
    where = f"Error connecting to 127.1 on port {port}: the proxy 127.0.0.1 on port {proxy.port} "
    assert caught.value.message.startswith(f"{where}could not connect to it: ")


async def test_a_name_that_it_does_not_know(proxy: RealProxy) -> None:
    with pytest.raises(SMTPConnectError, match="could not connect to it: "):
        options = options_by(proxy, 25, hostname="nowhere.invalid")
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options)


@pytest.mark.parametrize("login", ["", "user:wrong@"])
@pytest.mark.parametrize("proxy", [(name, True) for name in KINDS], indirect=True)
async def test_the_login_is_refused(proxy: RealProxy, login: str) -> None:
    async with Peer() as peer:
        options = options_by(proxy._replace(login=login), peer.port)
        with pytest.raises(SMTPConnectError, match=f"on port {proxy.port} refused the login: ") as caught:
            await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options)
        assert "Check user name and password in the proxy option" in str(caught.value)
        assert peer.conversations == []
