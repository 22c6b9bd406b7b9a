"""The `restricted` Pod Security Standard as a check of a pod spec (kubernetes.io, Pod Security Standards, v1.35)."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"),
    "secret",
}


def violations(spec: Json) -> list[str]:
    """What the API server would refuse in a namespace that enforces `restricted`."""
    found = [f"spec.{field}" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    found += [
        f"spec.volumes[{volume['name']}]"
        for volume in spec.get("volumes", [])
        if not (volume.keys() - {"name"}) <= _VOLUMES
    ]
    pod = spec.get("securityContext", {})
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = container.get("securityContext", {})
        merged = {**pod, **own}
        capabilities = own.get("capabilities", {})
        checks = {
            "runAsNonRoot": merged.get("runAsNonRoot") is True,
            "runAsUser": merged.get("runAsUser") != 0,
            "seccompProfile": merged.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": "ALL" in capabilities.get("drop", []),
            "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "privileged": not own.get("privileged"),
            "ports": not any("hostPort" in port for port in container.get("ports", [])),
        }
        found += [f"{container['name']}.{check}" for check, holds in checks.items() if not holds]
    return found
