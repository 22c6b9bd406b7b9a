"""What is written for the Gateway API, the Prometheus operator, KEDA and RabbitMQ's operator, held against their CRDs.

These are children of a CeleryCluster, objects of the chart, a sample, and YAML of the documentation.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from celery_operator.observe.cache import live_digest
from celery_operator.observe.kinds import OPTIONAL
from tests.integration.crd.children import built, parsed
from tests.integration.crd.foreign import PUBLISHED, Copies, installed_copies, is_published
from tests.integration.crd.objects import minimal
from tests.integration.crd.server import Server
from tests.integration.install.helm import Helm
from tests.unit.docs.yaml_blocks import blocks, objects

Json = dict[str, Any]

SAMPLES: Final = Path(__file__).parents[3] / "manifests" / "samples"
LONGEST: Final = "c" * 40
"""The longest name of a CeleryCluster (api/cluster.py)."""


@pytest.fixture(scope="module")
def copies(installed: Server) -> Iterator[Copies]:
    """The kinds of others on the server, with the rules of those others."""
    with installed_copies(installed) as served:
        yield served


def route(**fields: Any) -> Json:
    """A cluster whose Flower has an HTTPRoute; `flower` merges into Flower itself."""
    flower = fields.pop("flower", {})
    return {"flower": {"auth": {"external": True}, "httpRoute": {"parentRefs": [{"name": "g"}], **fields}, **flower}}


def monitor(kind: str, **fields: Any) -> Json:
    return {"flower": {}, "monitoring": {kind: fields}}


_PARENTS: Final = [
    {"name": "g"},
    {"name": "p" * 253, "namespace": "n" * 63, "sectionName": "s" * 253},
    {"name": "several", "sectionName": "http"},
    {"name": "several", "sectionName": "https"},
    *({"name": f"g{number}"} for number in range(12)),
]
_HOSTS: Final = ["f", "flower.example.com", "*.example.com", "1.a", *(f"h{number}.example.com" for number in range(12))]
_INTERVALS: Final = ("100ms", "1s", "90s", "1.5s", "1m30s", "1h", "1h30m0.5s", "720h")

ROUTES: Final[dict[str, Json]] = {
    "route": route(),
    "route-parents": route(parentRefs=_PARENTS),
    "route-hosts": route(hostnames=_HOSTS),
    "route-no-hosts": route(hostnames=[]),
    "route-annotations": route(annotations={"example.com/owner": "team"}),
    "route-port": route(flower={"service": {"port": 65535, "type": "NodePort"}}),
    **{f"route-{prefix}": route(flower={"urlPrefix": prefix}) for prefix in ("flower", "/a/b", "a.b-c~d_e", "a" * 250)},
}
MONITORS: Final[dict[str, Json]] = {
    name: spec
    for kind in ("podMonitor", "serviceMonitor")
    for name, spec in (
        (kind, monitor(kind)),
        (f"{kind}-labels", monitor(kind, labels={"release": "prometheus", "example.com/team": ""})),
        (f"{kind}-prefix", {**monitor(kind), "flower": {"urlPrefix": "a/b"}}),
        *((f"{kind}-{interval}", monitor(kind, interval=interval)) for interval in _INTERVALS),
    )
}


def foreign_children(spec: Json, name: str = "shop") -> list[Json]:
    """The children of these kinds, of a cluster that the operator itself takes."""
    smallest = minimal("")
    metadata = {"name": name, "namespace": "team", "uid": "cluster-uid"}
    cluster = parsed({**smallest, "metadata": metadata, "spec": {**smallest["spec"], **spec}})
    return [child for child in built(cluster) if is_published(child)]


def test_every_kind_that_may_be_absent_is_among_them() -> None:
    groups = {(one.group, one.kind) for one in PUBLISHED}
    assert {(kind.api_version.partition("/")[0], kind.kind) for kind in OPTIONAL} <= groups


@pytest.mark.parametrize("name", ["shop", LONGEST], ids=["name", "long-name"])
@pytest.mark.parametrize("spec", [pytest.param(spec, id=id_) for id_, spec in {**ROUTES, **MONITORS}.items()])
def test_a_child_is_taken_as_it_is(server: Server, copies: Copies, spec: Json, name: str) -> None:
    written = {**minimal(""), "metadata": {"name": name}}
    written["spec"] |= spec
    accepted = server.try_create(written)
    assert accepted.code == 201, accepted.body["message"]
    (child,) = foreign_children(spec, name)
    answer = copies.apply(child)
    assert answer.code == 201, answer.body["message"]
    assert not answer.warnings


@pytest.mark.parametrize(
    "spec", [route(), monitor("podMonitor"), monitor("serviceMonitor")], ids=lambda spec: list(spec)[-1]
)
def test_a_child_that_is_applied_again_stays_what_it_is(copies: Copies, spec: Json) -> None:
    """Whatever the CRD adds by its defaults: otherwise the operator would write it in each of its passes."""
    (child,) = foreign_children(spec, "kept")
    first = copies.apply(child, dry_run=False)
    assert first.code == 201, first.body["message"]
    again = copies.apply(child, dry_run=False)
    assert again.code == 200, again.body["message"]
    assert again.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]
    assert live_digest(_as_real(again.body, child)) == live_digest(_as_real(first.body, child))


def _as_real(stored: Json, child: Json) -> Json:
    """The stored copy under the name by which the operator knows its kind."""
    return {**stored, "apiVersion": child["apiVersion"]}


def test_what_the_gateway_api_refuses_is_told_with_the_field(copies: Copies) -> None:
    """Two references to one Gateway: our own CRD cannot know the rule that they must name different listeners."""
    (child,) = foreign_children(route(parentRefs=[{"name": "g"}, {"name": "g"}]))
    answer = copies.apply(child)
    assert answer.code == 422
    assert any("parentRefs" in refusal and "sectionName" in refusal for refusal in answer.refusals), answer.refusals


@pytest.mark.parametrize("kind", [kind.kind for kind in OPTIONAL])
def test_a_wrong_field_would_be_noticed(copies: Copies, kind: str) -> None:
    specs = {"HTTPRoute": route(), "PodMonitor": monitor("podMonitor"), "ServiceMonitor": monitor("serviceMonitor")}
    (child,) = foreign_children(specs[kind])
    wrong = copy.deepcopy(child)
    wrong["spec"]["hostname"] = "f"
    answer = copies.apply(wrong)
    assert answer.code >= 400
    assert "hostname" in answer.body["message"]


def test_the_charts_service_monitor_is_taken(copies: Copies) -> None:
    values = {"serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}}}
    (found,) = [one for one in Helm().render(values) if is_published(one)]
    answer = copies.apply(found)
    assert answer.code == 201, answer.body["message"]


def _written() -> Iterator[tuple[str, Json]]:
    """Objects of these kinds that people copy: of the samples, and of the documentation."""
    for path in sorted(SAMPLES.glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield path.name, manifest
    for block in blocks():
        yield from ((str(block), manifest) for manifest in objects(block))


WRITTEN: Final = {f"{place}-{manifest['kind']}": manifest for place, manifest in _written() if is_published(manifest)}


def test_some_are_written_for_people() -> None:
    assert {manifest["kind"] for manifest in WRITTEN.values()} >= {"ScaledObject", "PrometheusRule", "RabbitmqCluster"}


@pytest.mark.parametrize("place", WRITTEN)
def test_what_people_copy_is_taken(copies: Copies, place: str) -> None:
    answer = copies.apply(WRITTEN[place])
    assert answer.code == 201, answer.body["message"]
