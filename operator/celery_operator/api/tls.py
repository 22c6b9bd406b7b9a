"""Certificates of an encrypted connection, each from a Secret's key; checking the server's cannot be switched off."""

from __future__ import annotations

from pydantic import ConfigDict

from celery_operator.api.model import ApiModel, Cel, rules
from celery_operator.api.pod import SecretKeySource


class Tls(ApiModel):
    """How the server's certificate is checked, and with which one the pods show who they are."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "has(self.certificateFrom) == has(self.keyFrom)",
                "certificateFrom and keyFrom go together; set both or none",
            ),
            Cel(
                "has(self.caFrom) || has(self.certificateFrom)",
                "set caFrom, or certificateFrom and keyFrom; without any the certificate authorities of the image "
                "count anyway",
            ),
        )
    )
    ca_from: SecretKeySource | None = None
    """The certificate authority that signed the server's certificate (PEM); those of the image when absent."""
    certificate_from: SecretKeySource | None = None
    """The client certificate (PEM), for servers that ask for one."""
    key_from: SecretKeySource | None = None
    """The client certificate's key (PEM, without a password)."""
