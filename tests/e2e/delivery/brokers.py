"""The brokers under the suite: a Redis and a RabbitMQ of one pod with a volume, known to nobody but their users."""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import httpx
import redis

from celery_operator.kube.objects import POD, SECRET, STATEFUL_SET, Manifest
from tests.e2e import manifests
from tests.e2e.delivery.forward import forwarded
from tests.e2e.space import Space
from tests.e2e.until import insist

SECRET_NAME: Final = "broker"
"""The Secret whose key `url` the workers use; the producer has an account of its own."""
ACCOUNTS: Final = {"celery-first": "first-p@ss", "celery-next": "next-p@ss"}
"""The workers begin with the first; a rotation takes them to the next."""
FIRST, NEXT = ACCOUNTS
_ALL_RIGHTS: Final = ("~*", "&*", "+@all")
START_SECONDS: Final = 300.0
_ANSWER_SECONDS: Final = 60.0
_OPEN_SECONDS: Final = 90.0
"""For how long a broker whose pod is Ready may refuse: RabbitMQ's is so by its port for clients, not by its API's."""
_REFUSALS: Final = (
    AssertionError,
    httpx.TransportError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
)


class BrokerPod(ABC):
    """A broker in a namespace: one StatefulSet of one pod and the Secret with the workers' URL."""

    name: str
    scheme: str
    port: int
    path: str
    """After the port of the URL."""

    def __init__(self, space: Space) -> None:
        self.space = space

    @property
    @abstractmethod
    def producer_url(self) -> str:
        """The URL of an account that stays."""

    @abstractmethod
    def objects(self) -> list[Manifest]:
        """What to apply."""

    @abstractmethod
    def remove_user(self, name: str) -> None:
        """Take an account away and close its connections."""

    @abstractmethod
    def remaining(self) -> int:
        """Messages that wait in a task queue or are with a worker that has not acknowledged them."""

    def secret(self, user: str) -> Manifest:
        """The Secret with the URL of an account."""
        url = f"{self.scheme}://{user}:{quote(ACCOUNTS[user], safe='')}@{self.name}:{self.port}{self.path}"
        return {
            "apiVersion": "v1",
            "kind": SECRET.kind,
            "metadata": {"name": SECRET_NAME},
            "stringData": {"url": url},
        }

    def wait_ready(self) -> None:
        """Wait until the pod is Ready and both accounts of the workers exist."""
        self.space.wait(STATEFUL_SET, self.name, _is_ready, within=START_SECONDS)

    def restart(self) -> None:
        """Delete the pod, as an update does, and wait until its successor is Ready."""
        uid = self._pod()["metadata"]["uid"]
        self.space.delete(POD, f"{self.name}-0")
        self.space.wait(
            POD,
            f"{self.name}-0",
            lambda pod: pod["metadata"]["uid"] != uid and _pod_is_ready(pod),
            within=START_SECONDS,
        )

    def scale(self, replicas: int) -> None:
        """Take the broker away (0) or bring it back (1), and wait until that is so."""
        self.space.api.merge_patch(self.space.ref(STATEFUL_SET, self.name), {"spec": {"replicas": replicas}})
        self.space.wait(
            STATEFUL_SET,
            self.name,
            _is_ready if replicas else lambda found: not found["status"].get("replicas"),
            within=START_SECONDS,
        )

    def _pod(self) -> Manifest:
        return self.space.get(POD, f"{self.name}-0")

    @contextlib.contextmanager
    def _reached(self, port: int) -> Iterator[int]:
        with forwarded(self.space.kubeconfig, self.space.name, f"pod/{self.name}-0", port) as local:
            yield local


class RedisPod(BrokerPod):
    """Redis with an append-only file."""

    name = "redis"
    scheme = "redis"
    port = 6379
    path = "/0"
    producer_url = "redis://redis:6379/0"

    def objects(self) -> list[Manifest]:
        # Accounts on the command line outlive a restart.
        accounts = [
            word for user, password in ACCOUNTS.items() for word in ("--user", user, "on", f">{password}", *_ALL_RIGHTS)
        ]
        deployment, service = manifests.plain_redis(self.name, "--appendonly", "yes", *accounts)
        template = deployment["spec"]["template"]
        template["spec"]["volumes"] = []
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        spec = {
            "serviceName": self.name,
            "replicas": 1,
            "selector": deployment["spec"]["selector"],
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        }
        return [
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": self.name}, "spec": spec},
            service,
        ]

    def remove_user(self, name: str) -> None:
        # Closes its connections.
        insist(lambda: self._command("ACL", "DELUSER", name), *_REFUSALS, within=_OPEN_SECONDS)

    def remaining(self) -> int:
        return insist(self._count, *_REFUSALS, within=_OPEN_SECONDS)

    def _count(self) -> int:
        with self._reached(6379) as port, contextlib.closing(self._client(port)) as client:
            keys = [key for queue in manifests.QUEUES for key in (queue, *(f"{queue}\x06\x16{n}" for n in (3, 6, 9)))]
            return sum(int(client.llen(key)) for key in keys) + int(client.hlen("unacked"))

    @staticmethod
    def _client(port: int) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=_ANSWER_SECONDS)

    def _command(self, *words: str) -> None:
        with self._reached(6379) as port, contextlib.closing(self._client(port)) as client:
            client.execute_command(*words)  # type: ignore[no-untyped-call]


class RabbitPod(BrokerPod):
    """RabbitMQ as in the sample."""

    name = "rabbitmq"
    scheme = "amqp"
    port = 5672
    path = "/shop"
    producer_url = "amqp://celery:change-me@rabbitmq:5672/shop"

    def objects(self) -> list[Manifest]:
        return manifests.sample("rabbitmq")[:3]

    def wait_ready(self) -> None:
        super().wait_ready()
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        for user, password in ACCOUNTS.items():
            self._request("PUT", f"/api/users/{user}", {"password": password, "tags": ""})
            self._request("PUT", f"/api/permissions{self.path}/{user}", rights)

    def remove_user(self, name: str) -> None:
        self._request("DELETE", f"/api/users/{name}")

    def remaining(self) -> int:
        queues = self._request("GET", f"/api/queues{self.path}") or []
        # A queue that is new, or whose server has just started, has no figures yet: that is not "none".
        return sum(queue.get("messages", 1) for queue in queues if queue["name"] in manifests.QUEUES)

    def queue_type(self, name: str) -> str:
        """`classic` or `quorum`."""
        return str(self._request("GET", f"/api/queues{self.path}/{quote(name, safe='')}")["type"])

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the management API; each request may be repeated."""
        return insist(lambda: self._ask(method, path, body), *_REFUSALS, within=_OPEN_SECONDS)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        with (
            self._reached(15672) as port,
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                auth=("celery", "change-me"),
                timeout=_ANSWER_SECONDS,
                trust_env=False,
            ) as http,
        ):
            answer = http.request(method, path, content=None if body is None else json.dumps(body))
            assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
            return answer.json() if answer.content else None


BROKERS: Final[dict[str, type[BrokerPod]]] = {"redis": RedisPod, "rabbitmq": RabbitPod}


def _is_ready(found: Manifest) -> bool:
    return bool((found.get("status") or {}).get("readyReplicas"))


def _pod_is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
