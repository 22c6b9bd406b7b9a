"""Tests of the chart, the plain manifest and the samples with Helm and a real API server."""
