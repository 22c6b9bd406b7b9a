"""The arguments of every task that may be submitted, as models: what does not fit is refused before it is queued.

Each model's fields are its task's parameters, in the same order (a test compares them).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from celery_tasks.tasks.reports import ReportType

Seconds = Annotated[float, Field(ge=0, le=1500, description="Seconds; at most the soft time limit.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = int | Annotated[float, Field(allow_inf_nan=False)]  # JSON has no infinity
Failures = Annotated[int, Field(ge=0, le=100)]


class Arguments(BaseModel):
    """Base of the models: no unknown field, and a first example that works as it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def as_kwargs(self) -> dict[str, Any]:
        """Keyword arguments as JSON values: exactly what was given, the task's own defaults apply to the rest."""
        return self.model_dump(mode="json", exclude_unset=True)


class AddArguments(Arguments):
    """x + y."""

    x: Number = Field(examples=[2])
    y: Number = Field(examples=[3])


class MultiplyArguments(Arguments):
    """x times y."""

    x: Number = Field(examples=[6])
    y: Number = Field(examples=[7])


class SumResultsArguments(Arguments):
    """The sum of the numbers."""

    numbers: list[Number] = Field(examples=[[1, 2, 3]], max_length=10_000)


class SendEmailArguments(Arguments):
    """A message for the simulated mail server."""

    to: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254, examples=["ada@example.com"])
    subject: Name = Field(examples=["Your order"])
    body: str = Field(default="", max_length=100_000, examples=["It is on its way."])
    latency_seconds: Seconds = 0.1


class ProcessPaymentArguments(Arguments):
    """A payment; the same payment_id is charged once, however often it is submitted."""

    payment_id: Name = Field(examples=["order-17"])
    amount_cents: int = Field(gt=0, examples=[4990])
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    failures_before_success: Failures = 0
    latency_seconds: Seconds = 0.1


class UnstableTaskArguments(Arguments):
    """A task that fails first and then succeeds, or fails by chance."""

    failures_before_success: Failures = Field(default=2, examples=[2])
    failure_rate: float = Field(default=0.0, ge=0, le=1)


class LongRunningArguments(Arguments):
    """A task that waits and reports progress."""

    duration_seconds: Seconds = Field(default=30.0, examples=[20])
    steps: int = Field(default=10, ge=1, le=1000, examples=[10])


class CpuBurnArguments(Arguments):
    """A task that keeps one core busy."""

    seconds: Seconds = Field(default=1.0, examples=[2])


class IoBoundArguments(Arguments):
    """A task that waits for answers."""

    requests: int = Field(default=5, ge=0, le=10_000, examples=[5])
    latency_seconds: Seconds = 0.1


class ImportantTaskArguments(Arguments):
    """A task that survives the loss of its worker."""

    item: Name = Field(examples=["invoice-3"])
    duration_seconds: Seconds = 0.1


class PlaceOrderArguments(Arguments):
    """An order; release 2 of the application confirms it with a second task."""

    order_id: Name = Field(examples=["order-18"])
    latency_seconds: Seconds = 0.1


class GenerateReportArguments(Arguments):
    """A report; the same one is written once an hour."""

    report_type: ReportType = Field(examples=["daily"])
    day: date = Field(examples=["2026-01-31"])
    rows: int = Field(default=1000, ge=0, le=10_000_000)
    latency_seconds: Seconds = 0.2


class FetchDataArguments(Arguments):
    """The first step of the pipeline; POST /workflows/chain runs all three."""

    source: Name = Field(examples=["orders"])
    records: int = Field(default=10, ge=0, le=100_000)
    latency_seconds: Seconds = 0.05


class HeartbeatArguments(Arguments):
    """Nothing: what beat sends every 10 s."""
