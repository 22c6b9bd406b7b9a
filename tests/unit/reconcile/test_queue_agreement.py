"""What waits while declared queues differ from the broker's: whom RabbitMQ would refuse, and nobody else."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import launch_settings
from celery_operator.kube.objects import CONFIG_MAP, DEPLOYMENT, STATEFUL_SET, ObjectRef
from celery_operator.observe.broker.queue_comparison import Comparison, Difference
from celery_operator.reconcile import queue_agreement
from celery_operator.reconcile.plan import Plan
from tests.unit.reconcile.hooked import MIGRATE, at, go, image, jobs
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]
RABBIT: Json = {"broker": {"url": "amqp://broker"}}
MAIL, WEB = ref(DEPLOYMENT, "shop-worker-mail"), ref(DEPLOYMENT, "shop-worker-web")
BEAT, CLIENT = ref(STATEFUL_SET, "shop-beat"), ref(CONFIG_MAP, "shop-client")
GROUPS: Json = {"workers": [{"name": "mail", "queues": ["mail"]}, {"name": "web", "queues": ["web"]}]}
OLD: Json = {**RABBIT, **GROUPS, "queues": [{"name": "mail"}, {"name": "web"}]}
EDITED: Json = {**OLD, "queues": [{"name": "mail", "maxPriority": 10}, {"name": "web"}]}
AGREED = Comparison(identity="this")
FORMER, NEXT = "example.com/shop:1", "new"


def differing(
    *names: str, kind: Literal["queue", "exchange"] = "queue", stale: bool = False, argument: str = "x-max-priority"
) -> Comparison:
    found = Difference(kind=kind, name=names[0], queues=names, argument=argument, wanted="10", found="not set")
    return Comparison(identity="this", differences=(found,), stale=stale)


def running(spec: Json) -> World:
    world = World()
    world.settle(at(spec))
    return world


def carried_out(world: World, shop: CeleryCluster) -> Plan:
    """Everything that may be done is done; the last plan."""
    for _ in range(8):
        plan = world.plan(shop)
        if plan.is_empty:
            return plan
        world.execute(shop, plan)
        world.roll_out()
    raise AssertionError("still not settled")


def declares(world: World, child: ObjectRef, queue: str) -> Json:
    """The queue as the child's pods have been told."""
    (container,) = world.objects[child]["spec"]["template"]["spec"]["containers"]
    text = next(each["value"] for each in container["env"] if each["name"] == launch_settings.VARIABLE)
    return next(entry["arguments"] for entry in json.loads(text)["queues"] if entry["name"] == queue)


def test_nothing_is_rolled_out_before_the_queues_are_compared() -> None:
    world, shop = running(OLD), at(EDITED, 4)
    world.queues = None
    plan = carried_out(world, shop)
    assert plan.compare_queues
    assert plan.queue_wait is not None
    assert plan.queue_wait.reason == "ComparingQueues"
    assert plan.requeue_after is not None, "should nobody call"
    assert declares(world, MAIL, "mail") == declares(world, WEB, "mail") == {}
    world.queues = AGREED
    world.settle(shop)
    assert declares(world, MAIL, "mail") == declares(world, WEB, "mail") == {"x-max-priority": 10}


def test_what_could_not_be_compared_holds_nothing() -> None:
    world, shop = running(OLD), at(EDITED, 4)
    world.queues = Comparison(identity="this", unknown=("all queues: the broker does not answer",))
    world.settle(shop)
    assert declares(world, MAIL, "mail") == {"x-max-priority": 10}


def test_nothing_is_asked_where_no_pod_template_changes() -> None:
    world, shop = running(OLD), at(OLD)
    world.queues = None
    plan = world.plan(shop)
    assert plan.is_empty
    assert not plan.compare_queues
    more = {**OLD, "workers": [{**group, "replicas": 3} for group in OLD["workers"]]}
    plan = world.plan(at(more, 4))
    assert not plan.compare_queues, "a number of pods is no rollout"
    assert plan.queue_wait is None


@pytest.mark.parametrize(
    "spec",
    [
        {**OLD, "broker": {"url": "redis://broker"}},
        {**OLD, "broker": {"redis": {}}},
        {**OLD, "broker": {"url": "sqs://"}},
        {**RABBIT, **GROUPS},
    ],
)
def test_only_declared_queues_on_a_rabbitmq_are_compared(spec: Json) -> None:
    world = World()
    world.queues = None
    world.settle(at(spec))


def test_a_new_cluster_starts_without_those_who_would_be_refused() -> None:
    world = World()
    world.queues = differing("mail")
    plan = carried_out(world, at(OLD | {"client": {}, "beat": {}}))
    assert MAIL not in world.objects
    assert {WEB, BEAT, CLIENT} <= world.objects.keys()
    assert plan.queue_wait is not None
    assert plan.queue_wait.failed
    world.queues = AGREED
    world.settle(at(OLD | {"client": {}, "beat": {}}))
    assert MAIL in world.objects


def test_whoever_would_declare_a_queue_otherwise_than_now_is_held_too() -> None:
    """web does not consume mail, but would be refused when it publishes to it."""
    spec = OLD | {"client": {}, "beat": {}}
    world = running(spec)
    world.queues = differing("mail")
    before = {child: json.dumps(world.objects[child]) for child in (MAIL, WEB, BEAT, CLIENT)}
    plan = carried_out(world, at(EDITED | {"client": {}, "beat": {}}, 4))
    assert {child: json.dumps(world.objects[child]) for child in before} == before
    assert plan.queue_wait is not None
    assert plan.requeue_after == queue_agreement.AGAIN


def test_a_difference_that_is_nothing_new_holds_its_consumers_only() -> None:
    spec = OLD | {"client": {}}
    world = running(spec)
    world.queues = differing("mail")
    carried_out(world, at(spec | {"image": NEXT}, 4))
    assert (image(world, MAIL), image(world, WEB)) == (FORMER, NEXT)


def test_an_exchange_concerns_every_queue_that_is_bound_to_it() -> None:
    world = World()
    world.queues = differing("mail", "web", kind="exchange", argument="type")
    carried_out(world, at(OLD))
    assert not {MAIL, WEB} & world.objects.keys()


def test_beat_is_held_where_its_schedule_names_the_queue() -> None:
    entry = {"name": "daily", "task": "t", "every": "1h", "queue": "mail"}
    world = World()
    world.queues = differing("mail")
    carried_out(world, at(OLD | {"beat": {"schedule": [entry]}}))
    assert BEAT not in world.objects


def test_an_old_difference_is_asked_for_again_and_holds_meanwhile() -> None:
    world, shop = running(OLD), at(EDITED, 4)
    world.queues = differing("mail")
    assert not carried_out(world, shop).compare_queues
    world.queues = differing("mail", stale=True)
    plan = world.plan(shop)
    assert plan.compare_queues
    assert plan.queue_wait is not None


def test_a_difference_that_holds_nobody_is_looked_at_again_as_well() -> None:
    spec = OLD | {"queues": [*OLD["queues"], {"name": "consumed-by-nobody"}]}
    world = running(spec)
    world.queues = differing("consumed-by-nobody")
    plan = world.plan(at(spec))
    assert plan.is_empty
    assert plan.queue_wait is None
    assert plan.requeue_after == queue_agreement.AGAIN


def test_a_group_is_not_removed_while_the_one_in_its_place_is_held() -> None:
    world = running(OLD)
    world.queues = differing("mail")
    renamed = {**OLD, "workers": [{"name": "letters", "queues": ["mail"]}, GROUPS["workers"][1]]}
    carried_out(world, at(renamed, 4))
    assert MAIL in world.objects
    assert ref(DEPLOYMENT, "shop-worker-letters") not in world.objects
    world.queues = AGREED
    world.settle(at(renamed, 4))
    assert MAIL not in world.objects


def test_a_held_group_is_scaled_and_suspended_all_the_same() -> None:
    world = running(OLD)
    world.queues = differing("mail")
    more = [{**group, "replicas": 3} for group in OLD["workers"]]
    carried_out(world, at({**EDITED, "workers": more}, 4))
    assert world.objects[MAIL]["spec"]["replicas"] == 3
    carried_out(world, at({**EDITED, "workers": more, "suspend": True}, 5))
    assert world.objects[MAIL]["spec"]["replicas"] == 0
    assert declares(world, MAIL, "mail") == {}


def test_no_hook_is_run_before_the_queues_agree() -> None:
    world = running(OLD)
    world.queues = differing("mail")
    plan = carried_out(world, at(EDITED | MIGRATE, 4))
    assert not jobs(world)
    assert plan.queue_wait is not None
    world.queues = AGREED
    assert go(world, at(EDITED | MIGRATE, 4)).hook is not None
    assert len(jobs(world)) == 1


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"queues": [1]}', '{"queues": 5}', '{"config": []}', None])
def test_what_somebody_wrote_over_our_text_throws_nothing(text: str | None) -> None:
    world, shop = running(OLD), at(EDITED, 4)
    world.queues = differing("mail")
    for variable in world.objects[WEB]["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == launch_settings.VARIABLE:
            variable["value"] = text
    assert world.plan(shop).queue_wait is not None


def test_celerys_own_priority_counts() -> None:
    """task_queue_max_priority is what Celery gives every queue that has none."""
    entries = queue_agreement.declared(at(EDITED | {"config": {"task_queue_max_priority": 5}}).spec)
    assert {entry["name"]: entry["arguments"] for entry in entries} == {
        "mail": {"x-max-priority": 10},
        "web": {"x-max-priority": 5},
    }


def test_a_comparison_is_of_queues_and_broker() -> None:
    first = queue_agreement.identity(at(OLD).spec)
    assert first == queue_agreement.identity(at(OLD | {"image": NEXT}).spec)
    assert first != queue_agreement.identity(at(EDITED).spec)
    assert first != queue_agreement.identity(at(OLD | {"broker": {"url": "amqp://other"}}).spec)
