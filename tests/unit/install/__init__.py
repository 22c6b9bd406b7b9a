"""Tests of what users install: versions, rights and samples, without a cluster."""
