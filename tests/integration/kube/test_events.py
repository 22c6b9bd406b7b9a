"""Events on a real API server, read the way `kubectl describe` reads them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.events import BURST, SERIES_WINDOW, EventRecorder
from celery_operator.kube.objects import EVENT, NAMESPACE, Kind, Manifest, ObjectRef
from tests.integration.kube.conftest import FIELD_MANAGER, GROUP, SOON
from tests.integration.kubectl import Kubectl
from tests.integration.waiting import eventually

CORE_EVENT = Kind(api_version="v1", kind="Event", plural="events")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def thing(client: KubeClient, namespace: str, things: Kind) -> Manifest:
    return await client.create(
        {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"namespace": namespace, "name": "x"}, "spec": {}},
        field_manager=FIELD_MANAGER,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(client: KubeClient, clock: Clock) -> EventRecorder:
    return EventRecorder(client, instance="operator-0", clock=clock)


async def about(client: KubeClient, thing: Manifest) -> list[dict[str, Any]]:
    events = await client.list(CORE_EVENT, namespace=thing["metadata"]["namespace"])
    return [event for event in events if event["involvedObject"].get("uid") == thing["metadata"]["uid"]]


async def failed(recorder: EventRecorder, thing: Manifest, message: str = "what and what to do") -> None:
    await recorder.record(thing, type="Warning", reason="Failed", message=message, action="Reconcile")


async def test_an_event_has_what_kubectl_shows(client: KubeClient, thing: Manifest, recorder: EventRecorder) -> None:
    await failed(recorder, thing)
    (event,) = await about(client, thing)
    shown = {name: event[name] for name in ("type", "reason", "message", "action", "reportingComponent")}
    assert shown == {
        "type": "Warning",
        "reason": "Failed",
        "message": "what and what to do",
        "action": "Reconcile",
        "reportingComponent": "celery-operator",
    }
    assert event["involvedObject"]["kind"] == "Thing"
    assert event["involvedObject"]["name"] == "x"


async def test_kubectl_describe_shows_the_event_and_its_count(
    kubectl: Kubectl, thing: Manifest, recorder: EventRecorder
) -> None:
    for _ in range(3):
        await failed(recorder, thing)

    async def described() -> str:
        # kubectl has to be told of a new kind, which the API server does a moment after it serves it.
        return (await asyncio.to_thread(kubectl.run, "describe", f"things.{GROUP}", "x")).stdout

    text = await eventually(described, bool, within=SOON)
    (line,) = [line for line in text.splitlines() if "what and what to do" in line]
    assert line.split()[:2] == ["Warning", "Failed"]
    assert "x3 over" in line


async def test_a_repetition_counts_up_and_another_message_is_another_event(
    client: KubeClient, thing: Manifest, recorder: EventRecorder
) -> None:
    for _ in range(4):
        await failed(recorder, thing)
    await failed(recorder, thing, "something else")
    counts = {event["message"]: (event.get("series") or {}).get("count") for event in await about(client, thing)}
    assert counts == {"what and what to do": 4, "something else": None}


async def test_after_ten_quiet_minutes_it_is_news_again(
    client: KubeClient, thing: Manifest, recorder: EventRecorder, clock: Clock
) -> None:
    await failed(recorder, thing)
    clock.now += SERIES_WINDOW + 1
    await failed(recorder, thing)
    assert len(await about(client, thing)) == 2


async def test_an_event_that_the_server_dropped_is_written_anew(
    client: KubeClient, thing: Manifest, recorder: EventRecorder
) -> None:
    await failed(recorder, thing)
    (event,) = await about(client, thing)
    name, namespace = event["metadata"]["name"], event["metadata"]["namespace"]
    await client.delete(ObjectRef(kind=EVENT, namespace=namespace, name=name))
    await failed(recorder, thing)
    (again,) = await about(client, thing)
    assert again["metadata"]["name"] != name


async def test_a_loop_floods_nobody_and_its_count_stays_true(
    client: KubeClient, thing: Manifest, recorder: EventRecorder, clock: Clock
) -> None:
    for _ in range(100):
        await failed(recorder, thing)
    (event,) = await about(client, thing)
    assert event["series"]["count"] == BURST
    clock.now += 300
    await failed(recorder, thing)
    (event,) = await about(client, thing)
    assert event["series"]["count"] == 101


async def test_a_message_of_any_length_and_an_object_without_namespace(
    client: KubeClient, namespace: str, recorder: EventRecorder
) -> None:
    regarding = await client.get(ObjectRef(kind=NAMESPACE, namespace=None, name=namespace))
    assert regarding is not None
    regarding |= {"apiVersion": "v1", "kind": "Namespace"}
    await failed(recorder, regarding, "ä" * 5000)
    events = await client.list(CORE_EVENT, namespace="default")
    (event,) = [event for event in events if event["involvedObject"].get("uid") == regarding["metadata"]["uid"]]
    assert event["message"].endswith("ä…")
    await client.delete(ObjectRef(kind=EVENT, namespace="default", name=event["metadata"]["name"]))


async def test_a_failure_to_record_is_logged_and_not_raised(
    kubeconfig: Path, thing: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    async with await KubeClient.connect(kubeconfig=kubeconfig, may_write=lambda: False) as standby:
        await failed(EventRecorder(standby, instance="operator-1"), thing)
    assert "an Event Failed about Thing x was not written" in caplog.text
