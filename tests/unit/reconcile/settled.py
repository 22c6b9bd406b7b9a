"""A cluster that is completely applied, and its children's names: where most tests of plans begin."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    STATEFUL_SET,
)
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]
WEB = ref(DEPLOYMENT, "shop-worker-web")
BEAT = ref(STATEFUL_SET, "shop-beat")
BEAT_CLAIM = ref(PERSISTENT_VOLUME_CLAIM, "shop-beat")
REDIS_SECRET = ref(SECRET, "shop-redis")
OLD, NEW = ref(CONFIG_MAP, "shop-runtime-0123456789"), ref(CONFIG_MAP, "shop-runtime-next")
NEXT_RUNTIME = Runtime(files={"launch.py": "# next\n"}, content_hash="next")
ALL, SCALE = "all", "scale"


def settled(spec: Json | None = None) -> tuple[World, CeleryCluster]:
    """A world in which a cluster is completely applied."""
    world, shop = World(), cluster(spec)
    world.settle(shop)
    return world, shop


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


def runtime_of(world: World, child: Any) -> str:
    volumes = world.objects[child]["spec"]["template"]["spec"]["volumes"]
    return str(next(volume["configMap"]["name"] for volume in volumes if "configMap" in volume))
