"""How quickly queues size their own workers, and what the decisions cost: `python -m benchmarks.autoscaling`."""
