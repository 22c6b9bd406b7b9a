"""``sign_up ADDRESS``: a customer signs up, and a task welcomes them."""

from __future__ import annotations

from typing import Any

from celery.exceptions import TimeoutError as CeleryTimeoutError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_shop.customers.models import Customer
from django_shop.customers.tasks import send_welcome


class Command(BaseCommand):
    """Makes the customer and sends the task."""

    help = "Make a customer, send the task that welcomes them, and wait for it if asked to."

    def add_arguments(self, parser: CommandParser) -> None:
        """The address, and how long to wait."""
        parser.add_argument("email")
        parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="for the task; 0: do not wait")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError when the task does not end in time."""
        customer, _ = Customer.objects.get_or_create(email=options["email"])
        # Sent when the row is committed: a worker could otherwise look for it too early. Within a transaction use
        # transaction.on_commit.
        sent = send_welcome.delay(customer.pk)
        if options["wait"] <= 0:
            self.stdout.write(f"sent {sent.id}")
            return
        try:
            welcomed = sent.get(timeout=options["wait"])
        except CeleryTimeoutError as error:
            raise CommandError(f"the task {sent.id} has not ended within {options['wait']:g} s") from error
        self.stdout.write(f"welcomed {welcomed}")
