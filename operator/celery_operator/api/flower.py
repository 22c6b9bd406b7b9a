"""Flower, the web page that shows workers and tasks: where it runs, who may see it, and how one gets there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from celery_operator.api.extras import SecurityContext
from celery_operator.api.model import LIST_ATOMIC, ApiModel, Cel, SchemaExtra, rules
from celery_operator.api.pod import (
    Annotations,
    Argument,
    EnvList,
    ImagePullSecrets,
    Labels,
    PodTemplate,
    Resources,
    SecretKeySource,
    Storage,
)
from celery_operator.api.scalars import Image, ObjectName

Host = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]


def _option(*names: str) -> str:
    """CEL: an argument is one of Flower's options, which may be written with `-` or `_` and with `=` or without."""
    spellings = dict.fromkeys(spelled for name in names for spelled in (name, name.replace("_", "-")))
    listed = ", ".join(repr(f"--{spelled}") for spelled in spellings)
    return f"self.exists(a, [{listed}].exists(o, a == o || a.startsWith(o + '=')))"


FlowerArguments = Annotated[
    list[Argument],
    Field(max_length=32),
    LIST_ATOMIC,
    Cel(
        "!"
        + _option(
            *("auth", "auth_provider", "basic_auth", "oauth2_key", "oauth2_secret", "oauth2_redirect_uri"),
            *("cookie_secret", "persistent", "db", "url_prefix", "broker_api"),
        ),
        "this option has a field of its own: use auth, cookieSecretFrom, persistence, urlPrefix or broker.management",
    ),
    Cel(
        "!" + _option("port", "address", "unix_socket", "certfile", "keyfile"),
        "the Service and the probes ask Flower over HTTP at port 5555; remove --port, --address, --unix_socket, "
        "--certfile and --keyfile, and let the Ingress or the Gateway speak TLS",
    ),
    Cel(
        "!self.exists(a, ['-A', '-b'].exists(o, a.startsWith(o)) || "
        "['--app', '--broker', '--result-backend'].exists(o, a == o || a.startsWith(o + '=')))",
        "this option has a field of its own: use app, broker or resultBackend",
    ),
]


class OAuth(ApiModel):
    """Login with an account of somebody else's."""

    provider: Literal["Google", "GitHub", "GitLab", "Okta"]
    """Who knows the people. GitLab and Okta need further FLOWER_… variables in env, see Flower's documentation."""
    emails: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            pattern=r"^([^*|\\\s]*\.\*[^*|@\\\s]*@[^*|@\\\s]+|[^*|\\\s]+(\|[^*|\\\s]+)*)$",
        ),
    ]
    """Who may see Flower: one e-mail address, several with | between them, or all of a domain: .*@example.com. Flower
    takes every other sign for itself; it is no regular expression."""
    client_id_from: SecretKeySource
    """The Secret's key that holds the client id."""
    client_secret_from: SecretKeySource
    """The Secret's key that holds the client secret."""
    redirect_uri: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://\S+$")]
    """Where the provider sends people back to, for example https://flower.example.com/login."""


class FlowerAuth(ApiModel):
    """Who may see Flower. Whoever sees it can stop workers and read arguments of tasks."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "[has(self.basicFrom), has(self.oauth), has(self.external) && self.external].exists_one(x, x)",
                "set exactly one of basicFrom, oauth or external: true",
            )
        )
    )
    basic_from: SecretKeySource | None = None
    """The Secret's key that holds user:password, or several with commas between them."""
    oauth: OAuth | None = None
    """Login with an account of Google, GitHub, GitLab or Okta."""
    external: bool | None = None
    """True: Flower asks nobody, because a proxy before it does, for example one that the Ingress' annotations name."""


class FlowerService(ApiModel):
    """The Service of Flower."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] | None = None
    """ClusterIP when absent."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of the Service; 5555 when absent."""
    annotations: Annotations | None = None
    """Annotations of the Service."""


class FlowerIngress(ApiModel):
    """An Ingress that leads to Flower."""

    host: Host
    """The host name, for example flower.example.com."""
    class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """The IngressClass; the cluster's default when absent."""
    tls_secret_name: ObjectName | None = None
    """The Secret with the certificate for the host; no TLS when absent."""
    annotations: Annotations | None = None
    """Annotations of the Ingress, for whoever serves it."""


class ParentReference(ApiModel):
    """A Gateway that the route belongs to."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Its namespace; that of the CeleryCluster when absent."""
    section_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """One listener of it; all when absent."""


class FlowerRoute(ApiModel):
    """An HTTPRoute of the Gateway API that leads to Flower."""

    parent_refs: Annotated[list[ParentReference], Field(min_length=1, max_length=16), LIST_ATOMIC]
    """The Gateways."""
    hostnames: Annotated[list[Host], Field(max_length=16), SchemaExtra((("x-kubernetes-list-type", "set"),))] | None = (
        None
    )
    """The host names; those of the Gateways' listeners when absent."""
    annotations: Annotations | None = None
    """Annotations of the HTTPRoute."""


class Flower(ApiModel):
    """Flower, in a pod of its own. It has the connections and transport options of the workers, because a client with
    others would make Redis deliver tasks twice. Its trouble never touches workers and beat."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!(has(self.ingress) || has(self.httpRoute) || "
                "(has(self.service) && has(self.service.type) && self.service.type != 'ClusterIP')) || has(self.auth)",
                "Flower stops workers and shows the arguments of tasks to whoever reaches it; set auth before it can "
                "be reached from outside (auth.external: true, where a proxy asks who comes)",
            ),
            Cel(
                "!has(self.persistence) || !has(self.replicas) || self.replicas <= 1",
                "a volume serves one Flower; remove persistence, or set replicas to 1",
            ),
            Cel(
                "!has(self.replicas) || self.replicas <= 1 || !has(self.auth) || !has(self.auth.oauth) || "
                "has(self.cookieSecretFrom)",
                "several Flowers with oauth need one cookie secret, or each login counts for one of them only; set "
                "cookieSecretFrom",
            ),
        )
    )
    image: Image | None = None
    """Image with Flower in it; mher/flower:2.0 when absent, or spec.image with loadApplication."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; Kubernetes' default when absent."""
    image_pull_secrets: ImagePullSecrets | None = None
    """Secrets with credentials of a registry, added to spec.imagePullSecrets."""
    load_application: bool | None = None
    """True: Flower loads spec.app, with env, envFrom and volumes of the cluster, which its image has to contain. Needed
    where the application's code holds connection settings or registers serializers; otherwise it needs none of it."""
    replicas: Annotated[int, Field(ge=0, le=10)] | None = None
    """Number of pods; 1 when absent. Each one remembers, and counts in its metrics, what it saw since its start."""
    auth: FlowerAuth | None = None
    """Who may see it. When absent, anybody who reaches the Service."""
    cookie_secret_from: SecretKeySource | None = None
    """The Secret's key with what logins are signed with; a new one at each start of a pod when absent."""
    url_prefix: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]$")] | (
        None
    ) = None
    """Path below which all its pages are, for example flower."""
    service: FlowerService | None = None
    """The Service <cluster>-flower."""
    ingress: FlowerIngress | None = None
    """An Ingress; none when absent."""
    http_route: FlowerRoute | None = None
    """An HTTPRoute, where the Gateway API is installed; none when absent."""
    persistence: Storage | None = None
    """A volume on which Flower keeps what it knows of tasks; without one, a restart forgets it."""
    env: EnvList | None = None
    """Environment variables of Flower, for example FLOWER_… for its options."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pod; spec.serviceAccountName when absent."""
    pod_security: Literal["Compatible", "Restricted"] | None = None
    """How much the pod is confined; spec.podSecurity when absent."""
    security_context: SecurityContext | None = None
    """Whom Flower runs as. Its own fields win over spec.securityContext, one by one."""
    pod_labels: Labels | None = None
    """Labels added to the pod, beside spec.podLabels."""
    pod_annotations: Annotations | None = None
    """Annotations added to the pod, beside spec.podAnnotations."""
    extra_args: FlowerArguments | None = None
    """Further options of Flower, for example --max_tasks=10000."""
    resources: Resources | None = None
    """What the Flower container asks for and may use."""
    pod_template: PodTemplate | None = None
    """Anything else of the Flower pod, for example where it runs; its container is called `flower`."""
