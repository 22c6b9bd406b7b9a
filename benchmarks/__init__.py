"""Measures the promised figures on a real cluster: one module a figure, results in docs/benchmarks.md."""
