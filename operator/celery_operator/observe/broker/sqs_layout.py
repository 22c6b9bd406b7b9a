"""Where kombu's SQS transport keeps a queue, and with which account it is asked for: by the URL and transport options.

Source: ``kombu.transport.SQS`` of kombu 5.3.7, 5.4.2, 5.5.4, 5.6.2 and 5.7.0, which agree in this.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from celery_operator.observe.broker.address import AccessKey, BrokerAddress
from celery_operator.observe.broker.depth import Problem, Unreadable
from celery_operator.observe.broker.redis_layout import invalid, options_of

CREDENTIALS_MISSING: Final = "CredentialsMissing"
"""The reason where the resource names no account."""
REGION_MISSING: Final = "RegionMissing"
"""The reason where the workers' surroundings decide which region their queues are in."""

_DEFAULT_REGION: Final = "us-east-1"
"""What requests to a server other than Amazon's are signed for; kombu's own default."""
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")
_PARTITION: Final = "amazonaws.com"
_PARTITIONS: Final = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}
"""Where services are in regions whose names begin so; elsewhere at _PARTITION (botocore/data/partitions.json)."""
_FIFO: Final = ".fifo"
_TRANSLATION: Final = {ord(character): "_" for character in string.punctuation if character not in "-_."} | {
    ord("."): "-"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Whom to ask, and as whom: one client for each."""

    url: str
    """Without a path."""
    region: str
    """Which requests are signed for."""
    access_key: AccessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One queue of SQS."""

    endpoint: Endpoint
    name: str
    """As SQS knows it."""
    url: str | None
    """Its address, where the transport options say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsLayout:
    """Where the queues of one broker are."""

    server: str | None
    """The URL of a server other than Amazon's."""
    secure: bool
    """Whether to speak TLS with Amazon's."""
    region: str | None
    prefix: str
    access_key: AccessKey | None
    predefined: Mapping[str, Mapping[str, Any]]
    """The queues that alone may be used, by their names in SQS; any when empty."""

    def place(self, queue: str) -> Place | None:
        """Where a queue of Celery is; None for one that the transport options leave out. Raises Unreadable."""
        name = name_of(self.prefix + queue)
        own = self.predefined.get(name, {})
        if self.predefined and not isinstance(own.get("url"), str):
            return None
        return Place(endpoint=self._endpoint(own), name=name, url=own.get("url"))

    def endpoint(self) -> Endpoint:
        """Whom to ask whether there is any answer. Raises Unreadable."""
        return self._endpoint(next(iter(self.predefined.values()), {}))

    def _endpoint(self, own: Mapping[str, Any]) -> Endpoint:
        identity, secret = own.get("access_key_id"), own.get("secret_access_key")
        key = self.access_key
        if isinstance(identity, str) and isinstance(secret, str):
            key = AccessKey(id=identity, secret=secret)
        region = _text(own, "region") or self.region or (self.server and _DEFAULT_REGION)
        if key is None:
            raise Unreadable(_NO_ACCESS_KEY)
        if not region:
            raise Unreadable(_NO_REGION)
        return Endpoint(url=self.server or self._of_amazon(region), region=region, access_key=key)

    def _of_amazon(self, region: str) -> str:
        if not _REGION.fullmatch(region):
            raise invalid("the transport option region is no name of a region, such as eu-west-1; correct spec.broker")
        partition = next((name for start, name in _PARTITIONS.items() if region.startswith(start)), _PARTITION)
        return f"{'https' if self.secure else 'http'}://sqs.{region}.{partition}"


def layout_of(address: BrokerAddress) -> SqsLayout:
    """What an address says. Raises Unreadable when the URL or the options are wrong."""
    options = options_of(address)
    url = urlsplit(address.url)
    secure = options.get("is_secure")
    predefined = options.get("predefined_queues") or {}
    if not isinstance(predefined, dict) or not all(isinstance(own, dict) for own in predefined.values()):
        raise invalid("the transport option predefined_queues is no map of names to settings; correct spec.broker")
    return SqsLayout(
        server=_server(address.url, secure=bool(secure)),
        secure=secure is None or bool(secure),
        region=_text(options, "region"),
        prefix=_text(options, "queue_name_prefix") or "",
        access_key=address.access_key or _access_key(url.username, url.password),
        predefined=predefined,
    )


def name_of(queue: str) -> str:
    """The queue's name with what SQS allows in one: letters, digits, hyphens and underscores."""
    bare = queue.removesuffix(_FIFO)
    return bare.translate(_TRANSLATION) + queue[len(bare) :]


def _server(address: str, *, secure: bool) -> str | None:
    """The host of the URL, where it names one; plain HTTP unless ``is_secure`` says otherwise."""
    url = urlsplit(address)
    if not url.hostname:
        return None
    try:
        port = "" if url.port is None else f":{url.port}"
    except ValueError:
        raise invalid("the broker's URL has a port that is no number; correct it or its Secret") from None
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{'https' if secure else 'http'}://{host}{port}"


def _access_key(identity: str | None, secret: str | None) -> AccessKey | None:
    return AccessKey(id=unquote(identity), secret=unquote(secret)) if identity and secret else None


def _text(options: Mapping[str, Any], name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"the transport option {name} is no text; correct spec.broker")
    return value


_NO_ACCESS_KEY: Final = Problem(
    reason=CREDENTIALS_MISSING,
    message="the operator reads queues of Amazon SQS only with an access key that the resource names, and never with "
    "one of its own surroundings; set spec.broker.sqs.credentialsFrom",
)
_NO_REGION: Final = Problem(
    reason=REGION_MISSING,
    message="it is not known in which region of AWS the queues are: without the transport option region each worker's "
    "surroundings decide that; set region in spec.broker.transportOptions",
)
