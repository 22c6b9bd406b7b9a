"""Dynamic volumes for the local cluster: a claim of its StorageClass gets a folder, and loses it when it is deleted.

A process of its own (`python provisioner.py KUBECONFIG CLASS PROVISIONER FOLDER`), as provisioners are; it lists and
watches claims and volumes and starts again from a list whenever a watch ends.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config, watch

_WATCH_SECONDS = 300
_PAUSE_AFTER_FAILURE_SECONDS = 0.5


def main() -> None:
    """Serve until killed; when either half ends unasked, so does the process."""
    kubeconfig, storage_class, name, folder = sys.argv[1:]
    loading: Any = config
    loading.load_kube_config(kubeconfig)
    volumes = Volumes(storage_class=storage_class, provisioner=name, folder=Path(folder))
    core = client.CoreV1Api()
    halves = [
        threading.Thread(
            target=_follow, args=(core.list_persistent_volume_claim_for_all_namespaces, volumes.provision)
        ),
        threading.Thread(target=_follow, args=(core.list_persistent_volume, volumes.reclaim)),
    ]
    for half in halves:
        half.daemon = True
        half.start()
    while all(half.is_alive() for half in halves):
        halves[0].join(timeout=1)
    sys.exit("one of the provisioner's watches ended")


def _follow(listing: Any, handle: Callable[[client.CoreV1Api, Any], None]) -> None:
    core = client.CoreV1Api()
    watching: Any = watch
    while True:
        try:
            for event in watching.Watch().stream(listing, timeout_seconds=_WATCH_SECONDS):
                if event["type"] in ("ADDED", "MODIFIED"):
                    handle(core, event["object"])
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as failure:
            print(f"{handle.__name__}: {type(failure).__name__}: {failure}", flush=True)
            time.sleep(_PAUSE_AFTER_FAILURE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """Folders below `folder` as volumes of one StorageClass, known to the API as made by `provisioner`."""

    storage_class: str
    provisioner: str
    folder: Path

    def provision(self, core: client.CoreV1Api, claim: Any) -> None:
        """Make a volume for a pending claim of our class once the scheduler has chosen the node."""
        node = (claim.metadata.annotations or {}).get("volume.kubernetes.io/selected-node")
        if claim.spec.storage_class_name != self.storage_class or claim.spec.volume_name or not node:
            return
        if claim.metadata.deletion_timestamp or claim.status.phase != "Pending":
            return
        name = f"pvc-{claim.metadata.uid}"
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        volume: Any = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": self.provisioner}},
            "spec": {
                "capacity": {"storage": claim.spec.resources.requests["storage"]},
                "accessModes": claim.spec.access_modes,
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": self.storage_class,
                "volumeMode": "Filesystem",
                "hostPath": {"path": str(folder), "type": "Directory"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": claim.metadata.namespace,
                    "name": claim.metadata.name,
                    "uid": claim.metadata.uid,
                },
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
                                ]
                            }
                        ]
                    }
                },
            },
        }
        try:
            core.create_persistent_volume(volume)
        except client.ApiException as refused:
            if refused.status != 409:
                raise
            return
        print(f"volume {name} for {claim.metadata.namespace}/{claim.metadata.name} on {node}", flush=True)

    def reclaim(self, core: client.CoreV1Api, volume: Any) -> None:
        """Remove a released volume and its folder."""
        annotations = volume.metadata.annotations or {}
        if annotations.get("pv.kubernetes.io/provisioned-by") != self.provisioner or volume.status.phase != "Released":
            return
        if volume.spec.persistent_volume_reclaim_policy != "Delete" or volume.metadata.deletion_timestamp:
            return
        try:
            core.delete_persistent_volume(volume.metadata.name)
        except client.ApiException as refused:
            if refused.status != 404:
                raise
        shutil.rmtree(self.folder / volume.metadata.name, ignore_errors=True)
        print(f"volume {volume.metadata.name} removed", flush=True)


if __name__ == "__main__":
    main()
