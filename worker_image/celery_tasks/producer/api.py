"""The HTTP API: ``uvicorn celery_tasks.producer.api:api --host 0.0.0.0 --port 8000``; documentation at /docs."""

from __future__ import annotations

import json
import uuid
from typing import Any

from celery import chain, chord, group
from celery.result import GroupResult
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from celery_tasks.producer import broker, models, results
from celery_tasks.producer.catalogue import CATALOGUE, Entry
from celery_tasks.settings import settings
from celery_tasks.structured_logging import configure_server
from celery_tasks.tasks.arithmetic import add, multiply, sum_results
from celery_tasks.tasks.pipeline import fetch_data, process_data, save_data

configure_server(settings().log_format)
broker.configure()

api = FastAPI(
    title="Celery tasks",
    summary="Submits the example application's tasks and reads their results.",
    responses={503: {"model": models.Problem, "description": "Broker or result backend not reachable."}},
)


@api.exception_handler(broker.UnavailableError)
async def unavailable(_: Request, error: Exception) -> JSONResponse:
    """503 with what did not answer."""
    return JSONResponse({"detail": str(error)}, status_code=503, headers={"Retry-After": "5"})


@api.get("/healthz", tags=["health"])
async def health() -> dict[str, str]:
    """This process answers. The broker is not asked: an outage there is no reason to restart a producer."""
    return {"status": "ok"}


@api.get("/tasks", tags=["tasks"])
async def list_tasks() -> list[models.TaskDescription]:
    """Every task that may be submitted, each with a body that works as it stands."""
    return [_describe(name, entry) for name, entry in CATALOGUE.items()]


@api.post(
    "/tasks/{name}",
    status_code=202,
    tags=["tasks"],
    responses={404: {"model": models.Problem, "description": "No such task; the answer lists those there are."}},
)
async def submit_task(name: str, submission: models.TaskSubmission) -> models.Submitted:
    """Check the arguments against the task's model and send it. GET /tasks shows an example for each."""
    entry = CATALOGUE.get(name)
    if entry is None:
        raise HTTPException(404, f"no task {name!r}; there are: {', '.join(CATALOGUE)}")
    kwargs = _checked_kwargs(entry, submission)
    options = submission.options.model_dump(exclude_none=True)
    options.setdefault("task_id", str(uuid.uuid4()))
    await broker.publish(
        lambda: entry.task.apply_async(kwargs=kwargs, confirm_timeout=settings().publish_timeout_seconds, **options)
    )
    task_id = options["task_id"]
    return models.Submitted(task_id=task_id, task=entry.task.name, status_url=f"/tasks/{task_id}")


@api.get("/tasks/{task_id}", tags=["tasks"])
async def get_task(task_id: str) -> models.TaskStatus:
    """State and result of a task."""
    return await broker.read(lambda: results.task_status(task_id))


@api.post("/workflows/chain", status_code=202, tags=["workflows"])
async def submit_chain(body: models.ChainBody) -> models.WorkflowSubmitted:
    """fetch_data → process_data → save_data: each gets what the one before returned."""
    steps = chain(fetch_data.s(**body.as_kwargs()), process_data.s(), save_data.s())
    last = await broker.publish(steps.apply_async)
    earlier = [last.parent.parent.id, last.parent.id]
    return _submitted("chain", last.id, children=earlier)


@api.post("/workflows/group", status_code=202, tags=["workflows"])
async def submit_group(body: models.GroupBody) -> models.WorkflowSubmitted:
    """``add`` for each pair, all at once; GET /workflows/{task_id} shows how far it is."""
    return await _submit_group("group", group(add.s(x, y) for x, y in body.pairs))


@api.post("/workflows/chunks", status_code=202, tags=["workflows"])
async def submit_chunks(body: models.ChunksBody) -> models.WorkflowSubmitted:
    """``add`` for each pair, several pairs to a message: fewer messages, less parallel."""
    return await _submit_group("chunks", add.chunks(body.pairs, body.size).group())


@api.post("/workflows/chord", status_code=202, tags=["workflows"])
async def submit_chord(body: models.ChordBody) -> models.WorkflowSubmitted:
    """``multiply`` for each pair; when all are done, ``sum_results`` over the products."""
    parts = [multiply.s(x, y) for x, y in body.pairs]
    total = await broker.publish(lambda: chord(parts)(sum_results.s()))
    return _submitted("chord", total.id, children=[part.id for part in total.parent.results])


@api.post("/workflows/{name}", include_in_schema=False)
async def unknown_workflow(name: str) -> None:
    """404 with the names there are."""
    raise HTTPException(404, f"no workflow {name!r}; there are: chain, group, chunks, chord")


@api.get("/workflows/{group_id}", tags=["workflows"], responses={404: {"model": models.Problem}})
async def get_group(group_id: str) -> models.GroupStatus:
    """How far a group or chunks workflow is, with the parts' results in order."""
    status = await broker.read(lambda: results.group_status(group_id))
    if status is None:
        raise HTTPException(404, f"no group {group_id!r}: never submitted, or its result has expired")
    return status


async def _submit_group(workflow: str, parts: Any) -> models.WorkflowSubmitted:
    def send() -> GroupResult:
        sent = parts.apply_async()
        sent.save()
        return sent

    sent = await broker.publish(send)
    children = [part.id for part in sent.results]
    return models.WorkflowSubmitted(
        workflow=workflow, task_id=sent.id, status_url=f"/workflows/{sent.id}", children=children
    )


def _submitted(workflow: str, task_id: str, *, children: list[str]) -> models.WorkflowSubmitted:
    return models.WorkflowSubmitted(
        workflow=workflow, task_id=task_id, status_url=f"/tasks/{task_id}", children=children
    )


def _checked_kwargs(entry: Entry, submission: models.TaskSubmission) -> dict[str, Any]:
    """The arguments by name, or 422 with every problem at once."""
    names = list(entry.arguments.model_fields)
    given = dict(zip(names, submission.args, strict=False))
    if len(submission.args) > len(names):
        raise HTTPException(422, f"{len(submission.args)} arguments given, at most {len(names)} taken: {names}")
    if twice := given.keys() & submission.kwargs.keys():
        raise HTTPException(422, f"given by position and by name: {', '.join(sorted(twice))}")
    try:
        return entry.arguments.model_validate(given | submission.kwargs).as_kwargs()
    except ValidationError as error:
        raise HTTPException(422, json.loads(error.json(include_url=False))) from error


def _describe(name: str, entry: Entry) -> models.TaskDescription:
    route = entry.task.app.conf.task_routes.get(entry.task.name, {})
    return models.TaskDescription(
        name=name,
        task=entry.task.name,
        description=(entry.arguments.__doc__ or "").strip(),
        queue=str(route.get("queue", entry.task.app.conf.task_default_queue)),
        example=entry.example(),
    )
