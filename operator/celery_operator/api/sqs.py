"""Amazon SQS as a broker: the account that asks for lengths of queues, which is never taken from the surroundings."""

from __future__ import annotations

from celery_operator.api.model import ApiModel
from celery_operator.api.pod import SecretKeySource

SQS_SCHEME = "sqs"
"""What the URL of Amazon SQS begins with, and of servers that speak its protocol."""


class SqsCredentials(ApiModel):
    """An access key of AWS."""

    access_key_id_from: SecretKeySource
    """The Secret's key that holds its id."""
    secret_access_key_from: SecretKeySource
    """The Secret's key that holds its secret."""


class Sqs(ApiModel):
    """What an sqs:// URL does not say."""

    credentials_from: SqsCredentials
    """The access key for the operator's readings, and of pods whose env sets none."""
