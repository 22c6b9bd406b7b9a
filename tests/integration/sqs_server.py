"""A server that speaks Amazon SQS as a child process: moto's, the nearest thing to the real one that runs anywhere.

It has what readings are about: queues with attributes, visibility timeouts, delays, long polls, and accounts whose
signatures and rights it checks once it is told to. What it has not is distance: its figures are exact, and never late.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.servers import Process, free_port
from tests.integration.venvs import celery_venv

REQUIREMENTS = Path(__file__).parent / "broker" / "requirements"
REGION = "eu-west-1"


def python_of(lock: str) -> Path:
    """The Python of the environment that broker/requirements/<lock>.txt pins."""
    return celery_venv(REQUIREMENTS / f"{lock}.txt") / "bin" / "python"


_LIST_QUEUES = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "AmazonSQS.ListQueues",
    "Authorization": f"AWS4-HMAC-SHA256 Credential=anybody/20200101/{REGION}/sqs/aws4_request, "
    "SignedHeaders=host, Signature=0",
}
"""The first request of a service makes moto import it, which may take longer than the operator waits for an answer."""

_NEW_ACCOUNTS = """
import boto3, json, sys
iam = boto3.client("iam", region_name="us-east-1", endpoint_url=sys.argv[1])
keys = {}
for user, actions in json.load(sys.stdin).items():
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.create_user(UserName=user)
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    keys[user] = key["AccessKeyId"], key["SecretAccessKey"]
print(json.dumps(keys))
"""
"""Run where moto is, which brings AWS's own client along."""


class SqsServer(Process):
    """One server on 127.0.0.1; everything is in its memory, and gone when it ends."""

    def __init__(self, *, folder: Path, name: str = "sqs") -> None:
        super().__init__(name=name, folder=folder)
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        """The address that clients of AWS are given."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, access_key_id: str = "", secret_access_key: str = "") -> str:
        """The broker's URL, with an account or without one."""
        account = f"{access_key_id}:{secret_access_key}@" if access_key_id else ""
        return f"sqs://{account}127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and return when it answers for SQS, about 2 s; ServerError otherwise."""
        self.launch(
            [str(python_of("sqs-celery-5.7")), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.wait_ready(self._answers, timeout=120.0)
        return self

    def new_accounts(self, rights: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
        """Users who may do that and nothing else: the two parts of each one's access key."""
        made = subprocess.run(
            [str(python_of("sqs-celery-5.7")), "-c", _NEW_ACCOUNTS, self.endpoint],
            input=json.dumps(rights),
            env={"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return {name: (identity, secret) for name, (identity, secret) in json.loads(made.stdout).items()}

    def check_accounts(self) -> None:
        """From now on refuse requests of unknown accounts, and those that an account has no right to."""
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", data=b"0", headers=plain)
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()

    def _answers(self) -> bool:
        request = urllib.request.Request(f"{self.endpoint}/", data=b"{}", headers=_LIST_QUEUES)
        try:
            with urllib.request.urlopen(request, timeout=60):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
