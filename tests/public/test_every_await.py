"""Every public coroutine, cancelled at each of its awaits: what was sent is true, and nothing is left behind.

:mod:`tests.support.await_cases` has the table, and this fails where a public coroutine is missing from it.
Each is cancelled at its first suspension, at its second, and so on until it completes, each time also in the
moment when what it awaits is already there. Meanwhile a neighbour sends a message of its own: through the
same pool, or beside.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, SMTPPool
from aiosmtplib.testing import Server

from ..faults.campaign import left_over, open_files
from ..faults.faulty_relay import FaultRelay
from ..support.await_cases import AFTER, CASES, NEIGHBOUR, SENDER, TEXT, TO, Case, Scene, public_coroutines
from ..support.clients import each_cancellation
from ..support.scripted_server import PATIENCE

#: Where nothing is awaited, there is nothing to cancel.
AT_ONCE = {
    "LMTP.helo",
    "LMTP.data",
    "SendMany.__aenter__",
    "SendMany.__aenter__ of a pool",
    "SMTPPool.__aenter__",
}


def test_the_table_is_complete() -> None:
    assert public_coroutines() == {name.split(" ")[0] for name in CASES}


async def neighbour(case: Case, scene: Scene, relay: FaultRelay) -> None:
    """Somebody else's message."""
    try:
        if case.door == "pool":
            await scene.pool.sendmail(SENDER, NEIGHBOUR, TEXT)
        else:
            async with case.make(**Scene(replace(case, options={}), relay).options) as other:
                await other.sendmail(SENDER, NEIGHBOUR, TEXT)
    except aiosmtplib.SMTPException as error:
        assert case.closes
        scene.said[NEIGHBOUR] = error.delivery
    else:
        scene.said[NEIGHBOUR] = Delivery.DELIVERED


async def prepare(case: Case, scene: Scene) -> None:
    if case.door in ("client", "unconnected"):
        scene.client = case.make(**scene.options)
        if case.door == "client":
            await scene.client.connect()
    elif case.door == "pool":
        scene.pool = SMTPPool(**scene.options)
    if case.before is not None:
        await case.before(scene)


async def still_works(case: Case, scene: Scene) -> None:
    """What was cancelled is in step or closed; whatever it is, the next message goes."""
    if case.door in ("client", "unconnected"):
        client = scene.client
        if not client.is_connected:
            await client.connect()
        await client.rset()
        await client.sendmail(SENDER, AFTER, TEXT)
        await client.quit()
        assert not client.is_connected
    elif case.door == "pool" and not case.closes:
        await scene.pool.sendmail(SENDER, AFTER, TEXT)
        await scene.pool.aclose()
    elif case.door == "pool":
        await scene.pool.aclose()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="closed"):
            await scene.pool.sendmail(SENDER, AFTER, TEXT)
    elif case.door == "protocol":
        scene.protocol.close()
        await scene.open_protocol()
        assert (await scene.protocol.read_response(PATIENCE)).code == 220
        scene.protocol.close()
    elif case.door == "server":
        if hasattr(scene, "server"):
            await scene.server.__aexit__(None, None, None)
        if hasattr(scene, "client"):
            scene.client.close()
        async with Server() as server:
            await aiosmtplib.send(TEXT, SENDER, AFTER, **server.connect_options)
            assert len(server.messages) == 1
    else:
        await aiosmtplib.send(TEXT, SENDER, AFTER, **scene.options)


def check(case: Case, scene: Scene, ledger: "Counter[str]", outcome: Any) -> None:
    """Each verdict, and what may be there of a message without one."""
    for recipient, delivery in scene.said.items():
        count = ledger[recipient]
        assert count <= 1
        assert delivery is Delivery.UNKNOWN or count == (delivery is Delivery.DELIVERED), (
            recipient,
            delivery,
        )
    assert max(ledger.values(), default=0) <= 1
    if case.sends and outcome == "done":
        assert ledger[TO] == 1
    assert outcome != "refused" or not ledger[TO]
    if not case.closes:
        assert ledger[NEIGHBOUR] == 1


@pytest.mark.parametrize("name", CASES)
async def test_cancelled_at_every_await(name: str) -> None:
    case = CASES[name]

    async def operation(scene: Scene) -> str:
        try:
            await case.run(scene)
        except (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPNotSupported):
            assert case.refused
            return "refused"
        assert not case.refused
        return "done"

    async def attempt(run: Any) -> None:
        async with case.relay() as relay:
            files = open_files()
            scene = Scene(case, relay)
            await prepare(case, scene)
            beside = asyncio.ensure_future(neighbour(case, scene, relay))
            outcome = await run(operation(scene))
            await asyncio.wait_for(beside, PATIENCE)
            await asyncio.wait_for(still_works(case, scene), PATIENCE)
            vars(scene).pop("results", None)
            await relay.quiet()
            ledger = Counter(each.decode() for taken in relay.ledger for each in taken.recipients)
            check(case, scene, ledger, outcome)
            assert {taken.content for taken in relay.ledger if b"Subject: one" in taken.content} <= {TEXT}
            assert await left_over(files) == ""

    assert (await each_cancellation(attempt) > 0) is (name not in AT_ONCE)
