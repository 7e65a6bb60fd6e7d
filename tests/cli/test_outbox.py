"""``aiosmtplib outbox``: what it shows of an outbox, and what it has become of messages."""

import asyncio
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import Envelope
from aiosmtplib._cli.console import Exit
from aiosmtplib.cli import main
from aiosmtplib.contrib.outbox import DirectoryStore, Failed

from ..support.mta import free_ports
from ..support.redis_server import RedisServer, redis_server

pytest.importorskip("taskiq_redis")

from aiosmtplib.contrib._taskiq.messages import to_message
from aiosmtplib.contrib.outbox import prepare
from aiosmtplib.contrib.taskiq import Outbox

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def run(
    server: RedisServer, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("AIOSMTPLIB_REDIS", server.url)

    def run(*args: object) -> tuple[int, str, str]:
        code = main(["outbox", *map(str, args), "--name", name])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def filled(server: RedisServer, name: str, **options: Any) -> list[str]:
    """An outbox with one message that has failed, one that is held, one that is new, and one that is none."""

    async def fill() -> list[str]:
        async with Outbox(server.url, name=name, **options) as outbox:
            ids = []
            for place in (outbox.keys.dead, outbox.keys.held):
                entry = prepare(Envelope("me@example.com", ["a@example.com", "b@example.com"], b"x"))
                entry = entry.for_next(Failed(tuple(entry.recipients), "550 No"))
                await outbox.redis.hset(place, entry.id, to_message(outbox.broker, entry))
                ids.append(entry.id)
            await outbox.redis.hset(outbox.keys.dead, "1-0", b"nothing")
            large = b"X: y\r\n\r\n" + b"x" * (300_000 if options else 1)
            return [*ids, await outbox.enqueue(Envelope("me@example.com", "c@example.com", large))]

    return asyncio.run(fill())


def counts(run: Run) -> dict[str, int]:
    code, out, _ = run("status", "--json")
    assert code == 0
    found: dict[str, int] = json.loads(out)
    return found


def test_status(run: Run, server: RedisServer, name: str) -> None:
    filled(server, name)
    code, out, err = run("status")
    assert (code, err) == (0, "")
    names = ["queued", "taken", "under way", "later", "held", "dead", "workers"]
    lines = zip(names, [1, 0, 0, 0, 1, 2, 0], strict=True)
    assert out == "".join(f"{name:12}{number}\n" for name, number in lines)
    assert counts(run) == {
        "queued": 1,
        "taken": 0,
        "under_way": 0,
        "later": 0,
        "held": 1,
        "dead": 2,
        "workers": 0,
    }


def test_lists(run: Run, server: RedisServer, name: str) -> None:
    dead, held, _ = filled(server, name)
    code, out, _ = run("status", "--list", "dead", "--json")
    rows = {row["id"]: row for row in map(json.loads, out.splitlines())}
    assert rows[dead]["to"] == ["a@example.com", "b@example.com"]
    assert (rows[dead]["reason"], rows[dead]["attempts"], rows[dead]["in"]) == ("550 No", 1, None)
    assert rows["1-0"]["from"] is None
    code, out, _ = run("status", held)
    assert code == 0
    assert out.splitlines()[0].split() == [*rows[dead]]
    assert held in out
    assert "a@example.com, b@example.com" in out
    assert run("status", "unknown") == (Exit.REFUSED, "", "")
    assert run("status", "--list", "later") == (0, "", "")


def test_messages_are_sent_held_and_discarded(
    run: Run, server: RedisServer, name: str, tmp_path: Path
) -> None:
    dead, held, new = filled(server, name, bodies=DirectoryStore(tmp_path))
    assert run("retry", dead) == (0, f"{dead}\n", "")
    assert run("release", held, "--json") == (0, f'{{"id": "{held}"}}\n', "")
    code, out, err = run("release", held)
    assert (code, out, err) == (Exit.REFUSED, "", f"aiosmtplib: error: {held} is not there to release.\n")
    code, out, _ = run("hold", "--all")
    assert (code, sorted(out.split())) == (0, sorted([dead, held, new]))
    assert counts(run)["held"] == 3
    code, out, _ = run("discard", "--all", "--bodies", tmp_path)
    assert sorted(out.split()) == sorted([dead, held, new, "1-0"])
    assert [*tmp_path.iterdir()] == []
    assert sum(counts(run).values()) == 0


def test_what_is_later_says_when(run: Run, server: RedisServer, name: str) -> None:
    async def put_off() -> None:
        async with Outbox(server.url, name=name) as outbox:
            entry = prepare(Envelope("me@example.com", "c@example.com", b"x"))
            await outbox.redis.hset(outbox.keys.waiting, entry.id, to_message(outbox.broker, entry))
            await outbox.redis.zadd(outbox.keys.later, {entry.id: 4e9})

    asyncio.run(put_off())
    _, out, _ = run("status", "--list", "later", "--json")
    assert json.loads(out)["in"] > 1e9


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["retry"], "Say which messages to retry"),
        (["hold", "x", "--all"], "Say which messages to hold"),
        (["status", "--all"], "--list"),
        (["retry", "x", "--list", "held"], "--list is for status"),
        (["status", "--redis", "redis://u:hunter22@localhost"], "must not hold a password"),
        (["empty"], "invalid choice"),
    ],
)
def test_a_command_line_that_makes_no_sense(run: Run, args: list[str], text: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (Exit.USAGE, "")
    assert text in err
    assert "hunter22" not in err


def test_redis_cannot_be_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AIOSMTPLIB_REDIS", f"redis://u:hunter22@127.0.0.1:{port}")
    code, _, err = run("status")
    assert code == Exit.CONNECTION
    assert f"{port}" in err
    assert "hunter22" not in err


def test_redis_refuses_a_command(run: Run, server: RedisServer, name: str) -> None:
    async def spoil() -> None:
        async with Outbox(server.url, name=name) as outbox:
            await outbox.redis.set(outbox.keys.later, "no sorted set")

    asyncio.run(spoil())
    code, _, err = run("status")
    assert code == Exit.UNABLE
    assert "WRONGTYPE" in err


def test_the_extra_is_named_where_it_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "taskiq_redis", None)
    for module in [each for each in sys.modules if each.startswith("aiosmtplib.contrib.taskiq")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "redis", None)
    code, _, err = run("status")
    assert code == Exit.USAGE
    assert "pip install 'aiosmtplib[taskiq]'" in err
