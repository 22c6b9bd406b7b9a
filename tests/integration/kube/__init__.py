"""Tests of `kube` against a real API server."""
