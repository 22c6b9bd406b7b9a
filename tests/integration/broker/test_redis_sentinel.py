"""Redis behind Sentinel is read and heard as workers use it; a Redis Cluster, which they cannot use, is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Heartbeat, Unreadable
from celery_operator.observe.broker.redis_heartbeats import RedisHeartbeats
from celery_operator.observe.broker.redis_reader import RedisReader
from tests.integration.broker.celery_program import CeleryProgram
from tests.integration.broker.redis_program import RedisProgram
from tests.integration.servers import free_port
from tests.integration.waiting import eventually

PASSWORD = "p@ss:w/0rd"
OPTIONS = {"master_name": "main", "sentinel_kwargs": {"password": "watch", "retry": None}}
"""As the launcher has them: else redis-py 8 tries the Sentinel that is not there for 4 s, in each pool of a worker."""


class Watched:
    """A master, a replica and two Sentinels that watch them."""

    def __init__(self, folder: Path) -> None:
        auth = f'masterauth "{PASSWORD}"\nrequirepass "{PASSWORD}"\n'
        self.master = RedisProgram(folder=folder, name="first", arguments=[], configuration=auth)
        replica_of = f"replicaof 127.0.0.1 {self.master.port}\nrepl-diskless-sync-delay 0\n"
        self.replica = RedisProgram(folder=folder, name="second", arguments=[], configuration=auth + replica_of)
        watch = (
            f'requirepass "watch"\nsentinel sentinel-pass watch\nsentinel monitor main 127.0.0.1 {self.master.port} 1\n'
            # A machine that stands still for seconds is no reason for a failover: the test's own is the only one.
            f"sentinel auth-pass main {PASSWORD}\nsentinel down-after-milliseconds main 60000\n"
        )
        self.sentinels = [
            RedisProgram(folder=folder, name=f"sentinel-{number}", arguments=["--sentinel"], configuration=watch)
            for number in range(2)
        ]
        self.url = f"sentinel://127.0.0.1:{free_port()}/1;" + ";".join(
            f"sentinel://127.0.0.1:{sentinel.port}" for sentinel in self.sentinels
        )
        self.url = self.url.replace("sentinel://", "sentinel://:p%40ss%3Aw%2F0rd@", 1)

    def __enter__(self) -> Watched:
        for program in (self.master, self.replica, *self.sentinels):
            program.start()
        return self

    def __exit__(self, *_: object) -> None:
        for program in (self.master, self.replica, *self.sentinels):
            program.kill()

    def copied(self) -> list[int]:
        """The lengths of the lists of the queue `reports` that the replica has."""
        with redis.Redis(port=self.replica.port, db=1, password=PASSWORD, decode_responses=True) as client:
            return [int(client.llen(key)) for key in client.keys("reports*")]

    def sentinel(self) -> redis.Redis:
        return redis.Redis(port=self.sentinels[0].port, password="watch", decode_responses=True)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path) as started:
        yield started


async def test_the_master_is_found_by_sentinel_and_followed(watched: Watched) -> None:
    """The first of three Sentinels is not there at all."""
    CeleryProgram(broker=watched.url, options=OPTIONS).publish({"queue": "reports", "priority": 5, "count": 3})
    reader = RedisReader(BrokerAddress(url=watched.url, options=json.dumps(OPTIONS)))

    async def depth() -> Depth | None:
        try:
            return (await reader.read(["reports"], unacked=True))["reports"]
        except Unreadable:
            return None

    try:
        assert (await eventually(depth, bool, within=90)) == Depth(ready=3, unacked=0)

        async def copied() -> list[int]:
            return watched.copied()

        await eventually(copied, lambda lengths: lengths == [3], within=90)
        with watched.sentinel() as sentinel:

            async def replicas() -> object:
                return [one["flags"] for one in sentinel.sentinel_slaves("main")]

            await eventually(replicas, lambda flags: flags == ["slave"], within=90)

            async def accepted() -> bool:
                try:
                    sentinel.execute_command("SENTINEL", "FAILOVER", "main")
                except redis.ResponseError:  # it has not asked the replica yet how it is
                    return False
                return True

            await eventually(accepted, bool, within=90)

            async def port() -> int:
                return int(sentinel.sentinel_get_master_addr_by_name("main")[1])

            await eventually(port, lambda port: port == watched.replica.port, within=90)
        watched.master.kill()
        assert (await eventually(depth, bool, within=90)) == Depth(ready=3, unacked=0)
    finally:
        await reader.close()


@pytest.mark.parametrize("version", ["celery-5.3", "celery-5.7"])
async def test_workers_behind_sentinel_are_heard(watched: Watched, tmp_path: Path, version: str) -> None:
    """kombu 5.3 calls the channel otherwise than 5.4 and later."""
    heard: list[Heartbeat] = []
    address = BrokerAddress(url=watched.url, options=json.dumps(OPTIONS))
    task = asyncio.create_task(RedisHeartbeats(address).run(heard.append))
    program = CeleryProgram(broker=watched.url, options=OPTIONS, version=version)
    worker = program.worker(tmp_path, name="mail")
    try:

        async def names() -> set[str]:
            return {beat.nodename for beat in heard}

        await eventually(names, lambda names: names == {"mail@here"}, within=90)
    finally:
        worker.kill()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_master_that_no_sentinel_knows_is_told(watched: Watched) -> None:
    reader = RedisReader(BrokerAddress(url=watched.url, options=json.dumps({**OPTIONS, "master_name": "other"})))
    with pytest.raises(Unreadable) as refusal:
        await reader.read(["reports"], unacked=False)
    await reader.close()
    assert refusal.value.problem.reason == "MasterNotFound"


def test_sentinel_needs_the_name_of_the_master() -> None:
    with pytest.raises(Unreadable) as refusal:
        RedisReader(BrokerAddress(url="sentinel://127.0.0.1:1/0"))
    assert "master_name" in refusal.value.problem.message


@pytest.mark.parametrize("database", [0, 1])
@pytest.mark.parametrize("whole", [True, False])
async def test_a_cluster_is_refused(tmp_path: Path, database: int, whole: bool) -> None:
    """With all slots on one node it would answer; a user who may not ask for the mode sees the errors alone."""
    # Its own choice of a bus port, 10000 above the other, may be one that an outgoing connection has.
    bus = str(free_port())
    node = RedisProgram(folder=tmp_path, name="node", arguments=["--cluster-enabled", "yes", "--cluster-port", bus])
    node.start()
    try:
        with redis.Redis(port=node.port, decode_responses=True) as client:
            client.execute_command("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all", "" if whole else "-info")
            if whole:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        reader = RedisReader(BrokerAddress(url=f"redis://127.0.0.1:{node.port}/{database}"))
        with pytest.raises(Unreadable) as refusal:
            await reader.read(["reports"], unacked=False)
        await reader.close()
        assert refusal.value.problem.reason == "RedisCluster"
    finally:
        node.kill()
