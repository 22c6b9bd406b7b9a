"""Which tasks may be submitted over HTTP, by short name, with the model of their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from celery import Task

from celery_tasks.producer import arguments
from celery_tasks.tasks import arithmetic, load, mail, orders, payments, pipeline, reliability, reports, scheduled


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A task and what it takes."""

    task: Task
    arguments: type[arguments.Arguments]

    def example(self) -> dict[str, Any]:
        """A request body that works as it stands, from the first example of each field that has one."""
        fields = self.arguments.model_fields
        return {"kwargs": {name: field.examples[0] for name, field in fields.items() if field.examples}}


CATALOGUE: Final[dict[str, Entry]] = {
    entry.task.name.removeprefix("celery_tasks."): entry
    for entry in (
        Entry(task=arithmetic.add, arguments=arguments.AddArguments),
        Entry(task=arithmetic.multiply, arguments=arguments.MultiplyArguments),
        Entry(task=arithmetic.sum_results, arguments=arguments.SumResultsArguments),
        Entry(task=mail.send_email, arguments=arguments.SendEmailArguments),
        Entry(task=payments.process_payment, arguments=arguments.ProcessPaymentArguments),
        Entry(task=reliability.unstable_task, arguments=arguments.UnstableTaskArguments),
        Entry(task=reliability.important_task, arguments=arguments.ImportantTaskArguments),
        Entry(task=load.long_running, arguments=arguments.LongRunningArguments),
        Entry(task=load.cpu_burn, arguments=arguments.CpuBurnArguments),
        Entry(task=load.io_bound, arguments=arguments.IoBoundArguments),
        Entry(task=orders.place_order, arguments=arguments.PlaceOrderArguments),
        Entry(task=reports.generate_report, arguments=arguments.GenerateReportArguments),
        Entry(task=pipeline.fetch_data, arguments=arguments.FetchDataArguments),
        Entry(task=scheduled.heartbeat, arguments=arguments.HeartbeatArguments),
    )
}
