"""Environment, resources, references, volumes on request and `podTemplate`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from celery_operator.api import pod
from tests.strategies.model import Json, Objects, named, of, one_of
from tests.strategies.scalars import (
    annotation_maps,
    cpu,
    disk,
    keys,
    label_keys,
    label_values,
    labels,
    memory,
    names_of_objects,
    plain_texts,
    variables,
)

booleans = st.booleans()
required_keys = of(pod.RequiredSecretKey, {"name": names_of_objects, "key": keys}, {})
secret_sources = of(pod.SecretKeySource, {"secretKeyRef": required_keys}, {})
_optional_keys = {"name": names_of_objects, "key": keys}
_field_paths = st.sampled_from(
    ["metadata.name", "metadata.namespace", "spec.nodeName", "status.podIP", "metadata.labels['team']"]
)
_field_references = of(pod.FieldReference, {"fieldPath": _field_paths}, {"apiVersion": st.just("v1")})
_cpu_references = of(
    pod.ResourceFieldReference,
    {"resource": st.sampled_from(["limits.cpu", "requests.cpu"])},
    {"containerName": st.sampled_from(["worker", "beat"]), "divisor": st.sampled_from([1, "1", "1m"])},
)
_memory_references = of(
    pod.ResourceFieldReference,
    {"resource": st.sampled_from(["limits.memory", "requests.memory", "limits.ephemeral-storage"])},
    {"containerName": st.sampled_from(["worker", "beat"]), "divisor": st.sampled_from([1, "1", "1Mi", "1k"])},
)
value_sources = one_of(
    secretKeyRef=of(pod.SecretKeyReference, _optional_keys, {"optional": booleans}),
    configMapKeyRef=of(pod.ConfigMapKeyReference, _optional_keys, {"optional": booleans}),
    fieldRef=_field_references,
    resourceFieldRef=_cpu_references | _memory_references,
)
_nothing: Objects = st.just({})
_values = one_of(value=plain_texts, valueFrom=value_sources) | _nothing
environments = named(
    of(pod.EnvVar, {"name": variables}, {}, elsewhere=("value", "valueFrom")).flatmap(
        lambda variable: _values.map(lambda value: {**variable, **value})
    )
)
_references = of(pod.ObjectReference, {"name": names_of_objects}, {"optional": booleans})
_bulk = of(pod.EnvFromSource, {}, {"prefix": st.sampled_from(["", "SHOP_"])}, elsewhere=("secretRef", "configMapRef"))
env_from = st.lists(
    _bulk.flatmap(
        lambda bulk: one_of(secretRef=_references, configMapRef=_references).map(lambda ref: {**bulk, **ref})
    ),
    max_size=2,
)
image_pull_secrets = named(of(pod.LocalObjectReference, {"name": names_of_objects}, {}))
pull_policies = st.sampled_from(["Always", "IfNotPresent", "Never"])
commands = st.lists(st.sampled_from(["python", "poetry", "run", "-X", "dev"]), min_size=1, max_size=3)
arguments = st.lists(st.sampled_from(["python", "manage.py", "migrate", "--noinput", "$(A) b"]), min_size=1, max_size=3)
directories = st.sampled_from(["/srv/shop", "/", "relative/path"])
log_levels = st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"])
pod_security = st.sampled_from(["Compatible", "Restricted"])
storages = of(pod.Storage, {}, {"size": disk, "storageClassName": st.sampled_from(["fast", ""]), "retain": booleans})
_amounts = {"cpu": cpu, "memory": memory, "ephemeral-storage": disk}


@st.composite
def resources(draw: st.DrawFn) -> Json:
    """What a container asks for and may use; the same amount where it does both, because less may not be used."""
    shape = draw(of(pod.Resources, {}, {"requests": st.just(None), "limits": st.just(None)}))
    amounts: Json = {}
    out: Json = {}
    for side in shape:
        chosen = draw(st.lists(st.sampled_from(sorted(_amounts)), max_size=2, unique=True))
        out[side] = {name: amounts.setdefault(name, draw(_amounts[name])) for name in chosen}
    return out


_metadata = of(pod.TemplateMetadata, {}, {"labels": labels, "annotations": annotation_maps})


def _containers(*components: str) -> st.SearchStrategy[list[Json]]:
    own = st.fixed_dictionaries(
        {"name": st.sampled_from(components)},
        optional={
            "env": st.just([{"name": "POOL_SIZE", "value": "500"}]),
            "ports": st.just([{"containerPort": 8000, "name": "metrics"}]),
            "stdin": booleans,
            "securityContext": st.just({"capabilities": {"drop": ["NET_RAW"]}}),
        },
    )
    beside = st.just({"name": "proxy", "image": "proxy:1", "args": ["--verbose"]})
    return named(own | beside)


def templates(*components: str) -> Objects:
    """Anything else of pods whose container has one of these names."""
    pieces: dict[str, st.SearchStrategy[Any]] = {
        "containers": _containers(*components),
        "nodeSelector": st.dictionaries(label_keys, label_values, max_size=2),
        "dnsPolicy": st.sampled_from(["ClusterFirst", "Default"]),
        "tolerations": st.just([{"key": "batch", "operator": "Exists"}]),
        "enableServiceLinks": booleans,
        "securityContext": st.just({"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}),
        "volumes": st.just([{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}]),
        "affinity": st.just(None),
        "hostAliases": st.just([{"ip": "10.0.0.9", "hostnames": ["cache"]}]),
    }
    specs = st.lists(st.sampled_from(sorted(pieces)), max_size=2, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: pieces[name] for name in chosen})
    )
    return of(pod.PodTemplate, {}, {"metadata": _metadata, "spec": specs})
