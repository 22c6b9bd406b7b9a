"""What one component's pods are made from: the cluster's pod fields with the component's own over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.extras import ExtraContainer, SecurityContext, Volume, VolumeMount
from celery_operator.api.model import ApiModel
from celery_operator.api.overrides import Overrides, PodFields
from celery_operator.api.pod import EnvFromSource, EnvVar
from celery_operator.api.scheduling import Scheduling

RESTRICTED: Final = "Restricted"
Model = TypeVar("Model", bound=ApiModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Pod fields without any level left."""

    image: str
    image_pull_policy: str | None
    image_pull_secrets: tuple[str, ...]
    working_dir: str | None
    env: tuple[EnvVar, ...]
    env_from: tuple[EnvFromSource, ...]
    service_account_name: str | None
    """None: the one that the operator makes."""
    restricted: bool
    labels: dict[str, str]
    annotations: dict[str, str]
    scheduling: Scheduling
    security: SecurityContext
    volumes: tuple[Volume, ...]
    volume_mounts: tuple[VolumeMount, ...]
    init_containers: tuple[ExtraContainer, ...]
    sidecars: tuple[ExtraContainer, ...]


def resolve(spec: CeleryClusterSpec, own: Overrides | None) -> Component:
    """What counts for a component; `own` is what it sets for itself.

    One value replaces the other, named things are added and replace those of their name, and the rest is appended.
    """
    mine = own or Overrides()
    return Component(
        image=mine.image or spec.image,
        image_pull_policy=mine.image_pull_policy or spec.image_pull_policy,
        image_pull_secrets=tuple(
            dict.fromkeys(each.name for level in (spec, mine) for each in level.image_pull_secrets or [])
        ),
        working_dir=mine.working_dir or spec.working_dir,
        env=environment(spec, mine),
        env_from=(*(spec.env_from or ()), *(mine.env_from or ())),
        service_account_name=mine.service_account_name or spec.service_account_name,
        restricted=(mine.pod_security or spec.pod_security) == RESTRICTED,
        labels={**(spec.pod_labels or {}), **(mine.pod_labels or {})},
        annotations={**(spec.pod_annotations or {}), **(mine.pod_annotations or {})},
        scheduling=_fields(Scheduling, spec, mine),
        security=_fields(SecurityContext, spec.security_context, mine.security_context),
        volumes=tuple({each.name: each for each in _both(spec, mine, "volumes")}.values()),
        volume_mounts=tuple({each.mount_path: each for each in _both(spec, mine, "volume_mounts")}.values()),
        init_containers=tuple({each.name: each for each in _both(spec, mine, "init_containers")}.values()),
        sidecars=tuple({each.name: each for each in _both(spec, mine, "sidecars")}.values()),
    )


def environment(spec: CeleryClusterSpec, own: Overrides | None) -> tuple[EnvVar, ...]:
    """The cluster's variables in their order, each replaced by the component's of its name; then the rest of those."""
    variables = {each.name: each for each in spec.env or []}
    variables.update({each.name: each for each in (own.env if own is not None else None) or []})
    return tuple(variables.values())


def manifest(models: Iterable[ApiModel]) -> list[dict[str, Any]]:
    """Models as Kubernetes writes them, without what nobody set."""
    return [each.model_dump(by_alias=True, exclude_none=True) for each in models]


def _both(spec: PodFields, own: PodFields, field: str) -> list[Any]:
    return [*(getattr(spec, field) or ()), *(getattr(own, field) or ())]


def _fields(model: type[Model], first: ApiModel | None, second: ApiModel | None) -> Model:
    """The fields of a model from two levels, one by one; the second wins where it says anything."""
    values: dict[str, Any] = {}
    for level in (first, second):
        for name in model.model_fields if level is not None else ():
            value = getattr(level, name)
            if value is not None:
                values[name] = value
    return model(**values)
