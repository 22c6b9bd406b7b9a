"""One autoscaled group from look to look: what is remembered of it, and what a look at it leads to.

Scale-in goes pod by pod through: chosen, drained (a lease that we renew), idle for certain, marked as the cheapest to
delete, gone. Nothing of it has to be remembered: the leases in the pods are the truth, and what a new leader finds
drained it goes on with or lets go. Without any leader the workers consume again by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from celery_operator.kube.objects import Manifest
from celery_operator.observe.snapshot import PodMark, Target
from celery_operator.observe.worker_report import PodAddress
from celery_operator.reconcile.autoscaling import observation, stall
from celery_operator.reconcile.autoscaling.deletion_cost import SETTLE_SECONDS, Mark, contested, is_cheap, unmarked
from celery_operator.reconcile.autoscaling.observation import Sharing, Surroundings
from celery_operator.reconcile.autoscaling.pod_marks import draining
from celery_operator.reconcile.autoscaling.rivals import Rivals
from celery_operator.reconcile.autoscaling.troubles import hindered, told
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.scaling import removal
from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import Decision, History, Load, Policy, Worker
from celery_operator.scaling.service_time import ServiceTime, in_words

DRAINED_AGE: Final = 3.0
"""Seconds that a worker's word that it is drained and idle is good for."""
LONGEST_START: Final = 300.0
"""Seconds of a start that count at most: a pod that found no node for hours says nothing about the next one."""
_STARTUP_WEIGHT: Final = 0.5
"""How much the newest start counts in the measured start-up time."""
TASK_DURATION_PERIOD: Final = 300.0
"""Seconds between two values of what a task takes, for the status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a group is made from."""

    group: str
    queues: tuple[str, ...]
    policy: Policy | None
    slots: int | None
    """Tasks that a pod runs at a time; None where neither the spec nor a worker says so."""
    expected_slots: int
    """The same as far as the spec lets it be expected: for who has never heard a worker."""
    prior: float | None
    """expectedTaskDuration in seconds."""
    deployment: Manifest
    pods: tuple[Manifest, ...]
    sharing: Sharing
    around: Surroundings
    dry_run: bool = False
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a look leads to: pods to keep drained, pods to let go, and what the pass shall write."""

    view: GroupView
    target: Target
    hold: tuple[tuple[PodAddress, str], ...] = ()
    """With the bootId of the worker that is meant."""
    let_go: tuple[PodAddress, ...] = ()
    lost: tuple[str, ...] = ()
    """Pods that went instead of those that were chosen."""
    drained_after: tuple[float, ...] = ()
    """Seconds from telling it to drain until it was idle, for each pod that has just become so."""


@dataclass(slots=True, kw_only=True)
class _Pod:
    """What is remembered of a pod."""

    idle_since: float | None = None
    processed: int | None = None
    active: int | None = None
    seen_starting: bool = False
    started: bool = False
    drain_since: float | None = None
    drained: bool = False
    mark: Mark = field(default_factory=Mark)
    cheap_at: float | None = None
    """When it was last seen as cheap to delete although it is not to go."""


@dataclass(slots=True)
class Group:
    """The memory of one group; all of it can be lost."""

    history: History = field(default_factory=History)
    _pods: dict[str, _Pod] = field(default_factory=dict)
    _looked_at: float | None = None
    _bystanders: dict[str, str] = field(default_factory=dict)
    """Names by uid of the pods that the last lowering did not mean, until it is carried out."""
    _lowered_to: int = 0
    _slots: int | None = None
    """Tasks that a pod runs at a time, as was last known: at zero there is nobody to ask."""
    _worked: bool = False
    """Whether a task ran at the last look, or ended since the one before."""
    _stalled_since: float | None = None
    _rivals: Rivals = field(default_factory=Rivals)
    _task_duration: str | None = None
    """What a task takes, as it is written in the status."""
    _task_duration_at: float | None = None

    @classmethod
    def starting(cls, task_seconds: float | None) -> Group:
        """With what a former leader measured that a task takes."""
        kept = History(service_time=ServiceTime(kept=task_seconds))
        return cls(history=kept, _task_duration=None if task_seconds is None else in_words(task_seconds))

    def look(self, look: Look) -> Outcome:
        """One look; without a policy the load is only shown."""
        around = look.around
        self._slots = look.slots or self._slots
        slots = self._slots or look.expected_slots
        workers = self._remember(look, slots)
        replicas = look.deployment["spec"].get("replicas", 1)
        load = observation.load(look.queues, workers, replicas, slots, look.sharing, around)
        self._stalled_since = stall.since(self._stalled_since, load, worked=self._worked, now=around.now)
        view = GroupView(
            group=look.group,
            policy=look.policy,
            load=load,
            decision=None,
            replicas=replicas,
            problem=told(around.reading),
            read_at=None if around.reading is None or around.reading.problem else around.reading.at,
            service_seconds=self.history.service_time.seconds,
            task_duration=None if look.policy is None else self._task_duration,
            startup_seconds=self.history.startup,
            dry_run=look.dry_run,
            suspended=look.suspended,
            stalled_since=self._stalled_since,
        )
        if look.policy is None:
            return self._leave_alone(look, view)
        decision, self.history = decide(load, look.policy, self.history, around.now)
        at_rest = decision.demand is not None and decision.demand.at_rest
        view = replace(view, decision=decision, problem=told(around.reading, at_rest=at_rest))
        if look.dry_run:
            return self._leave_alone(look, view)
        outcome = self._act(look, load, decision, view)
        rival = self._rivals.look(look.deployment, outcome.target.replicas, around.now)
        if rival is None or view.problem is not None:
            return outcome
        return replace(outcome, view=replace(outcome.view, problem=rival))  # the cause of whatever else hinders us

    def _leave_alone(self, look: Look, view: GroupView) -> Outcome:
        """Nobody is drained and nothing marked in a group whose number is not ours."""
        return self._finish(look, view, Target(replicas=None), kept={})

    def _remember(self, look: Look, slots: int) -> tuple[Worker, ...]:
        """Note what changed since the last look: tasks done, starts finished, who is idle. The pods as they are."""
        around = look.around
        self.history = replace(self.history, service_time=self.history.service_time.expecting(look.prior))
        alive = {pod["metadata"]["uid"]: pod for pod in look.pods}
        self._pods = {uid: self._pods.get(uid, _Pod()) for uid in alive}
        busy, completed, workers = 0.0, 0, []
        for uid, pod in alive.items():
            known = self._pods[uid]
            known.mark.look(pod, around.now)
            seen = observation.worker(pod, look.group, slots, known.idle_since, around)
            if known.mark.contested_at is not None:
                seen = replace(seen, draining=False, can_drain=False)
            workers.append(seen)
            busy += seen.active or 0
            completed += _completed(known, observation.processed(pod, look.group, around), seen.active)
            if seen.active != 0:
                known.idle_since = None
            elif known.idle_since is None:
                known.idle_since = around.now
            self._note_start(known, pod, look)
        if self._looked_at is not None:
            self.history = replace(
                self.history,
                service_time=self.history.service_time.observe(
                    busy_slots=busy, completed=completed, seconds=around.now - self._looked_at
                ),
            )
        self._looked_at = around.now
        self._worked = bool(busy or completed)
        if self._worked:
            self._note_task_duration(around.now)
        return tuple(workers)

    def _note_task_duration(self, now: float) -> None:
        """Two digits, and seldom another value: each is a write of the status."""
        kept = self.history.service_time.kept
        if self._task_duration_at is None:
            self._task_duration_at = now - (TASK_DURATION_PERIOD if self._task_duration is None else 0.0)
        if kept is None or now - self._task_duration_at < TASK_DURATION_PERIOD:
            return
        if (found := in_words(kept)) != self._task_duration:
            self._task_duration, self._task_duration_at = found, now

    def _note_start(self, known: _Pod, pod: Manifest, look: Look) -> None:
        """Measure how long a pod takes from its creation until it consumes, of those whose start was watched."""
        started = observation.has_started(pod, look.group, look.around)
        if started and not known.started and known.seen_starting:
            created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            took = min(max(0.0, (look.around.wall - created).total_seconds()), LONGEST_START)
            startup = self.history.startup + _STARTUP_WEIGHT * (took - self.history.startup)
            self.history = replace(self.history, startup=startup)
        known.started = known.started or started
        known.seen_starting = known.seen_starting or not started

    def _act(self, look: Look, load: Load, decision: Decision, view: GroupView) -> Outcome:
        view = self._with_contest(look, view)
        pods = {pod["metadata"]["name"]: pod for pod in look.pods}
        state = observation.pods_of(look.deployment, look.pods)
        leaving = self._leaving(look, load)
        up = Target(replicas=max(decision.desired, load.replicas))
        if removal.rolling(state):
            # Nobody knows whom a lower number would take, and whom the rollout replaces need not be drained.
            view = hindered(view, "a rollout is in progress") if decision.desired < load.replicas else view
            return self._finish(look, view, up, leaving, tuple(leaving))
        kept = {**self._kept(load, decision, pods), **leaving}
        if leaving or not state.fresh or decision.desired >= load.replicas:
            return self._finish(look, view, up, kept, tuple(leaving))
        if len(pods) < load.replicas and state.existing == len(pods):
            # What is asked for and does not exist, for want of quota or room, is given up first: that takes nobody.
            return self._finish(look, view, self._lower(look, max(decision.desired, len(pods))), kept)
        victims = self._victims(look, load, decision, kept)
        if not victims:
            return self._finish(look, self._undrainable(look, load, view, kept), up, kept)
        why_not = removal.obstacle(state, victims, self._unstarted(look))
        if why_not is not None:
            return self._finish(look, hindered(view, why_not), up, kept)
        return self._remove(look, load, view, victims, kept)

    def _leaving(self, look: Look, load: Load) -> dict[str, Manifest]:
        """Pods that the last lowering meant and that are about to be deleted: they must not consume again."""
        if len(look.pods) <= load.replicas:
            return {}
        return {pod["metadata"]["name"]: pod for pod in look.pods if is_cheap(pod)}

    def _with_contest(self, look: Look, view: GroupView) -> GroupView:
        """With the first pod whose cost somebody else writes, where nothing else is to be told."""
        pods = ((pod["metadata"]["name"], self._pods[pod["metadata"]["uid"]].mark) for pod in look.pods)
        first = min(((name, mark.found) for name, mark in pods if mark.contested_at is not None), default=None)
        if first is None or view.problem is not None:
            return view
        return replace(view, problem=contested(first[1], first[0]))

    def _undrainable(self, look: Look, load: Load, view: GroupView, kept: Mapping[str, Manifest]) -> GroupView:
        """With why nothing goes, where nobody is being drained because nobody can be."""
        mute = {worker.pod for worker in load.workers if not worker.can_drain}
        pods = [pod["metadata"] for pod in look.pods if pod["metadata"]["name"] in mute]
        first = next((pod for pod in pods if self._pods[pod["uid"]].mark.contested_at is None), None)
        if kept:
            return view
        if first is None:
            holding = min((worker.pod for worker in load.workers if worker.held and worker.can_drain), default=None)
            why = f"pod {holding} keeps tasks that it does not run yet, as for a rate limit"
            return view if holding is None else hindered(view, why)
        why = look.around.refuses(first["uid"]) or "it does not answer on its probe port"
        return hindered(view, f"pod {first['name']} cannot be asked whether it is idle: {why}")

    def _lower(self, look: Look, replicas: int) -> Target:
        return Target(replicas=replicas, resource_version=look.deployment["metadata"]["resourceVersion"])

    def _kept(self, load: Load, decision: Decision, pods: Mapping[str, Manifest]) -> dict[str, Manifest]:
        """Pods that shall be drained from now on: those that are, but for who is to consume again, and new ones."""
        names = {worker.pod for worker in load.workers if worker.draining}.difference(decision.undrain)
        return {name: pods[name] for name in (*sorted(names), *decision.drain) if name in pods}

    def _victims(self, look: Look, load: Load, decision: Decision, kept: Mapping[str, Manifest]) -> tuple[str, ...]:
        """Pods that can go now: those that never started first, then drained ones whose idleness is certain."""
        surplus, unstarted = load.replicas - decision.desired, self._unstarted(look)
        chosen = [name for name in kept if name in unstarted]
        chosen += [name for name in kept if name not in chosen and self._drained(kept[name], look)]
        return tuple(chosen[:surplus])

    def _unstarted(self, look: Look) -> frozenset[str]:
        group, around = look.group, look.around
        pods = (pod for pod in look.pods if not observation.is_ready(pod))
        return frozenset(pod["metadata"]["name"] for pod in pods if not observation.has_started(pod, group, around))

    def _drained(self, pod: Manifest, look: Look) -> bool:
        """For certain: its lease is ours, and its word is fresh."""
        uid = pod["metadata"]["uid"]
        report = look.around.report(uid)
        if report is None or uid not in look.around.held:
            return False
        return report.drained and look.around.now - report.at <= DRAINED_AGE

    def _remove(
        self, look: Look, load: Load, view: GroupView, victims: tuple[str, ...], kept: dict[str, Manifest]
    ) -> Outcome:
        """Mark the victims; lower the number by those that have had their mark for long enough.

        Whichever of the marked the ReplicaSet takes then: every one of them is drained and idle.
        """
        now, settled = look.around.now, 0
        for name in victims:
            mark = self._pods[kept[name]["metadata"]["uid"]].mark
            settled += mark.settled(kept[name], now)
            view = hindered(view, unmarked(name)) if mark.is_missing(now) else view
        target = Target(replicas=load.replicas)
        if settled and not self._others_are_cheap(look, victims):
            may_go = self._unstarted(look).union(victims)
            others = (pod["metadata"] for pod in look.pods if pod["metadata"]["name"] not in may_go)
            self._bystanders = {metadata["uid"]: metadata["name"] for metadata in others}
            self._lowered_to = load.replicas - settled
            target = self._lower(look, self._lowered_to)
        return self._finish(look, view, target, kept, victims)

    def _others_are_cheap(self, look: Look, victims: tuple[str, ...]) -> bool:
        """Whether a pod that is not to go may still look cheap to the ReplicaSet controller, which has a cache."""
        now, found = look.around.now, False
        for pod in look.pods:
            known = self._pods[pod["metadata"]["uid"]]
            if pod["metadata"]["name"] not in victims and is_cheap(pod):
                known.cheap_at = now
            found = found or (known.cheap_at is not None and now - known.cheap_at < SETTLE_SECONDS)
        return found

    def _finish(
        self,
        look: Look,
        view: GroupView,
        target: Target,
        kept: Mapping[str, Manifest],
        victims: tuple[str, ...] = (),
    ) -> Outcome:
        """Who is held and let go, and which annotations say so."""
        marks = {}
        for pod in look.pods:
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            cost = self._pods[uid].mark.change(pod, victim=name in victims, now=look.around.now)
            report = look.around.report(uid) if name in kept else None
            wanted = {**draining(pod, None if report is None else report.boot_id), **cost}
            if wanted:
                marks[name] = PodMark(uid=uid, annotations=wanted)
        hold = []
        for pod in kept.values():
            where, report = observation.address(pod), look.around.report(pod["metadata"]["uid"])
            if where is not None and report is not None and not report.shutting_down:
                hold.append((where, report.boot_id))
        return Outcome(
            view=view,
            target=replace(target, marks=marks),
            hold=tuple(hold),
            let_go=self._all_drained(look, but=kept),
            lost=self._lost(look),
            drained_after=self._drained_after(look, kept),
        )

    def _all_drained(self, look: Look, but: Mapping[str, Manifest]) -> tuple[PodAddress, ...]:
        """Where to say that the drain is over: every pod that is drained or held, and is not in ``but``."""
        out = []
        for pod in look.pods:
            uid, where = pod["metadata"]["uid"], observation.address(pod)
            if where is None or pod["metadata"]["name"] in but:
                continue
            if observation.is_drained(look.around.report(uid), uid in look.around.held):
                out.append(where)
        return tuple(out)

    def _lost(self, look: Look) -> tuple[str, ...]:
        """Names of pods that went although the last lowering did not mean them, once it is carried out."""
        alive = {pod["metadata"]["uid"] for pod in look.pods}
        wanted = look.deployment["spec"].get("replicas", 1)
        if not self._bystanders or wanted > self._lowered_to or len(alive) > wanted:
            return ()
        lost = tuple(sorted(name for uid, name in self._bystanders.items() if uid not in alive))
        self._bystanders = {}
        return lost

    def _drained_after(self, look: Look, kept: Mapping[str, Manifest]) -> tuple[float, ...]:
        out = []
        drained = {pod["metadata"]["uid"]: self._drained(pod, look) for pod in kept.values()}
        for uid, known in self._pods.items():
            if uid not in drained:
                known.drain_since, known.drained = None, False
                continue
            if known.drain_since is None:
                known.drain_since = look.around.now
            if drained[uid] and not known.drained:
                known.drained = True
                out.append(look.around.now - known.drain_since)
        return tuple(out)


def _completed(known: _Pod, processed: int | None, active: int | None) -> int:
    """Tasks that ended since the last look: those that began, less those that are still running."""
    before, busy_before = known.processed, known.active
    known.processed, known.active = processed, active
    if processed is None or before is None or processed < before:
        return 0
    return max(0, processed - before - ((active or 0) - (busy_before or 0)))
