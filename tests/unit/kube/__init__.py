"""Tests of `kube` that need no API server."""
