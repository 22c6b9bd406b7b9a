"""The table's part for queues, and for the children beside workers and beat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.integration.crd.cases import (
    Case,
    at_most,
    between,
    case,
    duration,
    entries,
    image,
    labels,
    longest,
    one_of,
    pod_annotations,
    pod_template,
    queue,
    required,
    resources,
    secret_key,
    storage,
    text,
)
from tests.integration.crd.objects import minimal

QUEUE = "spec.queues[]"
FLOWER = "spec.flower"
KEY = {"secretKeyRef": {"name": "s", "key": "k"}}
OAUTH = minimal("oauth")
EXTERNAL = {"auth": {"external": True}}
INGRESS = {"host": "f.example.com"}
LARGEST_ID = 2**31 - 1

QUEUES: list[Case] = [
    at_most("spec.queues", 256, lambda i: {"name": f"q{i}"}),
    case("spec.queues", "unique", [[{"name": "a"}, {"name": "b"}]], [[{"name": "a"}, {"name": "a"}]]),
    *required(QUEUE, "name"),
    *queue(f"{QUEUE}.name"),
    case(
        QUEUE,
        "cel",
        [{"name": "q", "maxPriority": 10}, {"name": "q", "maxPriority": 10, "type": "classic"}],
        [{"name": "q", "maxPriority": 10, "type": "quorum"}],
        "RabbitMQ refuses maxPriority for a quorum queue",
    ),
    *text(f"{QUEUE}.exchange", 255),
    one_of(f"{QUEUE}.exchangeType", "direct", "topic", "fanout", "headers"),
    *text(f"{QUEUE}.routingKey", 255),
    one_of(f"{QUEUE}.type", "classic", "quorum"),
    *between(f"{QUEUE}.maxPriority", 1, 255),
    *required(f"{QUEUE}.deadLetter", "exchange"),
    case(
        f"{QUEUE}.deadLetter",
        "cel",
        [{"exchange": "dead"}, {"exchange": "", "routingKey": "q"}],
        [{"exchange": ""}],
        "RabbitMQ's default exchange ('') needs routingKey",
    ),
    longest(f"{QUEUE}.deadLetter.exchange", 255),
    *text(f"{QUEUE}.deadLetter.routingKey", 255),
    entries(f"{QUEUE}.arguments", 32, 1),
]


def _host(path: str) -> list[Case]:
    return [
        *text(path, 253),
        case(path, "pattern", ["flower.example.com", "*.example.com", "f"], ["F.example.com", "a b", "-a", "a..b"]),
    ]


def _secret(path: str) -> list[Case]:
    return [*required(path, "secretKeyRef"), *secret_key(f"{path}.secretKeyRef")]


def _user(path: str) -> list[Case]:
    return between(path, 0, LARGEST_ID)


AUTH: list[Case] = [
    case(
        FLOWER,
        "cel",
        [
            {},
            {"service": {"type": "ClusterIP"}},
            {"service": {"type": "LoadBalancer"}, **EXTERNAL},
            {"ingress": INGRESS, "auth": {"basicFrom": KEY}},
            {"httpRoute": minimal("httpRoute"), **EXTERNAL},
        ],
        [
            {"ingress": INGRESS},
            {"httpRoute": minimal("httpRoute")},
            {"service": {"type": "LoadBalancer"}},
            {"service": {"type": "NodePort"}},
        ],
        "set auth before it can be reached from outside",
    ),
    case(
        FLOWER,
        "cel",
        [
            {"replicas": 2, "auth": {"oauth": OAUTH}, "cookieSecretFrom": KEY},
            {"replicas": 2, "auth": {"basicFrom": KEY}},
            {"replicas": 1, "auth": {"oauth": OAUTH}},
        ],
        [{"replicas": 2, "auth": {"oauth": OAUTH}}],
        "several Flowers with oauth need one cookie secret",
    ),
    case(
        f"{FLOWER}.auth",
        "cel",
        [{"basicFrom": KEY}, {"oauth": OAUTH}, {"external": True}, {"external": False, "basicFrom": KEY}],
        [{}, {"external": False}, {"basicFrom": KEY, "oauth": OAUTH}, {"basicFrom": KEY, "external": True}],
        "set exactly one of basicFrom, oauth or external: true",
    ),
    *_secret(f"{FLOWER}.auth.basicFrom"),
    *required(f"{FLOWER}.auth.oauth", *OAUTH),
    one_of(f"{FLOWER}.auth.oauth.provider", "Google", "GitHub", "GitLab", "Okta"),
    *text(f"{FLOWER}.auth.oauth.emails", 1024),
    case(
        f"{FLOWER}.auth.oauth.emails",
        "pattern",
        ["ann@example.com", "ann@example.com|bob@example.org", ".*@example.com", "a.*@example.com"],
        [r".*@example\.com", ".*", "*@example.com", ".*@.*", "ann@example.com|.*@example.org", "ann@example.com, bob"],
    ),
    *_secret(f"{FLOWER}.auth.oauth.clientIdFrom"),
    *_secret(f"{FLOWER}.auth.oauth.clientSecretFrom"),
    longest(f"{FLOWER}.auth.oauth.redirectUri", 2048, lambda n: "https://".ljust(n, "a")),
    case(f"{FLOWER}.auth.oauth.redirectUri", "minLength", ["http://f"], [""]),
    case(
        f"{FLOWER}.auth.oauth.redirectUri", "pattern", ["https://f.example.com/login"], ["f.example.com", "https://f /"]
    ),
    *_secret(f"{FLOWER}.cookieSecretFrom"),
]

ACCESS: list[Case] = [
    one_of(f"{FLOWER}.service.type", "ClusterIP", "NodePort", "LoadBalancer"),
    *between(f"{FLOWER}.service.port", 1, 65535),
    *pod_annotations(f"{FLOWER}.service.annotations"),
    *required(f"{FLOWER}.ingress", "host"),
    *_host(f"{FLOWER}.ingress.host"),
    *text(f"{FLOWER}.ingress.className", 253),
    *text(f"{FLOWER}.ingress.tlsSecretName", 253),
    *pod_annotations(f"{FLOWER}.ingress.annotations"),
    *required(f"{FLOWER}.httpRoute", "parentRefs"),
    case(f"{FLOWER}.httpRoute.parentRefs", "minItems", [[{"name": "g"}]], [[]]),
    at_most(f"{FLOWER}.httpRoute.parentRefs", 16, lambda i: {"name": f"g{i}"}),
    *required(f"{FLOWER}.httpRoute.parentRefs[]", "name"),
    *text(f"{FLOWER}.httpRoute.parentRefs[].name", 253),
    *text(f"{FLOWER}.httpRoute.parentRefs[].namespace", 63),
    *text(f"{FLOWER}.httpRoute.parentRefs[].sectionName", 253),
    at_most(f"{FLOWER}.httpRoute.hostnames", 16, lambda i: f"f{i}.example.com"),
    case(f"{FLOWER}.httpRoute.hostnames", "unique", [["a", "b"]], [["a", "a"]]),
    *_host(f"{FLOWER}.httpRoute.hostnames[]"),
    *pod_annotations(f"{FLOWER}.httpRoute.annotations"),
]

ARGUMENTS = f"{FLOWER}.extraArgs"

PODS: list[Case] = [
    *image(f"{FLOWER}.image"),
    one_of(f"{FLOWER}.imagePullPolicy", "Always", "IfNotPresent", "Never"),
    at_most(f"{FLOWER}.imagePullSecrets", 16, lambda i: {"name": f"s{i}"}),
    case(f"{FLOWER}.imagePullSecrets", "unique", [[{"name": "a"}, {"name": "b"}]], [[{"name": "a"}, {"name": "a"}]]),
    *required(f"{FLOWER}.imagePullSecrets[]", "name"),
    *text(f"{FLOWER}.imagePullSecrets[].name", 253),
    *between(f"{FLOWER}.replicas", 0, 10),
    case(
        FLOWER,
        "cel",
        [{"persistence": {}}, {"persistence": {}, "replicas": 1}, {"replicas": 2}],
        [{"persistence": {}, "replicas": 2}],
        "a volume serves one Flower",
    ),
    *storage(f"{FLOWER}.persistence"),
    *text(f"{FLOWER}.urlPrefix", 253),
    case(f"{FLOWER}.urlPrefix", "pattern", ["flower", "/a/flower", "a-b_c.d~e"], ["flower/", "/", "a b", "ä"]),
    *text(f"{FLOWER}.serviceAccountName", 253),
    one_of(f"{FLOWER}.podSecurity", "Compatible", "Restricted"),
    case(
        f"{FLOWER}.securityContext",
        "cel",
        [{"runAsUser": 0}, {"runAsNonRoot": True, "runAsUser": 1}, {"runAsNonRoot": False, "runAsUser": 0}],
        [{"runAsNonRoot": True, "runAsUser": 0}],
        "runAsUser 0 is root",
    ),
    *(
        found
        for field in ("runAsUser", "runAsGroup", "fsGroup")
        for found in _user(f"{FLOWER}.securityContext.{field}")
    ),
    at_most(f"{FLOWER}.securityContext.supplementalGroups", 32, lambda i: i),
    case(f"{FLOWER}.securityContext.supplementalGroups", "unique", [[1, 2]], [[1, 1]]),
    *_user(f"{FLOWER}.securityContext.supplementalGroups[]"),
    *labels(f"{FLOWER}.podLabels"),
    *pod_annotations(f"{FLOWER}.podAnnotations"),
    at_most(ARGUMENTS, 32, lambda i: f"--a{i}"),
    longest(f"{ARGUMENTS}[]", 4096),
    case(
        ARGUMENTS,
        "cel",
        [["--max_tasks=1", "--authority=x"]],
        [
            *(
                [f"--{option}=x"]
                for option in (
                    *("auth", "auth_provider", "auth-provider", "basic_auth", "basic-auth", "oauth2_key"),
                    *("oauth2_secret", "oauth2-redirect-uri", "cookie_secret", "persistent", "db", "url_prefix"),
                    *("broker_api", "broker-api"),
                )
            ),
            ["--auth", "x"],
        ],
        "use auth, cookieSecretFrom, persistence, urlPrefix or broker.management",
    ),
    case(
        ARGUMENTS,
        "cel",
        [["--ports=1"]],
        [[f"--{option}=x"] for option in ("port", "address", "unix_socket", "unix-socket", "certfile", "keyfile")],
        "the Service and the probes ask Flower over HTTP at port 5555",
    ),
    case(
        ARGUMENTS,
        "cel",
        [["--apple"]],
        [["-A", "x"], ["-Ax"], ["-b", "x"], ["--app=x"], ["--broker", "x"], ["--result-backend=x"]],
        "use app, broker or resultBackend",
    ),
    *resources(f"{FLOWER}.resources"),
    *pod_template(f"{FLOWER}.podTemplate"),
]


def with_flower(cases: Iterable[Case]) -> list[Case]:
    """Cases of `spec.monitoring`, which needs a Flower beside it."""

    def whole(found: Case, value: Any) -> dict[str, Any]:
        steps = found.path.removeprefix("spec.").replace("{}", ".k").split(".")
        for step in reversed(steps):
            value = {step: value}
        return {**minimal("spec"), "flower": {}, **value}

    return [
        replace(
            found,
            at="spec",
            accept=tuple(whole(found, value) for value in found.accept),
            reject=tuple(whole(found, value) for value in found.reject),
        )
        for found in cases
    ]


MONITORS = ("spec.monitoring.podMonitor", "spec.monitoring.serviceMonitor")
MONITORING: list[Case] = [
    case(
        "spec",
        "cel",
        [{**minimal("spec"), "flower": {}, "monitoring": {"podMonitor": {}}}, {**minimal("spec"), "flower": {}}],
        [{**minimal("spec"), "monitoring": {"podMonitor": {}}}],
        "monitoring scrapes Flower's metrics, and there is no Flower",
    ),
    *with_flower(
        [
            case(
                "spec.monitoring",
                "cel",
                [{"podMonitor": {}}, {"serviceMonitor": {}}],
                [{}, {"podMonitor": {}, "serviceMonitor": {}}],
                "set exactly one of podMonitor or serviceMonitor",
            ),
            *(found for at in MONITORS for found in (*duration(f"{at}.interval"), *labels(f"{at}.labels"))),
        ]
    ),
]

POLICIES: list[Case] = [
    at_most("spec.networkPolicy.brokerPorts", 16, lambda i: i + 1),
    case("spec.networkPolicy.brokerPorts", "unique", [[1, 2]], [[1, 1]]),
    *between("spec.networkPolicy.brokerPorts[]", 1, 65535),
    at_most("spec.networkPolicy.extraIngress", 32, lambda i: {"ports": [{"port": i + 1}]}),
    at_most("spec.networkPolicy.extraEgress", 32, lambda i: {"ports": [{"port": i + 1}]}),
]

CHILDREN: list[Case] = [*QUEUES, *AUTH, *ACCESS, *PODS, *MONITORING, *POLICIES]


def of_component(cases: Iterable[Case], path: str) -> list[Case]:
    """The cases of `spec.env` at another path."""

    def moved(place: str) -> str:
        return path + place.removeprefix("spec.env")

    return [
        replace(found, path=moved(found.path), at=moved(found.at))
        for found in cases
        if found.path == "spec.env" or found.path.startswith("spec.env[")
    ]
