"""Errors of the cluster tooling: each one is a sentence for the person at the terminal."""

from __future__ import annotations


class ClusterError(Exception):
    """Something the user can act on: the text says what happened, to what, and what to do."""


class UnsupportedByProvider(ClusterError):
    """The chosen provider cannot do this at all, for example stop a node of a cluster that it did not make."""
