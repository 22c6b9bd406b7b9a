"""ResultBackendReachable: the result backend answers the operator, where it is a Redis. Ready does not depend on it."""

from __future__ import annotations

from typing import Final

from celery_operator.desired import connections
from celery_operator.observe.broker.reachability import AUTHENTICATION_FAILED, TRANSPORT_NOT_SUPPORTED, UNKNOWN
from celery_operator.reconcile.status.broker_reachable import STATUS
from celery_operator.reconcile.status.view import StatusView, Verdict

_WORDS: Final = {
    "Answered": "the result backend answers",
    "NotYetChecked": "the result backend has not been asked yet",
    "AddressUnknown": "the Secret with the result backend's URL cannot be read yet",
    "AddressInvalid": "host and port cannot be read from the result backend's address; write it as "
    "redis://:password@host:6379/0, with the password percent-encoded",
    "InvalidAddress": "the result backend's URL or a transport option of it is wrong; write the URL as "
    "redis://:password@host:6379/0, and sentinel:// with the transport option master_name",
    "BindingInvalid": "the Secret of the result backend's serviceBinding cannot be used; it needs the type redis, and "
    "a host or a uri",
    AUTHENTICATION_FAILED: "the result backend refuses the user or password; check its URL or its Secret",
    "TlsFailed": "the connection to the result backend is not secure; check its certificate, and tls with its "
    "authority's",
    "TlsInvalid": "the certificates for the result backend cannot be used; they must be PEM, and its URL must ask for "
    "TLS without ssl_ options of its own",
    "MasterNotFound": "no Sentinel that answers knows the result backend's master; check master_name in its transport "
    "options, and that the Sentinels run",
    "PermissionDenied": "the result backend's user may not send PING, or use its database; allow it PING and SELECT",
    "ReadingRefused": "the result backend refuses PING, or its database; check the number of the database in its URL, "
    "and that it is a Redis that Celery can use",
    "RedisCluster": "the result backend is a Redis Cluster, which Celery cannot use; name a single Redis, or Sentinels",
    "Loading": "the result backend is loading its data from disk; it answers when it is done",
}
"""By the monitor's reason, whose own words are about brokers."""
NAME: Final = "ResultBackendReachable"
_UNASKED: Final = "NotChecked"
_SILENT: Final = "the result backend does not answer the operator; check its address, and that it runs"


def evaluate(view: StatusView) -> Verdict:
    """What the last ping said; Unknown where there is none to ask, or none that the operator can ask."""
    spec, found = view.cluster.spec, view.results
    if spec.result_backend is None:
        message = "spec.resultBackend is not set: what the application's code says counts"
        return Verdict(status="Unknown", reason="NotConfigured", message=message)
    if spec.result_backend.disabled:
        message = "spec.resultBackend.disabled is set: no result is kept"
        return Verdict(status="Unknown", reason="NotConfigured", message=message)
    if found.reason == UNKNOWN.reason:
        former = view.former.get(NAME)
        if former is not None and (former.status != "Unknown" or former.reason == _UNASKED):
            return former
    if found.reason == TRANSPORT_NOT_SUPPORTED:
        return Verdict(status="Unknown", reason=_UNASKED, message=_unasked(view))
    if connections.shares_server(spec) and found.reachable is False and view.broker.reachable is False:
        found = view.broker  # one server, one trouble: told in the same words, it is one Event
        return Verdict(status="False", reason=found.reason, message=found.message, warning=True)
    return Verdict(
        status=STATUS[found.reachable],
        reason=found.reason,
        message=_WORDS.get(found.reason, _SILENT),
        warning=found.reachable is False,
    )


def _unasked(view: StatusView) -> str:
    connection = connections.result_backend(view.cluster.spec)
    if connection is not None and connection.scheme == "rpc":
        return "results of type rpc go through the broker: see BrokerReachable"
    return "the operator asks one Redis, or its Sentinels; it cannot ask a result backend of this type"
