"""The ConfigMap for producers: the settings in which they and the workers agree, and the code that applies them.

The code is the runtime's own, so that a producer composes URLs, finds certificates and declares queues exactly as a
worker does. No value of a Secret is in it: `pod.yaml` names the keys.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, Final

import yaml

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import connections, launch_settings, names
from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import CONTENT_HASH_ANNOTATION, child_metadata
from celery_operator.desired.runtime_configmap import Runtime

SETTINGS_FILE: Final = "settings.json"
POD_FILE: Final = "pod.yaml"
MOUNT_PATH: Final = "/celery-client"

_ROOTS: Final = (
    "__init__",
    "client",
    "configuration",
    "declared_queues",
    "environment",
    "failures",
    "layering",
    "table",
    "versions",
)
"""Modules of the runtime that runtime/client.py imports by their names; what they import comes along."""
_RELATIVE_IMPORT: Final = re.compile(r"^from \.(\w*) import (?:\(([^)]*)\)|([^\n(]*))", re.MULTILINE)
"""Those of a whole module: what is imported within a function is for workers and beat."""

_NOT_FOR_PRODUCERS: Final = re.compile(r"^(celery_)?(worker|celeryd|beat|celerybeat)_|^(celery_)?(imports|include)$")
_BY_TASK: Final = re.compile(r"(routes|annotations)$", re.IGNORECASE)
"""Settings whose keys are names of tasks, which may be about tokens without being any."""
_WITH_PASSWORD: Final = re.compile(r"://[^@]*:[^@]*@")
"""Up to the last @, as SQLAlchemy reads it: a password may hold a slash."""
_SECRET: Final = re.compile(r"password|passwd|secret|token|credential", re.IGNORECASE)

_HEADER: Final = f"""\
# What to add to the pod of a producer; YOUR-CONTAINER is the name of its container. Then, in its code, right after the
# Celery application is made:
#     import runpy; runpy.run_path("{MOUNT_PATH}/client.py")["configure"](app)
"""
_NOT_REPEATED: Final = """\
# {field} holds a password and is not repeated here: put it into a Secret and use urlFrom.
"""


def build(cluster: CeleryCluster, runtime: Runtime) -> dict[str, Any]:
    """The ConfigMap. Unlike the runtime's it changes in place: a running producer has read it already."""
    settings = json.dumps(_settings(cluster), sort_keys=True, indent=2)
    pod = _pod(cluster)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(
            cluster,
            names.client(cluster.metadata.name),
            # What tells the plan that the data changed: it does not look into ConfigMaps.
            annotations={CONTENT_HASH_ANNOTATION: digest([runtime.content_hash, settings, pod])},
        ),
        "data": {**dict(_code(tuple(runtime.files.items()))), SETTINGS_FILE: settings, POD_FILE: pod},
    }


def _settings(cluster: CeleryCluster) -> dict[str, Any]:
    """What runtime/client.py reads: the launcher's settings, and those of its variables that are no secret."""
    return {
        "settings": launch_settings.client(cluster, _for_producers(launch_settings.config(cluster.spec))),
        "environment": {
            each["name"]: each["value"].replace("$$", "$")
            for each in connections.environment(cluster)
            if "value" in each and not _has_password(each["value"])
        },
    }


def _for_producers(config: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if _BY_TASK.search(name) else _without_secrets(value)
        for name, value in config.items()
        if not _NOT_FOR_PRODUCERS.search(name.lower().replace(".", "_")) and not _is_secret(name, value)
    }


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(each) for each in value if not _is_secret("", each)]
    if not isinstance(value, dict):
        return value
    return {name: _without_secrets(each) for name, each in value.items() if not _is_secret(name, each)}


def _is_secret(name: str, value: Any) -> bool:
    """By the setting's name (none in a list), or because it is a URL with a password, such as redbeat_redis_url."""
    return bool(_SECRET.search(name)) or (isinstance(value, str) and _has_password(value))


def _has_password(url: str) -> bool:
    """Before the host of any of several URLs, or among the options behind a question mark, as redis-py takes it."""
    return any(_WITH_PASSWORD.search(each) or _SECRET.search(each.partition("?")[2]) for each in url.split(";"))


def _pod(cluster: CeleryCluster) -> str:
    spec = cluster.spec
    fields = (
        ("spec.broker.url", spec.broker.url),
        ("spec.resultBackend.url", spec.result_backend and spec.result_backend.url),
    )
    hidden = [_NOT_REPEATED.format(field=field) for field, url in fields if url and _has_password(url)]
    volume = {"name": "celery-client", "configMap": {"name": names.client(cluster.metadata.name)}}
    mount = {"name": "celery-client", "mountPath": MOUNT_PATH, "readOnly": True}
    secrets = [each for each in connections.environment(cluster) if "valueFrom" in each]
    container = {
        "name": "YOUR-CONTAINER",
        "env": secrets,
        "volumeMounts": [mount, *connections.volume_mounts(spec)],
    }
    fragment = {"containers": [container], "volumes": [volume, *connections.volumes(spec)]}
    return "".join((_HEADER, *hidden, _as_yaml(json.dumps(fragment))))


@lru_cache(maxsize=1024)
def _as_yaml(document: str) -> str:
    """YAML is for people, and takes a millisecond to write: every pass of a cluster needs the same text."""
    return str(yaml.safe_dump(json.loads(document), sort_keys=False, width=120))


@lru_cache(maxsize=4)
def _code(files: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The loader and what it imports, by the files of a runtime: there is one of those for each operator."""
    texts = dict(files)
    found: dict[str, str] = {}
    waiting = [f"{name}.py" for name in _ROOTS]
    while waiting:
        file = waiting.pop()
        if file in texts and file not in found:
            found[file] = texts[file]
            waiting += _imports(found[file])
    return tuple(sorted(found.items()))


def _imports(source: str) -> list[str]:
    out: list[str] = []
    for module, lines, line in _RELATIVE_IMPORT.findall(source):
        out += [module] if module else [name.strip() for name in (lines or line).split(",")]
    return [f"{name}.py" for name in out if name]
