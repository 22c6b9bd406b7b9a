"""Volumes with their mounts, further containers, lifecycle hooks and security contexts."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import extras
from tests.strategies.model import Json, Objects, named, of, one_of
from tests.strategies.pod import arguments, booleans, environments, resources
from tests.strategies.scalars import disk, durations, images, names_of_objects, ports

_SOURCES = one_of(
    emptyDir=st.sampled_from([{}, {"medium": "Memory", "sizeLimit": "64Mi"}]),
    persistentVolumeClaim=st.fixed_dictionaries({"claimName": names_of_objects}, optional={"readOnly": booleans}),
    secret=st.fixed_dictionaries({"secretName": names_of_objects}, optional={"optional": booleans}),
    configMap=st.just({"name": "flags", "items": [{"key": "a", "path": "b"}]}),
    hostPath=st.just({"path": "/var/run/thing", "type": "Socket"}),
)
_no_source: Objects = st.just({})
_volume = of(extras.Volume, {"name": st.sampled_from(["models", "tmp", "data-1", "x" * 63])}, {})
_volumes = named(
    _volume.flatmap(lambda volume: (_SOURCES | _no_source).map(lambda source: {**volume, **source})), most=2
)
mount_paths = st.sampled_from(["/models", "/data", "/tmp", "/tmp/deeper", "/var/lib/x"])


def _mounts(volumes: list[Json]) -> st.SearchStrategy[list[Json]]:
    if not volumes:
        return st.just([])
    mount = of(
        extras.VolumeMount,
        {"name": st.sampled_from([volume["name"] for volume in volumes]), "mountPath": mount_paths},
        {"subPath": st.sampled_from(["a", "a/b"]), "readOnly": booleans},
    )
    return named(mount, key="mountPath")


def volumes_and_mounts() -> Objects:
    """`volumes` and `volumeMounts` that belong together; often neither."""

    def pair(volumes: list[Json]) -> Objects:
        return _mounts(volumes).map(lambda mounts: {"volumes": volumes, **({"volumeMounts": mounts} if mounts else {})})

    return st.just({}) | st.just({}) | _volumes.flatmap(pair)


def containers(kind: str) -> st.SearchStrategy[list[Json]]:
    """Further containers; those of one kind never have a name of another kind."""
    container = of(
        extras.ExtraContainer,
        {"name": st.sampled_from([f"{kind}-a", f"{kind}-b", f"{kind}-{'x' * 40}"])},
        {"image": images},
    )
    more = st.fixed_dictionaries(
        {}, optional={"command": arguments, "env": environments, "resources": resources(), "tty": booleans}
    )
    return named(container.flatmap(lambda base: more.map(lambda rest: {**base, **rest})))


_exec = of(extras.ExecAction, {"command": arguments}, {})
_http = of(
    extras.HttpGetAction,
    {"port": ports},
    {"path": st.sampled_from(["/", "/stop?now"]), "scheme": st.sampled_from(["HTTP", "HTTPS"])},
)
_action = one_of(exec=_exec, httpGet=_http)
_timeout = of(extras.PreStop, {}, {"timeout": durations()}, elsewhere=("exec", "httpGet"))
lifecycles = of(
    extras.Lifecycle,
    {},
    {
        "postStart": _action,
        "preStop": _timeout.flatmap(lambda base: _action.map(lambda action: {**base, **action})),
    },
)
_ids = st.sampled_from([0, 1, 1000, 2**31 - 1])
_contexts = of(
    extras.SecurityContext,
    {},
    {
        "runAsUser": _ids.filter(bool),
        "runAsGroup": _ids,
        "runAsNonRoot": st.just(True),
        "fsGroup": _ids,
        "supplementalGroups": st.lists(_ids, max_size=2, unique=True),
        "readOnlyRootFilesystem": booleans,
    },
)
_root: Objects = st.sampled_from([{"runAsUser": 0}, {"runAsUser": 0, "runAsNonRoot": False}, {"runAsNonRoot": False}])


def security_contexts(*, may_be_root: bool) -> Objects:
    """Whom processes run as; root only where nothing else of the spec refuses it."""
    return _contexts | _root if may_be_root else _contexts


persistences = of(
    extras.Persistence,
    {"size": disk, "mountPath": st.sampled_from(["/disk", "/scratch/own"])},
    {"storageClassName": st.just("fast")},
)
