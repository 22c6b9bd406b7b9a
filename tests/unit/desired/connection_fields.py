"""The rows of `test_every_field` for broker, result backend and settings from Secrets."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Rows = dict[str, tuple[Json, Json]]

KEY: Json = {"name": "s", "key": "k"}
SECRET: Json = {"secretKeyRef": KEY}


def references(path: str, wrap: Any) -> Rows:
    """A field that is a Secret's key: `wrap(source)` is a spec with that source in it, `wrap(None)` one without."""
    return {
        path: (wrap(None), wrap(SECRET)),
        f"{path}.secretKeyRef": (wrap(None), wrap(SECRET)),
        f"{path}.secretKeyRef.name": (wrap(SECRET), wrap({"secretKeyRef": {**KEY, "name": "t"}})),
        f"{path}.secretKeyRef.key": (wrap(SECRET), wrap({"secretKeyRef": {**KEY, "key": "l"}})),
    }


def settings(path: str, wrap: Any) -> Rows:
    """A list of settings whose values are in Secrets: `wrap(list)` is a spec with it."""

    def one(**fields: Any) -> Json:
        found: Json = wrap([{"name": "a", **SECRET, **fields}])
        return found

    return {
        path: (wrap([]), one()),
        f"{path}[].name": (one(), one(name="b")),
        f"{path}[].secretKeyRef": (wrap([]), one()),
        f"{path}[].secretKeyRef.name": (one(), one(secretKeyRef={**KEY, "name": "t"})),
        f"{path}[].secretKeyRef.key": (one(), one(secretKeyRef={**KEY, "key": "l"})),
    }


def _parts(side: str) -> Rows:
    def wrap(**fields: Any) -> Json:
        return {side: {"parts": {"scheme": "amqp", "host": "h", **fields}}}

    def source(field: str) -> Any:
        return lambda value: wrap() if value is None else wrap(**{field: value})

    plain = {"scheme": "amqps", "host": "other", "port": 1, "vhost": "v", "database": 3, "username": "u"}
    return {
        f"{side}.parts": ({}, wrap()),
        **{f"{side}.parts.{name}": (wrap(), wrap(**{name: value})) for name, value in plain.items()},
        **references(f"{side}.parts.usernameFrom", source("usernameFrom")),
        **references(f"{side}.parts.passwordFrom", source("passwordFrom")),
    }


def _tls(side: str) -> Rows:
    def wrap(field: str) -> Any:
        return lambda value: {side: {"url": "rediss://r", **({} if value is None else {"tls": {field: value}})}}

    fields = ("caFrom", "certificateFrom", "keyFrom")
    rows = {path: row for field in fields for path, row in references(f"{side}.tls.{field}", wrap(field)).items()}
    return {f"{side}.tls": rows[f"{side}.tls.caFrom"], **rows}


def _side(side: str) -> Rows:
    def url(**fields: Any) -> Json:
        return {side: {"url": "redis://r", **fields}}

    def binding(name: str) -> Json:
        return {side: {"serviceBinding": {"name": name}}}

    return {
        **_parts(side),
        **_tls(side),
        f"{side}.serviceBinding": (url(), binding("b")),
        f"{side}.serviceBinding.name": (binding("a"), binding("b")),
        f"{side}.transportOptions": (url(), url(transportOptions={"global_keyprefix": "shop:"})),
        **settings(f"{side}.transportOptionsFrom", lambda value: url(transportOptionsFrom=value)),
    }


def _sqs() -> Rows:
    def wrap(field: str) -> Any:
        other = {"accessKeyIdFrom": SECRET, "secretAccessKeyFrom": SECRET}
        return lambda value: {"broker": {"url": "sqs://", "sqs": {"credentialsFrom": {**other, field: value}}}}

    path = "broker.sqs.credentialsFrom"
    whole = ({"broker": {"url": "sqs://"}}, wrap("accessKeyIdFrom")(SECRET))
    rows = {"broker.sqs": whole, path: whole}
    for field in ("accessKeyIdFrom", "secretAccessKeyFrom"):
        # Required, so there is no spec without it.
        found = references(f"{path}.{field}", wrap(field))
        rows |= {f"{path}.{field}": whole, f"{path}.{field}.secretKeyRef": whole}
        rows |= {name: row for name, row in found.items() if name.count(".") > path.count(".") + 2}
    return rows


BACKEND: Json = {"resultBackend": {"url": "redis://r"}}
CONNECTION_ROWS: Rows = {
    **_side("broker"),
    **_side("resultBackend"),
    **_sqs(),
    "resultBackend.disabled": (BACKEND, {"resultBackend": {"disabled": True}}),
    "resultBackend.expires": (BACKEND, {"resultBackend": {"url": "redis://r", "expires": "1h"}}),
    **settings("configFrom", lambda value: {"configFrom": value}),
}
"""By field: a spec without it and one with it (or with another value of it)."""
