"""Flower's Deployment: the launcher runs it, so that it gets the connections and transport options of the workers."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.extras import SecurityContext
from celery_operator.api.flower import Flower, FlowerAuth
from celery_operator.api.overrides import Overrides
from celery_operator.api.pod import EnvVar, EnvVarSource, SecretKeyReference, SecretKeySource
from celery_operator.api.probes import Probes
from celery_operator.desired import celery_command, claim, connections, following, launch_settings, names, pod
from celery_operator.desired.metadata import TEMPLATE_HASH_ANNOTATION, child_metadata, selector
from celery_operator.desired.pod import CeleryContainer, Surroundings

COMPONENT: Final = "flower"
DEFAULT_IMAGE: Final = "mher/flower:2.0"
PORT: Final = 5555
PORT_NAME: Final = "http"
MANAGEMENT_VARIABLE: Final = "CELERY_OPERATOR_MANAGEMENT_URL"
DATA_PATH: Final = "/var/lib/flower"

_APPLICATION: Final = "celery_operator_runtime.flower_application"
"""The runtime's application without tasks (runtime/flower_application.py)."""
_USER: Final = 1000
"""The user of the default image; by its name alone, which it has, the kubelet cannot tell that it is not root."""
_FS_GROUP: Final = 10001
_VOLUME: Final = "celery-operator-flower"
"""A name that the CRD refuses users, whose volumes of the same name would take its place with loadApplication."""
_GRACE_SECONDS: Final = 30
_SAVE_MILLISECONDS: Final = 60_000
_PROVIDERS: Final = {
    "Google": "flower.views.auth.GoogleAuth2LoginHandler",
    "GitHub": "flower.views.auth.GithubLoginHandler",
    "GitLab": "flower.views.auth.GitLabLoginHandler",
    "Okta": "flower.views.auth.OktaLoginHandler",
}
_OF_THE_APPLICATION: Final = (
    "image_pull_policy",
    "command",
    "working_dir",
    "env",
    "env_from",
    "volumes",
    "volume_mounts",
    "init_containers",
    "sidecars",
    "pod_template",
)
"""What the cluster says of pods that concerns the application's image, and is nothing to a Flower in another one."""


def build(cluster: CeleryCluster, settings: Flower, surroundings: Surroundings) -> dict[str, Any]:
    """The Deployment. Raises MergeError (see pod.template)."""
    name = names.flower(cluster.metadata.name)
    template = pod.template(_seen(cluster, settings), _container(cluster, settings, name), name, surroundings)
    _add_probes(template, path(settings, "healthcheck"))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(
            cluster,
            name,
            component=COMPONENT,
            full_name=f"{cluster.metadata.name}-flower",
            annotations={TEMPLATE_HASH_ANNOTATION: following.template_hash(template, mingle_follows=False)},
        ),
        "spec": {
            "replicas": replicas(settings),
            "selector": {"matchLabels": selector(cluster, COMPONENT)},
            "strategy": _strategy(settings),
            "template": template,
        },
    }


def replicas(settings: Flower) -> int:
    """The number of pods."""
    return 1 if settings.replicas is None else settings.replicas


def path(settings: Flower, page: str) -> str:
    """The URL path of one of Flower's pages."""
    prefix = (settings.url_prefix or "").strip("/")
    return f"/{prefix}/{page}" if prefix else f"/{page}"


def _strategy(settings: Flower) -> dict[str, Any]:
    """Two pods at a time, unless they would share a volume: Flower locks its file."""
    if settings.persistence is not None:
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def _seen(cluster: CeleryCluster, settings: Flower) -> CeleryCluster:
    """The cluster as a Flower without the application sees it."""
    if settings.load_application:
        return cluster
    foreign = {"image": DEFAULT_IMAGE, **dict.fromkeys(_OF_THE_APPLICATION)}
    return cluster.model_copy(update={"spec": cluster.spec.model_copy(update=foreign)})


def _container(cluster: CeleryCluster, settings: Flower, name: str) -> CeleryContainer:
    persistent = settings.persistence is not None
    return CeleryContainer(
        component=COMPONENT,
        group=None,
        command=celery_command.launcher(_seen(cluster, settings).spec, COMPONENT),
        args=_arguments(cluster, settings),
        settings=launch_settings.flower(cluster, settings),
        resources=settings.resources,
        pod_template=settings.pod_template,
        overrides=Overrides(
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            image_pull_secrets=settings.image_pull_secrets,
            env=variables(cluster, settings),
            service_account_name=settings.service_account_name,
            pod_security=settings.pod_security,
            pod_labels=settings.pod_labels,
            pod_annotations=settings.pod_annotations,
            security_context=_security(cluster, settings),
        ),
        grace_seconds=_GRACE_SECONDS,
        probes=Probes(disabled=True),
        volumes=(claim.volume(_VOLUME, name, settings.persistence),) if persistent else (),
        volume_mounts=({"name": _VOLUME, "mountPath": DATA_PATH},) if persistent else (),
        fs_group=_FS_GROUP if persistent else None,
    )


def _arguments(cluster: CeleryCluster, settings: Flower) -> list[str]:
    """Flower's command line: no secret stands here."""
    args = ["-A", cluster.spec.app if settings.load_application else _APPLICATION, f"--port={PORT}"]
    if settings.url_prefix is not None:
        args.append(f"--url_prefix={settings.url_prefix.strip('/')}")
    if settings.ingress is not None or settings.http_route is not None:
        args.append("--xheaders=True")
    if settings.persistence is not None:
        args += ["--persistent=True", f"--db={DATA_PATH}/flower", f"--state_save_interval={_SAVE_MILLISECONDS}"]
    oauth = settings.auth.oauth if settings.auth is not None else None
    if oauth is not None:
        args += [f"--auth_provider={_PROVIDERS[oauth.provider]}", f"--auth={connections.escape(oauth.emails)}"]
    return [*args, *(settings.extra_args or [])]


def variables(cluster: CeleryCluster, settings: Flower) -> list[EnvVar]:
    """The user's variables, and those of the fields in the place of the ones of their names."""
    found = {each.name: each for each in settings.env or []}
    ours = [*_auth(settings.auth), *_management(cluster)]
    if settings.cookie_secret_from is not None:
        ours.append(_secret("FLOWER_COOKIE_SECRET", settings.cookie_secret_from))
    found.update({each.name: each for each in ours})
    return list(found.values())


def _auth(auth: FlowerAuth | None) -> list[EnvVar]:
    if auth is not None and auth.basic_from is not None:
        return [_secret("FLOWER_BASIC_AUTH", auth.basic_from)]
    if auth is None or auth.oauth is None:
        return []
    return [
        _secret("FLOWER_OAUTH2_KEY", auth.oauth.client_id_from),
        _secret("FLOWER_OAUTH2_SECRET", auth.oauth.client_secret_from),
        EnvVar(name="FLOWER_OAUTH2_REDIRECT_URI", value=connections.escape(auth.oauth.redirect_uri)),
    ]


def _management(cluster: CeleryCluster) -> list[EnvVar]:
    """RabbitMQ's management API, without which Flower shows no queues of RabbitMQ."""
    management = cluster.spec.broker.management
    if management is None:
        return []
    if management.url_from is not None:
        return [_secret(MANAGEMENT_VARIABLE, management.url_from)]
    return [EnvVar(name=MANAGEMENT_VARIABLE, value=connections.escape(management.url or ""))]


def _secret(name: str, source: SecretKeySource) -> EnvVar:
    key = source.secret_key_ref
    reference = SecretKeyReference(name=key.name, key=key.key)
    return EnvVar(name=name, value_from=EnvVarSource(secret_key_ref=reference))


def _security(cluster: CeleryCluster, settings: Flower) -> SecurityContext | None:
    """As asked; the default image gets the number of its user, where nobody says whom it runs as."""
    levels = (cluster.spec.security_context, settings.security_context)
    own_image = settings.image is None and not settings.load_application
    if not own_image or any(level is not None and level.run_as_user is not None for level in levels):
        return settings.security_context
    asked = settings.security_context or SecurityContext()
    return asked.model_copy(update={"run_as_user": _USER, "run_as_group": asked.run_as_group or _USER})


def _add_probes(template: dict[str, Any], health: str) -> None:
    """Flower's own probes and port. Its page answers with the broker away, so that an outage restarts nothing."""
    container = next(each for each in template["spec"]["containers"] if each["name"] == COMPONENT)
    container["ports"] = [{"name": PORT_NAME, "containerPort": PORT}, *container.get("ports", [])]
    for probe, period, failures in (("startup", 2, 90), ("liveness", 30, 4), ("readiness", 5, 3)):
        container[f"{probe}Probe"] = {
            "httpGet": {"path": health, "port": PORT_NAME},
            "timeoutSeconds": 5,
            "periodSeconds": period,
            "failureThreshold": failures,
        }
