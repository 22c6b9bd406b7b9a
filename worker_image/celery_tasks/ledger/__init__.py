"""The ledger: every start and end of every task execution, kept outside the broker, so that loss can be proven.

``recorder`` writes from workers and producers, ``report`` reads and judges, ``python -m celery_tasks.ledger``
prints. The Redis named by ``LEDGER_URL`` should be one of its own with ``appendonly yes``.
"""
