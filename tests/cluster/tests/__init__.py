"""Tests of the cluster tooling's own decisions; what it starts is tested by everything that runs on it."""
