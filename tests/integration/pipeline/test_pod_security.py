"""A namespace that enforces `restricted`: the default is told of with the field to set, `Restricted` gets its pods."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import NAMESPACE, POD, ObjectRef
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World
from tests.integration.waiting import eventually

IMAGE = "example.invalid/redis:7"
"""Nobody pulls it: admission is all that is looked at."""


@pytest.fixture
async def namespace(api: KubeClient) -> AsyncIterator[str]:
    """One that enforces `restricted` from the beginning: of a later label the admission hears a moment later."""
    name = f"it-{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, field_manager="test")
    yield name
    await api.delete(ObjectRef(kind=NAMESPACE, namespace=None, name=name))


async def test_the_default_is_told_with_the_field_to_set(world: World, operator: OperatorProcess) -> None:
    await world.create(beat={}, flower={"image": IMAGE})
    for type_, who in (("WorkersAvailable", 'worker group "default"'), ("FlowerAvailable", "Flower")):
        found = await world.wait_condition(type_, "False", "PodsNotCreated")
        assert who in found["message"]
        assert "set podSecurity: Restricted" in found["message"]
    ready = await world.wait_condition("Ready", "False", "PodsNotCreated")
    assert "set podSecurity: Restricted" in ready["message"]


async def test_every_component_gets_its_pods_under_restricted(world: World, operator: OperatorProcess) -> None:
    await world.create(podSecurity="Restricted", broker={"redis": {"image": IMAGE}}, beat={}, flower={"image": IMAGE})

    async def components() -> set[str]:
        pods = await world.api.list(POD, namespace=world.namespace, label_selector="celery-operator.dev/cluster=shop")
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}

    await eventually(components, lambda found: found == {"worker", "beat", "redis", "flower"}, within=PASS_SECONDS)
