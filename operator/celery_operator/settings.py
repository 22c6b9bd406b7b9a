"""The operator's own settings, from environment variables that begin with CELERY_OPERATOR_."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How this process runs; every field is an environment variable, for example CELERY_OPERATOR_LOG_LEVEL."""

    model_config = SettingsConfigDict(env_prefix="CELERY_OPERATOR_", frozen=True)

    namespaces: str = ""
    """Namespaces to serve, separated by commas; empty: all of them."""
    kubeconfig: Path | None = None
    """The cluster to talk to; KUBECONFIG, else the pod's ServiceAccount, when absent."""
    host: str = ""
    """Address that the web endpoints listen on; empty: every one, of IPv6 and IPv4."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port of /healthz, /readyz and /metrics; 0 takes a free one."""
    lease_namespace: str = Field(default="celery-operator", min_length=1)
    """Namespace of the Lease by which replicas elect their leader; the chart sets the operator's own."""
    lease_name: str = Field(default="celery-operator", min_length=1)
    """Name of that Lease."""
    identity: str = Field(default_factory=socket.gethostname, min_length=1)
    """This process in the Lease; the pod's name in a cluster. A restarted process of the same identity goes on
    at once."""
    pod_ip: str = ""
    """This pod's address, at which the others find the leader; empty outside a cluster."""
    log_format: Literal["json", "text"] = "json"
    """How log lines are written."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged."""

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def address(self) -> str:
        """The base URL of this process for the others; empty where nobody said what its address is."""
        host = f"[{self.pod_ip}]" if ":" in self.pod_ip else self.pod_ip
        return f"http://{host}:{self.port}" if host else ""

    @property
    def namespace_list(self) -> tuple[str, ...]:
        """The namespaces to serve; empty means all."""
        return tuple(part.strip() for part in self.namespaces.split(",") if part.strip())
