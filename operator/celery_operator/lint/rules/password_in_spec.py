"""password-in-spec: everybody who may read the CeleryCluster reads the password as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    for field, url in (
        ("spec.broker.url", spec.broker.url),
        ("spec.broker.management.url", spec.broker.management.url if spec.broker.management else None),
        ("spec.resultBackend.url", spec.result_backend.url if spec.result_backend else None),
    ):
        if url is not None and _has_password(url):
            yield f"{field} holds a password in plain text; put the URL into a Secret and use urlFrom"
    if _holds_password(spec.broker.transport_options):
        yield (
            "spec.broker.transportOptions holds a password in plain text, for everybody to see who may read the "
            "CeleryCluster; move it to broker.transportOptionsFrom"
        )
    yield from _elsewhere(spec)


def _elsewhere(spec: CeleryClusterSpec) -> Iterator[str]:
    """URLs of other servers: Celery settings such as redbeat_redis_url, and what the application reads itself."""
    for name, value in (spec.config or {}).items():
        if _holds_url(value) or _holds_password(value):
            yield (
                f"spec.config[{name}] holds a password in plain text; put the value into a Secret and use configFrom"
            )
    lists = [("spec.env", spec.env), *((f"spec.workers[{group.name}].env", group.env) for group in spec.workers)]
    lists.append(("spec.beat.env", spec.beat.env if spec.beat is not None else None))
    for path, variables in lists:
        for variable in variables or []:
            if variable.value is not None and _has_password(variable.value):
                yield f"{path}[{variable.name}] holds a password in plain text; use valueFrom.secretKeyRef"


def _holds_password(options: Any) -> bool:
    """Whether a password stands anywhere in such settings."""
    if isinstance(options, list):
        return any(map(_holds_password, options))
    if not isinstance(options, dict):
        return False
    return any(
        (isinstance(value, str) and name.lower().endswith("password")) or _holds_password(value)
        for name, value in options.items()
    )


def _holds_url(value: Any) -> bool:
    """Whether a URL with a password stands anywhere in a setting."""
    if isinstance(value, dict):
        return any(map(_holds_url, value.values()))
    if isinstance(value, list):
        return any(map(_holds_url, value))
    return isinstance(value, str) and _has_password(value)


def _has_password(text: str) -> bool:
    """Whether it is a URL with a password, or several with semicolons between them of which one has."""
    return any(map(_is_with_password, (text, *text.split(";"))))


def _is_with_password(url: str) -> bool:
    rest = url.partition("://")[2]
    user_info, at, _ = rest.partition("/")[0].rpartition("@")
    user, colon, password = user_info.partition(":")
    if not at:
        # The @ behind a slash: of a password with a slash in it, unless `host:port/` or another URL comes before.
        user, colon, password = rest.rpartition("@")[0].partition(":")
        other = "/" in user or user.startswith("[") or "://" in password
        at = "" if other or password.partition("/")[0].isdecimal() else "@"
    # `$(NAME)` is filled in by the kubelet, from a Secret as a rule.
    return bool(at and colon and password) and not (password.startswith("$(") and password.endswith(")"))


RULE = Rule(
    id="password-in-spec",
    severity="warning",
    title="A password stands in the spec",
    why="A CeleryCluster is no secret: whoever may read it, and whoever reads the repository that it is kept in, reads "
    "the password. The operator itself never copies a password out of a Secret. Looked at are the URLs of broker, "
    "management API and result backend, `broker.transportOptions`, `config` and `env`.",
    wrong="broker:\n  url: redis://:hunter2@redis:6379/0",
    right="broker:\n  urlFrom: {secretKeyRef: {name: shop-broker, key: url}}",
    messages=_messages,
)
