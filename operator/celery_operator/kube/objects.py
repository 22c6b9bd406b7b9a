"""Names of Kubernetes kinds and objects, so that no other module assembles a URL or guesses a plural.

Objects themselves stay plain dictionaries (`Manifest`): Kubernetes defines their shape, not we.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

Manifest = dict[str, Any]
"""A Kubernetes object as the API server sends and takes it: `apiVersion`, `kind`, `metadata` and the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind and where the API server serves it.

    `api_version` is `version` for the core group (`v1`) and `group/version` for every other.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the URL path of one object, of a namespace's objects or (without `namespace`) of all of them."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            if self.namespaced and namespace is None:
                raise ValueError(f"{self.kind} {name!r} lives in a namespace, and none was given")
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


CONFIG_MAP = Kind(api_version="v1", kind="ConfigMap", plural="configmaps")
DEPLOYMENT = Kind(api_version="apps/v1", kind="Deployment", plural="deployments")
EVENT = Kind(api_version="events.k8s.io/v1", kind="Event", plural="events")
HTTP_ROUTE = Kind(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", plural="httproutes")
INGRESS = Kind(api_version="networking.k8s.io/v1", kind="Ingress", plural="ingresses")
JOB = Kind(api_version="batch/v1", kind="Job", plural="jobs")
LEASE = Kind(api_version="coordination.k8s.io/v1", kind="Lease", plural="leases")
NAMESPACE = Kind(api_version="v1", kind="Namespace", plural="namespaces", namespaced=False)
NETWORK_POLICY = Kind(api_version="networking.k8s.io/v1", kind="NetworkPolicy", plural="networkpolicies")
PERSISTENT_VOLUME_CLAIM = Kind(api_version="v1", kind="PersistentVolumeClaim", plural="persistentvolumeclaims")
POD = Kind(api_version="v1", kind="Pod", plural="pods")
POD_DISRUPTION_BUDGET = Kind(api_version="policy/v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets")
POD_MONITOR = Kind(api_version="monitoring.coreos.com/v1", kind="PodMonitor", plural="podmonitors")
SECRET = Kind(api_version="v1", kind="Secret", plural="secrets")
SERVICE = Kind(api_version="v1", kind="Service", plural="services")
SERVICE_ACCOUNT = Kind(api_version="v1", kind="ServiceAccount", plural="serviceaccounts")
SERVICE_MONITOR = Kind(api_version="monitoring.coreos.com/v1", kind="ServiceMonitor", plural="servicemonitors")
STATEFUL_SET = Kind(api_version="apps/v1", kind="StatefulSet", plural="statefulsets")

_registry: dict[tuple[str, str], Kind] = {}


def register(kind: Kind) -> Kind:
    """Make `kind` known to `by_manifest`, and return it. Registering the same kind again changes nothing.

    Raises ValueError when the same apiVersion and kind are known with another plural or scope.
    """
    known = _registry.setdefault((kind.api_version, kind.kind), kind)
    if known != kind:
        raise ValueError(f"{kind.api_version} {kind.kind} is already registered as {known}")
    return known


def by_manifest(manifest: Manifest) -> Kind:
    """Return the registered kind of `manifest`, by its `apiVersion` and `kind`.

    Raises LookupError for a kind that nobody registered: that is a bug of the caller, never of a user.
    """
    api_version, kind = manifest.get("apiVersion", ""), manifest.get("kind", "")
    try:
        return _registry[api_version, kind]
    except KeyError:
        raise LookupError(f"no kind is registered for apiVersion {api_version!r}, kind {kind!r}") from None


for _kind in (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HTTP_ROUTE,
    INGRESS,
    JOB,
    LEASE,
    NAMESPACE,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_MONITOR,
    STATEFUL_SET,
):
    register(_kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """One object's address. `namespace` is None exactly for kinds that live in no namespace."""

    kind: Kind
    namespace: str | None
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return the address of `manifest`. Raises LookupError for an unregistered kind, KeyError without a name."""
        kind = by_manifest(manifest)
        metadata = manifest["metadata"]
        return cls(
            kind=kind,
            namespace=metadata.get("namespace") if kind.namespaced else None,
            name=metadata["name"],
        )

    @property
    def path(self) -> str:
        """The object's URL path."""
        return self.kind.path(namespace=self.namespace, name=self.name)

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.kind} {where}{self.name}"
