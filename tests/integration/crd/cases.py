"""The accept and the reject case of every constraint, as a table; a test compares the table with the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.integration.crd.objects import minimal

SAYS = {
    "minLength": "should be at least",
    "maxLength": "Too long",
    "pattern": "should match",
    "enum": "Unsupported value",
    "minimum": "should be greater than or equal to",
    "maximum": "should be less than or equal to",
    "minItems": "should have at least",
    "maxItems": "Too many",
    "maxProperties": "Too many",
    "format": "must be of type date-time",
    "unique": "Duplicate value",
    "required": "Required value",
}
"""What the API server says when a constraint of that kind is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One constraint with values that it lets pass and values that it refuses, put at `at` (else at `path`)."""

    path: str
    kind: str
    accept: tuple[Any, ...]
    reject: tuple[Any, ...]
    says: str
    at: str


def case(
    path: str, kind: str, accept: Iterable[Any], reject: Iterable[Any], says: str | None = None, at: str | None = None
) -> Case:
    """A row of the table; `says` is what the refusal says, by default the API server's words for the kind."""
    return Case(
        path=path,
        kind=kind,
        accept=tuple(accept),
        reject=tuple(reject),
        says=SAYS[kind.partition(":")[0]] if says is None else says,
        at=path if at is None else at,
    )


def required(path: str, *names: str) -> list[Case]:
    """The minimal object at the path passes; without one of the names it does not."""
    whole = minimal(path)
    return [
        case(path, f"required:{name}", [whole], [{key: value for key, value in whole.items() if key != name}])
        for name in names
    ]


def longest(path: str, length: int, fill: Callable[[int], Any] = "a".__mul__) -> Case:
    """A text of that length passes, one character more does not."""
    return case(path, "maxLength", [fill(length)], [fill(length + 1)])


def text(path: str, length: int, fill: Callable[[int], str] = "a".__mul__) -> list[Case]:
    """A text of 1 to `length` characters."""
    return [longest(path, length, fill), case(path, "minLength", [fill(1)], [""])]


def between(path: str, lowest: int, highest: int | None = None) -> list[Case]:
    """A whole number from `lowest` to `highest`."""
    cases = [case(path, "minimum", [lowest], [lowest - 1])]
    if highest is not None:
        cases.append(case(path, "maximum", [highest], [highest + 1]))
    return cases


def one_of(path: str, *values: str) -> Case:
    """Each of the values passes, another one and a wrong case do not."""
    return case(path, "enum", values, ["Other", values[0].swapcase()])


def at_most(path: str, count: int, item: Callable[[int], Any]) -> Case:
    """A list of `count` items passes, one more does not."""
    return case(path, "maxItems", [[item(i) for i in range(count)]], [[item(i) for i in range(count + 1)]])


def entries(path: str, count: int, value: Any) -> Case:
    """A map of `count` keys passes, one more does not."""
    return case(
        path,
        "maxProperties",
        [{f"k{i}": value for i in range(count)}],
        [{f"k{i}": value for i in range(count + 1)}],
    )


def duration(path: str) -> list[Case]:
    """A Go-style duration longer than nothing."""
    return [
        case(path, "minLength", ["1s"], ["s"]),
        longest(path, 32, lambda n: "1s".rjust(n, "0")),
        case(path, "pattern", ["90s", "1h30m", "300ms", "1.5h", "5us"], ["90", "1 h", "-5s", "1d", "h1", "1s\n"]),
        case(path, "cel", ["1ms"], ["0s", "0h0m"], "must be longer than 0s"),
    ]


def quantity(path: str) -> list[Case]:
    """A Kubernetes quantity, as a number or as text."""
    return [
        case(path, "maxLength", ["1".rjust(32, "0")], ["1".rjust(33, "0")]),
        case(path, "pattern", ["800Mi", "0.5", "250m", 3], ["lots", "-1", "1 Gi", "1kb"]),
        case(path, "minimum", [0], [-1]),
    ]


def count_or_percent(path: str) -> list[Case]:
    """A number of pods or a percentage of them."""
    return [
        case(path, "minimum", [1, 300], [-1]),
        case(path, "maximum", [100000], [100001]),
        case(path, "maxLength", ["100%"], ["0100%"]),
        case(path, "pattern", ["1%", "25%", "100%"], ["25", "101%", "-5%", "2.5%", "%", "05%"]),
    ]


def probes(path: str) -> list[Case]:
    """The probes of a component."""
    timing = [f"{path}.{probe}" for probe in ("liveness", "readiness", "startup")]
    return [
        case(
            path,
            "cel",
            [{"disabled": True}, {"disabled": False, "port": 9000, "startup": {"periodSeconds": 5}}, {}],
            [
                {"disabled": True, "port": 9000},
                {"disabled": True, "liveness": {}},
                {"disabled": True, "readiness": {"periodSeconds": 5}},
                {"disabled": True, "startup": {}},
            ],
            "disabled leaves no probe to adjust",
        ),
        *between(f"{path}.port", 1024, 65535),
        *(
            found
            for at in timing
            for found in (
                *between(f"{at}.periodSeconds", 1, 86400),
                *between(f"{at}.timeoutSeconds", 1, 86400),
                *between(f"{at}.failureThreshold", 1, 100000),
                *between(f"{at}.initialDelaySeconds", 0, 86400),
            )
        ),
    ]


def image(path: str) -> list[Case]:
    """An image reference."""
    return [
        *text(path, 1024),
        case(path, "pattern", ["r.example.com:5000/shop@sha256:0a"], ["shop:1 ", "a b"]),
    ]


def storage(path: str) -> list[Case]:
    """A volume."""
    return [*quantity(f"{path}.size"), longest(f"{path}.storageClassName", 253)]


def resources(path: str) -> list[Case]:
    """Requests and limits."""
    maps = (f"{path}.requests", f"{path}.limits")
    return [found for at in maps for found in (entries(at, 16, "1"), *quantity(f"{at}{{}}"))]


def labels(path: str) -> list[Case]:
    """Labels of pods, outside of the operator's own prefixes."""
    return [
        entries(path, 64, "v"),
        longest(f"{path}{{}}", 63),
        case(
            path,
            "cel",
            [
                {"team": "shop", "example.com/celery-operator.dev": "yes"},
                {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/version": "1.2.3"},
            ],
            [
                {"celery-operator.dev/cluster": "x"},
                {"team": "shop", "app.kubernetes.io/name": "x"},
                {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/created-by": "x"},
            ],
            "belong to the operator; use another prefix",
        ),
    ]


def pod_annotations(path: str) -> list[Case]:
    """Annotations of pods."""
    return [entries(path, 64, "v"), longest(f"{path}{{}}", 262144)]


def pod_template(path: str) -> list[Case]:
    """The typed part of a pod template."""
    return [*labels(f"{path}.metadata.labels"), *pod_annotations(f"{path}.metadata.annotations")]


def secret_key(path: str) -> list[Case]:
    """A reference to a key of a Secret or a ConfigMap."""
    return [*required(path, "name", "key"), *text(f"{path}.name", 253), *text(f"{path}.key", 253)]


def connection(path: str) -> list[Case]:
    """What broker and result backend share."""
    return [
        *text(f"{path}.url", 2048, lambda n: "a://".ljust(n, "a") if n > 1 else "a://"),
        case(
            f"{path}.url",
            "pattern",
            ["redis://", "amqp://u:p@h:5672/%2F", "sentinel://a:1;sentinel://b:2"],
            ["redis", "REDIS://h", "redis://h/ 0"],
        ),
        *required(f"{path}.urlFrom", "secretKeyRef"),
        *secret_key(f"{path}.urlFrom.secretKeyRef"),
        *image(f"{path}.redis.image"),
        *storage(f"{path}.redis.storage"),
        *resources(f"{path}.redis.resources"),
    ]


def management(path: str) -> list[Case]:
    """RabbitMQ's management API."""
    return [
        case(
            path,
            "cel",
            [{"url": "http://rabbit:15672"}, {"urlFrom": minimal("urlFrom")}],
            [{}, {"url": "http://rabbit:15672", "urlFrom": minimal("urlFrom")}],
            "set exactly one of url or urlFrom",
        ),
        longest(f"{path}.url", 2048, lambda n: "http://".ljust(n, "a")),
        case(f"{path}.url", "minLength", ["http://h"], [""]),
        case(
            f"{path}.url",
            "pattern",
            ["http://u:p@rabbit:15672", "https://h/api"],
            ["rabbit:15672", "amqp://h", "HTTP://h", "http://h /"],
        ),
        *required(f"{path}.urlFrom", "secretKeyRef"),
        *secret_key(f"{path}.urlFrom.secretKeyRef"),
    ]


def queue(path: str) -> list[Case]:
    """The name of a queue."""
    return [*text(path, 255), case(path, "pattern", ["high.priority-1_a"], ["a,b", "a b", "a\tb"])]
