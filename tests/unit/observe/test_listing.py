"""The regular comparison with the truth, in virtual time: when it is made, what it tells of, and what it survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from kubernetes.aio.client import Configuration

from celery_operator.kube.client import KubeClient, Manifests
from celery_operator.kube.errors import Forbidden, NotFound, Unavailable
from celery_operator.kube.objects import DEPLOYMENT, Kind
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.listing import Listing, ServedAgain
from tests.unit.observe.virtual_time import run

SHOP = ClusterKey(namespace="team", name="shop")
Clock = Callable[[], float]


class Server(KubeClient):
    """One namespace with one Deployment; notes when its Deployments are listed, and is away when the test says so."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Configuration())
        self.version = 1
        self.away = False
        self.listed: list[float] = []
        self._clock = clock

    async def list(self, kind: Kind, *, namespace: str | None = None, label_selector: str | None = None) -> Manifests:
        assert namespace == "team"
        if kind == kinds.CELERY_CLUSTER:
            self.listed.append(self._clock())
        if self.away:
            raise Unavailable("no answer")
        if kind != DEPLOYMENT:
            return []
        metadata = {
            "name": "shop-worker-web",
            "namespace": "team",
            "uid": "uid-web",
            "resourceVersion": str(self.version),
            "labels": {"celery-operator.dev/cluster": "shop"},
        }
        return [{"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": {"replicas": 1}}]


@dataclass
class Rig:
    """A listing whose cache is filled already."""

    clock: Clock
    random: float = 0.5
    changed: list[tuple[ClusterKey, float]] = field(default_factory=list)

    async def start(self) -> Server:
        self.server = Server(self.clock)
        listing = Listing(
            self.server,
            ObjectCache(kinds.CELERY_CLUSTER),
            namespaces=("team",),
            on_change=lambda key: self.changed.append((key, self.clock())),
            random=lambda: self.random,
        )
        await listing.fill()
        assert listing.complete
        self.server.listed.clear()
        self.changed.clear()
        self._task = asyncio.create_task(listing.run())
        return self.server

    async def stop(self) -> None:
        assert not self._task.done(), "it goes on for ever"
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.server.close()


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 480), (0.5, 600), (1.0, 720)])
def test_everything_is_listed_every_ten_minutes_but_not_by_all_at_once(random: float, seconds: float) -> None:
    async def test(clock: Clock) -> None:
        rig = Rig(clock=clock, random=random)
        server = await rig.start()
        await asyncio.sleep(3.5 * seconds)
        assert server.listed == pytest.approx([seconds, 2 * seconds, 3 * seconds])
        assert rig.changed == [], "nothing has changed"
        await rig.stop()

    run(test)


def test_a_change_that_no_watch_told_of_is_found() -> None:
    async def test(clock: Clock) -> None:
        rig = Rig(clock=clock)
        server = await rig.start()
        await asyncio.sleep(700)
        server.version = 2
        await asyncio.sleep(1200)
        assert [key for key, _ in rig.changed] == [SHOP]
        assert [at for _, at in rig.changed] == pytest.approx([1200])
        await rig.stop()

    run(test)


def test_an_api_server_that_is_away_is_listed_the_next_time() -> None:
    async def test(clock: Clock) -> None:
        rig = Rig(clock=clock)
        server = await rig.start()
        server.version = 2
        server.away = True
        await asyncio.sleep(700)
        assert server.listed == pytest.approx([600])
        assert rig.changed == []
        server.away = False
        await asyncio.sleep(600)
        assert [at for _, at in rig.changed] == pytest.approx([1200])
        await rig.stop()

    run(test)


class Guarded(KubeClient):
    """An API server without objects that lets nobody list the namespaces that `refused` names; has no optional kind."""

    def __init__(self, *refused: str, only: Kind | None = None) -> None:
        """``only``: the kind that is refused there, else all are."""
        super().__init__(Configuration())
        self.refused = set(refused)
        self.only = only
        self.away = False

    async def list(self, kind: Kind, *, namespace: str | None = None, label_selector: str | None = None) -> Manifests:
        if self.away:
            raise Unavailable("no answer")
        if kind in kinds.OPTIONAL:
            raise NotFound("not installed", status=404)
        if namespace in self.refused and self.only in (None, kind):
            raise Forbidden(f"{kind.plural} is forbidden in the namespace {namespace}", status=403)
        return []


def listing_of(server: Guarded, *namespaces: str) -> Listing:
    cache = ObjectCache(kinds.CELERY_CLUSTER)
    return Listing(server, cache, namespaces=namespaces, on_change=lambda key: None, random=lambda: 0.5)


def test_a_namespace_that_is_gone_keeps_no_other_from_being_served(caplog: pytest.LogCaptureFixture) -> None:
    """With it the operator's Role there has gone."""

    async def test(clock: Clock) -> None:
        listing = listing_of(Guarded("gone"), "team", "gone")
        await listing.fill()
        assert listing.complete
        assert listing.served == ("team",)
        assert 20 < clock() < 60, "rights may be given a moment after the start"

    run(test)
    assert "namespace gone is not served" in caplog.text


def test_a_namespace_with_a_part_of_the_rights_keeps_no_other_from_being_served() -> None:
    """As with a Role that somebody wrote by hand; and it does not come back before it has the rest."""

    async def test(clock: Clock) -> None:
        server = Guarded("part", only=DEPLOYMENT)
        listing = listing_of(server, "team", "part")
        async with asyncio.timeout(3600):
            await listing.fill()
        assert listing.served == ("team",)
        asyncio.get_running_loop().call_later(2000, server.refused.clear)
        with pytest.raises(ServedAgain, match="part"):
            await listing.run()
        assert clock() > 2000

    run(test)


def test_an_api_server_that_starts_may_refuse_a_namespace_for_a_moment() -> None:
    """It answers late, and at first knows no rights."""

    async def test(clock: Clock) -> None:
        server = Guarded("late")
        server.away = True
        listing = listing_of(server, "team", "late")

        def start() -> None:
            server.away = False

        asyncio.get_running_loop().call_later(120, start)
        asyncio.get_running_loop().call_later(130, server.refused.clear)
        await listing.fill()
        assert listing.served == ("team", "late")

    run(test)


def test_rights_that_come_a_moment_later_are_waited_for() -> None:
    async def test(clock: Clock) -> None:
        server = Guarded("late")
        listing = listing_of(server, "team", "late")
        asyncio.get_running_loop().call_later(10, server.refused.clear)
        await listing.fill()
        assert listing.served == ("team", "late")

    run(test)


def test_without_any_right_it_goes_on_asking() -> None:
    async def test(clock: Clock) -> None:
        server = Guarded("team", "shop")
        listing = listing_of(server, "team", "shop")
        asyncio.get_running_loop().call_later(300, server.refused.clear)
        await listing.fill()
        assert clock() >= 300
        assert listing.served == ("team", "shop")

    run(test)


def test_a_namespace_that_comes_back_ends_the_process_that_left_it_out() -> None:
    async def test(clock: Clock) -> None:
        server = Guarded("gone")
        listing = listing_of(server, "team", "gone")
        await listing.fill()
        asyncio.get_running_loop().call_later(1000, server.refused.clear)
        with pytest.raises(ServedAgain, match="gone"):
            await listing.run()
        assert clock() > 1000

    run(test)
