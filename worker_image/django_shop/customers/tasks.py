"""Tasks of the customers; Celery's Django support finds them by the module's name."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from django_shop.customers.models import Customer


@shared_task(name="customers.send_welcome", acks_late=True)
def send_welcome(customer_id: int) -> str:
    """Welcome a customer, once: a second delivery changes nothing. Returns the address."""
    customer = Customer.objects.get(pk=customer_id)
    Customer.objects.filter(pk=customer_id, welcomed_at=None).update(welcomed_at=timezone.now())
    return str(customer.email)


@shared_task(name="customers.count_waiting")
def count_waiting() -> int:
    """How many customers nobody has welcomed yet; sent by beat."""
    return int(Customer.objects.filter(welcomed_at=None).count())
