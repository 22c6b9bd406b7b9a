"""The HTTP producer, which submits the tasks and reads their results: ``uvicorn celery_tasks.producer.api:api``."""
