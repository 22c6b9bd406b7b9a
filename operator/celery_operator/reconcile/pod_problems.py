"""What is wrong with the pod fields of cluster and components together: each may be right for itself."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.overrides import Overrides
from celery_operator.desired import component, hook_job


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """Security contexts that podSecurity Restricted refuses, and that no kubelet would start."""
    spec = cluster.spec
    components: list[tuple[str, Overrides]] = [(f"spec.workers[{group.name}]", group) for group in spec.workers]
    if spec.beat is not None:
        components.append(("spec.beat", spec.beat))
    if hook_job.wanted(spec) is not None:
        components.append(("spec.hooks.beforeRollout", Overrides(pod_security=hook_job.pod_security(spec))))
    for group in spec.workers:
        disk = group.persistence
        mounts = component.resolve(spec, group).volume_mounts
        if disk is not None and any(mount.mount_path == disk.mount_path for mount in mounts):
            yield (
                f"spec.workers[{group.name}].persistence.mountPath: {disk.mount_path} is in volumeMounts, too, which "
                "would take the disk's place; choose another path for one of them"
            )
    for path, own in components:
        if spec.security_context is None and own.security_context is None:
            continue
        mine = component.resolve(spec, own)
        asked, where = mine.security, f"{path}.securityContext"
        if own.security_context is None:
            where = f"spec.securityContext, which counts for {path}"
        if mine.restricted and asked.run_as_non_root is False:
            yield f"{where}: runAsNonRoot false is what podSecurity Restricted refuses; remove one of them"
        non_root = mine.restricted if asked.run_as_non_root is None else asked.run_as_non_root
        if asked.run_as_user == 0 and non_root:
            yield f"{where}: runAsUser 0 is root, and no container would start with runAsNonRoot; choose another user"
