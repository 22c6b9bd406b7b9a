"""Every sample as users apply it: Ready, a task through it, and nothing left after it was deleted.

A few are up at a time, each in a namespace of its own: while one is looked at, the next ones start.
"""

from __future__ import annotations

import contextlib
import copy
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from celery_operator.desired.metadata import CLUSTER_LABEL
from celery_operator.kube.objects import CONFIG_MAP, JOB, SECRET, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER, CHILDREN, OPTIONAL
from tests.cluster.local.pki import Authority
from tests.demo.producer import Producer
from tests.e2e import manifests
from tests.e2e.api import Api
from tests.e2e.release import Release
from tests.e2e.space import PATIENCE_SECONDS, Space
from tests.e2e.test_flower import flower_image  # noqa: F401 - a fixture
from tests.e2e.until import until

AT_ONCE: Final = 4
"""Samples that are up at a time: some twenty pods, as many as start on two cores before somebody loses patience."""
START_SECONDS: Final = 300.0
"""RabbitMQ starts, a hook runs, and pods of other samples want the same CPUs."""
GONE_SECONDS: Final = 180.0
GPU_LABEL: Final = "accelerator"
GPU_RESOURCE: Final = "nvidia.com/gpu"
PERIODIC_TASK: Final = """
from django_celery_beat.models import PeriodicTask
print(PeriodicTask.objects.get(name="count-waiting-customers").task)
"""
Task = tuple[str, dict[str, Any]]
Check = Callable[[Space], None]


def _secret(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def _shop(space: Space, folder: Path) -> list[Manifest]:
    """The Secrets that production.yaml lists, and the Redis of one's own."""
    url = "redis://redis:6379/"
    return [
        *manifests.plain_redis("redis"),
        _secret("shop-broker", url=f"{url}0"),
        _secret("shop-results", url=f"{url}1"),
        _secret("shop-settings", LOG_FORMAT="text"),
    ]


def _certificates(space: Space, folder: Path) -> list[Manifest]:
    """The Secrets that redis-tls.yaml lists; the certificate is for this namespace."""
    authority = Authority.create(folder)
    pair = authority.issue("tls", "secure-redis", server_for=("secure-redis", f"secure-redis.{space.name}.svc"))
    files = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
    tls = _secret("secure-redis-tls", **{name: path.read_text() for name, path in files.items()})
    return [tls, _secret("secure-redis", password=uuid.uuid4().hex)]


def _no_preparation(space: Space, folder: Path) -> list[Manifest]:
    return []


def _no_further_check(space: Space) -> None:
    """Ready and the tasks say it all."""


def _queues_of_rabbitmq(space: Space) -> None:
    names = ("default", "high_priority", "low_priority", "dead")

    def types() -> list[str | None]:
        words = ("rabbitmqctl", "-q", "list_queues", "-p", "shop", "name", "type")
        listed = space.kubectl.run("exec", "rabbitmq-0", "--", *words).stdout
        found = dict(line.split("\t") for line in listed.splitlines() if "\t" in line)
        return [found.get(name) for name in names]

    # Each is declared by whoever needs it first, and a server with much to do answers this command late.
    until(types, lambda found: found == ["quorum", "quorum", "classic", "quorum"], within=PATIENCE_SECONDS)
    (beat,) = space.pods("on-rabbitmq", "beat")
    assert space.status_of(beat)["claims"] == "amqp"
    (urgent,) = [pod for pod in space.pods("on-rabbitmq", "worker") if "-urgent-" in pod["metadata"]["name"]]
    # What it consumes is counted once a second, and is nothing while it connects again.
    until(
        lambda: space.status_of(urgent)["consuming"], lambda names: names == ["high_priority"], within=PATIENCE_SECONDS
    )


def _redbeat_sends(space: Space) -> None:
    (beat,) = space.pods("redbeat", "beat")
    until(lambda: space.status_of(beat), lambda found: found["dispatched"], within=PATIENCE_SECONDS)
    command = 'redis-cli --no-auth-warning -a "$REDIS_PASSWORD" exists redbeat:mail-every-10-seconds'
    words = ("exec", "statefulset/redbeat-redis", "--", "sh", "-c", command)
    until(lambda: space.kubectl.run(*words).stdout.strip(), lambda found: found == "1", within=PATIENCE_SECONDS)


def _django_works(space: Space) -> None:
    space.wait(JOB, "sign-up", lambda job: (job.get("status") or {}).get("succeeded"), within=START_SECONDS)
    # Of all tries: which one `job/sign-up` would show, nobody says.
    until(
        lambda: space.kubectl.run("logs", "--selector=job-name=sign-up", "--tail=-1"),
        lambda done: "welcomed ada@example.com" in done.stdout,
        within=PATIENCE_SECONDS,
    )
    words = ("exec", "deployment/django-worker-default", "--", "python", "-m", "django", "shell", "-v0", "-c")
    # The row is beat's, which writes it when it has started.
    until(
        lambda: space.kubectl.run(*words, PERIODIC_TASK),
        lambda done: done.stdout.split()[-1:] == ["customers.count_waiting"],
        within=PATIENCE_SECONDS,
    )
    (beat,) = space.pods("django", "beat")
    until(lambda: space.status_of(beat), lambda found: found["dispatched"], within=PATIENCE_SECONDS)


def _suspends(space: Space) -> None:
    space.edit("careful", suspend=True)
    space.wait_condition("careful", "Suspended", "True", within=START_SECONDS)
    assert not space.pods("careful", "worker")
    space.edit("careful", suspend=None)
    space.wait_ready("careful", within=START_SECONDS)


def _flower_runs(space: Space) -> None:
    space.wait_condition("observed", "FlowerAvailable", "True", within=START_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample file, and what has to be true of it."""

    file: str
    cluster: str
    tasks: tuple[Task, ...] = ()
    """Sent by the sample's producer, which knows the cluster by its ConfigMap alone. Each has to succeed."""
    workflows: tuple[Task, ...] = ()
    """The same for workflows, with their bodies."""
    prepare: Callable[[Space, Path], list[Manifest]] = _no_preparation
    """What the sample's head says is made beforehand."""
    check: Check = _no_further_check


ADD: Final[Task] = ("add", {"x": 2, "y": 3})
IO: Final[Task] = ("io_bound", {"requests": 2})
REPORT: Final[Task] = ("generate_report", {"report_type": "daily", "day": "2026-01-31", "rows": 10})
MAIL: Final[Task] = ("send_email", {"to": "ada@example.com", "subject": "Your order"})
CHORD: Final[Task] = ("chord", {"pairs": [[2, 3], [4, 5]]})
SAMPLES: Final = (
    # What takes longest to start comes first.
    Sample(file="rabbitmq", cluster="on-rabbitmq", tasks=(ADD, REPORT), workflows=(CHORD,), check=_queues_of_rabbitmq),
    Sample(file="django", cluster="django", check=_django_works),
    Sample(file="quickstart", cluster="quickstart", tasks=(ADD,)),
    Sample(file="production", cluster="shop", tasks=(ADD, IO, REPORT), prepare=_shop),
    Sample(file="flower", cluster="observed", tasks=(MAIL,), check=_flower_runs),
    Sample(file="redis-tls", cluster="secured", tasks=(ADD,), prepare=_certificates),
    Sample(file="maintenance", cluster="careful", tasks=(ADD,), check=_suspends),
    Sample(file="autoscaling", cluster="autoscaled", tasks=(ADD,)),
    Sample(file="long-tasks", cluster="video", tasks=(("long_running", {"duration_seconds": 1, "steps": 1}),)),
    Sample(file="gevent", cluster="crawler", tasks=(IO,)),
    Sample(file="redbeat", cluster="redbeat", check=_redbeat_sends),
    Sample(file="gpu", cluster="inference", tasks=(("cpu_burn", {"seconds": 0.1}),)),
)
WITHOUT_CLUSTER: Final = {"producer", "keda-scaledobject"}
"""Files that belong to other samples; the tests of external scaling apply the second."""


class Line:
    """The samples in the order of their tests; a few ahead of the one that is looked at are already starting."""

    def __init__(self, api: Api, kubeconfig: Path, folder: Path, samples: list[Sample]) -> None:
        self._api, self._kubeconfig, self._folder = api, kubeconfig, folder
        self._waiting = list(samples)
        self._spaces: dict[str, Space] = {}

    def take(self, sample: Sample) -> Space:
        """The namespace of a sample that has been applied."""
        while self._waiting and (sample in self._waiting or len(self._spaces) < AT_ONCE):
            self._start(self._waiting.pop(0))
        return self._spaces[sample.file]

    def remove(self, sample: Sample) -> None:
        """Delete its namespace."""
        self._spaces.pop(sample.file).remove()

    def end(self) -> None:
        """Delete the namespaces of samples that failed, or that no test came to."""
        if not os.environ.get("KEEP_NAMESPACES"):
            for space in self._spaces.values():
                space.remove()

    def _start(self, sample: Sample) -> None:
        space = Space(self._api, self._kubeconfig, f"e2e-{sample.file}-{uuid.uuid4().hex[:8]}")
        space.create("restricted")
        self._spaces[sample.file] = space
        space.apply(*sample.prepare(space, self._folder / sample.file), *manifests.sample(sample.file))


@pytest.fixture(scope="module")
def line(
    request: pytest.FixtureRequest,
    session_release: Release,
    api: Api,
    kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
    gpu_node: None,
    flower_image: str,  # noqa: F811
) -> Iterator[Line]:
    """The samples whose tests were selected."""
    parameters = [_parameters(item) for item in request.session.items]
    chosen = [found["sample"] for found in parameters if "sample" in found]
    samples = Line(api, kubeconfig, tmp_path_factory.mktemp("samples"), chosen)
    yield samples
    samples.end()


@pytest.fixture(scope="module")
def gpu_node(session_release: Release) -> Iterator[None]:
    """One node that says that it has a GPU, as the device plugin of a vendor would (Kubernetes documents this way)."""
    kubectl = session_release.kubectl
    (node, *_) = kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()

    def say(label: str, amount: str) -> None:
        kubectl(
            "patch", "node", node, "--type=merge", "-p", f'{{"metadata": {{"labels": {{"{GPU_LABEL}": {label}}}}}}}'
        )
        resource = f'{{"{GPU_RESOURCE}": {amount}}}'
        status = f'{{"status": {{"capacity": {resource}, "allocatable": {resource}}}}}'
        kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", status)

    say('"nvidia"', '"1"')
    yield
    say("null", "null")


def _parameters(item: pytest.Item) -> dict[str, Any]:
    """Those of a test of this file."""
    callspec = getattr(item, "callspec", None)
    return {} if callspec is None or item.path != Path(__file__) else dict(callspec.params)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_a_sample_comes_up_does_its_work_and_goes(line: Line, release: Release, sample: Sample) -> None:
    space = line.take(sample)
    space.wait_ready(sample.cluster, within=START_SECONDS)
    space.wait_condition(sample.cluster, "BrokerReachable", "True")
    space.wait_condition(sample.cluster, "NoWarnings", "True")
    if sample.tasks:
        with _producer(space, sample.cluster) as producer:
            sent = [producer.submit(name, **arguments) for name, arguments in sample.tasks]
            sent += [producer.submit_workflow(name, body) for name, body in sample.workflows]
            for task in sent:
                result = producer.result(task)
                assert result.state == "SUCCESS", str(result)
    sample.check(space)
    # What has just been asked for by the load, too: the kernel drops a SIGTERM that comes before Python has begun.
    until(lambda: _starting(space, sample.cluster), lambda found: not found, within=START_SECONDS, every=0.5)
    space.delete(CELERY_CLUSTER, sample.cluster)
    until(lambda: _children(space, sample.cluster), lambda left: not left, within=GONE_SECONDS, every=0.5)
    line.remove(sample)


def _starting(space: Space, cluster: str) -> list[str]:
    """Worker pods whose container does not answer yet."""
    found = []
    for pod in space.pods(cluster, "worker"):
        states = (pod.get("status") or {}).get("containerStatuses") or [{}]
        if not all(state.get("started") for state in states):
            found.append(pod["metadata"]["name"])
    return found


def test_every_sample_is_among_them() -> None:
    files = {path.stem for path in manifests.SAMPLES.glob("*.yaml")}
    assert files == {sample.file for sample in SAMPLES} | WITHOUT_CLUSTER


@contextlib.contextmanager
def _producer(space: Space, cluster: str) -> Iterator[Producer]:
    """The sample's producer, with what `pod.yaml` of the cluster's ConfigMap tells to add to its pod."""
    asked = yaml.safe_load(space.wait(CONFIG_MAP, f"{cluster}-client")["data"]["pod.yaml"])
    objects = copy.deepcopy(manifests.sample("producer"))
    pod = objects[0]["spec"]["template"]["spec"]
    (container,), (wanted,) = pod["containers"], asked["containers"]
    container["env"] = wanted["env"]
    for owner, field, more in ((pod, "volumes", asked), (container, "volumeMounts", wanted)):
        own = [one for one in owner[field] if one["name"] != manifests.CLIENT_VOLUME]
        owner[field] = [*own, *more[field]]
    space.apply(*objects)
    space.wait_available("producer", within=START_SECONDS)
    producer = Producer(space.api.service_url(space.name, "producer", 8000))
    try:
        yield producer
    finally:
        producer.close()


def _children(space: Space, cluster: str) -> list[str]:
    """What there is of a cluster."""
    kinds = [kind for kind in (*CHILDREN, SECRET) if kind not in OPTIONAL]
    selector = f"{CLUSTER_LABEL}={cluster}"
    return [f"{kind.kind} {one['metadata']['name']}" for kind in kinds for one in space.objects(kind, selector)]
