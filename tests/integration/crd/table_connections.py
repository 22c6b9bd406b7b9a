"""The table's part for broker and result backend: each named in exactly one way, with what belongs to it."""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import replace
from typing import Any

from tests.integration.crd.cases import (
    Case,
    at_most,
    between,
    case,
    connection,
    duration,
    entries,
    longest,
    management,
    required,
    secret_key,
    text,
)

SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
PARTS = {"scheme": "redis", "host": "h"}
BINDING = {"name": "b"}
CA = {"caFrom": SECRET}
SQS = {"credentialsFrom": {"accessKeyIdFrom": SECRET, "secretAccessKeyFrom": SECRET}}
SETTING = {"name": "a", "secretKeyRef": {"name": "s", "key": "k"}}
SIDES = ("spec.broker", "spec.resultBackend")


def _within(at: str, base: dict[str, Any], cases: list[Case]) -> list[Case]:
    """The cases of fields below `at`, each value put into a copy of `base`, which holds what they need beside them."""

    def put(path: str, value: Any) -> dict[str, Any]:
        root = copy.deepcopy(base)
        node: Any = root
        *steps, last = re.findall(r"[^.\[\]]+|\[\]", path.removeprefix(f"{at}."))
        for step in steps:
            node = node[0] if step == "[]" else node[step]
        if last == "[]":
            node[0] = value
        else:
            node[last] = value
        return root

    def all_put(path: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(put(path, value) for value in values)

    return [
        replace(found, at=at, accept=all_put(found.path, found.accept), reject=all_put(found.path, found.reject))
        for found in cases
    ]


def _parts(path: str) -> list[Case]:
    """A URL in parts."""
    amqp = {"scheme": "amqp", "host": "h"}
    return [
        *required(path, "scheme", "host"),
        case(
            path,
            "cel",
            [{**PARTS, "username": "u"}, {**PARTS, "usernameFrom": SECRET}],
            [{**PARTS, "username": "u", "usernameFrom": SECRET}],
            "set username or usernameFrom, not both",
        ),
        case(
            path,
            "cel",
            [{**amqp, "vhost": "/shop"}, {**amqp, "scheme": "amqps", "vhost": "v"}],
            [{**PARTS, "vhost": "v"}],
            "vhost is RabbitMQ's (amqp, amqps); use database",
        ),
        case(
            path,
            "cel",
            [{**PARTS, "database": 1}, {**PARTS, "scheme": "db+postgresql", "database": "shop"}],
            [{**amqp, "database": 1}, {**amqp, "scheme": "pyamqp", "database": "v"}],
            "RabbitMQ has virtual hosts and no databases; use vhost",
        ),
        *text(f"{path}.scheme", 63),
        case(f"{path}.scheme", "pattern", ["rediss", "db+postgresql"], ["Redis", "redis://", "1a"]),
        *text(f"{path}.host", 253),
        case(f"{path}.host", "pattern", ["redis", "10.0.0.1", "fd00::1", "a_b.svc"], ["a b", "h/0", "u@h", "a;b"]),
        *between(f"{path}.port", 1, 65535),
        *_within(path, {"scheme": "amqp", "host": "h"}, text(f"{path}.vhost", 255)),
        longest(f"{path}.database", 255),
        case(f"{path}.database", "minimum", [0], [-1]),
        *text(f"{path}.username", 255),
        *(
            found
            for field in ("usernameFrom", "passwordFrom")
            for found in (
                *required(f"{path}.{field}", "secretKeyRef"),
                *secret_key(f"{path}.{field}.secretKeyRef"),
            )
        ),
    ]


def _settings(path: str) -> list[Case]:
    """Settings whose values are in Secrets."""
    return [
        at_most(path, 32, lambda i: {**SETTING, "name": f"a{i}"}),
        case(path, "unique", [[SETTING, {**SETTING, "name": "b"}]], [[SETTING, SETTING]]),
        *required(f"{path}[]", "name", "secretKeyRef"),
        *text(f"{path}[].name", 128),
        case(
            f"{path}[].name", "pattern", ["A_1", "sentinel_kwargs.password", "a.b.c"], ["1a", "a.", ".a", "a-b", "a b"]
        ),
        *secret_key(f"{path}[].secretKeyRef"),
    ]


def _tls(side: str) -> list[Case]:
    path, url = f"{side}.tls", {"url": "rediss://r"}
    client = {**CA, "certificateFrom": SECRET, "keyFrom": SECRET}
    rules = [
        case(
            path,
            "cel",
            [client, {"certificateFrom": SECRET, "keyFrom": SECRET}],
            [{**CA, "certificateFrom": SECRET}, {**CA, "keyFrom": SECRET}],
            "certificateFrom and keyFrom go together",
        ),
        case(path, "cel", [CA], [{}], "set caFrom, or certificateFrom and keyFrom"),
    ]
    keys = [
        found
        for field in client
        for found in (*required(f"{path}.{field}", "secretKeyRef"), *secret_key(f"{path}.{field}.secretKeyRef"))
    ]
    whole = copy.deepcopy({**url, "tls": client})
    return [*_within(side, {**url, "tls": CA}, rules), *_within(side, whole, keys)]


def _sqs() -> list[Case]:
    path, fields = "spec.broker.sqs.credentialsFrom", SQS["credentialsFrom"]
    cases = [*required("spec.broker.sqs", "credentialsFrom"), *required(path, *fields)]
    for field in fields:
        cases += [*required(f"{path}.{field}", "secretKeyRef"), *secret_key(f"{path}.{field}.secretKeyRef")]
    return _within("spec.broker", {"url": "sqs://", "sqs": SQS}, cases)


def _both(side: str) -> list[Case]:
    """What is the same of the two."""
    with_url = {"url": "redis://r", "transportOptions": {}, "transportOptionsFrom": [SETTING]}
    return [
        *_parts(f"{side}.parts"),
        *required(f"{side}.serviceBinding", "name"),
        *text(f"{side}.serviceBinding.name", 253),
        *_tls(side),
        *_within(side, {"url": "redis://r"}, [entries(f"{side}.transportOptions", 64, "v")]),
        *_within(side, with_url, _settings(f"{side}.transportOptionsFrom")),
    ]


def _ways(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """One of each way to name a server."""
    return [
        *({"url": "amqp://h"}, {"urlFrom": SECRET}, {"parts": PARTS}, {"serviceBinding": BINDING}, {"redis": {}}),
        *more,
    ]


def _two_ways(ways: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, **other} for one, other in itertools.pairwise(ways)]


BACKENDS = _ways({"sameAsBroker": True}, {"disabled": True})

CONNECTIONS: list[Case] = [
    *connection("spec.broker"),
    case(
        "spec.broker",
        "cel",
        _ways(),
        [{}, *_two_ways(_ways())],
        "set exactly one of url, urlFrom, parts, serviceBinding or redis",
    ),
    case(
        "spec.broker",
        "cel",
        [
            {"url": "rediss://r", "tls": CA},
            {"url": "amqps://r", "tls": CA},
            {"url": "sentinel://a;sentinel://b", "tls": CA},
            {"parts": {**PARTS, "scheme": "rediss"}, "tls": CA},
            {"urlFrom": SECRET, "tls": CA},
            {"serviceBinding": BINDING, "tls": CA},
        ],
        [{"url": "redis://r", "tls": CA}, {"url": "amqp://r", "tls": CA}, {"parts": PARTS, "tls": CA}],
        "tls needs a URL that asks for TLS; write rediss://, amqps:// or sentinel://",
    ),
    case(
        "spec.broker",
        "cel",
        [{"redis": {}}],
        [{"redis": {}, "tls": CA}],
        "the Redis that the operator runs speaks no TLS",
    ),
    case(
        "spec.broker",
        "cel",
        [
            {"url": "sqs://", "sqs": SQS},
            {"parts": {"scheme": "sqs", "host": "h"}, "sqs": SQS},
            {"urlFrom": SECRET, "sqs": SQS},
        ],
        [{"url": "redis://r", "sqs": SQS}, {"parts": PARTS, "sqs": SQS}, {"redis": {}, "sqs": SQS}],
        "sqs needs a URL that begins with sqs://",
    ),
    *_both("spec.broker"),
    *management("spec.broker.management"),
    *_sqs(),
    *connection("spec.resultBackend"),
    case(
        "spec.resultBackend",
        "cel",
        [{"url": "db+postgresql://u@h/d"}, *BACKENDS],
        [{}, {"sameAsBroker": False}, {"disabled": False}, *_two_ways(BACKENDS)],
        "set exactly one of url, urlFrom, parts, serviceBinding, redis, sameAsBroker: true or disabled: true",
    ),
    case(
        "spec.resultBackend",
        "cel",
        [
            {"url": "rediss://r", "tls": CA},
            {"parts": {**PARTS, "scheme": "sentinel"}, "tls": CA},
            {"urlFrom": SECRET, "tls": CA},
        ],
        [{"url": "redis://r", "tls": CA}, {"url": "amqps://r", "tls": CA}, {"parts": PARTS, "tls": CA}],
        "tls needs a URL that asks for TLS; write rediss:// or sentinel://",
    ),
    case(
        "spec.resultBackend",
        "cel",
        [{"serviceBinding": BINDING, "tls": CA}],
        [{"redis": {}, "tls": CA}, {"sameAsBroker": True, "tls": CA}, {"disabled": True, "tls": CA}],
        "tls belongs to a url, urlFrom, parts or serviceBinding",
    ),
    case(
        "spec.resultBackend",
        "cel",
        [{"disabled": True}, {"sameAsBroker": True, "expires": "1h", "transportOptions": {}}],
        [
            {"disabled": True, "expires": "1h"},
            {"disabled": True, "transportOptions": {}},
            {"disabled": True, "transportOptionsFrom": [SETTING]},
        ],
        "disabled keeps no results; remove expires and the transport options",
    ),
    *_both("spec.resultBackend"),
    *_within("spec.resultBackend", {"url": "redis://r"}, duration("spec.resultBackend.expires")),
    *_settings("spec.configFrom"),
]
