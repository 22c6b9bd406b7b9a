"""The account with which queues of Amazon SQS are read."""

from __future__ import annotations

from celery_operator.api import sqs
from tests.strategies.model import of
from tests.strategies.pod import secret_sources

_credentials = of(sqs.SqsCredentials, {"accessKeyIdFrom": secret_sources, "secretAccessKeyFrom": secret_sources}, {})
accounts = of(sqs.Sqs, {"credentialsFrom": _credentials}, {})
