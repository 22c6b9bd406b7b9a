"""Flower as people and Prometheus meet it: the rendered child as a process, a real browser, a real Prometheus."""
