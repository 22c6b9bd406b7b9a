"""Tests of the bundled task image: real workers, beat and producer on a real Redis and RabbitMQ."""
