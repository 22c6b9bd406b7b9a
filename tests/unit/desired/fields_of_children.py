"""What each field of queues, Flower, client, monitoring and network policies changes: a spec without and one with it.

Every row also names the children that change, and no other child may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]

DEPLOYMENT, SERVICE, INGRESS, ROUTE = (
    f"{kind} shop-flower" for kind in ("Deployment", "Service", "Ingress", "HTTPRoute")
)
CLAIM, POD_MONITOR, SERVICE_MONITOR = (
    f"{kind} shop-flower" for kind in ("PersistentVolumeClaim", "PodMonitor", "ServiceMonitor")
)
WORKER, BEAT, CLIENT = "Deployment shop-worker-web", "StatefulSet shop-beat", "ConfigMap shop-client"
POLICIES = tuple(f"NetworkPolicy shop-{component}" for component in ("worker", "beat", "flower"))
AUTH: Json = {"auth": {"external": True}}


class Row(NamedTuple):
    """Two specs, and the children in which they differ."""

    without: Json
    with_it: Json
    changed: set[str]


def everything(**fields: Any) -> Json:
    """A spec in which a change could reach any child."""
    return {"beat": {}, "flower": {}, "client": {}, **fields}


def flower(**fields: Any) -> Json:
    return {"flower": fields}


def of_flower(changed: str, **fields: Any) -> dict[str, Row]:
    """Fields of Flower that change one child, each set on a Flower without it."""
    return {f"flower.{name}": Row(flower(), flower(**{name: value}), {changed}) for name, value in fields.items()}


def secret(name: str = "s", key: str = "k") -> Json:
    return {"secretKeyRef": {"name": name, "key": key}}


def secret_key(path: str, wrap: Callable[[Json], Json], changed: str = DEPLOYMENT) -> dict[str, Row]:
    """A reference to a key of a Secret."""
    return {
        path: Row(flower(), wrap(secret()), {changed}),
        f"{path}.secretKeyRef": Row(flower(), wrap(secret()), {changed}),
        f"{path}.secretKeyRef.name": Row(wrap(secret()), wrap(secret(name="t")), {changed}),
        f"{path}.secretKeyRef.key": Row(wrap(secret()), wrap(secret(key="l")), {changed}),
    }


def oauth(**fields: Any) -> Json:
    whole = {
        "provider": "Google",
        "emails": ".*@example.com",
        "clientIdFrom": secret(key="id"),
        "clientSecretFrom": secret(key="secret"),
        "redirectUri": "https://f.example.com/login",
    }
    return flower(auth={"oauth": {**whole, **fields}})


def of_oauth(**fields: Any) -> dict[str, Row]:
    return {
        f"flower.auth.oauth.{name}": Row(oauth(), oauth(**{name: value}), {DEPLOYMENT})
        for name, value in fields.items()
    }


def client_of_oauth(field: str) -> dict[str, Row]:
    path = f"flower.auth.oauth.{field}"
    other = {name: Row(oauth(), oauth(**{field: secret(**{name: "other"})}), {DEPLOYMENT}) for name in ("name", "key")}
    return {
        path: other["name"],
        f"{path}.secretKeyRef": other["name"],
        **{f"{path}.secretKeyRef.{name}": row for name, row in other.items()},
    }


def service(**fields: Any) -> Json:
    return flower(service=fields)


def ingress(**fields: Any) -> Json:
    return flower(**AUTH, ingress={"host": "f.example.com", **fields})


def route(*, parent: Json | None = None, **fields: Any) -> Json:
    return flower(**AUTH, httpRoute={"parentRefs": [{"name": "gateway", **(parent or {})}], **fields})


def kept(**fields: Any) -> Json:
    return flower(persistence=fields)


def env(**fields: Any) -> Json:
    return flower(env=[{"name": "A", **fields}])


def source(kind: str, **fields: Any) -> Json:
    return env(valueFrom={kind: fields})


def key_of_env(kind: str) -> dict[str, Row]:
    path, plain = f"flower.env[].valueFrom.{kind}", source(kind, name="s", key="k")
    return {
        path: Row(env(), plain, {DEPLOYMENT}),
        f"{path}.name": Row(plain, source(kind, name="t", key="k"), {DEPLOYMENT}),
        f"{path}.key": Row(plain, source(kind, name="s", key="l"), {DEPLOYMENT}),
        f"{path}.optional": Row(plain, source(kind, name="s", key="k", optional=True), {DEPLOYMENT}),
    }


def of_pod(path: str, plain: Json, **fields: Any) -> dict[str, Row]:
    """Fields of a source of a variable, each added to a plain one or changed in it."""
    kind = path.rpartition(".")[2]
    return {
        path: Row(env(), source(kind, **plain), {DEPLOYMENT}),
        **{
            f"{path}.{name}": Row(source(kind, **plain), source(kind, **{**plain, name: value}), {DEPLOYMENT})
            for name, value in fields.items()
        },
    }


def nested(parent: str, **fields: Any) -> dict[str, Row]:
    """A field of Flower that is an object, and each field of that."""
    rows = {
        f"flower.{parent}.{name}": Row(flower(), flower(**{parent: {name: value}}), {DEPLOYMENT})
        for name, value in fields.items()
    }
    return {f"flower.{parent}": next(iter(rows.values())), **rows}


def queue(**fields: Any) -> Json:
    return everything(queues=[{"name": "q", **fields}])


def of_queue(**fields: Any) -> dict[str, Row]:
    processes = {WORKER, BEAT, DEPLOYMENT, CLIENT}
    return {f"queues[].{name}": Row(queue(), queue(**{name: value}), processes) for name, value in fields.items()}


def monitor(kind: str, **fields: Any) -> Json:
    return {"flower": {}, "monitoring": {kind: fields}}


def of_monitor(kind: str, changed: str) -> dict[str, Row]:
    path = f"monitoring.{kind}"
    return {
        path: Row(flower(), monitor(kind), {changed}),
        f"{path}.interval": Row(monitor(kind), monitor(kind, interval="15s"), {changed}),
        f"{path}.labels": Row(monitor(kind), monitor(kind, labels={"release": "prometheus"}), {changed}),
    }


def policies(**fields: Any) -> Json:
    return everything(networkPolicy=fields)


RULE = [{"ports": [{"port": 5432}]}]
LABELS = {"metadata": {"labels": {"a": "b"}}}
EVERYWHERE = {WORKER, BEAT, DEPLOYMENT, CLIENT}

ROWS: dict[str, Row] = {
    "queues": Row(everything(), queue(), EVERYWHERE),
    "queues[].name": Row(queue(), everything(queues=[{"name": "other"}]), EVERYWHERE),
    **of_queue(
        exchange="x", exchangeType="topic", routingKey="r", type="quorum", maxPriority=10, arguments={"x-expires": 1}
    ),
    **of_queue(deadLetter={"exchange": "dead"}),
    "queues[].deadLetter.exchange": Row(
        queue(deadLetter={"exchange": "dead"}), queue(deadLetter={"exchange": "other"}), EVERYWHERE
    ),
    "queues[].deadLetter.routingKey": Row(
        queue(deadLetter={"exchange": "dead"}), queue(deadLetter={"exchange": "dead", "routingKey": "q"}), EVERYWHERE
    ),
    "client": Row({}, {"client": {}}, {CLIENT}),
    "flower": Row({}, flower(), {DEPLOYMENT, SERVICE}),
    **of_flower(
        DEPLOYMENT,
        image="example.com/flower:3",
        imagePullPolicy="Always",
        imagePullSecrets=[{"name": "registry"}],
        loadApplication=True,
        replicas=2,
        auth={"basicFrom": secret()},
        urlPrefix="flower",
        env=[{"name": "A"}],
        serviceAccountName="other",
        podSecurity="Restricted",
        podLabels={"a": "b"},
        podAnnotations={"a": "b"},
        extraArgs=["--max_tasks=1"],
        podTemplate=LABELS,
    ),
    "flower.imagePullSecrets[].name": Row(
        flower(imagePullSecrets=[{"name": "a"}]), flower(imagePullSecrets=[{"name": "b"}]), {DEPLOYMENT}
    ),
    **secret_key("flower.auth.basicFrom", lambda key: flower(auth={"basicFrom": key})),
    "flower.auth.oauth": Row(flower(), oauth(), {DEPLOYMENT}),
    **of_oauth(provider="GitHub", emails="anna@example.com", redirectUri="https://other.example.com/login"),
    **client_of_oauth("clientIdFrom"),
    **client_of_oauth("clientSecretFrom"),
    **secret_key("flower.cookieSecretFrom", lambda key: flower(cookieSecretFrom=key)),
    "flower.service": Row(service(), service(port=80), {SERVICE}),
    "flower.service.type": Row(service(), service(type="NodePort"), {SERVICE}),
    "flower.service.port": Row(service(), service(port=80), {SERVICE}),
    "flower.service.annotations": Row(service(), service(annotations={"a": "b"}), {SERVICE}),
    "flower.ingress": Row(flower(**AUTH), ingress(), {INGRESS, DEPLOYMENT}),
    "flower.ingress.host": Row(ingress(), ingress(host="g.example.com"), {INGRESS}),
    "flower.ingress.className": Row(ingress(), ingress(className="nginx"), {INGRESS}),
    "flower.ingress.tlsSecretName": Row(ingress(), ingress(tlsSecretName="tls"), {INGRESS}),
    "flower.ingress.annotations": Row(ingress(), ingress(annotations={"a": "b"}), {INGRESS}),
    "flower.httpRoute": Row(flower(**AUTH), route(), {ROUTE, DEPLOYMENT}),
    "flower.httpRoute.parentRefs": Row(route(), route(parent={"name": "other"}), {ROUTE}),
    "flower.httpRoute.parentRefs[].name": Row(route(), route(parent={"name": "other"}), {ROUTE}),
    "flower.httpRoute.parentRefs[].namespace": Row(route(), route(parent={"namespace": "edge"}), {ROUTE}),
    "flower.httpRoute.parentRefs[].sectionName": Row(route(), route(parent={"sectionName": "https"}), {ROUTE}),
    "flower.httpRoute.hostnames": Row(route(), route(hostnames=["f.example.com"]), {ROUTE}),
    "flower.httpRoute.annotations": Row(route(), route(annotations={"a": "b"}), {ROUTE}),
    "flower.persistence": Row(flower(), kept(), {CLAIM, DEPLOYMENT}),
    "flower.persistence.size": Row(kept(), kept(size="9Gi"), {CLAIM}),
    "flower.persistence.storageClassName": Row(kept(), kept(storageClassName="fast"), {CLAIM}),
    "flower.persistence.retain": Row(kept(), kept(retain=True), {CLAIM}),
    "flower.env[].name": Row(env(), flower(env=[{"name": "B"}]), {DEPLOYMENT}),
    "flower.env[].value": Row(env(), env(value="1"), {DEPLOYMENT}),
    "flower.env[].valueFrom": Row(env(), source("fieldRef", fieldPath="spec.nodeName"), {DEPLOYMENT}),
    **key_of_env("secretKeyRef"),
    **key_of_env("configMapKeyRef"),
    **of_pod("flower.env[].valueFrom.fieldRef", {"fieldPath": "a"}, fieldPath="b", apiVersion="v1"),
    **of_pod(
        "flower.env[].valueFrom.resourceFieldRef",
        {"resource": "limits.memory"},
        resource="limits.cpu",
        containerName="flower",
        divisor="1Mi",
    ),
    **nested(
        "securityContext",
        runAsUser=7,
        runAsGroup=7,
        runAsNonRoot=True,
        fsGroup=7,
        supplementalGroups=[7],
        readOnlyRootFilesystem=True,
    ),
    **nested("resources", requests={"memory": "1Gi"}, limits={"memory": "1Gi"}),
    **nested("podTemplate", metadata={"labels": {"a": "b"}}, spec={"nodeSelector": {"a": "b"}}),
    "flower.podTemplate.metadata.labels": Row(flower(), flower(podTemplate=LABELS), {DEPLOYMENT}),
    "flower.podTemplate.metadata.annotations": Row(
        flower(), flower(podTemplate={"metadata": {"annotations": {"a": "b"}}}), {DEPLOYMENT}
    ),
    "monitoring": Row(flower(), monitor("podMonitor"), {POD_MONITOR}),
    **of_monitor("podMonitor", POD_MONITOR),
    **of_monitor("serviceMonitor", SERVICE_MONITOR),
    "networkPolicy": Row(everything(), policies(), set(POLICIES)),
    "networkPolicy.brokerPorts": Row(policies(), policies(brokerPorts=[1]), set(POLICIES)),
    "networkPolicy.extraIngress": Row(policies(), policies(extraIngress=RULE), set(POLICIES)),
    "networkPolicy.extraEgress": Row(policies(), policies(extraEgress=RULE), set(POLICIES)),
}
"""By field."""

WITHOUT_CHILDREN = {
    "flower.auth.external": "says that somebody else asks who comes: the CRD's rules alone look at it",
}
"""Fields that no child shows, and why."""
