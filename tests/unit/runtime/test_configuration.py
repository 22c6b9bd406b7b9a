"""What of the settings in force is shown to everybody who can reach a pod."""

from __future__ import annotations

from celery_operator.runtime.configuration import effective

SHOWN = {
    "task_default_routing_key": "orders",
    "worker_prefetch_multiplier": 1,
    "security_key": "/etc/keys/worker.pem",
    "cassandra_auth_kwargs": {"username": "shop"},
}
HIDDEN = {
    "redis_password": "hunter2",
    "s3_secret_access_key": "hunter2",
    "s3_access_key_id": "AKIA",
    "security_key_password": "hunter2",
    "SHOP_API_TOKEN": "hunter2",
    "broker_url": "amqp://shop:hunter2@rabbit",
}


def test_a_setting_whose_name_says_that_it_is_secret_is_not_shown() -> None:
    conf = {**SHOWN, **HIDDEN, "cassandra_auth_kwargs": {"username": "shop", "password": "hunter2"}}
    assert effective(conf, conf) == SHOWN
