"""Brokers and result backends: every way to name one, with what goes with that way."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from celery_operator.api import broker
from tests.strategies import connection
from tests.strategies.connection import secret_settings, service_bindings
from tests.strategies.model import Json, Objects, of, one_of, without
from tests.strategies.pod import resources, secret_sources, storages
from tests.strategies.scalars import durations, free_values, images
from tests.strategies.sqs import accounts
from tests.strategies.tls import certificates

_WAYS = ("url", "urlFrom", "parts", "serviceBinding", "redis")
_OPTIONS = ("transportOptions", "transportOptionsFrom")
_managed = of(broker.ManagedRedis, {}, {"image": images, "storage": storages, "resources": resources()})
_management = of(broker.Management, {}, {}, elsewhere=("url", "urlFrom")).flatmap(
    lambda _: one_of(url=st.sampled_from(["http://rabbit:15672", "https://u:p@rabbit/api"]), urlFrom=secret_sources)
)
_PLAIN_URLS = ["redis://redis:6379/0", "redis://:p%40w$(A)@10.0.0.7", "amqp://u:p@rabbit:5672/%2Fshop", "sqs://"]
_TLS_URLS = ["rediss://redis:6380/1", "sentinel://a:26379;sentinel://b:26379/0"]
_RESULT_URLS = ["redis://redis/1", "rpc://", "db+postgresql://u:p@db/shop", "cache+memcached://m:11211/", *_TLS_URLS]
_broker_schemes = connection.AMQP | connection.REDIS | st.just("sentinel")
_result_schemes = connection.REDIS | st.sampled_from(["sentinel", "db+postgresql"])
_free_options = st.dictionaries(
    st.sampled_from(["global_keyprefix", "visibility_timeout", "socket_timeout", "max_retries"]),
    free_values,
    max_size=2,
)


def _scheme(source: Json) -> str:
    """What the URL begins with; nothing where it is in a Secret."""
    if "parts" in source:
        return str(source["parts"]["scheme"])
    return str(source.get("url", "")).partition("://")[0]


@st.composite
def _options(draw: st.DrawFn, source: Json) -> Json:
    """Transport options, with the master's name where Sentinel needs one, and none said twice."""
    shape = draw(st.lists(st.sampled_from(_OPTIONS), max_size=2, unique=True))
    out: Json = {}
    if "transportOptions" in shape:
        out["transportOptions"] = draw(_free_options)
    if "transportOptionsFrom" in shape:
        out["transportOptionsFrom"] = draw(secret_settings("sentinel_kwargs.password", "client_id", "a.b.c"))
    if out and _scheme(source) == "sentinel":
        out["transportOptions"] = {**out.get("transportOptions", {}), "master_name": "mymaster"}
    return out


def _with_tls(source: Json, schemes: tuple[str, ...]) -> bool:
    """Whether `tls` may stand beside this way to name a server."""
    return "redis" not in source and ("urlFrom" in source or "serviceBinding" in source or _scheme(source) in schemes)


@st.composite
def brokers(draw: st.DrawFn) -> Json:
    """Where messages go."""
    way = one_of(
        url=st.sampled_from([*_PLAIN_URLS, *_TLS_URLS]),
        urlFrom=secret_sources,
        parts=connection.parts(_broker_schemes),
        serviceBinding=service_bindings,
        redis=_managed,
    )
    source = draw(way)
    rest = draw(
        of(
            broker.Broker,
            {},
            {"tls": certificates, "management": _management, "sqs": accounts},
            elsewhere=(*_WAYS, *_OPTIONS),
        )
    )
    if not _with_tls(source, broker.TLS_SCHEMES):
        rest = without(rest, "tls")
    if "urlFrom" not in source and _scheme(source) != "sqs":
        rest = without(rest, "sqs")
    return {**source, **rest, **draw(_options(source))}


def _keeps_results(source: Json) -> bool:
    return _scheme(source) not in ("amqp", "amqps", "pyamqp", "sqs")


@st.composite
def result_backends(draw: st.DrawFn, messages: Json) -> Json:
    """Where results go, beside that broker."""
    ways: dict[str, st.SearchStrategy[Any]] = {
        "url": st.sampled_from(_RESULT_URLS),
        "urlFrom": secret_sources,
        "parts": connection.parts(_result_schemes),
        "serviceBinding": service_bindings,
        "redis": _managed,
        "disabled": st.just(True),
    }
    if _keeps_results(messages):
        ways["sameAsBroker"] = st.just(True)
    source = draw(one_of(**ways))
    rest = draw(
        of(
            broker.ResultBackend,
            {},
            {"tls": certificates, "expires": durations(1000)},
            elsewhere=(*_WAYS, *_OPTIONS, "sameAsBroker", "disabled"),
        )
    )
    if "disabled" in source:
        return {**source, **({"sameAsBroker": False} if draw(st.booleans()) else {})}
    if "sameAsBroker" in source or not _with_tls(source, broker.BACKEND_TLS_SCHEMES):
        rest = without(rest, "tls")
    options = draw(_options(messages if "sameAsBroker" in source else source))
    return {**source, **rest, **options}


def everything() -> Objects:
    """`broker`, and often `resultBackend`, of one cluster."""

    def pair(messages: Json) -> Objects:
        both = result_backends(messages).map(lambda results: {"broker": messages, "resultBackend": results})
        return st.just({"broker": messages}) | both | both

    return brokers().flatmap(pair)
