"""Tests of the verify runner."""
