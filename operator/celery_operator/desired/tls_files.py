"""Certificates as files of the pods: one read-only volume with what `tls` names of Secrets, for both connections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.pod import RequiredSecretKey
from celery_operator.api.tls import Tls

VOLUME: Final = "celery-operator-tls"
MOUNT_PATH: Final = "/celery-operator-tls"

CA, CERTIFICATE, KEY = "ca", "certificate", "key"
"""The launcher's names of the files, and those within the folder of a connection."""


def keys(tls: Tls) -> Iterator[tuple[str, str, RequiredSecretKey]]:
    """Name, field and Secret's key of every file that is there."""
    for name, field, source in (
        (CA, "caFrom", tls.ca_from),
        (CERTIFICATE, "certificateFrom", tls.certificate_from),
        (KEY, "keyFrom", tls.key_from),
    ):
        if source is not None:
            yield name, field, source.secret_key_ref


def paths(folder: str, tls: Tls) -> str:
    """The value of the launcher's variable: where each file is, as JSON."""
    return json.dumps({name: f"{MOUNT_PATH}/{_path(folder, name)}" for name, _, _ in keys(tls)}, sort_keys=True)


def volumes(mounted: dict[str, Tls]) -> list[dict[str, Any]]:
    """The volume with the files of every connection, by the folder of each; none where there are no files."""
    sources = [
        {"secret": {"name": ref.name, "items": [{"key": ref.key, "path": _path(folder, name)}]}}
        for folder, tls in mounted.items()
        for name, _, ref in keys(tls)
    ]
    return [{"name": VOLUME, "projected": {"sources": sources}}] if sources else []


def mounts(mounted: dict[str, Tls]) -> list[dict[str, Any]]:
    """Where the volume is mounted; nowhere where there are no files."""
    return [{"name": VOLUME, "mountPath": MOUNT_PATH, "readOnly": True}] if mounted else []


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}.pem"
