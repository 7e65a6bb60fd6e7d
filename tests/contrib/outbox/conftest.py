"""One Redis for all tests of a process, and in each of them an outbox of its own."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from ...support.redis_server import RedisServer, redis_server

pytest.importorskip("taskiq_redis")

from aiosmtplib.contrib.taskiq import Outbox


@pytest.fixture(scope="session")
def redis_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def outbox(redis_of_all: RedisServer) -> AsyncIterator[Outbox]:
    async with Outbox(redis_of_all.url, name=uuid.uuid4().hex) as made:
        yield made
