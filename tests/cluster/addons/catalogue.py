"""What an add-on is made of: the manifests in its own Go module, and the programs that they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.cluster.versions import TOOLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A container of the add-on's manifests whose image is built here from one static program."""

    tool: str
    """Its name in versions.py."""
    replaces: str
    """The image that the manifests name, without its tag."""
    arguments: tuple[str, ...] = ()
    """What it is told beyond its manifest."""

    @property
    def image(self) -> str:
        """The name of the image that is built here."""
        return f"localhost/celery-operator-{self.tool}:{TOOLS[self.tool].version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addon:
    """One add-on; its version is that of its programs."""

    name: str
    module: str
    """The Go module whose folder has the manifests."""
    kustomization: str
    """The folder below it that `kubectl kustomize` makes them of."""
    programs: tuple[Program, ...]
    api_service: str
    """The APIService that it brings; there can be one of a name in a cluster."""
    objects: tuple[str, ...] = ()
    """Kinds whose objects have to go while it still runs, because only it takes its finalizers away."""

    @property
    def version(self) -> str:
        """The version of its programs."""
        return TOOLS[self.programs[0].tool].version


METRICS_SERVER: Final = Addon(
    name="metrics-server",
    module="sigs.k8s.io/metrics-server",
    kustomization="manifests/base",
    programs=(
        Program(
            tool="metrics-server",
            replaces="gcr.io/k8s-staging-metrics-server/metrics-server",
            # The kubelets of test clusters sign their own certificates.
            arguments=("--kubelet-insecure-tls",),
        ),
    ),
    api_service="v1beta1.metrics.k8s.io",
)
"""Tells a HorizontalPodAutoscaler what pods use."""

KEDA: Final = Addon(
    name="keda",
    module="github.com/kedacore/keda/v2",
    # Without the admission webhooks, which only check what users write.
    kustomization="config/minimal",
    programs=(
        Program(tool="keda-operator", replaces="ghcr.io/kedacore/keda", arguments=("--enable-webhook-patching=false",)),
        Program(tool="keda-metrics-apiserver", replaces="ghcr.io/kedacore/keda-metrics-apiserver"),
    ),
    api_service="v1beta1.external.metrics.k8s.io",
    objects=("scaledobjects.keda.sh", "scaledjobs.keda.sh"),
)
"""Scales by what others tell, from and to zero."""
