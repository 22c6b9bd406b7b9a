"""Delivery proven as processes: what is lost and what runs twice, for every pool, broker and Celery version."""
