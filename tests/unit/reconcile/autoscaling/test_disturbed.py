"""What happens between two steps of a scale-in, and workers that nobody can ask: no running task pays for it."""

from __future__ import annotations

from dataclasses import replace

from celery_operator.observe.broker.depth import UNACKED_UNKNOWN, Heartbeat, Problem
from celery_operator.reconcile.autoscaling.deletion_cost import COST_ANNOTATION, LEAST_COST
from celery_operator.reconcile.autoscaling.group import LONGEST_START, Outcome
from celery_operator.scaling.model import Policy
from tests.unit.reconcile.autoscaling.fleet import POLICY, WINDOW, Fleet
from tests.unit.reconcile.autoscaling.test_group import idle


def marked(fleet: Fleet) -> set[str]:
    """Pods that a ReplicaSet would take first."""
    return {
        name for name, pod in fleet.pods.items() if pod["metadata"]["annotations"].get(COST_ANNOTATION) == LEAST_COST
    }


def lowered(fleet: Fleet) -> Outcome:
    """The look that lowers the number, not carried out yet."""
    for _ in range(20):
        outcome = fleet.look()
        assert outcome.target is not None
        if outcome.target.resource_version is not None:
            return outcome
        fleet.apply(outcome)
    raise AssertionError("the number was never lowered")


def written(fleet: Fleet) -> set[str]:
    """The lower number is written, and its victim is still there; who that is."""
    fleet.policy = replace(POLICY, min_replicas=2)
    outcome = lowered(fleet)
    victims = marked(fleet)
    assert len(victims) == 1
    assert outcome.target is not None
    assert outcome.target.replicas is not None
    fleet.replicas = outcome.target.replicas
    return victims


def test_a_victim_stays_drained_until_it_is_gone() -> None:
    fleet = idle(3)
    victims = written(fleet)
    outcome = fleet.look(0.1)
    assert not {where.name for where in outcome.let_go}
    assert marked(fleet) == victims
    assert outcome.target is not None
    assert not outcome.target.marks


def test_nobody_is_let_go_while_the_deployments_controller_lags() -> None:
    fleet = idle(3)
    written(fleet)
    fleet.fresh = False
    outcome = fleet.look(0.1)
    assert outcome.let_go == ()
    assert outcome.view.problem is None


def test_work_that_comes_while_a_victim_leaves_is_for_new_pods() -> None:
    fleet = idle(3)
    victims = written(fleet)
    fleet.ready = 40
    outcome = fleet.look(0.1)
    assert outcome.target is not None
    assert outcome.target.replicas == 10
    assert not victims & {where.name for where in outcome.let_go}


def test_nothing_is_lowered_while_a_pod_that_works_looks_cheap() -> None:
    """The ReplicaSet controller would choose between the two."""
    fleet = idle(5)
    fleet.policy = replace(POLICY, min_replicas=3)
    for _ in range(3):
        fleet.apply(fleet.look())
    assert len(marked(fleet)) == 2
    fleet.policy = replace(POLICY, min_replicas=4)
    outcome = fleet.look()
    assert len(outcome.let_go) == 1
    assert outcome.target is not None
    assert outcome.target.resource_version is None
    fleet.apply(outcome)
    fleet.run(10)
    assert len(fleet.pods) == 4
    assert outcome.let_go[0].name in fleet.pods


def test_what_a_quota_does_not_let_be_is_given_up_first() -> None:
    fleet = idle(5)
    fleet.replicas = 8
    outcome = lowered(fleet)
    assert outcome.target is not None
    assert outcome.target.replicas == 5
    fleet.replicas = 5
    fleet.run(20)
    assert not fleet.pods


def test_a_number_without_any_pod_goes_down() -> None:
    fleet = Fleet()
    fleet.replicas = 8
    fleet.run(WINDOW + 20)
    assert fleet.replicas == 0


def heard_of(fleet: Fleet) -> None:
    """Heartbeats from every pod, from now on for ever."""
    for name in fleet.pods:
        node = f"web@{name}"
        fleet.heartbeats[node] = Heartbeat(nodename=node, at=1e9, active=0, processed=0)


def test_a_pod_that_refuses_keeps_none_of_the_others() -> None:
    fleet = idle(4)
    fleet.refusals["uid-p0"] = "its runtime cannot drain"
    fleet.run(WINDOW)
    assert set(fleet.pods) == {"p0"}
    outcome = fleet.look()
    assert outcome.view.problem is not None
    assert outcome.view.problem.reason == "ScaleInWaits"
    assert "pod p0" in outcome.view.problem.message
    assert "its runtime cannot drain" in outcome.view.problem.message


def test_a_closed_probe_port_is_told() -> None:
    fleet = idle(3)
    fleet.reports.clear()
    heard_of(fleet)
    outcomes = fleet.run(60)
    assert len(fleet.pods) == 3
    assert outcomes[-1].view.problem is not None
    assert "does not answer on its probe port" in outcomes[-1].view.problem.message


def test_the_last_pod_stays_and_says_why_while_too_many_messages_are_taken() -> None:
    fleet = idle(3)
    fleet.unacked = None
    fleet.notes = (Problem(reason=UNACKED_UNKNOWN, message="too many messages are taken"),)
    outcomes = fleet.run(WINDOW * 3)
    assert len(fleet.pods) == 1
    assert outcomes[-1].view.problem == fleet.notes[0]
    assert outcomes[-1].view.decision is not None
    assert outcomes[-1].view.decision.needs_unacked
    fleet.ready = 40
    assert fleet.look().view.problem is None, "a busy group has nothing to do with it"
    fleet.ready, fleet.unacked, fleet.notes = 0, 0, ()
    fleet.run(WINDOW + 20)
    assert not fleet.pods


def test_rabbitmq_without_its_management_api_lets_idle_workers_go_to_zero() -> None:
    fleet = idle(3)
    fleet.unacked, fleet.unacked_needed = None, False
    fleet.run(WINDOW)
    assert not fleet.pods


def test_marks_go_when_a_group_is_handed_over() -> None:
    fleet = idle(3)
    fleet.apply(fleet.look())
    fleet.apply(fleet.look())
    assert marked(fleet) == set(fleet.pods)
    fleet.policy = None
    outcome = fleet.look()
    assert {where.name for where in outcome.let_go} == set(fleet.pods)
    fleet.apply(outcome)
    assert all(pod["metadata"]["annotations"] == {} for pod in fleet.pods.values())
    assert fleet.replicas == 3


def test_a_pod_that_somebody_isolated_to_look_at_it_is_told_of() -> None:
    """As `kubectl label pod p2 pod-template-hash-` does; the ReplicaSet makes another one in its place."""
    fleet = idle(3)
    for name in ("p0", "p1"):
        fleet.pods[name]["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web-a", "controller": True}]
    del fleet.pods["p2"]["metadata"]["labels"]["pod-template-hash"]
    fleet.replicas = fleet.existing = fleet.updated = 2
    problem = [fleet.look() for _ in range(3)][-1].view.problem
    assert problem is not None
    assert "pod p2 has the group's labels and belongs to no ReplicaSet" in problem.message


def test_a_crash_loop_asks_for_nothing_and_is_removed_first() -> None:
    fleet = idle(3)
    fleet.policy = Policy(min_replicas=2, max_replicas=10, target_queue_length=4, headroom=0.1, window=WINDOW)
    heard_of(fleet)
    crashed = fleet.pods["p1"]["status"]
    crashed["conditions"] = [{"type": "Ready", "status": "False"}]
    crashed["containerStatuses"] = [{"name": "worker", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    outcomes = fleet.run(WINDOW + 10)
    assert max(outcome.target.replicas or 0 for outcome in outcomes if outcome.target is not None) == 3
    assert set(fleet.pods) == {"p0", "p2"}


def test_a_pod_that_waited_for_a_node_says_little_about_the_next() -> None:
    fleet = Fleet(policy=replace(POLICY, min_replicas=1))
    fleet.add("p0", started=False)
    for _ in range(60):
        fleet.look(120)
    fleet.pods["p0"]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    fleet.say("p0")
    fleet.look()
    assert fleet.group.history.startup < LONGEST_START


def test_slots_are_remembered_while_nobody_can_be_asked() -> None:
    """`concurrency: auto` at zero: eight tasks are for one pod of eight slots, and not for eight pods."""
    fleet = Fleet(policy=replace(POLICY, target_queue_length=None, target_latency=60.0), slots=8)
    fleet.add("p0", slots=8)
    fleet.look()
    fleet.pods.clear()
    fleet.reports.clear()
    fleet.replicas, fleet.slots, fleet.ready = 0, None, 8
    outcome = fleet.look()
    assert outcome.target is not None
    assert outcome.target.replicas == 1
