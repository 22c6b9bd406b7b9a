"""queue-never-named: a declared queue that nobody consumes and nothing is sent to."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if not queues.all_named(spec):
        return
    named = queues.consumed(spec).union(*(other.queues for other in inputs.others), queues.sent_to(spec))
    for queue in queues.declared(spec):
        if queue.name in named:
            continue
        source = next((each.name for each in queues.declared(spec) if queues.dead_letters_go_to(each, queue)), None)
        if source is None:
            yield (
                f"spec.queues[{queue.name}] is declared, and neither a worker group nor a route names it: tasks "
                "that are sent there wait for ever; add it to the queues of a group, or remove it"
            )
        else:
            yield (
                f"spec.queues[{queue.name}] is declared for the dead letters of {source!r}, and no worker group "
                "consumes it, so that no process makes it: where it does not exist, RabbitMQ drops them; make it by a "
                "hook or by hand, and remove it here"
            )


RULE = Rule(
    id="queue-never-named",
    severity="warning",
    title="A declared queue is named nowhere else",
    why="`queues` says how a queue is made, `workers[].queues` who consumes it. A name that stands in the first list "
    "alone is forgotten or misspelled in the second. A worker makes the queues that it consumes and a producer those "
    "that it sends to; one for dead letters, which nobody should consume blindly, has to be made otherwise "
    "([how](howto/rabbitmq.md)).",
    wrong="queues:\n- {name: reports, maxPriority: 10}\nworkers:\n- {name: reports, queues: [report]}",
    right="queues:\n- {name: reports, maxPriority: 10}\nworkers:\n- {name: reports, queues: [reports]}",
    messages=_messages,
)
