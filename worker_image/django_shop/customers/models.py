"""The customers' table."""

from __future__ import annotations

from django.db import models


class Customer(models.Model):
    """Somebody who signed up, and when a task has welcomed them."""

    email = models.EmailField(unique=True)
    signed_up_at = models.DateTimeField(auto_now_add=True)
    welcomed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.email)
